/* Preload shim: the program lives at another time.
 *
 *     LD_PRELOAD=wrong-clock.so CLOCK_WALL=SECONDS CLOCK_BOOT=SECONDS PROGRAM…
 *
 * CLOCK_WALL is added to the time of day; with CLOCK_JUMPS set it is added and
 * subtracted in turn, call by call. CLOCK_BOOT is added to the time since boot,
 * as if the machine had slept for so long. */
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

static atomic_uint calls;

static time_t setting(const char *name)
{
	const char *s = getenv(name);

	return s ? (time_t)strtoll(s, NULL, 10) : 0;
}

static time_t offset(clockid_t clock)
{
	time_t wall = setting("CLOCK_WALL");

	if (clock == CLOCK_BOOTTIME)
		return setting("CLOCK_BOOT");
	if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)
		return 0;
	return getenv("CLOCK_JUMPS") && calls++ % 2 ? -wall : wall;
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
	static int (*real)(clockid_t, struct timespec *);
	int r;

	if (real == NULL) {
		void *found = dlsym(RTLD_NEXT, "clock_gettime");
		memcpy(&real, &found, sizeof real);
	}
	r = real(clock, t);
	if (r == 0)
		t->tv_sec += offset(clock);
	return r;
}

time_t time(time_t *at)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	if (at)
		*at = t.tv_sec;
	return t.tv_sec;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
	struct timespec t;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &t);
	at->tv_sec = t.tv_sec;
	at->tv_usec = (suseconds_t)(t.tv_nsec / 1000);
	return 0;
}
