/* service: what came of an activation, for people and programs. The names and
 * members are those of agentrux-activate(1). */
#ifndef AGENTRUX_OUTCOME_H
#define AGENTRUX_OUTCOME_H

#include "cred.h"
#include "err.h"
#include "json.h"
#include "wire.h"

enum outcome_kind {
	OUTCOME_OK,
	OUTCOME_NO_FILE, /* EX_OK with credentials, else EX_NOINPUT */
	OUTCOME_CREDS_PRESENT,
	OUTCOME_INVALID,
	OUTCOME_PERMANENT,
	OUTCOME_TRANSIENT,
	OUTCOME_RESCUED,
	OUTCOME_NOT_SET_UP,
	OUTCOME_RESTORED, /* --recover: the code is back */
	OUTCOME_NEWER,	  /* --recover: another one is there */
};

struct outcome {
	enum outcome_kind kind;
	struct cred cred;	   /* what is there now, as far as known */
	struct json *grants;	   /* or NULL */
	struct wire_error service; /* what it said, status 0: nothing */
	char *failed_file;	   /* where a useless code is kept, or NULL */
};

const char *outcome_name(enum outcome_kind kind);

/* As one object, the caller's; `e` is what the program ends with. Never the
 * secret. */
struct json *outcome_report(const struct outcome *r, const struct err *e);

/* Why a code was set aside, as a text to be kept beside it; the caller's. */
char *outcome_words(const struct outcome *r, const struct err *e);

void outcome_release(struct outcome *r);

#endif
