/* service: calls that are answered side by side, each by a process of its own.
 *
 * A call that waits, retries or runs something holds up nobody; one that is not
 * wanted any more is told to end as any program of ours is, with all state
 * whole; one that breaks takes nothing along. The process finds all that it
 * needs in the memory it was forked with, and puts its answer, any bytes that
 * end with a newline, on a pipe. CALLS_RUNNING are under way at once, CALLS_MAX
 * and CALLS_WEIGHT_MAX bytes in all wait or are under way.
 *
 * For a process of one thread: it is the one that forks. When it dies, so do
 * they. */
#ifndef AGENTRUX_CALLS_H
#define AGENTRUX_CALLS_H

#include "buf.h"
#include "err.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	CALLS_RUNNING = 16,
	CALLS_MAX = 1024,
	CALLS_WEIGHT_MAX = 67108864,
	CALLS_ANSWER_MAX = 67108864,
};

/* The first member of a call of the caller's own. */
struct call {
	struct call *next;
	size_t weight;
	pid_t pid; /* 0: waits; -1: has ended */
	int fd;	   /* its answer comes here */
	struct buf answer;
	int64_t started_ms, kill_ms; /* kill_ms 0: it may go on */
};

struct calls_work {
	/* In a process for it: does the work, writes the answer to `fd`. */
	void (*work)(void *ctx, struct call *call, int fd);
	/* It has ended and is the owner's again: `answer` is what it said,
	 * or p NULL if it ended otherwise. */
	void (*ended)(
		void *ctx, struct call *call, const char *answer, size_t len);
	void *ctx;
};

struct calls {
	struct calls_work w;
	struct call *first, *last; /* that wait */
	struct call *running[CALLS_RUNNING];
	size_t n, weight;
	bool children; /* some are to be reaped */
};

void calls_start(struct calls *c, const struct calls_work *w);

/* -1: there are too many; it stays the caller's. */
int calls_put(struct calls *c, struct call *call, size_t weight);

/* Tells it to end, or leaves it out if it still waits: `ended` is called then
 * and there. */
void calls_cancel(struct calls *c, struct call *call);

/* Fills CALLS_RUNNING entries for poll(2), to be given to calls_turn(). */
void calls_fds(const struct calls *c, struct pollfd fds[CALLS_RUNNING]);

/* When to turn even if nothing moves; -1: not at all. */
long calls_wait_ms(const struct calls *c);

/* Takes answers in, starts what waits. */
void calls_turn(struct calls *c, const struct pollfd fds[CALLS_RUNNING]);

/* Tells all to end and waits until nothing of them is left, `wait_ms` at most;
 * `ended` is called for each. */
void calls_finish(struct calls *c, long wait_ms);

#endif
