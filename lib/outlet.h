/* base: lines to a reader, without ever blocking, and how much of them the
 * reader has taken.
 *
 * On a pipe what was written may still lie in it when we are killed or the
 * reader ends; FIONREAD on our end tells how much does. On anything else what
 * was written counts as taken. */
#ifndef AGENTRUX_OUTLET_H
#define AGENTRUX_OUTLET_H

#include "buf.h"
#include "err.h"

#include <stdbool.h>
#include <stdint.h>

struct outlet {
	int fd;	     /* the program's stdout */
	int pipe_fd; /* the same pipe, opened anew without blocking; -1: none */
	bool is_pipe;
	struct buf pending;
	size_t done;	 /* bytes of it that are written */
	uint64_t queued; /* bytes ever put */
};

/* `max` bytes may wait to be written. */
void outlet_init(struct outlet *o, int fd, size_t max);
void outlet_release(struct outlet *o);

/* Puts bytes behind what waits. -1 if there is no room. */
int outlet_put(struct outlet *o, const void *p, size_t n);

static inline size_t outlet_waiting(const struct outlet *o)
{
	return o->pending.len - o->done;
}

static inline uint64_t outlet_written(const struct outlet *o)
{
	return o->queued - outlet_waiting(o);
}

/* Writes what can be written now. 1: all of it. 0: the reader is slow, poll
 * outlet_fd for POLLOUT. -1: the reader has closed (ERR_STOPPED), or the disk
 * is full and the like. */
int outlet_flush(struct outlet *o, struct err *e);
int outlet_fd(const struct outlet *o);

/* No more will come: the reader finds the end of its input. The program's own
 * descriptor then leads nowhere. */
void outlet_close(struct outlet *o);

/* Of what waits to be written only the first `keep` bytes ever will be. */
void outlet_cut(struct outlet *o, size_t keep);

/* Of `queued`, how many bytes the reader has. */
uint64_t outlet_taken(const struct outlet *o);

#endif
