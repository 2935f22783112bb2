#include "ledger.h"

#include "home.h"
#include "io.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SCHEMA_VERSION = 2, BUSY_MS = 10000, PRUNE_EVERY = LEDGER_WINDOW / 2 };

enum query {
	WINDOW_START,
	SUMS,
	ATTEMPTS,
	TRIED,
	ADD_DONE,
	ADD_FAILED,
	DROP_ATTEMPTS,
	PRUNE,
	FORGET_DONE,
	FORGET_ATTEMPTS,
	BEGIN,
	COMMIT,
	ROLLBACK,
	QUERIES
};

static const char *const sql[QUERIES] = {
	/* The newest row from which on there are ?3 bytes of digests. */
	[WINDOW_START] = "SELECT n FROM (SELECT n, sum(length(sums)) OVER"
			 " (ORDER BY n DESC) AS bytes FROM digests"
			 " WHERE topic = ?1 AND field = ?2)"
			 " WHERE bytes >= ?3 ORDER BY n DESC LIMIT 1",
	[SUMS] = "SELECT sums FROM digests"
		 " WHERE topic = ?1 AND field = ?2 ORDER BY n",
	[ATTEMPTS] = "SELECT n FROM attempts"
		     " WHERE topic = ?1 AND event_id = ?2",
	[TRIED] = "SELECT count(*) FROM attempts WHERE topic = ?1",
	[ADD_DONE] = "INSERT INTO digests(topic, field, sums)"
		     " VALUES (?1, ?2, ?3)",
	[ADD_FAILED] = "INSERT INTO attempts(topic, event_id, n)"
		       " VALUES (?1, ?2, 1)"
		       " ON CONFLICT DO UPDATE SET n = n + 1",
	[DROP_ATTEMPTS] = "DELETE FROM attempts"
			  " WHERE topic = ?1 AND event_id = ?2",
	[PRUNE] = "DELETE FROM digests"
		  " WHERE topic = ?1 AND field = ?2 AND n < ?3",
	[FORGET_DONE] = "DELETE FROM digests WHERE topic = ?1",
	[FORGET_ATTEMPTS] = "DELETE FROM attempts WHERE topic = ?1",
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
};

/* A row of `digests` holds the digests of what was recorded together. */
static const char schema[] =
	"CREATE TABLE IF NOT EXISTS digests("
	" n INTEGER PRIMARY KEY, topic TEXT NOT NULL, field TEXT NOT NULL,"
	" sums BLOB NOT NULL);"
	"CREATE INDEX IF NOT EXISTS digests_order"
	" ON digests(topic, field, n);"
	"CREATE TABLE IF NOT EXISTS attempts("
	" topic TEXT NOT NULL, event_id TEXT NOT NULL, n INTEGER NOT NULL,"
	" PRIMARY KEY(topic, event_id)) WITHOUT ROWID;"
	"DROP TABLE IF EXISTS done;" /* of version 1, never released */
	"PRAGMA user_version = 2;";

struct ledger {
	sqlite3 *db;
	sqlite3_stmt *queries[QUERIES];
	char *path;
	size_t since_prune;
	bool syncing; /* as the last commit was */
};

static int damaged(
	struct ledger *l, const char *doing, const char *why, struct err *e)
{
	char *path = xquote(l->path);

	err_set(e, EX_CONFIG,
		"%s %s: it is damaged (%s); restore it from a backup, or have "
		"some events near the saved positions handled once more with: "
		"mv %s %s.damaged; rm -f %s-wal %s-shm",
		doing, l->path, why, path, path, path, path);
	free(path);
	return -1;
}

static int failed(struct ledger *l, const char *doing, struct err *e)
{
	int code = sqlite3_errcode(l->db) & 0xff;
	const char *why = sqlite3_errmsg(l->db);

	switch (code) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_set(e, EX_TEMPFAIL,
			"%s %s: another process holds it; try again", doing,
			l->path);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return damaged(l, doing, why, e);
	default:
		return err_set(e, EX_IOERR, "%s %s: %s", doing, l->path, why);
	}
}

/* Made by us with the right mode before SQLite opens it; -wal and -shm take
 * theirs from it. */
static int prepare(const struct statedir *home, struct err *e)
{
	int fd = io_open(
		home->fd, HOME_LEDGER, O_RDWR | O_CREAT | O_NONBLOCK, 0600);
	int r;

	if (fd < 0)
		return statefile_unopened(home, HOME_LEDGER, e);
	r = statefile_check(home, HOME_LEDGER, fd, SIZE_MAX, e);
	close(fd);
	return r;
}

