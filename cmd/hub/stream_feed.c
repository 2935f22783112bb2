/* One stream: where it begins, and what it is told, in either dialect. */
#include "stream_parts.h"

#include "backoff.h"
#include "endpoints.h"
#include "position.h"
#include "routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512 };

static void drop_missed(struct stream *s)
{
	if (s->missed)
		hints_release(s->missed);
	free(s->missed);
	s->missed = NULL;
}

static void stream_free(void *arg)
{
	struct stream *s = arg;

	if (s->watched)
		stream_leave(s->hub->streams, s);
	drop_missed(s);
	buf_release(&s->frame);
	free(s);
}

/* The next event to tell of: of those that were missed, then of the last. */
static struct hint *next_hint(struct stream *s, bool *gap)
{
	struct hint *h;

	*gap = false;
	if (s->missed) {
		h = hints_after(s->missed, s->told, gap);
		if (h)
			return h;
		drop_missed(s);
	}
	return hints_after(&s->watched->hints, s->told, gap);
}

/* Under the lock: what there is to tell, if anything. */
static void tell_oauth(struct stream *s)
{
	const struct topic *t = &s->watched->topic;
	struct hint *h;
	bool gap = false;

	while (s->resync == NULL && s->told < s->latest) {
		h = next_hint(s, &gap);
		if (h == NULL || gap) {
			s->resync = "replay_gap";
			break;
		}
		s->told = h->seq;
		if (strcmp(h->producer, s->not_by) != 0) {
			frame_hint(&s->frame, s->hub->key, t, h);
			return;
		}
	}
	if (s->resync) {
		frame_resync(&s->frame, t->id, s->resync);
		s->resync = NULL;
		s->told = s->latest;
	}
}

static void tell(struct stream *s)
{
	if (s->token.kind == TOKEN_OAUTH) {
		tell_oauth(s);
	} else if (s->latest > s->told) {
		s->told = s->latest;
		frame_latest(&s->frame, s->watched->topic.id, s->told);
	}
}

/* Makes the next frame. false: there is none, and the stream has gone to
 * sleep; nobody can have missed waking it, for both happen under the lock. */
static bool next_frame(struct stream *s, int64_t now)
{
	struct streams *all = s->hub->streams;

	buf_release(&s->frame);
	s->frame = (struct buf)BUF_INIT(HINT_FRAME_MAX);
	s->given = 0;
	pthread_mutex_lock(&all->lock);
	tell(s);
	if (s->frame.len == 0 && now >= s->beat) {
		s->beat = now + s->hub->options.heartbeat_ms;
		buf_str(&s->frame, s->token.kind == TOKEN_OAUTH
					   ? "event: heartbeat\ndata: {}\n\n"
					   : ": heartbeat\n\n");
	} else if (s->frame.len == 0 && !all->ending) {
		s->asleep = true;
		MHD_suspend_connection(s->conn);
	}
	pthread_mutex_unlock(&all->lock);
	return s->frame.len > 0;
}

/* At every heartbeat: may it still? An error of the database is no reason to
 * end a stream: the next heartbeat will look again. */
static bool may_go_on(struct stream *s)
{
	switch (route_may(s->hub, &s->token, s->topic, ACTION_READ, NULL)) {
	case RIGHT_NO_TOKEN:
		frame_error(&s->frame, "UNAUTHORIZED", "token_expired");
		break;
	case RIGHT_NO_GRANT:
		frame_error(&s->frame, "FORBIDDEN", "no_grant");
		break;
	default:
		return true;
	}
	s->over = true;
	return false;
}

