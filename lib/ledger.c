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

enum {
	SCHEMA_VERSION = 4,
	BUSY_MS = 10000,
	CHUNK = 125, /* digests: what fits on one page of the database */
	FULL = 100,  /* another is begun if not all fit into this one */
	SLOTS = LEDGER_WINDOW / FULL + 1, /* the newest is not full */
	RING_ROWS = 256, /* numbers that a ring has for its slots */
	RINGS_KNOWN = 8,
};
_Static_assert(SLOTS <= RING_ROWS, "a ring must not run into the next one");

enum query {
	RING,
	ADD_RING,
	NEWEST,
	CHUNKS,
	PUT_CHUNK,
	ATTEMPTS,
	TRIED,
	ADD_FAILED,
	DROP_ATTEMPTS,
	FORGET_CHUNKS,
	FORGET_RINGS,
	FORGET_ATTEMPTS,
	BEGIN,
	COMMIT,
	ROLLBACK,
	QUERIES
};

static const char *const sql[QUERIES] = {
	[RING] = "SELECT ring FROM rings WHERE topic = ?1 AND field = ?2",
	[ADD_RING] = "INSERT INTO rings(topic, field) VALUES (?1, ?2)",
	[NEWEST] = "SELECT turn, sums FROM slots WHERE n BETWEEN ?1 AND ?2"
		   " ORDER BY turn DESC LIMIT 1",
	[CHUNKS] = "SELECT sums FROM slots WHERE n BETWEEN ?1 AND ?2"
		   " ORDER BY n",
	[PUT_CHUNK] = "INSERT OR REPLACE INTO slots(n, turn, sums)"
		      " VALUES (?1, ?2, ?3)",
	[ATTEMPTS] = "SELECT n FROM attempts"
		     " WHERE topic = ?1 AND event_id = ?2",
	[TRIED] = "SELECT count(*) FROM attempts WHERE topic = ?1",
	[ADD_FAILED] = "INSERT INTO attempts(topic, event_id, n)"
		       " VALUES (?1, ?2, 1)"
		       " ON CONFLICT DO UPDATE SET n = n + 1",
	[DROP_ATTEMPTS] = "DELETE FROM attempts"
			  " WHERE topic = ?1 AND event_id = ?2",
	[FORGET_CHUNKS] = "DELETE FROM slots WHERE n / ?2 IN"
			  " (SELECT ring FROM rings WHERE topic = ?1)",
	[FORGET_RINGS] = "DELETE FROM rings WHERE topic = ?1",
	[FORGET_ATTEMPTS] = "DELETE FROM attempts WHERE topic = ?1",
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
};

/* Of a topic and field (the ids are of the field "") the digests go round in a
 * ring of chunks, of which the newest grows until it is full and then the oldest
 * is written over: a commit costs the one page that its digests are on, and that
 * of a page of events fills one. */
static const char schema[] =
	"CREATE TABLE IF NOT EXISTS rings("
	" ring INTEGER PRIMARY KEY, topic TEXT NOT NULL, field TEXT NOT NULL,"
	" UNIQUE(topic, field));"
	/* n: the ring's number times RING_ROWS and the slot; turn: counts. */
	"CREATE TABLE IF NOT EXISTS slots("
	" n INTEGER PRIMARY KEY, turn INTEGER NOT NULL, sums BLOB NOT NULL);"
	"CREATE TABLE IF NOT EXISTS attempts("
	" topic TEXT NOT NULL, event_id TEXT NOT NULL, n INTEGER NOT NULL,"
	" PRIMARY KEY(topic, event_id)) WITHOUT ROWID;";

/* The newest chunk of a ring, as it is in the database. */
struct ring {
	char *topic, *field; /* NULL: none */
	int64_t number;	     /* 0: not in the database yet */
	int64_t turn;
	size_t n;
	struct window_sum sums[CHUNK];
};

struct ledger {
	sqlite3 *db;
	sqlite3_stmt *queries[QUERIES];
	char *path;
	struct ring rings[RINGS_KNOWN];
	unsigned oldest_ring;
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

/* --- rings --- */

static void ring_forget(struct ring *r)
{
	free(r->topic);
	free(r->field);
	*r = (struct ring){ 0 };
}

static void forget_rings(struct ledger *l)
{
	int i;

	for (i = 0; i < RINGS_KNOWN; i++)
		ring_forget(&l->rings[i]);
}

static size_t take_sums(
	sqlite3_stmt *s, int column, struct window_sum sums[CHUNK])
{
	const void *blob = sqlite3_column_blob(s, column);
	size_t n = (size_t)sqlite3_column_bytes(s, column) / sizeof *sums;

	if (n > CHUNK)
		n = CHUNK;
	if (n)
		memcpy(sums, blob, n * sizeof *sums);
	return n;
}

static sqlite3_stmt *bind_slots(struct ledger *l, enum query q,
	const struct ring *r, int64_t first, int64_t last)
{
	sqlite3_bind_int64(l->queries[q], 1, r->number * RING_ROWS + first);
	sqlite3_bind_int64(l->queries[q], 2, r->number * RING_ROWS + last);
	return l->queries[q];
}

/* Reads where a ring has got to. */
static int ring_read(struct ledger *l, struct ring *r, struct err *e)
{
	sqlite3_stmt *s;
	int step;

	bind(l, RING, r->topic, r->field);
	r->number = look_up(l, RING, e);
	if (r->number <= 0)
		return (int)r->number;
	s = bind_slots(l, NEWEST, r, 0, SLOTS - 1);
	step = sqlite3_step(s);
	if (step == SQLITE_ROW) {
		r->turn = sqlite3_column_int64(s, 0);
		r->n = take_sums(s, 1, r->sums);
	} else if (step != SQLITE_DONE) {
		failed(l, "reading", e);
	}
	sqlite3_reset(s);
	return step == SQLITE_ROW || step == SQLITE_DONE ? 0 : -1;
}

/* The ring of a topic and field. NULL on error. */
static struct ring *ring_of(
	struct ledger *l, const char *topic, const char *field, struct err *e)
{
	struct ring *r;

