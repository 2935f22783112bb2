#include "stream.h"

#include "backoff.h"
#include "sse.h"
#include "stop.h"

#include <stdlib.h>
#include <string.h>

enum {
	IDLE_MIN_MS = 1000, /* no heartbeat interval makes us stricter */
	BEAT_MIN_MS = 250,  /* bytes that close together are one arrival */
	WAIT_MAX_MS = 60000,
	/* A second refusal of a token so soon is no accident. */
	REFUSED_AGAIN_MS = 30000,
	/* Requests without an answer yet. libcurl would open a connection for
	 * each of them once an HTTP/2 connection has all the streams that it
	 * may; and no server likes a thousand at once. One that takes longer
	 * than the second value does not hold up the others. */
	OPENING_MAX = 16,
	OPENING_SLOW_MS = 1000,
	/* Topics that wait for the same token do not come all at once. */
	APART_MS = 500,
	/* Topics that go down so close together have one reason. */
	TOLD_APART_MS = 1000,
};

enum state {
	WAITING, /* for due_ms */
	OPEN,
	SILENT, /* 204: there is none to be opened */
	GONE,
};

struct stream {
	struct stream_set *set;
	struct stream *next_changed;
	char *topic;
	size_t index;
	enum state state;
	int64_t due_ms;
	struct http_call *call;
	struct sse sse;
	struct wire_error error; /* of an error frame; status 0: none */
	struct backoff pause;
	/* This connection: */
	bool changed; /* is in the set's list */
	bool opening; /* counts for OPENING_MAX */
	int64_t opened_ms;
	bool up;       /* the head came and was right */
	bool unlikely; /* a success, but no event stream */
	bool hinted;   /* the bytes just read held a hint */
	bool learned;  /* the interval of its heartbeats */
	int64_t up_ms;
	int64_t beat_ms; /* last heartbeat, 0: none to measure from */
	int64_t gap_ms;	 /* between the two before */
	/* All connections: */
	unsigned token;	  /* number of the token in use */
	unsigned refused; /* number of the one a 401 answered, 0: none */
	int64_t refused_ms;
	bool wary;    /* one that had learned it did not stand for long */
	bool resumed; /* the request named a position */
	bool behind;  /* what lies behind the position seen is not replayed */
	bool down;    /* since it was last up, an attempt has failed */
	bool told;    /* and the user has been told of this topic */
};

struct stream_set {
	struct api *api;
	struct stream_options o;
	stream_fn *on_hint;
	void *ctx;
	struct stream **streams;
	size_t n, kept;
	struct stream *changed;
	int64_t due_ms; /* nothing is due before */
	unsigned opening;
	char *token; /* the last one, and how many there were before */
	unsigned tokens;
	struct backoff token_pause;
	int64_t token_ms;    /* none can be had before */
	bool token_told;     /* the user knows that */
	struct err no_token; /* code: none will ever be had again */
	int64_t told_ms;     /* when the user was told of trouble */
	bool denied;	     /* a topic was given up for want of a grant */
};

/* --- while http_poll runs: nothing may be opened or closed here --- */

static void on_frame(void *ctx, const struct sse_frame *frame)
{
	struct stream *s = ctx;
	struct dialect_news news = { .latest = -1 };
	enum dialect_hint hint = s->set->api->dialect->hint(frame, &news);

	if (s->error.status) /* what follows the end does not count */
		return;
	switch (hint) {
	case DIALECT_ALIVE:
		break;
	case DIALECT_EVENT:
	case DIALECT_RESYNC:
		s->hinted = true;
		s->behind = hint == DIALECT_RESYNC;
		s->set->on_hint(s->set->ctx, s->index,
			hint == DIALECT_EVENT ? STREAM_EVENT : STREAM_RESYNC,
			news.latest);
		break;
	case DIALECT_REFUSED:
		s->error = news.error;
		break;
	}
}

/* The interval of the heartbeats is known: two and a half of them are enough. */
static void take_interval(struct stream *s, int64_t interval_ms, int64_t now)
{
	int64_t limit = interval_ms * 5 / 2;

	if (s->wary && now - s->up_ms < STREAM_STOOD_MS)
		return;
	s->learned = true;
	if (limit < IDLE_MIN_MS)
		limit = IDLE_MIN_MS;
	if (limit > s->set->o.idle_ms)
		limit = s->set->o.idle_ms;
	http_set_idle(s->call, limit);
}

