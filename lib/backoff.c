#include "backoff.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { RETRY_AFTER_MAX_S = 3600 };

int64_t backoff_clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

uint32_t backoff_random(uint32_t n)
{
	uint64_t r = 0;

	/* getrandom(2) fails only for buffers over 256 bytes or before the
	 * pool is seeded at boot; the clock serves a delay well enough then. */
	if (getrandom(&r, sizeof r, GRND_NONBLOCK) != sizeof r)
		r = (uint64_t)backoff_clock_ms() * 2654435761U;
	return (uint32_t)(r % n);
}

long backoff_next(struct backoff *b, long floor_ms)
{
	long span = b->span_ms > 0 ? b->span_ms : b->base_ms;

	if (span > b->cap_ms)
		span = b->cap_ms;
	b->span_ms = span > b->cap_ms / 2 ? b->cap_ms : span * 2;
	if (floor_ms < 0)
		floor_ms = 0;
	return floor_ms + (span > 0 ? (long)backoff_random((uint32_t)span) : 0);
}

void backoff_reset(struct backoff *b)
{
	b->span_ms = 0;
}

time_t backoff_http_date(const char *value)
{
	struct tm tm;
	const char *end;

	memset(&tm, 0, sizeof tm);
	while (*value == ' ' || *value == '\t')
		value++;
	end = strptime(value, "%a, %d %b %Y %H:%M:%S GMT", &tm);
	return end ? timegm(&tm) : 0;
}

long backoff_retry_after(const char *value, time_t date)
{
	long long s;
	char *end;
	time_t when;

	while (*value == ' ' || *value == '\t')
		value++;
	if (isdigit((unsigned char)*value)) {
		errno = 0;
		s = strtoll(value, &end, 10);
		while (isspace((unsigned char)*end))
			end++;
		if (*end)
			return -1;
		if (errno == ERANGE)
			s = RETRY_AFTER_MAX_S;
	} else {
		when = backoff_http_date(value);
		if (when == 0)
			return -1;
		s = (long long)when - (long long)(date ? date : time(NULL));
	}
	if (s < 0)
		s = 0;
	return (long)(s > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : s) * 1000;
}
