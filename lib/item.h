/* service: an event on its way through a queue (queue.h), from the page it came
 * in until it is settled and recorded. */
#ifndef AGENTRUX_ITEM_H
#define AGENTRUX_ITEM_H

#include "chain.h"
#include "event.h"
#include "window.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum item_state {
	ITEM_WAITING,
	ITEM_RUNNING,
	ITEM_DEFERRED, /* "not now": until queue_wake */
	ITEM_SETTLED,
};

struct queue;

/* A text that the lines of several items stand in: freed with the last of them. */
struct item_text {
	struct buf text;
	size_t users; /* items, and whoever has made it */
};

struct item {
	struct item *next;
	struct queue *queue;
	char *id, *type, *position; /* in `texts`; NULL: it has none */
	/* Where to go on once this and all before are settled, if not behind
	 * its own position. */
	char *page_end;
	char *line; /* with its newline; let go once settled */
	size_t len;
	struct item_text *text; /* that it stands in; NULL: it is its own */
	char *letter; /* its file in dead/; NULL: it was read from the topic */
	struct window_sum sum;			/* of the id */
	struct chain_link same_key, same_value; /* of the fields in the rules */
	int attempts;				/* failed ones so far */
	int64_t due_ms;				/* not before that */
	enum item_state state;
	bool done;	/* settled, and not given up */
	bool recorded;	/* needs no mark in the ledger */
	bool value_new; /* done, and the ledger does not know its value */
	/* For whoever delivers it. */
	struct item *next_given;
	uint64_t end; /* of its line, in bytes of output */
	bool counted;
	char texts[];
};

/* With the texts of the event, and with `position` for its position (p NULL:
 * none); the rest is zero. */
struct item *item_new(const struct event *ev, struct slice position);
void item_free(struct item *it);

/* The line is no longer needed. */
void item_drop_line(struct item *it);

/* Makes the line one of its own. */
void item_own_line(struct item *it);

/* Takes what is in the buffer over. */
struct item_text *item_text_new(struct buf *text);
void item_text_leave(struct item_text *t);

#endif
