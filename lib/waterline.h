/* state: how far each topic was read, in waterline.json.
 *
 * A position is text: digits where positions are numbers (`numeric`, the classic
 * dialect), else an opaque cursor (oauth), which is never parsed, only carried.
 * "0" here and "" there mean the same: before the oldest event; no other
 * position of one kind says anything in the other. Positions say what may be read from next; what was handled beyond one
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

/* 1: `position` filled (replaced). 2: the same, with one of the other kind. 0:
 * the topic is not known yet. -1: a file that is refused or damaged (EX_CONFIG),
 * or cannot be read. */
int waterline_get(const struct statedir *home, const char *topic, bool numeric,
	struct buf *position, struct err *e);

/* Synced when it returns 0. */
int waterline_set(const struct statedir *home, const char *topic, bool numeric,
	const char *position, struct err *e);

/* The topic has no position any more; fine if it had none. */
int waterline_forget(const struct statedir *home, const char *topic,
	bool numeric, struct err *e);

/* Every topic with its position as JSON: a number or a string with its quotes,
 * both as they stand there (of the plugin's entries that have two, the one of
 * this kind). Ends early when `each` returns -1. */
typedef int waterline_fn(
	void *ctx, struct slice topic, struct slice position, struct err *e);
int waterline_each(const struct statedir *home, bool numeric,
	waterline_fn *each, void *ctx, struct err *e);

/* The same of a document in any of the forms; EX_DATAERR if it is in none. */
int waterline_parse(const char *text, size_t len, bool numeric,
	waterline_fn *each, void *ctx, struct err *e);

/* Such a position as text. 1: of this kind. 2: of the other. -1: it is not fit
 * to be one, or does not fit. */
int waterline_text(struct slice position, bool numeric, struct buf *text);

/* The right to move a topic's position: held by a drain as long as it runs.
 * As lock_take. */
int waterline_lock(const struct statedir *home, const char *topic, long wait_ms,
	struct lock *l, struct err *e);

#endif
