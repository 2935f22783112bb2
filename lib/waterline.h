/* state: how far each topic was read, in waterline.json.
 *
 * A position is text: digits in the classic dialect, an opaque cursor in oauth,
 * which is never parsed, only carried ("" there, "0" here: before the oldest
 * event). Positions say what may be read from next; what was handled beyond one
 * is in the ledger. Read are our own form and those of the Node plugin (plain
 * numbers, v 2, v 3); written is our own. One file serves all topics and
 * processes: every change reads it afresh under its lock. */
#ifndef AGENTRUX_WATERLINE_H
#define AGENTRUX_WATERLINE_H

#include "buf.h"
#include "err.h"
#include "slice.h"
#include "statefile.h"

#include <stdbool.h>

enum { WATERLINE_FILE_MAX = 16777216 };

/* 1: `position` filled (replaced). 0: the topic is not known yet. -1: a file
 * that is refused or damaged (EX_CONFIG), or cannot be read. */
int waterline_get(const struct statedir *home, const char *topic,
	struct buf *position, struct err *e);

/* `numeric`: written as a number. Synced when it returns 0. */
int waterline_set(const struct statedir *home, const char *topic,
	const char *position, bool numeric, struct err *e);

/* The topic has no position any more; fine if it had none. */
int waterline_forget(
	const struct statedir *home, const char *topic, struct err *e);

/* Every topic with its position as JSON: a number or a string with its quotes,
 * both as they stand there. Ends early when `each` returns -1. */
typedef int waterline_fn(
	void *ctx, struct slice topic, struct slice position, struct err *e);
int waterline_each(const struct statedir *home, waterline_fn *each, void *ctx,
	struct err *e);

/* The same of a document in any of the forms; EX_DATAERR if it is in none. */
int waterline_parse(const char *text, size_t len, waterline_fn *each, void *ctx,
	struct err *e);

/* The right to move a topic's position: held by a drain as long as it runs.
 * As lock_take. */
int waterline_lock(const struct statedir *home, const char *topic, long wait_ms,
	struct lock *l, struct err *e);

#endif