	for (r = l->rings; r < l->rings + RINGS_KNOWN; r++)
		if (r->topic && strcmp(r->topic, topic) == 0 &&
			strcmp(r->field, field) == 0)
			return r;
	r = &l->rings[l->oldest_ring++ % RINGS_KNOWN];
	ring_forget(r);
	r->topic = xstrdup(topic);
	r->field = xstrdup(field);
	if (ring_read(l, r, e) == 0)
		return r;
	ring_forget(r);
	return NULL;
}

/* Puts digests behind those of a ring; in a transaction. */
static int ring_add(struct ledger *l, struct ring *r,
	const struct window_sum *sums, size_t n)
{
	sqlite3_stmt *s = l->queries[PUT_CHUNK];
	size_t some;

	if (n && r->number == 0) {
		bind(l, ADD_RING, r->topic, r->field);
		if (run_once(l, ADD_RING) < 0)
			return -1;
		r->number = sqlite3_last_insert_rowid(l->db);
	}
	for (; n; n -= some, sums += some) {
		if (r->n == CHUNK || (r->n >= FULL && n > CHUNK - r->n)) {
			r->turn++;
			r->n = 0;
		}
		some = n < CHUNK - r->n ? n : CHUNK - r->n;
		memcpy(r->sums + r->n, sums, some * sizeof *sums);
		r->n += some;
		sqlite3_bind_int64(
			s, 1, r->number * RING_ROWS + r->turn % SLOTS);
		sqlite3_bind_int64(s, 2, r->turn);
		sqlite3_bind_blob(s, 3, r->sums, (int)(r->n * sizeof *r->sums),
			SQLITE_STATIC);
		if (run_once(l, PUT_CHUNK) < 0)
			return -1;
	}
	return 0;
}

/* Adds what is in these slots of a ring. */
static int load_slots(struct ledger *l, const struct ring *r, int64_t first,
	int64_t last, struct window *w, struct err *e)
{
	sqlite3_stmt *s = bind_slots(l, CHUNKS, r, first, last);
	struct window_sum sums[CHUNK];
	size_t n, i;
	int step;

	while ((step = sqlite3_step(s)) == SQLITE_ROW) {
		n = take_sums(s, 0, sums);
		for (i = 0; i < n; i++)
			window_add_old(w, &sums[i]);
	}
	if (step != SQLITE_DONE)
		failed(l, "reading", e);
	sqlite3_reset(s);
	return step == SQLITE_DONE ? 0 : -1;
}

int ledger_load(struct ledger *l, const char *topic, const char *field,
	struct window *w, struct err *e)
{
	struct ring *r;

