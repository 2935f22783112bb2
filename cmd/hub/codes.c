#include "codes.h"

#include <stdio.h>
#include <string.h>

enum { HOUR_MS = 3600 * 1000 };

/* How long a dead code is still told from an unknown one. */
#define REMEMBER_MS (7 * 24 * (int64_t)HOUR_MS)

static const char *prefix(const char *kind)
{
	if (strcmp(kind, "activation") == 0)
		return "ac_";
	if (strcmp(kind, "oauth-activation") == 0)
		return "act_";
	return strcmp(kind, "invite") == 0 ? "inv_" : "art_";
}

int code_issue(struct db *db, const char *kind, const struct code *c,
	int64_t expires, char text[SIGN_SECRET], struct err *e)
{
	unsigned char hash[SIGN_KEY];

	sign_secret(prefix(kind), text);
	sign_hash(text, strlen(text), hash);
	return db_exec(db, e,
		       "INSERT INTO codes (hash, kind, script, generation, "
		       "topic, action, expires) VALUES (?, ?, ?, ?, ?, ?, ?)",
		       "btiiiti", hash, sizeof hash, kind, c->script,
		       c->generation, c->topic,
		       c->action ? action_text(c->action) : NULL, expires) < 0
		       ? -1
		       : 0;
}

enum code_state code_look(struct db *db, const char *kind, const char *text,
	struct code *c, struct err *e)
{
	unsigned char hash[SIGN_KEY];
	struct query *q;
	enum code_state state = CODE_UNKNOWN;
	int r;

	sign_hash(text, strlen(text), hash);
	q = db_query(db, e,
		"SELECT script, generation, topic, action, expires, "
		"used IS NOT NULL FROM codes WHERE hash = ? AND kind = ?",
		"bt", hash, sizeof hash, kind);
	r = db_step(q, e);
	if (r == 1) {
		c->script = db_int(q, 0);
		c->generation = db_int(q, 1);
		c->topic = db_int(q, 2);
		c->action = action_read(db_text(q, 3));
		state = db_int(q, 5) || db_int(q, 4) <= db_now() ? CODE_SPENT
								 : CODE_GOOD;
	}
	db_done(q);
	return r < 0 ? CODE_ERROR : state;
}

int code_spend(struct db *db, const char *text, struct err *e)
{
	unsigned char hash[SIGN_KEY];

	sign_hash(text, strlen(text), hash);
	return db_exec(db, e,
		       "UPDATE codes SET used = ? WHERE hash = ? "
		       "AND used IS NULL",
		       "ib", db_now(), hash, sizeof hash) < 0
		       ? -1
		       : 0;
}

long code_limit(struct db *db, int64_t script, const char *kind, int limit,
	struct err *e)
{
	int64_t now = db_now(), since = now - HOUR_MS, wait;
	struct query *q;
	int r;

	/* The use that has to fall out of the hour before there is room; a
	 * clock that was set back must not lock anybody out for longer. */
	q = db_query(db, e,
		"SELECT at FROM uses WHERE script = ? AND kind = ? "
		"AND at > ? AND at <= ? ORDER BY at DESC LIMIT 1 OFFSET ?",
		"itiii", script, kind, since, now, (int64_t)limit - 1);
	r = db_step(q, e);
	wait = r == 1 ? db_int(q, 0) - since : 0;
	db_done(q);
	if (r < 0)
		return -1;
	if (r == 1)
		return (long)(wait / 1000) + 1;
	return db_exec(db, e,
		       "INSERT INTO uses (script, kind, at) VALUES (?, ?, ?)",
		       "iti", script, kind, now) < 0
		       ? -1
		       : 0;
}

int code_sweep(struct db *db, struct err *e)
{
	int64_t now = db_now();

	if (db_exec(db, e, "DELETE FROM codes WHERE expires < ?", "i",
		    now - REMEMBER_MS) < 0 ||
		db_exec(db, e, "DELETE FROM uses WHERE at < ? OR at > ?", "ii",
			now - HOUR_MS, now + HOUR_MS) < 0)
		return -1;
	return 0;
}
