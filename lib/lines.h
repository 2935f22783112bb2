/* service: events as lines to a reader.
 *
 * A line counts once the reader has taken it whole (outlet.h); or, with an
 * `ack_fd`, once the event's id has come back as a line on that descriptor, in
 * any order. What is not acknowledged stays. The reader may then close before
 * it has acknowledged everything; the end is when both have ended. */
#ifndef AGENTRUX_LINES_H
#define AGENTRUX_LINES_H

#include "err.h"
#include "queue.h"

#include <stdbool.h>

struct pollfd;
struct lines;

/* `ack_fd` -1: none. The descriptors stay the caller's. */
struct lines *lines_new(int out_fd, int ack_fd);
void lines_free(struct lines *l);

bool lines_have_room(const struct lines *l);
void lines_give(struct lines *l, struct item *it);

/* Writes what can be written and settles what counts. ERR_STOPPED: the reader
 * has closed, and nothing is left to be acknowledged. */
int lines_collect(struct lines *l, struct err *e);

/* 2 at most; and ms until lines_collect at the latest, -1: no need. */
unsigned lines_fds(const struct lines *l, struct pollfd *fds);
long lines_wait_ms(const struct lines *l);

/* No acknowledgement will come any more. */
bool lines_are_over(const struct lines *l);

/* There will be no further line: a reader that only acknowledges at the end of
 * its input gets there. */
void lines_end(struct lines *l);

/* Told to end: a line that was begun is finished, and the reader gets a moment
 * to take, or acknowledge, what it has. */
void lines_wind_up(struct lines *l);

#endif
