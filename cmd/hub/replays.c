#include "replays.h"

#include <stdlib.h>
#include <string.h>

enum { SWEEP_ROWS = 2000 };

#define KEEP_MS (24 * (int64_t)3600 * 1000)

void replay_init(struct replay *p, int64_t script, const char *key,
	int64_t topic, const void *body, size_t len)
{
	struct sign_sum *s = sign_sum_new();
	char *text = xasprintf("%lld\n%s", (long long)script, key);

	sign_hash(text, strlen(text), p->hash);
	free(text);
	sign_sum_add(s, &topic, sizeof topic);
	sign_sum_add(s, body, len);
	sign_sum_free(s, p->body);
}

enum replay_state replay_look(struct db *db, const struct replay *p,
	unsigned char event[16], struct err *e)
{
	enum replay_state state = REPLAY_NEW;
	struct query *q = db_query(db, e,
		"SELECT body, event FROM replays WHERE hash = ? AND at > ?",
		"bi", p->hash, sizeof p->hash, db_now() - KEEP_MS);
	int r = db_step(q, e);
	const void *body, *id;
	size_t n, m;

	if (r == 1) {
		body = db_blob(q, 0, &n);
		id = db_blob(q, 1, &m);
		state = REPLAY_OTHER;
		if (n == sizeof p->body && m == 16 &&
			sign_equal(body, p->body, n)) {
			memcpy(event, id, 16);
			state = REPLAY_SAME;
		}
	}
	db_done(q);
	return r < 0 ? REPLAY_ERROR : state;
}

int replay_add(struct db *db, const struct replay *p,
	const unsigned char event[16], struct err *e)
{
	/* One that has expired may still be there. */
	return db_exec(db, e,
		       "INSERT OR REPLACE INTO replays (hash, body, event, at) "
		       "VALUES (?, ?, ?, ?)",
		       "bbbi", p->hash, sizeof p->hash, p->body, sizeof p->body,
		       event, (size_t)16, db_now()) < 0
		       ? -1
		       : 0;
}

int replay_sweep(struct db *db, struct err *e)
{
	return db_exec(db, e,
		"DELETE FROM replays WHERE hash IN (SELECT hash FROM replays "
		"WHERE at < ? LIMIT ?)",
		"ii", db_now() - KEEP_MS, (int64_t)SWEEP_ROWS);
}