static int run_once(struct ledger *l, enum query q)
{
	int r = sqlite3_step(l->queries[q]);

	sqlite3_reset(l->queries[q]);
	return r == SQLITE_DONE ? 0 : -1;
}

static int schema_version(sqlite3 *db)
{
	sqlite3_stmt *s;
	int v = -1;

	if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &s, NULL) ==
			SQLITE_OK &&
		sqlite3_step(s) == SQLITE_ROW)
		v = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	return v;
}

static int set_up(struct ledger *l, struct err *e)
{
	int i, version;

	sqlite3_busy_timeout(l->db, BUSY_MS);
	if (sqlite3_exec(l->db,
		    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
		    "PRAGMA cache_size = -512;",
		    NULL, NULL, NULL) != SQLITE_OK)
		return failed(l, "opening", e);
	version = schema_version(l->db);
	if (version > SCHEMA_VERSION)
		return err_set(e, EX_CONFIG,
			"opening %s: a newer version of the toolkit wrote it; "
			"use that one",
			l->path);
	/* Always, for it is a write: a disk that takes none shows here, before
	 * anything was handled that could not be recorded. */
	if (sqlite3_exec(l->db,
		    version < SCHEMA_VERSION ? schema
					     : "PRAGMA user_version = 2;",
		    NULL, NULL, NULL) != SQLITE_OK)
		return failed(l, "setting up", e);
	for (i = 0; i < QUERIES; i++)
		if (sqlite3_prepare_v3(l->db, sql[i], -1,
			    SQLITE_PREPARE_PERSISTENT, &l->queries[i],
			    NULL) != SQLITE_OK)
			return failed(l, "opening", e);
	return 0;
}

struct ledger *ledger_open(const struct statedir *home, struct err *e)
{
	struct ledger *l;

	if (prepare(home, e) < 0)
		return NULL;
	l = xcalloc(1, sizeof *l);
	l->path = xasprintf("%s/%s", home->path, HOME_LEDGER);
	l->syncing = true;
	if (sqlite3_open_v2(l->path, &l->db,
		    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
		    NULL) != SQLITE_OK)
		failed(l, "opening", e);
	else if (set_up(l, e) == 0)
		return l;
	ledger_close(l);
	return NULL;
}

void ledger_close(struct ledger *l)
{
	int i;

	if (l == NULL)
		return;
	for (i = 0; i < QUERIES; i++)
		sqlite3_finalize(l->queries[i]);
	sqlite3_close(l->db);
	free(l->path);
	free(l);
}

static sqlite3_stmt *bind(
	struct ledger *l, enum query q, const char *topic, const char *event_id)
{
	sqlite3_stmt *s = l->queries[q];

	sqlite3_bind_text(s, 1, topic, -1, SQLITE_STATIC);
	if (event_id)
		sqlite3_bind_text(s, 2, event_id, -1, SQLITE_STATIC);
	return s;
}

/* A number out of one row; 0 if there is no row, -1 on error. */
static int64_t look_up(struct ledger *l, enum query q, struct err *e)
{
	sqlite3_stmt *s = l->queries[q];
	int r = sqlite3_step(s);
	int64_t v = 0;

	if (r == SQLITE_ROW)
		v = sqlite3_column_int64(s, 0);
	else if (r != SQLITE_DONE)
		v = failed(l, "reading", e);
	sqlite3_reset(s);
	return v;
}

int ledger_attempts(struct ledger *l, const char *topic, const char *event_id,
	struct err *e)
{
	bind(l, ATTEMPTS, topic, event_id);
	return (int)look_up(l, ATTEMPTS, e);
}

int ledger_tried(struct ledger *l, const char *topic, struct err *e)
{
	bind(l, TRIED, topic, NULL);
	return (int)look_up(l, TRIED, e);
}

/* Drops what lies before the window; in a transaction, or as one. */
static int prune(
	struct ledger *l, const char *topic, const char *field, struct err *e)
{
	int64_t start;

	sqlite3_bind_int(bind(l, WINDOW_START, topic, field), 3,
		LEDGER_WINDOW * WINDOW_SUM);
	start = look_up(l, WINDOW_START, e);
	if (start <= 0)
		return (int)start;
	sqlite3_bind_int64(bind(l, PRUNE, topic, field), 3, start);
	return run_once(l, PRUNE) < 0 ? failed(l, "writing", e) : 0;
}

