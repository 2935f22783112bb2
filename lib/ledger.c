#include "ledger.h"

#include "home.h"
#include "io.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SCHEMA_VERSION = 1, BUSY_MS = 10000, PRUNE_EVERY = 1000 };

enum query {
	SEEN,
	ATTEMPTS,
	ADD_DONE,
	ADD_FAILED,
	DROP_ATTEMPTS,
	PRUNE,
	FORGET_DONE,
	FORGET_ATTEMPTS,
	LOOK,
	BEGIN,
	COMMIT,
	ROLLBACK,
	QUERIES
};

static const char *const sql[QUERIES] = {
	[SEEN] = "SELECT 1 FROM done WHERE topic = ?1 AND event_id = ?2",
	[ATTEMPTS] = "SELECT n FROM attempts"
		     " WHERE topic = ?1 AND event_id = ?2",
	[ADD_DONE] = "INSERT OR IGNORE INTO done(topic, event_id)"
		     " VALUES (?1, ?2)",
	[ADD_FAILED] = "INSERT INTO attempts(topic, event_id, n)"
		       " VALUES (?1, ?2, 1)"
		       " ON CONFLICT DO UPDATE SET n = n + 1",
	[DROP_ATTEMPTS] = "DELETE FROM attempts"
			  " WHERE topic = ?1 AND event_id = ?2",
	[PRUNE] = "DELETE FROM done WHERE topic = ?1 AND n <= ("
		  "SELECT n FROM done WHERE topic = ?1"
		  " ORDER BY n DESC LIMIT 1 OFFSET ?2)",
	[FORGET_DONE] = "DELETE FROM done WHERE topic = ?1",
	[FORGET_ATTEMPTS] = "DELETE FROM attempts WHERE topic = ?1",
	[LOOK] = "BEGIN",
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
};

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS done("
	" n INTEGER PRIMARY KEY, topic TEXT NOT NULL, event_id TEXT NOT NULL,"
	" UNIQUE(topic, event_id));"
	"CREATE INDEX IF NOT EXISTS done_order ON done(topic, n);"
	"CREATE TABLE IF NOT EXISTS attempts("
	" topic TEXT NOT NULL, event_id TEXT NOT NULL, n INTEGER NOT NULL,"
	" PRIMARY KEY(topic, event_id)) WITHOUT ROWID;"
	"PRAGMA user_version = 1;";

struct ledger {
	sqlite3 *db;
	sqlite3_stmt *queries[QUERIES];
	char *path;
	unsigned since_prune;
};

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
		return err_set(e, EX_CONFIG,
			"%s %s: it is damaged (%s); move it and its -wal file "
			"away, and events near the saved positions may be "
			"handled once more",
			doing, l->path, why);
	default:
		return err_set(e, EX_IOERR, "%s %s: %s", doing, l->path, why);
	}
}

/* Made by us with the right mode before SQLite opens it; -wal and -shm take
 * theirs from it. */
static int prepare(const struct statedir *home, struct err *e)
{
	struct stat st;
	int fd = io_open(
		home->fd, HOME_LEDGER, O_RDWR | O_CREAT | O_NONBLOCK, 0600);
	int r = 0;

	if (fd < 0) {
		if (errno == ELOOP)
			return err_set(e, EX_CONFIG,
				"opening %s/%s: it is a symbolic link; put the "
				"file itself there",
				home->path, HOME_LEDGER);
		return err_errno(e, "opening %s/%s", home->path, HOME_LEDGER);
	}
	if (fstat(fd, &st) < 0)
		r = err_errno(e, "looking at %s/%s", home->path, HOME_LEDGER);
	else if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
		 (st.st_mode & (S_IRWXG | S_IRWXO)))
		r = err_set(e, EX_CONFIG,
			"opening %s/%s: it must be a file of ours that others "
			"cannot touch; mend it with: chmod 600 '%s/%s'",
			home->path, HOME_LEDGER, home->path, HOME_LEDGER);
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
		    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;",
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
					     : "PRAGMA user_version = 1;",
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
static int look_up(struct ledger *l, enum query q, const char *topic,
	const char *event_id, struct err *e)
{
	sqlite3_stmt *s = bind(l, q, topic, event_id);
	int r = sqlite3_step(s), v = 0;

	if (r == SQLITE_ROW)
		v = sqlite3_column_int(s, 0);
	else if (r != SQLITE_DONE)
		v = failed(l, "reading", e);
	sqlite3_reset(s);
	return v;
}

int ledger_look_begin(struct ledger *l, struct err *e)
{
	return run_once(l, LOOK) < 0 ? failed(l, "reading", e) : 0;
}

void ledger_look_end(struct ledger *l)
{
	run_once(l, COMMIT);
}

int ledger_seen(struct ledger *l, const char *topic, const char *event_id,
	struct err *e)
{
	return look_up(l, SEEN, topic, event_id, e);
}

int ledger_attempts(struct ledger *l, const char *topic, const char *event_id,
	struct err *e)
{
	return look_up(l, ATTEMPTS, topic, event_id, e);
}

static int mark(
	struct ledger *l, const char *topic, const struct ledger_mark *m)
{
	if (m->outcome == LEDGER_FAILED) {
		bind(l, ADD_FAILED, topic, m->event_id);
		return run_once(l, ADD_FAILED);
	}
	bind(l, ADD_DONE, topic, m->event_id);
	bind(l, DROP_ATTEMPTS, topic, m->event_id);
	if (run_once(l, ADD_DONE) < 0)
		return -1;
	return run_once(l, DROP_ATTEMPTS);
}

/* Now and then, so that an event does not pay for a range delete. */
static int prune(struct ledger *l, const char *topic)
{
	if (l->since_prune < PRUNE_EVERY)
		return 0;
	l->since_prune = 0;
	bind(l, PRUNE, topic, NULL);
	sqlite3_bind_int(l->queries[PRUNE], 2, LEDGER_WINDOW);
	return run_once(l, PRUNE);
}

int ledger_record(struct ledger *l, const char *topic,
	const struct ledger_mark *marks, size_t n, struct err *e)
{
	size_t i;

	if (n == 0)
		return 0;
	if (run_once(l, BEGIN) < 0)
		return failed(l, "writing", e);
	for (i = 0; i < n; i++)
		if (mark(l, topic, &marks[i]) < 0)
			goto fail;
	l->since_prune += (unsigned)n;
	if (prune(l, topic) < 0 || run_once(l, COMMIT) < 0)
		goto fail;
	return 0;
fail:
	failed(l, "writing", e);
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