/* Two gaps in a row that are alike, without a hint in between, tell the
 * interval. A single one may tell anything. */
static void on_heartbeat(struct stream *s, int64_t now)
{
	int64_t gap = now - s->beat_ms, more;

	if (gap < BEAT_MIN_MS)
		return;
	if (s->beat_ms && s->gap_ms) {
		more = gap > s->gap_ms ? gap : s->gap_ms;
		if (2 * more - gap - s->gap_ms <= more / 4)
			take_interval(s, more, now);
	}
	if (s->beat_ms)
		s->gap_ms = gap;
	s->beat_ms = now;
}

static int on_bytes(void *ctx, const char *bytes, size_t n)
{
	struct stream *s = ctx;

	if (!s->up)
		return -1;
	s->hinted = false;
	sse_feed(&s->sse, bytes, n);
	if (s->error.status)
		return -1;
	if (s->hinted)
		s->beat_ms = 0;
	else
		on_heartbeat(s, backoff_clock_ms());
	return 0;
}

static void on_changed(void *ctx)
{
	struct stream *s = ctx;
	int status = http_status(s->call);

	if (!s->changed) {
		s->changed = true;
		s->next_changed = s->set->changed;
		s->set->changed = s;
	}
	if (s->up || http_done(s->call) || status / 100 != 2 || status == 204)
		return;
	if (status != 200 || !http_is_type(s->call, "text/event-stream")) {
		s->unlikely = true;
		return;
	}
	s->up = true;
	s->up_ms = s->beat_ms = backoff_clock_ms();
	s->refused = 0;
	http_set_idle(s->call, s->set->o.idle_ms);
	s->set->on_hint(s->set->ctx, s->index, STREAM_CONNECTED, -1);
	if (s->told)
		say_info("watching %s: connected again", s->topic);
	else
		say_detail(1, "watching %s: connected", s->topic);
	s->down = s->told = false;
}

/* --- between two polls --- */

static void expect(struct stream_set *set, int64_t due_ms)
{
	if (due_ms < set->due_ms)
		set->due_ms = due_ms;
}

static void wait_until(struct stream *s, int64_t due_ms)
{
	s->state = WAITING;
	s->due_ms = due_ms;
	expect(s->set, due_ms);
}

/* No longer among those that hold up others. */
static void make_room(struct stream *s)
{
	if (!s->opening)
		return;
	s->opening = false;
	s->set->opening--;
	s->set->due_ms = 0;
}

/* Tries again later; tells the user once, and once for all topics that go
 * down together. */
static void later(struct stream *s, long floor_ms, const char *why)
{
	long wait = backoff_next(&s->pause, floor_ms);
	int64_t now = backoff_clock_ms();
	bool tell = !s->down && now - s->set->told_ms >= TOLD_APART_MS;

	wait_until(s, now + wait);
	if (tell) {
		s->set->told_ms = now;
		s->told = true;
	}
	say_again(tell ? 0 : 1, why, wait);
	s->down = true;
}

static void give_up(struct stream *s, const struct err *why)
{
	if (why != &s->set->no_token)
		say("%s", why->text);
	if (why->code == EX_NOPERM)
		s->set->denied = true;
	s->state = GONE;
	s->set->kept--;
	sse_release(&s->sse);
}

/* What is not to be resumed from must not be sent. */
static const char *position(const struct stream *s)
{
	const char *id = sse_last_id(&s->sse);

	if (*id == '\0' || s->behind ||
		(s->set->api->dialect->numeric &&
			id[strspn(id, "0123456789")] != '\0'))
		return NULL;
	return id;
}

static void forget_position(struct stream *s)
{
	long retry_ms = s->sse.retry_ms;

	sse_release(&s->sse);
	sse_init(&s->sse, on_frame, s);
	s->sse.retry_ms = retry_ms;
}

/* 0: the set has a token. 1: not now, see token_ms. -1: never (no_token has a
 * code), or told to end. */
