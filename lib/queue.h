/* service: the events of one topic that were read and are not all settled yet,
 * in order, and what becomes of the topic's position.
 *
 * queue_open() takes the topic's lock, which it holds until queue_close(), and
 * the saved position. Pages are added; items are then run in order (of one key,
 * one at a time) and settled in any order. What was settled is recorded by
 * queue_commit(): ids in the ledger at once, the position (the newest before
 * which all is settled) now and then, for the ledger covers what lies between.
 * So a kill at any instant loses no event, and repeats none that was recorded.
 *
 * Ceilings: QUEUE_ITEMS unsettled or waiting to be counted, QUEUE_BYTES of
 * lines, or a third more where these share the memory of their pages;
 * queue_has_room() says whether a page may be added. */
#ifndef AGENTRUX_QUEUE_H
#define AGENTRUX_QUEUE_H

#include "api.h"
#include "backoff.h"
#include "buf.h"
#include "chain.h"
#include "dead.h"
#include "err.h"
#include "item.h"
#include "ledger.h"
#include "statefile.h"
#include "window.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	QUEUE_ITEMS = 1000,
	QUEUE_BYTES = 16777216,
	QUEUE_WINDOW = 10000, /* ids and values in mind while it is open */
};

/* What is the same for all topics of a drain. */
struct queue_rules {
	const struct statedir *home;
	struct ledger *ledger; /* NULL: nothing is remembered (peek) */
	const struct dialect *dialect;
	const char *key;      /* payload field of a conversation, or NULL */
	const char *dedup;    /* payload field done once a value, or NULL */
	const char *not_by;   /* leave out events of this script, or NULL */
	bool gaps_are_normal; /* a filter is set: jumps mean nothing */
	bool stop_at_gap;     /* what was lost to retention ends the reading */
	bool in_order;	      /* items are settled as they were given out */
	long lock_wait_ms;
	/* The events are those in dead/; nothing else is touched, and there is
	 * no ledger. `type` is theirs; with `keep` they stay all the same. */
	bool dead, keep;
	const char *type;
	bool many; /* topics: those that rest give memory back */
};

struct queue {
	const struct queue_rules *rules;
	char *topic;
	struct lock lock;
	struct buf saved;    /* the position on disk */
	struct buf reached;  /* where everything before is settled */
	struct buf read_to;  /* where the next page starts */
	int64_t read_number; /* the same, where positions are numbers */
	bool known;	     /* it has a position at all */
	struct buf foreign;  /* or one that another dialect has left */
	struct item *head, *tail;
	struct item *first; /* nothing before it waits */
	size_t n, bytes;
	struct chain_set keys, values;
	struct window ids_seen;	   /* read, or known from the ledger */
	struct window values_done; /* of the dedup field */
	bool loaded;		   /* what the ledger knows is in them */
	bool tried;		   /* it knows failed attempts */
	struct item_page *adding;  /* the page that is, if its items share it */
	struct dead_list letters;
	size_t stayed; /* letters that were not done */
	size_t unrecorded;
	size_t repeated; /* known events in a row, read again */
	size_t popped;	 /* settled and off the front since the last save */
	int64_t unrecorded_ms, saved_ms;
	/* For the user: is there more to read, and not before when. */
	bool started;		     /* it has a position to read from */
	bool dirty, hinted, dropped; /* hinted: while a page was asked for */
	bool at_gap; /* events are missing behind read_to: see stop_at_gap */
	int64_t retry_ms;
	int64_t trouble_ms; /* since when no page could be had; 0: none */
	struct backoff retry;
	long limit; /* of a page */
};

/* NULL on error; `*busy` then tells whether another drain has the topic. */
struct queue *queue_open(const struct queue_rules *rules, const char *topic,
	bool *busy, struct err *e);
void queue_close(struct queue *q);

/* The next page starts behind `position`; of use to who adds pages. */
void queue_read_on(struct queue *q, const char *position);

/* Starts from this position, on disk (a first contact, or --from). */
int queue_start(struct queue *q, const char *position, struct err *e);

bool queue_has_room(const struct queue *q);

enum queue_page {
	QUEUE_MORE = 1, /* there may be another one behind it */
	QUEUE_END = 0,	/* nothing is newer for now */
	QUEUE_STUCK = 2 /* it leads nowhere: the same would come again */
};

/* Adds a page, whose text it may take; one of the above, or -1. */
int queue_add(struct queue *q, struct api_page *page, struct err *e);

/* Adds letters of dead/, as many as there is room for; without any further one
 * the queue is no longer dirty. */
int queue_add_letters(struct queue *q, struct err *e);

/* The next item that may run now, or NULL; with `begun` only one that was
 * counted already. */
struct item *queue_next(struct queue *q, int64_t now, bool begun);

/* When the next waiting item becomes due, after `now`; -1: none will. */
int64_t queue_due(const struct queue *q, int64_t now);

/* Does anything run, or wait for its turn or its time? Not so what is deferred,
 * nor what stands behind that in its conversation; with `begun` only what was
 * counted already matters. */
bool queue_is_active(const struct queue *q, bool begun);

/* Is there one that could be run, now or when its time has come? */
bool queue_has_waiting(const struct queue *q, bool begun);

/* Done, or given up: it counts. */
void queue_settle(struct item *it, bool done);

/* One more failed attempt, on disk; back to waiting, with backoff. */
int queue_failed(struct item *it, struct err *e);

/* Not now: waits for queue_wake, and ms at least. No attempt is counted. */
void queue_defer(struct item *it, long ms);

/* It was not begun after all: back to waiting. */
void queue_return(struct item *it);

/* Deferred items may run again. */
void queue_wake(struct queue *q);

enum queue_when {
	QUEUE_WHEN_DUE,	  /* only what is worth a sync by now */
	QUEUE_RECORD_NOW, /* ids at once, the position when it is due */
	QUEUE_ALL_NOW,
};

/* Records what was settled. */
int queue_commit(struct queue *q, enum queue_when when, struct err *e);

/* Is anything settled that is not on disk yet? */
bool queue_is_unsaved(const struct queue *q);

#endif
