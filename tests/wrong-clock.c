/* Preload shim: the program lives at another time.
 *
 *     LD_PRELOAD=wrong-clock.so CLOCK_WALL=SECONDS CLOCK_BOOT=SECONDS PROGRAM…
 *
 * CLOCK_WALL is added to the time of day; with CLOCK_JUMPS set it is added and
 * subtracted in turn, call by call. CLOCK_BOOT is added to the time since boot,
 * as if the machine had slept for so long. With CLOCK_SPEED=N the time since
 * boot runs N times as fast from the start of the program on, and what poll(2)
 * and timerfd_settime(2) wait for is that much shorter. */
#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/timerfd.h>
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

static int real_time(clockid_t clock, struct timespec *t)
{
	static int (*real)(clockid_t, struct timespec *);

	if (real == NULL) {
		void *found = dlsym(RTLD_NEXT, "clock_gettime");
		memcpy(&real, &found, sizeof real);
	}
	return real(clock, t);
}

static struct timespec start[2];
static pthread_once_t started = PTHREAD_ONCE_INIT;

static void note_start(void)
{
	real_time(CLOCK_MONOTONIC, &start[0]);
	real_time(CLOCK_BOOTTIME, &start[1]);
}

static void hurry(long long speed, clockid_t clock, struct timespec *t)
{
	const struct timespec *from = &start[clock == CLOCK_BOOTTIME];
	long long ns = (t->tv_sec - from->tv_sec) * 1000000000LL + t->tv_nsec -
		       from->tv_nsec;

	ns = ns * speed + from->tv_nsec;
	t->tv_sec = from->tv_sec + ns / 1000000000;
	t->tv_nsec = ns % 1000000000;
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
	long long speed = setting("CLOCK_SPEED");
	int r;

	pthread_once(&started, note_start);
	r = real_time(clock, t);
	if (r)
		return r;
	if (speed > 1 && (clock == CLOCK_BOOTTIME || clock == CLOCK_MONOTONIC))
		hurry(speed, clock, t);
	t->tv_sec += offset(clock);
	return 0;
}

int poll(struct pollfd *fds, nfds_t n, int ms)
{
	static int (*real)(struct pollfd *, nfds_t, int);
	int speed = (int)setting("CLOCK_SPEED");

	if (real == NULL) {
		void *found = dlsym(RTLD_NEXT, "poll");
		memcpy(&real, &found, sizeof real);
	}
	return real(fds, n, speed > 1 && ms > 0 ? ms / speed + 1 : ms);
}

/* What a fortified program calls for it. */
int __poll_chk(struct pollfd *, nfds_t, int, size_t);
int __poll_chk(struct pollfd *fds, nfds_t n, int ms, size_t size)
{
	(void)size;
	return poll(fds, n, ms);
}

int timerfd_settime(int fd, int flags, const struct itimerspec *timer,
	struct itimerspec *old)
{
	static int (*real)(
		int, int, const struct itimerspec *, struct itimerspec *);
	long long speed = setting("CLOCK_SPEED"), ns;
	struct itimerspec sooner = *timer;

	if (real == NULL) {
		void *found = dlsym(RTLD_NEXT, "timerfd_settime");
		memcpy(&real, &found, sizeof real);
	}
	if (speed > 1) {
		ns = timer->it_value.tv_sec * 1000000000LL +
		     timer->it_value.tv_nsec;
		sooner.it_value.tv_sec = ns / speed / 1000000000;
		sooner.it_value.tv_nsec = ns / speed % 1000000000;
	}
	return real(fd, flags, &sooner, old);
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