static ssize_t stream_read(void *arg, uint64_t pos, char *out, size_t max)
{
	struct stream *s = arg;
	int64_t now = backoff_clock_ms();

	(void)pos;
	if (s->given == s->frame.len) {
		if (s->over || streams_are_ending(s->hub->streams))
			return MHD_CONTENT_READER_END_OF_STREAM;
		/* `beat` changes on this thread only. */
		if (now >= s->beat && !may_go_on(s) &&
			s->token.kind == TOKEN_CLASSIC)
			return MHD_CONTENT_READER_END_OF_STREAM;
		if (!s->over && !next_frame(s, now))
			return 0;
	}
	if (max > s->frame.len - s->given)
		max = s->frame.len - s->given;
	memcpy(out, s->frame.data + s->given, max);
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

/* The same in the oauth dialect. What was missed is loaded, so that each event
 * has its hint; if that is too much, or gone, the client is told to read. 1 it
 * does, 0 not, -1 an error. */
static int resume_oauth(struct req *r, struct stream *s, struct db *db,
	const struct topic *t, int64_t *seq, struct err *e)
{
	const char *last = web_header(r, "Last-Event-ID");
	int all;

	if (last == NULL || *last == '\0')
		return 0;
	switch (position_find(db, r->hub->key, t, last, seq, e)) {
	case POSITION_FOUND:
		s->missed = xcalloc(1, sizeof *s->missed);
		all = hints_load(s->missed, db, s->topic, *seq, e);
		if (all < 0)
			return -1;
		if (all == 0)
			s->resync = "replay_gap";
		return 1;
	case POSITION_GONE:
		s->resync = "retention_miss";
		return 0;
	case POSITION_NONE:
		s->resync = "replay_gap";
		return 0;
	case POSITION_ERROR:
		break;
	}
	return -1;
}

/* Where to begin, looked up after the stream was entered: whatever comes later
 * will be noted. false: answered. */
static bool catch_up(struct req *r, struct stream *s, int resumes, int64_t seq)
{
	struct err e = { 0 };
	struct db *db = web_reader(r);
	struct topic t = { 0 };
	int ok;

	if (db == NULL)
		return false;
	ok = topic_by_id(db, r->topic.id, &t, &e);
	if (ok >= 0 && s->token.kind == TOKEN_OAUTH)
		ok = resumes = resume_oauth(r, s, db, &t, &seq, &e);
	db_give(r->hub->pool, db);
	if (ok < 0) {
		answer_trouble(r, &e);
		return false;
	}
	pthread_mutex_lock(&s->hub->streams->lock);
	if (t.last_seq > s->latest)
		s->latest = t.last_seq;
	/* Not beyond what there is, or the next events would not be hinted. */
	s->told = resumes && seq < t.last_seq ? seq : t.last_seq;
	pthread_mutex_unlock(&s->hub->streams->lock);
	return true;
}

static struct stream *stream_new(struct req *r)
{
	struct stream *s = xcalloc(1, sizeof *s);
	long beat = r->hub->options.heartbeat_ms;

	s->hub = r->hub;
	s->conn = r->conn;
	s->token = r->token;
	s->topic = r->topic.row;
	s->told = INT64_MAX;
	/* The first ones spread out, so that a restart does not make all
	 * streams beat as one. */
	s->beat = backoff_clock_ms() + beat / 2 +
		  backoff_random((uint32_t)beat / 2 + 1);
	s->frame = (struct buf)BUF_INIT(HINT_FRAME_MAX);
	if (s->token.kind == TOKEN_CLASSIC) {
		buf_str(&s->frame, ": connected\n\n");
		return s;
	}
	frame_ready(&s->frame, r->topic.id);
	if (web_query_flag(r, "exclude_self"))
		snprintf(s->not_by, sizeof s->not_by, "%s", r->script.id);
	return s;
}

void events_stream(struct req *r)
{
	struct MHD_Response *m;
	struct err stopping = { .code = ERR_STOPPED };
	int64_t seq = 0;
	bool oauth = r->token.kind == TOKEN_OAUTH;
	int resumes = oauth ? 0 : resume_from(r, &seq);
	struct stream *s;

	if (resumes < 0)
		return;
	s = stream_new(r);
	if (!stream_enter(r->hub->streams, s, &r->topic)) {
		stream_free(s);
		answer_failure(r, &stopping);
		return;
	}
	if (!catch_up(r, s, resumes, seq)) {
		stream_free(s);
		return;
	}
	m = MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, BLOCK, stream_read, s, stream_free);
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
