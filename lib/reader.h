/* service: pages of topics, fetched by a thread while the last ones are dealt
 * with; and where a topic ends.
 *
 * reader_new() starts the thread, which has the api to
 * itself until reader_free(). One page at a time
 * is asked for with reader_ask(); reader_fd() becomes readable when it, or an
 * error, can be had from reader_take(). All functions are for one thread. */
#ifndef AGENTRUX_READER_H
#define AGENTRUX_READER_H

#include "api.h"
#include "err.h"

#include <stdbool.h>

/* The newest position of a topic (the dialect's oldest one if it is empty), in
 * O(log n) requests at most. What arrives while it is looked for lies beyond it. */
int reader_latest(struct api *api, const char *topic, struct buf *position,
	struct err *e);

struct reader;

/* `api` stays the caller's, who leaves it alone meanwhile. NULL on error. */
struct reader *reader_new(struct api *api, struct err *e);

/* Ends what is under way and gives everything back. */
void reader_free(struct reader *r);

/* Asks for a page; the texts of `page` are copied. Not while one is asked for
 * or waits to be taken (reader_busy). */
void reader_ask(struct reader *r, const struct dialect_page *page);
bool reader_busy(struct reader *r);

int reader_fd(const struct reader *r);

/* 1: `page` is the caller's to release. 0: not there yet. -1: it could not be
 * had. After 1 and -1 the reader is free for the next. */
int reader_take(struct reader *r, struct api_page *page, struct err *e);

#endif
