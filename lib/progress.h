/* base: a progress line on the user's terminal while bytes move: share, rate and
 * time left. Where stderr is no terminal, or with -q, nothing at all. */
#ifndef AGENTRUX_PROGRESS_H
#define AGENTRUX_PROGRESS_H

#include <stdatomic.h>
#include <stddef.h>

struct progress;

/* `sent` has `n` counters, each for one of the things that move; `total` is what
 * they come to, and may change. Both stay until progress_stop. */
struct progress *progress_start(
	const atomic_llong *sent, size_t n, const atomic_llong *total);
void progress_stop(struct progress *p);

/* The line, without its place on the screen: pure. `rate` is bytes a second. */
void progress_line(char *out, size_t size, long long done, long long total,
	long long rate);

#endif
