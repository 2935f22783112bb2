/* base: lines to a reader, without ever blocking, and how much of them the
 * reader has taken.
 *
 * Lines are lent, not copied: they must stay where they are until
 * outlet_written() has passed them, or the outlet is released. Lines that lie
 * one behind the other in memory are written as one.
 *
 * On a pipe what was written may still lie in it when we are killed or the
 * reader ends; FIONREAD on our end tells how much does. On anything else what
 * was written counts as taken. */
#ifndef AGENTRUX_OUTLET_H
#define AGENTRUX_OUTLET_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outlet_piece {
	const char *p;
	size_t len;
};

struct outlet {
	int fd;	     /* the program's stdout */
	int pipe_fd; /* the same pipe, opened anew without blocking; -1: none */
	bool is_pipe, is_file;
	/* What waits to be written: pieces[first] to pieces[n - 1]. */
	struct outlet_piece *pieces;
	size_t first, n, cap;
	size_t waiting;	 /* bytes in them */
	uint64_t queued; /* bytes ever put */
};

void outlet_init(struct outlet *o, int fd);
void outlet_release(struct outlet *o);

/* Puts a line, with its newline, behind what waits. */
void outlet_put(struct outlet *o, const char *line, size_t len);

static inline size_t outlet_waiting(const struct outlet *o)
{
	return o->waiting;
}

static inline uint64_t outlet_written(const struct outlet *o)
{
	return o->queued - o->waiting;
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