int ledger_load(struct ledger *l, const char *topic, const char *field,
	struct window *w, struct err *e)
{
	sqlite3_stmt *s = bind(l, SUMS, topic, field ? field : "");
	const unsigned char *sums;
	struct window_sum sum;
	int r, at, len;

	if (prune(l, topic, field ? field : "", e) < 0)
		return -1;
	while ((r = sqlite3_step(s)) == SQLITE_ROW) {
		sums = sqlite3_column_blob(s, 0);
		len = sqlite3_column_bytes(s, 0);
		for (at = 0; at + WINDOW_SUM <= len; at += WINDOW_SUM) {
			memcpy(&sum, sums + at, sizeof sum);
			window_add(w, &sum);
		}
	}
	if (r != SQLITE_DONE)
		failed(l, "reading", e);
	sqlite3_reset(s);
	return r == SQLITE_DONE ? 0 : -1;
}

/* --- recording --- */

static int add_done(struct ledger *l, const char *topic, const char *field,
	const struct window_sum *sums, size_t n)
{
	if (n == 0)
		return 0;
	sqlite3_bind_blob(bind(l, ADD_DONE, topic, field), 3, sums,
		(int)(n * sizeof *sums), SQLITE_STATIC);
	return run_once(l, ADD_DONE);
}

static int add_marks(struct ledger *l, const char *topic, const char *field,
	const struct ledger_mark *marks, size_t n)
{
	struct window_sum *ids = xcalloc(2 * n, sizeof *ids), *values = ids + n;
	size_t i, n_ids = 0, n_values = 0;
	int r = 0;

	for (i = 0; i < n && r == 0; i++) {
		const struct ledger_mark *m = &marks[i];

		if (m->outcome == LEDGER_DONE) {
			ids[n_ids++] = m->id;
			if (m->value)
				values[n_values++] = *m->value;
		}
		if (m->outcome == LEDGER_FAILED || m->tried) {
			enum query q = m->outcome == LEDGER_FAILED
					       ? ADD_FAILED
					       : DROP_ATTEMPTS;

			bind(l, q, topic, m->event_id);
			r = run_once(l, q);
		}
	}
	if (r == 0)
		r = add_done(l, topic, "", ids, n_ids);
	if (r == 0)
		r = add_done(l, topic, field, values, n_values);
	free(ids);
	return r;
}

/* Now and then, so that an event does not pay for it. */
static int prune_all(struct ledger *l, const char *topic, const char *field,
	size_t added, struct err *e)
{
	l->since_prune += added;
	if (l->since_prune < PRUNE_EVERY)
		return 0;
	l->since_prune = 0;
	if (prune(l, topic, "", e) < 0)
		return -1;
	return field ? prune(l, topic, field, e) : 0;
}

int ledger_record(struct ledger *l, const char *topic, const char *field,
	const struct ledger_mark *marks, size_t n, bool sync, struct err *e)
{
	if (n == 0)
		return 0;
	if (sync != l->syncing && sqlite3_exec(l->db,
					  sync ? "PRAGMA synchronous = FULL"
					       : "PRAGMA synchronous = NORMAL",
					  NULL, NULL, NULL) != SQLITE_OK)
		return failed(l, "writing", e);
	l->syncing = sync;
	if (run_once(l, BEGIN) < 0)
		return failed(l, "writing", e);
	if (add_marks(l, topic, field, marks, n) < 0)
		failed(l, "writing", e);
	else if (prune_all(l, topic, field, n, e) == 0) {
		if (run_once(l, COMMIT) == 0)
			return 0;
		failed(l, "writing", e);
	}
	run_once(l, ROLLBACK);
	return -1;
}

int ledger_forget(struct ledger *l, const char *topic, struct err *e)
{
	if (run_once(l, BEGIN) < 0)
		return failed(l, "writing", e);
	bind(l, FORGET_DONE, topic, NULL);
	bind(l, FORGET_ATTEMPTS, topic, NULL);
	if (run_once(l, FORGET_DONE) == 0 &&
		run_once(l, FORGET_ATTEMPTS) == 0 && run_once(l, COMMIT) == 0)
		return 0;
	failed(l, "writing", e);
	run_once(l, ROLLBACK);
	return -1;
}
