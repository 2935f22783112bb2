/* hub: topics, scripts and who may do what where.
 *
 * Names are 1 to 128 of [A-Za-z0-9._-] and never look like an id, so that on
 * the command line a name serves wherever an id does. Functions that look
 * something up return 1 found, 0 not found, -1 error; those that change
 * something have to be called between db_begin and db_commit. */
#ifndef AGENTRUX_HUB_REGISTRY_H
#define AGENTRUX_HUB_REGISTRY_H

#include "db.h"
#include "sign.h"

enum { ID_MAX = 48, NAME_LEN_MAX = 128 };

enum { ACTION_READ = 1, ACTION_WRITE = 2 };

struct topic {
	int64_t row;
	int64_t last_seq; /* of its newest event ever, 0: none yet */
	char id[ID_MAX];
};

struct script {
	int64_t row;
	int64_t generation;
	char id[ID_MAX];
	bool active;			/* has a secret */
	char client[ID_MAX];		/* oauth: the id beside it, else "" */
	unsigned char secret[SIGN_KEY]; /* its hash */
};

/* "read" and "write" as a bit, or 0; and the way back. */
int action_read(const char *s);
const char *action_text(int action);

/* `uuid` may be prefixed by "top_". */
int topic_by_id(
	struct db *db, const char *uuid, struct topic *t, struct err *e);
int topic_find(
	struct db *db, const char *id_or_name, struct topic *t, struct err *e);

/* EX_CANTCREAT if there is one of that name, EX_USAGE if it is no name. */
int topic_add(struct db *db, const char *name, struct topic *t, struct err *e);

int script_by_id(
	struct db *db, const char *id, struct script *s, struct err *e);
int script_by_row(struct db *db, int64_t row, struct script *s, struct err *e);
int script_find(
	struct db *db, const char *id_or_name, struct script *s, struct err *e);
int script_add(
	struct db *db, const char *name, struct script *s, struct err *e);
int script_remove(struct db *db, const struct script *s, struct err *e);

int script_by_client(
	struct db *db, const char *client, struct script *s, struct err *e);

/* A new secret: the old one, all tokens and all refresh tokens are dead, in
 * whatever dialect and however they were come by. `client` goes with the new one: NULL in classic.
 * The secret itself is in `secret` and nowhere else. */
int script_renew(struct db *db, struct script *s, const char *client,
	char secret[SIGN_SECRET], struct err *e);

/* The ACTION_ bits that a script has in a topic, or -1. */
int grant_bits(struct db *db, int64_t script, int64_t topic, struct err *e);

/* A grant that is there already is fine (0); -1 on error. */
int grant_add(struct db *db, int64_t script, int64_t topic, int action,
	struct err *e);

/* 1 removed, 0 there was none. */
int grant_remove(struct db *db, int64_t script, int64_t topic, int action,
	struct err *e);

#endif
