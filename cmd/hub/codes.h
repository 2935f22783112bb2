/* hub: what works once, and what works only so often.
 *
 * Activation codes, invite codes and refresh tokens are 256 random bits; only
 * their hashes are stored. All functions have to be called between db_begin
 * and db_commit: taking a code and what it is taken for are one change. */
#ifndef AGENTRUX_HUB_CODES_H
#define AGENTRUX_HUB_CODES_H

#include "registry.h"

enum code_state { CODE_GOOD, CODE_SPENT, CODE_UNKNOWN, CODE_ERROR = -1 };

struct code {
	int64_t script, generation; /* activation and refresh */
	int64_t topic;		    /* invite */
	int action;
};

/* Makes one of `kind` ("activation", "oauth-activation", "invite", "refresh",
 * "oauth-refresh", whose generation is its family) that works until `expires`, a db_now() time; its text, once, is `text`. */
int code_issue(struct db *db, const char *kind, const struct code *c,
	int64_t expires, char text[SIGN_SECRET], struct err *e);

/* Looks without taking: CODE_SPENT if used or expired. */
enum code_state code_look(struct db *db, const char *kind, const char *text,
	struct code *c, struct err *e);

/* Marks it used. */
int code_spend(struct db *db, const char *text, struct err *e);

/* One use against `limit` an hour: 0 it is counted, >0 the seconds to wait
 * (and it is not counted), -1 error. */
long code_limit(struct db *db, int64_t script, const char *kind, int limit,
	struct err *e);

/* Drops what nobody will ask for any more. */
int code_sweep(struct db *db, struct err *e);

#endif
