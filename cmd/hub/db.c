#include "db.h"

#include "backoff.h"
#include "io.h"
#include "schema.h"
#include "stop.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STATEMENTS = 96, BUSY_MS = 30000 };

struct query {
	struct db *db;
	const char *sql;
	sqlite3_stmt *st;
};

struct db {
	sqlite3 *h;
	char *path;
	int64_t busy_since;
	size_t n;
	struct query statements[STATEMENTS];
};

int64_t db_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int failed(struct db *db, struct err *e)
{
	int code = EX_IOERR;

	switch (sqlite3_errcode(db->h) & 0xFF) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		code = EX_TEMPFAIL;
		break;
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		code = EX_CONFIG;
		break;
	default:
		break;
	}
	return err_set(
		e, code, "database %s: %s", db->path, sqlite3_errmsg(db->h));
}

/* SQLite's own busy handler backs off to 100 ms between looks, and starves
 * beside a writer that has a commit every few ms: look often instead. */
static int on_busy(void *arg, int count)
{
	struct db *db = arg;

	if (count == 0)
		db->busy_since = backoff_clock_ms();
	else if (backoff_clock_ms() - db->busy_since > BUSY_MS || stop_asked())
		return 0;
	usleep(500 + backoff_random(1500));
	return 1;
}

static struct query *prepare(struct db *db, struct err *e, const char *sql)
{
	struct query *q;
	size_t i;

	for (i = 0; i < db->n; i++)
		if (db->statements[i].sql == sql)
			return &db->statements[i];
	if (db->n == STATEMENTS) {
		err_set(e, EX_FAILED, "database: too many statements");
		return NULL;
	}
	q = &db->statements[db->n];
	if (sqlite3_prepare_v3(db->h, sql, -1, SQLITE_PREPARE_PERSISTENT,
		    &q->st, NULL) != SQLITE_OK) {
		failed(db, e);
		return NULL;
	}
	q->db = db;
	q->sql = sql;
	db->n++;
	return q;
}

static int bind(struct query *q, struct err *e, const char *types, va_list ap)
{
	const void *p;
	size_t n;
	int i, r;

	for (i = 1; *types; types++, i++) {
		switch (*types) {
		case 'i':
			r = sqlite3_bind_int64(q->st, i, va_arg(ap, int64_t));
			break;
		case 't':
			r = sqlite3_bind_text(q->st, i,
				va_arg(ap, const char *), -1, SQLITE_STATIC);
			break;
		default:
			p = va_arg(ap, const void *);
			n = va_arg(ap, size_t);
			r = sqlite3_bind_blob64(q->st, i, p, n, SQLITE_STATIC);
			break;
		}
		if (r != SQLITE_OK)
			return failed(q->db, e);
	}
	return 0;
}

void db_done(struct query *q)
{
	if (q) {
		sqlite3_reset(q->st);
		sqlite3_clear_bindings(q->st);
	}
}

int db_step(struct query *q, struct err *e)
{
	int r;

	if (q == NULL)
		return -1;
	r = sqlite3_step(q->st);
	if (r == SQLITE_ROW)
		return 1;
	if (r != SQLITE_DONE)
		failed(q->db, e);
	db_done(q);
	return r == SQLITE_DONE ? 0 : -1;
}

struct query *db_query(
	struct db *db, struct err *e, const char *sql, const char *types, ...)
{
	struct query *q = prepare(db, e, sql);
	va_list ap;
	int r;

	if (q == NULL)
		return NULL;
	va_start(ap, types);
	r = bind(q, e, types, ap);
	va_end(ap);
	if (r == 0)
		return q;
	db_done(q);
	return NULL;
}

int db_exec(
	struct db *db, struct err *e, const char *sql, const char *types, ...)
{
	struct query *q = prepare(db, e, sql);
	va_list ap;
	int r;

	if (q == NULL)
		return -1;
	va_start(ap, types);
	r = bind(q, e, types, ap);
	va_end(ap);
	while (r >= 0 && (r = db_step(q, e)) > 0)
		;
	if (r < 0) {
		db_done(q);
		return -1;
	}
	return sqlite3_changes(db->h);
}

int64_t db_int(struct query *q, int column)
{
	return sqlite3_column_int64(q->st, column);
}

const char *db_text(struct query *q, int column)
{
	const unsigned char *s = sqlite3_column_text(q->st, column);

	return s ? (const char *)s : "";
}

const void *db_blob(struct query *q, int column, size_t *len)
{
	const void *p = sqlite3_column_blob(q->st, column);

	*len = (size_t)sqlite3_column_bytes(q->st, column);
	return p;
}

int db_begin(struct db *db, struct err *e)
{
	return db_exec(db, e, "BEGIN IMMEDIATE", "") < 0 ? -1 : 0;
}

int db_commit(struct db *db, struct err *e)
{
	if (db_exec(db, e, "COMMIT", "") >= 0)
		return 0;
	db_rollback(db);
	return -1;
}

void db_rollback(struct db *db)
{
	/* SQLite may have rolled back by itself, on a full disk say. */
	if (db_is_open(db))
		db_exec(db, NULL, "ROLLBACK", "");
}

