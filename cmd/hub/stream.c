#include "stream_parts.h"

#include "backoff.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Waking a stream and what comes of it takes some 30 us: after a round, pause
 * for as long as it kept the machine busy. */
enum { PAUSE_US = 30, PAUSE_MAX_US = 500000 };

static struct watched **bucket(struct streams *all, int64_t topic)
{
	struct watched **at = &all->buckets[(uint64_t)topic % STREAM_BUCKETS];

	while (*at && (*at)->topic.row != topic)
		at = &(*at)->next;
	return at;
}

/* Under the lock: libmicrohttpd's own lock is always taken inside ours. */
static void wake(struct stream *s)
{
	if (s->asleep) {
		s->asleep = false;
		MHD_resume_connection(s->conn);
	}
}

void streams_note(struct streams *all, const struct event *ev)
{
	struct watched *w;

	pthread_mutex_lock(&all->lock);
	w = *bucket(all, ev->topic);
	if (w && ev->seq > w->latest) {
		w->latest = ev->seq;
		hints_add(&w->hints, ev);
		if (!w->noted) {
			w->noted = true;
			w->next_noted = all->noted;
			all->noted = w;
		}
	}
	pthread_mutex_unlock(&all->lock);
}

void streams_flush(void *streams)
{
	struct streams *all = streams;

	pthread_mutex_lock(&all->lock);
	if (all->noted)
		pthread_cond_signal(&all->some_noted);
	pthread_mutex_unlock(&all->lock);
}

/* Under the lock: wakes the streams of the noted topics; how many. */
static unsigned wake_noted(struct streams *all)
{
	struct watched *w;
	struct stream *s;
	unsigned n = 0;

	while ((w = all->noted)) {
		all->noted = w->next_noted;
		w->noted = false;
		for (s = w->first; s; s = s->next) {
			if (w->latest > s->latest)
				s->latest = w->latest;
			if (s->latest > s->told) {
				wake(s);
				n++;
			}
		}
	}
	return n;
}

/* Under the lock, which is open meanwhile; ends early with the hub. */
static void pause_us(struct streams *all, unsigned us)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 1000L * (us < PAUSE_MAX_US ? us : PAUSE_MAX_US);
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	while (!all->ending &&
		pthread_cond_timedwait(&all->end, &all->lock, &until) == 0)
		;
}

static void *waker_thread(void *arg)
{
	struct streams *all = arg;

	pthread_mutex_lock(&all->lock);
	while (!all->ending) {
		if (all->noted == NULL) {
			pthread_cond_wait(&all->some_noted, &all->lock);
			continue;
		}
		pause_us(all, wake_noted(all) * PAUSE_US);
	}
	pthread_mutex_unlock(&all->lock);
	return NULL;
}

struct streams *streams_new(struct hub *hub, struct err *e)
{
	struct streams *all = xcalloc(1, sizeof *all);
	int r;

	all->hub = hub;
	pthread_mutex_init(&all->lock, NULL);
	pthread_cond_init(&all->some_noted, NULL);
	pthread_cond_init(&all->end, NULL);
	r = pthread_create(&all->waker, NULL, waker_thread, all);
	if (r == 0)
		return all;
	free(all);
	err_set(e, EX_IOERR, "starting a thread: %s", strerror(r));
	return NULL;
}

static void for_all(struct streams *all, int64_t due)
{
	struct watched *w;
	struct stream *s;
	size_t i;

	for (i = 0; i < STREAM_BUCKETS; i++)
		for (w = all->buckets[i]; w; w = w->next)
			for (s = w->first; s; s = s->next)
				if (s->beat <= due)
					wake(s);
}

void streams_pulse(struct streams *all)
{
	pthread_mutex_lock(&all->lock);
	for_all(all, backoff_clock_ms());
	pthread_mutex_unlock(&all->lock);
}

void streams_end(struct streams *all)
{
	pthread_mutex_lock(&all->lock);
	all->ending = true;
	pthread_cond_signal(&all->some_noted);
	pthread_cond_signal(&all->end);
	for_all(all, INT64_MAX);
	pthread_mutex_unlock(&all->lock);
}

void streams_free(struct streams *all)
{
	if (all == NULL)
		return;
	pthread_join(all->waker, NULL);
	pthread_cond_destroy(&all->some_noted);
	pthread_cond_destroy(&all->end);
	pthread_mutex_destroy(&all->lock);
	free(all);
}

bool stream_enter(struct streams *all, struct stream *s, const struct topic *t)
{
	struct watched **at, *w;
	bool ending;

	pthread_mutex_lock(&all->lock);
	ending = all->ending;
	if (!ending) {
		at = bucket(all, s->topic);
		w = *at;
		if (w == NULL) {
			*at = w = xcalloc(1, sizeof *w);
			w->topic = *t;
		}
		s->watched = w;
		s->next = w->first;
		if (s->next)
			s->next->prev = s;
		w->first = s;
	}
	pthread_mutex_unlock(&all->lock);
	return !ending;
}

void stream_leave(struct streams *all, struct stream *s)
{
	struct watched *w, **at;

	pthread_mutex_lock(&all->lock);
	w = s->watched;
	if (s->next)
		s->next->prev = s->prev;
	if (s->prev)
		s->prev->next = s->next;
	else
		w->first = s->next;
	if (w->first == NULL) {
		if (w->noted) {
			at = &all->noted;
			while (*at != w)
				at = &(*at)->next_noted;
			*at = w->next_noted;
		}
		*bucket(all, w->topic.row) = w->next;
		hints_release(&w->hints);
		free(w);
	}
	pthread_mutex_unlock(&all->lock);
}

bool streams_are_ending(struct streams *all)
{
	bool ending;

	pthread_mutex_lock(&all->lock);
	ending = all->ending;
	pthread_mutex_unlock(&all->lock);
	return ending;
}
