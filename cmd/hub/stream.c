#include "stream.h"

#include "backoff.h"
#include "endpoints.h"
#include "routes.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BUCKETS = 256, FRAME_MAX = 256 };

/* Waking a stream and what comes of it takes some 30 us: after a round, pause
 * for as long as it kept the machine busy. */
enum { PAUSE_US = 30, PAUSE_MAX_US = 500000 };

/* A topic with at least one stream. */
struct watched {
	int64_t topic;
	char id[ID_MAX];
	int64_t latest; /* that was noted */
	bool noted;	/* is in streams->noted */
	struct stream *first;
	struct watched *next, *next_noted;
};

struct stream {
	struct hub *hub;
	struct MHD_Connection *conn;
	struct token token;
	int64_t topic;
	/* Under the lock: */
	struct watched *watched;
	struct stream *prev, *next;
	int64_t told, latest; /* sequence numbers */
	int64_t beat;	      /* when the next heartbeat is due */
	bool asleep;
	/* Of the connection's own thread: */
	char frame[FRAME_MAX]; /* being sent */
	size_t len, given;
};

struct streams {
	struct hub *hub;
	pthread_mutex_t lock;
	pthread_cond_t some_noted, end;
	pthread_t waker;
	bool ending;
	struct watched *buckets[BUCKETS];
	struct watched *noted;
};

static struct watched **bucket(struct streams *all, int64_t topic)
{
	struct watched **at = &all->buckets[(uint64_t)topic % BUCKETS];

	while (*at && (*at)->topic != topic)
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

void streams_note(struct streams *all, int64_t topic, int64_t seq)
{
	struct watched *w;

	pthread_mutex_lock(&all->lock);
	w = *bucket(all, topic);
	if (w && seq > w->latest) {
		w->latest = seq;
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

	for (i = 0; i < BUCKETS; i++)
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

/* false: no new streams any more. */
static bool enter(struct streams *all, struct stream *s, const char *id)
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
			w->topic = s->topic;
			snprintf(w->id, sizeof w->id, "%s", id);
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

static void leave(struct streams *all, struct stream *s)
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
		*bucket(all, w->topic) = w->next;
		free(w);
	}
	pthread_mutex_unlock(&all->lock);
}

static void stream_free(void *arg)
{
	struct stream *s = arg;

	if (s->watched)
		leave(s->hub->streams, s);
	free(s);
}

/* Makes the next frame. false: there is none, and the stream has gone to
 * sleep; nobody can have missed waking it, for both happen under the lock. */
static bool next_frame(struct stream *s, int64_t now)
{
	struct streams *all = s->hub->streams;
	int n = 0;

	pthread_mutex_lock(&all->lock);
	if (s->latest > s->told) {
		s->told = s->latest;
		n = snprintf(s->frame, sizeof s->frame,
			"id: %lld\ndata: {\"topic_id\":\"%s\","
			"\"latest_sequence_no\":%lld}\n\n",
			(long long)s->told, s->watched->id, (long long)s->told);
	} else if (now >= s->beat) {
		s->beat = now + s->hub->options.heartbeat_ms;
		n = snprintf(s->frame, sizeof s->frame, ": heartbeat\n\n");
	} else if (!all->ending) {
		s->asleep = true;
		MHD_suspend_connection(s->conn);
	}
	pthread_mutex_unlock(&all->lock);
	s->len = (size_t)n;
	s->given = 0;
	return n > 0;
}

static bool is_ending(struct streams *all)
{
	bool ending;

	pthread_mutex_lock(&all->lock);
	ending = all->ending;
	pthread_mutex_unlock(&all->lock);
	return ending;
}

static ssize_t stream_read(void *arg, uint64_t pos, char *out, size_t max)
{
	struct stream *s = arg;
	int64_t now = backoff_clock_ms();

	(void)pos;
	if (s->given == s->len) {
		if (is_ending(s->hub->streams))
			return MHD_CONTENT_READER_END_OF_STREAM;
		/* `beat` changes on this thread only. An error of the database
		 * is no reason to end a stream: the next heartbeat will look
		 * again. */
		if (now >= s->beat && route_may(s->hub, &s->token, s->topic,
					      ACTION_READ, NULL) == 0)
			return MHD_CONTENT_READER_END_OF_STREAM;
		if (!next_frame(s, now))
			return 0;
	}
	if (max > s->len - s->given)
		max = s->len - s->given;
	memcpy(out, s->frame + s->given, max);
	s->given += max;
	return (ssize_t)max;
}

/* Where the client says it is: the query, or what EventSource sends when it
 * comes back, whichever is further. 1 it does, 0 not, -1 answered. */
static int resume_from(struct req *r, int64_t *seq)
{
	int has = web_query_number(r, "after_sequence_no", seq);
	const char *last = web_header(r, "Last-Event-ID");
	char *end;
	long long n;

	if (has < 0 || last == NULL || *last < '0' || *last > '9')
		return has;
	n = strtoll(last, &end, 10);
	if (*end == '\0' && (!has || n > *seq))
		*seq = n;
	return has || *end == '\0';
}

/* The topic's newest number, read after the stream was entered: whatever comes
 * later will be noted. */
static int catch_up(struct stream *s, const char *id, int resumes, int64_t seq)
{
	struct err e = { 0 };
	struct db *db = db_take(s->hub->pool, &e);
	struct topic t = { 0 };
	int found = db ? topic_by_id(db, id, &t, &e) : -1;

	db_give(s->hub->pool, db);
	if (found < 0) {
		say("%s", e.text);
		return -1;
	}
	pthread_mutex_lock(&s->hub->streams->lock);
	if (t.last_seq > s->latest)
		s->latest = t.last_seq;
	/* Not beyond what there is, or the next events would not be hinted. */
	s->told = resumes && seq < t.last_seq ? seq : t.last_seq;
	pthread_mutex_unlock(&s->hub->streams->lock);
	return 0;
}

void events_stream(struct req *r)
{
	struct stream *s;
	struct MHD_Response *m = NULL;
	struct err stopping = { .code = ERR_STOPPED };
	int64_t seq = 0;
	int resumes = resume_from(r, &seq);

	if (resumes < 0)
		return;
	s = xcalloc(1, sizeof *s);
	s->hub = r->hub;
	s->conn = r->conn;
	s->token = r->token;
	s->topic = r->topic.row;
	s->told = INT64_MAX;
	/* The first ones spread out, so that a restart does not make all
	 * streams beat as one. */
	s->beat =
		backoff_clock_ms() + r->hub->options.heartbeat_ms / 2 +
		backoff_random((uint32_t)r->hub->options.heartbeat_ms / 2 + 1);
	s->len = (size_t)snprintf(s->frame, sizeof s->frame, ": connected\n\n");
	if (enter(r->hub->streams, s, r->topic.id) &&
		catch_up(s, r->topic.id, resumes, seq) == 0)
		m = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN,
			FRAME_MAX, stream_read, s, stream_free);
	if (m == NULL) {
		stream_free(s);
		answer_failure(r, &stopping);
		return;
	}
	MHD_add_response_header(m, "Content-Type", "text/event-stream");
	MHD_add_response_header(m, "Cache-Control", "no-cache");
	MHD_add_response_header(m, "X-Accel-Buffering", "no");
	answer_response(r, MHD_HTTP_OK, m);
}
