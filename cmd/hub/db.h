/* hub: the database file; the only user of SQLite here.
 *
 * db_open makes a handle for ONE thread at a time; any number of handles and
 * processes may have the same file open (WAL: readers never wait). Statements
 * are kept compiled, found by the address of their text, so pass literals.
 * Values are always bound, described by one letter each:
 *
 *   i  int64_t
 *   t  const char *            NULL is stored as NULL
 *   b  const void *, size_t    NULL likewise
 *
 * They are borrowed until the statement has ended. Every change is made
 * between db_begin and db_commit (or inside one statement of its own), and is
 * on disk when that returned: synchronous=FULL.
 *
 * Errors: EX_TEMPFAIL the file stayed locked for 30 s, EX_IOERR disk trouble,
 * EX_CONFIG unsafe modes, damaged, foreign or newer than this program. */
#ifndef AGENTRUX_HUB_DB_H
#define AGENTRUX_HUB_DB_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;
struct query;

/* `create`: make the file if it is missing; otherwise that is EX_NOINPUT. The
 * file must be ours and closed to others. */
struct db *db_open(const char *path, bool create, struct err *e);
void db_close(struct db *db); /* NULL is fine */

/* Runs a statement to its end. The number of rows changed, or -1. */
int db_exec(
	struct db *db, struct err *e, const char *sql, const char *types, ...);

/* Starts a statement that gives rows; NULL on error. Then db_step until it
 * is not 1, or db_done; a statement left open would hold a snapshot. The same
 * text must not be started again before it ended. */
struct query *db_query(
	struct db *db, struct err *e, const char *sql, const char *types, ...);

/* 1 a row, 0 the end, -1 an error (also for q NULL, whose error is set). */
int db_step(struct query *q, struct err *e);
void db_done(struct query *q); /* NULL is fine, and so is a second time */

/* Columns of the row; text and blobs live until the next step. */
int64_t db_int(struct query *q, int column);
const char *db_text(struct query *q, int column); /* "" for NULL */
const void *db_blob(struct query *q, int column, size_t *len);

/* Takes the write lock at once. */
int db_begin(struct db *db, struct err *e);
int db_commit(struct db *db, struct err *e);
void db_rollback(struct db *db);

/* Is there a transaction? An error may have ended it. */
bool db_is_open(const struct db *db);

/* One level inside a transaction: keep or undo what came since db_mark. */
int db_mark(struct db *db, struct err *e);
int db_keep(struct db *db, struct err *e);
void db_undo(struct db *db);

/* Handles that wait for a thread which needs one. */
struct db_pool;
struct db_pool *db_pool_new(const char *path);
struct db *db_take(struct db_pool *pool, struct err *e);
void db_give(struct db_pool *pool, struct db *db); /* NULL is fine */
void db_pool_free(struct db_pool *pool);

/* The wall clock, in ms: what timestamps and expiry are written in. */
int64_t db_now(void);

#endif