static int get_token(struct stream_set *set, struct err *e)
{
	int64_t now = backoff_clock_ms();
	struct err why = { 0 };
	const char *token;

	if (set->no_token.code)
		return -1;
	if (now < set->token_ms)
		return 1;
	if (auth_token(&set->api->auth, &token, &why) == 0) {
		if (set->token == NULL || strcmp(set->token, token)) {
			buf_wipe_free(set->token);
			set->token = xstrdup(token);
			set->tokens++;
		}
		backoff_reset(&set->token_pause);
		set->token_told = false;
		return 0;
	}
	if (why.code == ERR_STOPPED)
		return err_stopped(e);
	/* What time does not mend ends it; a full disk may be mended. */
	if (why.code != EX_TEMPFAIL && why.code != EX_IOERR) {
		say("%s", why.text);
		set->no_token = why;
		return -1;
	}
	set->token_ms = backoff_clock_ms() +
			backoff_next(&set->token_pause, why.retry_ms);
	say_again(set->token_told ? 1 : 0, why.text, -1);
	set->token_told = true;
	return 1;
}

/* -1: told to end. */
static int open_stream(struct stream *s, struct err *e)
{
	struct stream_set *set = s->set;
	struct dialect_stream which = {
		.topic = s->topic,
		.position = position(s),
		.exclude_self = set->o.exclude_self,
	};
	struct http_request q = {
		.sink = on_bytes,
		.changed = on_changed,
		.ctx = s,
		.idle_ms = set->o.idle_ms < HTTP_IDLE_MS ? set->o.idle_ms
							 : HTTP_IDLE_MS,
		.total_ms = -1,
		.stream = true,
	};
	struct wire_request r;
	int status = get_token(set, e);

	if (status > 0)
		wait_until(s, set->token_ms + backoff_random(APART_MS));
	if (status < 0 && set->no_token.code) {
		give_up(s, &set->no_token);
		return 0;
	}
	if (status)
		return status < 0 ? -1 : 0;
	s->token = set->tokens;
	s->resumed = which.position != NULL;
	s->up = s->unlikely = s->learned = false;
	s->beat_ms = s->gap_ms = 0;
	s->error.status = 0;
	wire_request_init(&r, "watching");
	set->api->dialect->stream_request(&r, &which);
	sse_restart(&s->sse);
	q.bearer = set->token;
	s->call = wire_open(set->api->http, set->api->base_url, &r, q, e);
	wire_request_release(&r);
	if (s->call == NULL) {
		give_up(s, e);
		e->code = 0;
		return 0;
	}
	s->state = OPEN;
	s->opening = true;
	s->opened_ms = backoff_clock_ms();
	set->opening++;
	return 0;
}

/* A token was refused. */
static int on_401(struct stream *s, const struct err *why, struct err *e)
{
	struct stream_set *set = s->set;
	int64_t now = backoff_clock_ms(), before = s->refused_ms;

	/* A new one as well: no token will do, and the others need not try
	 * a third. */
	if (s->refused && s->refused != s->token) {
		give_up(s, why);
		return 0;
	}
	if (s->token == set->tokens && set->token) {
		if (auth_rejected(&set->api->auth, set->token, e) < 0) {
			if (e->code == ERR_STOPPED)
				return -1;
			later(s, 0, e->text);
			e->code = 0;
			return 0;
		}
		buf_wipe_free(set->token);
		set->token = NULL;
	}
	s->refused = s->token;
	s->refused_ms = now;
	if (before && now - before < REFUSED_AGAIN_MS)
		later(s, 0, why->text);
	else
		wait_until(s, now);
	return 0;
}

/* Why the call has ended: a refusal in `we` (status 0: none), words in `why`. */
static void explain(const struct stream *s, const struct http_answer *a,
	struct wire_error *we, struct err *why)
{
	char *what = xasprintf("watching %s", s->topic);

	*we = s->error;
	if (we->status == 0 && a->status >= 300)
		wire_error_read(a, we);
	if (we->status)
		wire_error_report(what, we, why);
	else if (s->unlikely || (a->status != 200 && why->code == 0))
		err_set(why, EX_TEMPFAIL,
			"%s: the answer (%d) is no event stream", what,
			a->status);
	else if (why->code == 0)
		err_set(why, EX_TEMPFAIL, "%s: the stream ended", what);
	else
		err_prefix(why, "%s", what);
	free(what);
}

