/* service: handlers that stay: at most N processes, each of which reads event
 * lines on its stdin and answers each, in any order, with a line
 * "EVENT_ID STATUS" on its stdout.
 *
 * As handler.h, but for these: A process is started when there is work for it,
 * under a keeper of its own, and again when it has died; what it had read by
 * then, and not answered, has failed. One that answers quickly is sent lines
 * ahead, up to RESIDENT_AHEAD, so that it never waits for us; with `alone`
 * nothing is sent before an event is answered, nor was before it: so one that
 * kills its process is known from its neighbours at the second attempt. The time
 * limit is for the oldest event that a process has, from when it became that.
 *
 * A process that says at its end that it is broken (78, 126, 127), or
 * RESIDENT_BARREN of them that died one after the other, at different events,
 * without a single answer: HANDLER_BROKEN. One that ends with 75: not now, for
 * all that it had. An answer that names no event of its own is passed over, one
 * whose status is none is a failure. */
#ifndef AGENTRUX_RESIDENT_H
#define AGENTRUX_RESIDENT_H

#include "err.h"
#include "handler.h"

#include <stdbool.h>
#include <stddef.h>

enum { RESIDENT_AHEAD = 128, RESIDENT_BARREN = 3 };

struct resident_pool;

struct resident_pool *resident_pool_new(
	char *const *argv, unsigned jobs, long timeout_ms, struct err *e);
void resident_keep(struct resident_pool *p, int fd);

bool resident_has_room(const struct resident_pool *p);

/* 1: given; the id stays the caller's, and as it is, until the result. 0: not
 * now, for want of one that does nothing. -1: as handler_start. */
int resident_give(struct resident_pool *p, const struct handler_event *ev,
	bool alone, void *tag, struct err *e);

int resident_pool_fd(const struct resident_pool *p);

/* Right before waiting for that: for how many ms at most; -1: without limit. */
long resident_wait_ms(struct resident_pool *p);

/* 1: a result. 0: none now. */
int resident_take(
	struct resident_pool *p, void **tag, struct handler_result *result);

/* Events without a result. */
unsigned resident_held(const struct resident_pool *p);

/* No new ones: what was not sent yet comes back as interrupted. */
void resident_stop(struct resident_pool *p);
/* They are to end; results still come. */
void resident_end_all(struct resident_pool *p);

/* Closes their stdin and waits until nothing of them is left; those that do not
 * end by themselves are ended, at once if we were told to. */
void resident_pool_free(struct resident_pool *p);

#endif