bool db_is_open(const struct db *db)
{
	return !sqlite3_get_autocommit(db->h);
}

int db_mark(struct db *db, struct err *e)
{
	return db_exec(db, e, "SAVEPOINT one", "") < 0 ? -1 : 0;
}

int db_keep(struct db *db, struct err *e)
{
	return db_exec(db, e, "RELEASE one", "") < 0 ? -1 : 0;
}

void db_undo(struct db *db)
{
	if (!db_is_open(db))
		return;
	db_exec(db, NULL, "ROLLBACK TO one", "");
	db_exec(db, NULL, "RELEASE one", "");
}

/* The file exists, is ours and is closed to others. */
static int check_file(const char *path, bool create, struct err *e)
{
	struct stat st;
	int fd;

	if (create) {
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd >= 0)
			close(fd);
		else if (errno != EEXIST)
			return err_errno(e, "making the database %s", path);
	}
	if (stat(path, &st) < 0) {
		if (errno == ENOENT)
			return err_set(e, EX_NOINPUT,
				"there is no database %s; 'topic add' and "
				"'script add' make one",
				path);
		return err_errno(e, "database %s", path);
	}
	if (!S_ISREG(st.st_mode))
		return err_set(e, EX_CONFIG, "%s is not a file", path);
	if (st.st_uid != geteuid())
		return err_set(e, EX_CONFIG,
			"the database %s belongs to another user", path);
	if (st.st_mode & 077)
		return err_mend(e, "chmod 600", path,
			"others may read or write the database; run");
	return 0;
}

/* Text that is run once, without bindings or rows. */
static int run(struct db *db, struct err *e, const char *sql)
{
	if (sqlite3_exec(db->h, sql, NULL, NULL, NULL) != SQLITE_OK)
		return failed(db, e);
	return 0;
}

/* Going over to WAL takes an exclusive lock for which SQLite does not call
 * the busy handler: several starters at once have to take turns. */
static int go_wal(struct db *db, struct err *e)
{
	int64_t end = backoff_clock_ms() + BUSY_MS;

	for (;;) {
		if (run(db, e, "PRAGMA journal_mode=WAL") == 0)
			return 0;
		if (e->code != EX_TEMPFAIL || backoff_clock_ms() > end)
			return -1;
		usleep(2000 + backoff_random(8000));
	}
}

static int64_t pragma(struct db *db, const char *sql)
{
	struct query *q = db_query(db, NULL, sql, "");
	int64_t v = db_step(q, NULL) > 0 ? db_int(q, 0) : -1;

	db_done(q);
	return v;
}

static int upgrade(struct db *db, int64_t version, struct err *e)
{
	int r = 0;

	if (version < 0 || version > SCHEMA_VERSION)
		return err_set(e, EX_CONFIG,
			"the database %s was made by a newer agentrux-hub",
			db->path);
	while (r == 0 && version < SCHEMA_VERSION)
		r = run(db, e, schema_steps[version++]);
	return r;
}

/* Tables are made under the write lock, by whoever comes first. */
static int set_up(struct db *db, struct err *e)
{
	int64_t version, application;
	int r;

	if (run(db, e,
		    "PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY; "
		    "PRAGMA journal_size_limit=67108864") < 0 ||
		go_wal(db, e) < 0)
		return -1;
	if (pragma(db, "PRAGMA user_version") == SCHEMA_VERSION &&
		pragma(db, "PRAGMA application_id") == SCHEMA_APPLICATION)
		return 0;
	if (db_begin(db, e) < 0)
		return -1;
	version = pragma(db, "PRAGMA user_version");
	application = pragma(db, "PRAGMA application_id");
	if (application != SCHEMA_APPLICATION &&
		(version || application ||
			pragma(db, "SELECT count(*) FROM sqlite_schema")))
		r = err_set(e, EX_CONFIG, "%s is a database of another program",
			db->path);
	else
		r = upgrade(db, version, e);
	if (r == 0)
		return db_commit(db, e);
	db_rollback(db);
	return -1;
}

struct db *db_open(const char *path, bool create, struct err *e)
{
	struct db *db;

	if (check_file(path, create, e) < 0)
		return NULL;
	db = xcalloc(1, sizeof *db);
	/* SQLite gives a meaning to ":memory:" and "file:…". */
	db->path = xasprintf("%s%s", path[0] == '/' ? "" : "./", path);
	if (sqlite3_open_v2(db->path, &db->h,
		    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
		    NULL) != SQLITE_OK) {
		if (db->h)
			failed(db, e);
		else
			err_set(e, EX_IOERR, "database: out of memory");
	} else {
		struct err trouble = { 0 };

		sqlite3_busy_handler(db->h, on_busy, db);
		if (set_up(db, &trouble) == 0)
			return db;
		if (e)
			*e = trouble;
	}
	db_close(db);
	return NULL;
}

void db_close(struct db *db)
{
	size_t i;

	if (db == NULL)
		return;
	for (i = 0; i < db->n; i++)
		sqlite3_finalize(db->statements[i].st);
	sqlite3_close(db->h);
	free(db->path);
	free(db);
}
