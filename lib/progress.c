#include "progress.h"

#include "backoff.h"
#include "err.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { TICK_MS = 200, BAR = 24 };

struct progress {
	const atomic_llong *sent, *total;
	size_t n;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t stopped;
	bool stop;
};

static void human(char *out, size_t size, long long bytes)
{
	static const char units[] = "BKMGT";
	double v = (double)bytes;
	size_t u = 0;

	while (v >= 1000 && u < sizeof units - 2) {
		v /= 1024;
		u++;
	}
	snprintf(out, size, u ? "%.1f%c" : "%.0f%c", v, units[u]);
}

void progress_line(
	char *out, size_t size, long long done, long long total, long long rate)
{
	char bar[BAR + 1], now[16], all[16], speed[16], left[32] = "";
	double share = total > 0 ? (double)done / (double)total : 1;
	long long s;
	int i;

	if (done > total)
		done = total;
	if (share > 1)
		share = 1;
	for (i = 0; i < BAR; i++)
		bar[i] = i < (int)(share * BAR) ? '#' : '.';
	bar[BAR] = '\0';
	human(now, sizeof now, done);
	human(all, sizeof all, total);
	human(speed, sizeof speed, rate);
	if (rate > 0) {
		s = (total - done) / rate + ((total - done) % rate != 0);
		snprintf(left, sizeof left,
			s < 3600 ? "  %lld:%02lld left"
				 : "  %lld h %02lld left",
			s < 3600 ? s / 60 : s / 3600,
			s < 3600 ? s % 60 : s / 60 % 60);
	}
	snprintf(out, size, "[%s] %3d%%  %s of %s  %s/s%s", bar,
		(int)(share * 100), now, all, speed, left);
}

static long long sum(const struct progress *p)
{
	long long all = 0;
	size_t i;

	for (i = 0; i < p->n; i++)
		all += atomic_load(&p->sent[i]);
	return all;
}

static void *show(void *ctx)
{
	struct progress *p = ctx;
	long long rate = 0, before = 0, done;
	int64_t at = backoff_clock_ms(), now;
	struct timespec next;
	char line[160];

	pthread_mutex_lock(&p->mutex);
	while (!p->stop) {
		clock_gettime(CLOCK_MONOTONIC, &next);
		next.tv_nsec += TICK_MS * 1000000L;
		next.tv_sec += next.tv_nsec / 1000000000;
		next.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&p->stopped, &p->mutex, &next);
		now = backoff_clock_ms();
		done = sum(p);
		if (p->stop || now == at)
			continue;
		/* Smoothed over a few seconds; an attempt that starts anew
		 * counts back. */
		if (done >= before)
			rate += ((done - before) * 1000 / (now - at) - rate) /
				(rate ? 8 : 1);
		at = now;
		before = done;
		progress_line(
			line, sizeof line, done, atomic_load(p->total), rate);
		say_status(line);
	}
	pthread_mutex_unlock(&p->mutex);
	say_status("");
	return NULL;
}

struct progress *progress_start(
	const atomic_llong *sent, size_t n, const atomic_llong *total)
{
	struct progress *p;
	pthread_condattr_t monotonic;

	if (say_level() < 0 || !isatty(STDERR_FILENO))
		return NULL;
	p = xcalloc(1, sizeof *p);
	p->sent = sent;
	p->n = n;
	p->total = total;
	pthread_mutex_init(&p->mutex, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&p->stopped, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (pthread_create(&p->thread, NULL, show, p) == 0)
		return p;
	free(p); /* it is only for looks */
	return NULL;
}

void progress_stop(struct progress *p)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->mutex);
	p->stop = true;
	pthread_cond_signal(&p->stopped);
	pthread_mutex_unlock(&p->mutex);
	pthread_join(p->thread, NULL);
	pthread_cond_destroy(&p->stopped);
	pthread_mutex_destroy(&p->mutex);
	free(p);
}
