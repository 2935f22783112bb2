/* service: pages of topics, fetched by a thread while the last ones are dealt
 * with; and where a topic ends.
 *
 * reader_new() starts the thread, which has the api to itself until
 * reader_free(). reader_ask() has it read a page, or all behind a position:
 * then it reads on by itself while pages are full, READER_AHEAD or READER_BYTES
 * in advance. reader_fd() is readable while one, or an error, can be had from
 * reader_take(). All functions are for one thread. */
#ifndef AGENTRUX_READER_H
#define AGENTRUX_READER_H

#include "api.h"
#include "err.h"

#include <stdbool.h>

/* The newest position of a topic (the dialect's oldest one if it is empty), in
 * O(log n) requests at most. What arrives while it is looked for lies beyond it. */
int reader_latest(struct api *api, const char *topic, struct buf *position,
	struct err *e);

enum { READER_AHEAD = 6, READER_BYTES = 1048576 };

struct reader;

/* `api` stays the caller's, who leaves it alone meanwhile. NULL on error. */
struct reader *reader_new(struct api *api, struct err *e);

/* Ends what is under way and gives everything back. */
void reader_free(struct reader *r);

/* Asks for a page; the texts of `page` are copied. Not while reader_busy: one is
 * read, or waits to be taken. `go_on`: those behind it as well. */
void reader_ask(struct reader *r, const struct dialect_page *page, bool go_on);
bool reader_busy(struct reader *r);

/* Ends its going on by itself: what is read already can still be taken. */
void reader_hold(struct reader *r);

/* What is read is of no use: it will not be taken. */
void reader_drop(struct reader *r);

int reader_fd(const struct reader *r);

/* 1: `page` is the caller's to release. 0: not there yet. -1: it could not be
 * had, and nothing is read on behind it. */
int reader_take(struct reader *r, struct api_page *page, struct err *e);

#endif