	/* Whoever had the topic's lock before us may have added some. */
	forget_rings(l);
	r = ring_of(l, topic, field ? field : "", e);
	if (r == NULL)
		return -1;
	/* The oldest are behind the newest. */
	if (load_slots(l, r, r->turn % SLOTS + 1, SLOTS - 1, w, e) < 0)
		return -1;
	return load_slots(l, r, 0, r->turn % SLOTS, w, e);
}

/* --- opening --- */

/* What older versions knew, the oldest first: 2 had a row for each commit, 3 had
 * rings of other chunks. Their tables go, for a program of such a version that
 * still runs must not write where nobody looks. */
static const char *const old_sums[SCHEMA_VERSION] = {
	[2] = "SELECT topic, field, sums FROM digests"
	      " ORDER BY topic, field, n",
	[3] = "SELECT topic, field, sums FROM chunks"
	      " JOIN rings ON ring = n / 128 ORDER BY ring, turn",
};

/* In a transaction. */
static int take_over(struct ledger *l, int version, struct err *e)
{
	sqlite3_stmt *s;
	struct ring *r = NULL;
	const void *sums;
	int step;

	if (sqlite3_prepare_v2(l->db, old_sums[version], -1, &s, NULL) !=
		SQLITE_OK)
		return failed(l, "setting up", e);
	while ((step = sqlite3_step(s)) == SQLITE_ROW) {
		r = ring_of(l, (const char *)sqlite3_column_text(s, 0),
			(const char *)sqlite3_column_text(s, 1), e);
		if (r == NULL)
			break;
		sums = sqlite3_column_blob(s, 2);
		if (ring_add(l, r, sums,
			    (size_t)sqlite3_column_bytes(s, 2) / WINDOW_SUM) <
			0)
			break;
	}
	if (step != SQLITE_DONE && (r || step != SQLITE_ROW))
		failed(l, "setting up", e);
	sqlite3_finalize(s);
	return step == SQLITE_DONE ? 0 : -1;
}

static int prepare_queries(struct ledger *l)
{
	int i;

	for (i = 0; i < QUERIES; i++)
		if (sqlite3_prepare_v3(l->db, sql[i], -1,
			    SQLITE_PREPARE_PERSISTENT, &l->queries[i],
			    NULL) != SQLITE_OK)
			return -1;
	return 0;
}

static bool execute(struct ledger *l, const char *statements)
{
	return sqlite3_exec(l->db, statements, NULL, NULL, NULL) == SQLITE_OK;
}

static int set_up(struct ledger *l, struct err *e)
{
	int version;

	sqlite3_busy_timeout(l->db, BUSY_MS);
	/* The size of pages is that of a new one. Commits go round on few of
	 * them, so that a WAL twice as long as usual is still copied back as
	 * fast, and waits for the disk half as often. */
	if (!execute(l, "PRAGMA page_size = 2048;"
			"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
			"PRAGMA wal_autocheckpoint = 2000;"
			"PRAGMA cache_size = -128; BEGIN IMMEDIATE"))
		return failed(l, "opening", e);
	version = schema_version(l->db);
	if (version < 0)
		return failed(l, "opening", e);
	if (version > SCHEMA_VERSION)
		return err_set(e, EX_CONFIG,
			"opening %s: a newer version of the toolkit wrote it; "
			"use that one",
			l->path);
	if ((version < SCHEMA_VERSION && !execute(l, schema)) ||
		prepare_queries(l) < 0)
		return failed(l, "setting up", e);
	if (version < SCHEMA_VERSION && old_sums[version] &&
		take_over(l, version, e) < 0)
		return -1;
	/* Always, for it is a write: a disk that takes none shows here, before
	 * anything was handled that could not be recorded. (The table of
	 * version 1 was never released.) */
	if (!execute(l, "DROP TABLE IF EXISTS done;"
			"DROP TABLE IF EXISTS digests;"
			"DROP TABLE IF EXISTS chunks;"
			"PRAGMA user_version = 4; COMMIT"))
		return failed(l, "setting up", e);
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
	forget_rings(l);
	sqlite3_close(l->db);
	free(l->path);
	free(l);
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

/* --- recording --- */

static int put(struct ledger *l, const char *topic, const char *field,
	const struct window_sum *sums, size_t n, struct err *e)
{
	struct ring *r = ring_of(l, topic, field, e);

	if (r == NULL)
		return -1;
	return ring_add(l, r, sums, n) < 0 ? failed(l, "writing", e) : 0;
}

static int add_marks(struct ledger *l, const char *topic, const char *field,
	const struct ledger_mark *marks, size_t n, struct err *e)
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
			if (run_once(l, q) < 0)
				r = failed(l, "writing", e);
		}
	}
	if (r == 0 && n_ids)
		r = put(l, topic, "", ids, n_ids, e);
	if (r == 0 && n_values)
		r = put(l, topic, field, values, n_values, e);
	free(ids);
	return r;
}

/* `sync`: what is committed outlasts the loss of power. */
static int begin(struct ledger *l, bool sync, struct err *e)
{
	if (sync != l->syncing &&
		!execute(l, sync ? "PRAGMA synchronous = FULL"
				 : "PRAGMA synchronous = NORMAL"))
		return failed(l, "writing", e);
	l->syncing = sync;
	return run_once(l, BEGIN) < 0 ? failed(l, "writing", e) : 0;
}

int ledger_record(struct ledger *l, const char *topic, const char *field,
	const struct ledger_mark *marks, size_t n, bool sync, struct err *e)
{
	if (n == 0)
		return 0;
	if (begin(l, sync, e) < 0)
		return -1;
	if (add_marks(l, topic, field, marks, n, e) == 0) {
		if (run_once(l, COMMIT) == 0)
			return 0;
		failed(l, "writing", e);
	}
	run_once(l, ROLLBACK);
	forget_rings(l);
	return -1;
}

int ledger_forget(struct ledger *l, const char *topic, struct err *e)
{
	if (begin(l, true, e) < 0)
		return -1;
	forget_rings(l);
	sqlite3_bind_int(bind(l, FORGET_CHUNKS, topic, NULL), 2, RING_ROWS);
	bind(l, FORGET_RINGS, topic, NULL);
	bind(l, FORGET_ATTEMPTS, topic, NULL);
	if (run_once(l, FORGET_CHUNKS) == 0 && run_once(l, FORGET_RINGS) == 0 &&
		run_once(l, FORGET_ATTEMPTS) == 0 && run_once(l, COMMIT) == 0)
		return 0;
	failed(l, "writing", e);
	run_once(l, ROLLBACK);
	return -1;
}
