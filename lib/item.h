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

/* What the items of a page share, if they are settled in order: their memory, and
 * that of their lines, which is the page's own text where its events stand there
 * as their lines are to be. It ends with the last of them. */
struct item_page {
	struct buf lines;
	bool as_it_came; /* that is the text of the page */
	char *memory;
	size_t used;
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
	bool in_page;		/* it stands in the page's lines */
	struct item_page *page; /* NULL: the item has memory of its own */
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
 * none); the rest is zero. `page`: one that was made for this event, too, or
 * NULL. */
struct item *item_new(
	struct item_page *page, const struct event *ev, struct slice position);
void item_free(struct item *it);

/* Makes the line of its event; `topic` as for event_line(). */
void item_make_line(struct item *it, const struct event *ev, const char *topic);

/* The line is no longer needed. */
void item_drop_line(struct item *it);

/* For items of these events; takes the page's text over if it is of use. */
struct item_page *item_page_new(struct buf *text, const struct event *events,
	size_t n, const char *topic);

/* No more items come; those of the page are `it` and what follows it. */
void item_page_made(struct item_page *page, struct item *it);

#endif