/* The call has ended: what now? -1: told to end. */
static int ended(struct stream *s, struct err *e)
{
	bool stood = s->up && backoff_clock_ms() - s->up_ms >= STREAM_STOOD_MS;
	long floor_ms = s->sse.retry_ms;
	const struct http_answer *a;
	struct wire_error we;
	struct err why = { 0 };
	int status = 0;

	http_result(s->call, &a, &why);
	explain(s, a, &we, &why);
	if (a->retry_after_ms > floor_ms)
		floor_ms = a->retry_after_ms;
	if (stood)
		backoff_reset(&s->pause);
	s->wary = !stood && (s->wary || s->learned);
	if (we.status == 0 && a->status == 204) {
		say_info("watching %s: the service has no stream for it; only "
			 "polling",
			s->topic);
		s->state = SILENT;
	} else if (we.status == 401) {
		status = on_401(s, &why, e);
	} else if (s->resumed &&
		   (we.status == 404 || we.status == 400 || we.status == 422)) {
		/* Perhaps it is only the position that is not there. */
		forget_position(s);
		wait_until(s, backoff_clock_ms());
	} else if (we.status == 403 || we.status == 404) {
		give_up(s, &why);
	} else {
		later(s, floor_ms, why.text);
	}
	http_close(s->call);
	s->call = NULL;
	return status;
}

static int take_changes(struct stream_set *set, struct err *e)
{
	struct stream *s;

	while ((s = set->changed)) {
		set->changed = s->next_changed;
		s->changed = false;
		make_room(s);
		if (s->call && http_done(s->call) && ended(s, e) < 0)
			return -1;
	}
	return 0;
}

static int open_due(struct stream_set *set, struct err *e)
{
	int64_t now = backoff_clock_ms();
	struct stream *s;
	size_t i;

	if (now < set->due_ms)
		return 0;
	for (i = 0; i < set->n; i++)
		if (now - set->streams[i]->opened_ms >= OPENING_SLOW_MS)
			make_room(set->streams[i]);
	set->due_ms = INT64_MAX;
	for (i = 0; i < set->n; i++) {
		s = set->streams[i];
		if (s->state != WAITING)
			continue;
		if (s->due_ms > now)
			expect(set, s->due_ms);
		else if (set->opening >= OPENING_MAX)
			expect(set, now + OPENING_SLOW_MS);
		else if (open_stream(s, e) < 0)
			return -1;
	}
	return 0;
}

int stream_turn(struct stream_set *set, struct err *e)
{
	if (take_changes(set, e) < 0 || open_due(set, e) < 0)
		return -1;
	if (set->kept)
		return 0;
	if (set->no_token.code)
		return err_set(e, set->no_token.code, "no topic is left");
	return err_set(
		e, set->denied ? EX_NOPERM : EX_NOINPUT, "no topic is left");
}

long stream_wait_ms(const struct stream_set *set)
{
	int64_t left = set->due_ms - backoff_clock_ms();

	if (set->changed || left <= 0)
		return 0;
	return left < WAIT_MAX_MS ? (long)left : WAIT_MAX_MS;
}

bool stream_is_kept(const struct stream_set *set, size_t topic)
{
	return set->streams[topic]->state != GONE;
}

struct stream_set *stream_new(struct api *a, const struct stream_options *o,
	stream_fn *on_hint, void *ctx)
{
	struct stream_set *set = xcalloc(1, sizeof *set);

	set->api = a;
	set->o = *o;
	set->on_hint = on_hint;
	set->ctx = ctx;
	set->due_ms = INT64_MAX;
	set->token_pause = (struct backoff){ .base_ms = STREAM_BACKOFF_MS,
		.cap_ms = o->max_backoff_ms };
	set->told_ms = INT64_MIN / 2;
	return set;
}

void stream_add(struct stream_set *set, const char *topic)
{
	struct stream *s = xcalloc(1, sizeof *s);

	s->set = set;
	s->index = set->n;
	s->topic = xstrdup(topic);
	s->pause = (struct backoff){ .base_ms = STREAM_BACKOFF_MS,
		.cap_ms = set->o.max_backoff_ms };
	sse_init(&s->sse, on_frame, s);
	set->streams =
		xrealloc(set->streams, (set->n + 1) * sizeof(struct stream *));
	set->streams[set->n++] = s;
	set->kept++;
	wait_until(s, backoff_clock_ms());
}

void stream_free(struct stream_set *set)
{
	size_t i;

	if (set == NULL)
		return;
	for (i = 0; i < set->n; i++) {
		http_close(set->streams[i]->call);
		sse_release(&set->streams[i]->sse);
		free(set->streams[i]->topic);
		free(set->streams[i]);
	}
	free(set->streams);
	buf_wipe_free(set->token);
	free(set);
}
