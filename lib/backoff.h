/* base: the clock that delays are measured on, and delays between attempts.
 *
 * The clock is CLOCK_BOOTTIME: it never jumps with the wall clock and goes on
 * while a machine is suspended, so a stream that slept with its laptop is seen
 * to be overdue at once. Milliseconds everywhere. */
#ifndef AGENTRUX_BACKOFF_H
#define AGENTRUX_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

int64_t backoff_clock_ms(void);

/* Exponential with full jitter: next() is `floor_ms` plus a random part of a
 * span that doubles from `base_ms` up to `cap_ms`. The floor is what a server
 * asked for; jitter goes on top of it, never below. */
struct backoff {
	long base_ms, cap_ms;
	long span_ms; /* of the next delay; 0: start at base_ms */
};

long backoff_next(struct backoff *b, long floor_ms);
void backoff_reset(struct backoff *b);

/* A random number below `n` (n > 0), from the kernel. */
uint32_t backoff_random(uint32_t n);

/* Value of a Retry-After header: seconds, or an HTTP date, which is taken
 * relative to `date`, the answer's own Date (0: unknown, our wall clock). In ms,
 * at most an hour; -1 if it is neither. */
long backoff_retry_after(const char *value, time_t date);

/* An HTTP date (RFC 9110 IMF-fixdate) as time_t, or 0. */
time_t backoff_http_date(const char *value);

#endif
