#include "reply.h"

#include "backoff.h"
#include "reader.h"
#include "stream.h"

#include <poll.h>
#include <string.h>

enum { LOOK_MS = 2000 };

int reply_prepare(
	struct reply *r, struct api *api, const char *topic, struct err *e)
{
	*r = (struct reply){ .api = api,
		.topic = topic,
		.position = BUF_INIT(EVENT_POSITION_MAX) };
	if (reader_latest(api, topic, &r->position, e) < 0)
		return err_prefix(e, "preparing to wait for a reply");
	return 0;
}

void reply_release(struct reply *r)
{
	buf_release(&r->position);
}

/* Two JSON values that are one: as texts, or byte for byte. */
static bool same(struct slice a, struct slice b)
{
	struct buf text = BUF_INIT(65536);
	bool equal = a.len == b.len && memcmp(a.p, b.p, a.len) == 0;

	if (!equal && slice_kind(a) == '"' && slice_text(a, &text))
		equal = slice_is(b, buf_text(&text));
	buf_release(&text);
	return equal;
}

static bool is_reply(const struct event *ev, const struct reply_want *want)
{
	struct slice v;

	if (slice_is(ev->id, want->event_id))
		return false;
	if (want->correlation_id &&
		(slice_is(ev->correlation, want->correlation_id) ||
			(slice_member(ev->metadata, "correlation_id", &v) &&
				slice_is(v, want->correlation_id))))
		return true;
	return want->request_id.p &&
	       slice_member(ev->payload, "request_id", &v) &&
	       same(want->request_id, v);
}

/* What is under way while a reply is waited for. */
struct wait {
	struct reply *r;
	const struct reply_want *want;
	struct reader *reader;
	struct api hints; /* the reader's thread has the other one */
	struct stream_set *streams;
	bool woken;
	int64_t look_ms; /* when to look again, hint or no hint */
};

static void on_hint(
	void *ctx, size_t topic, enum stream_hint hint, int64_t latest)
{
	struct wait *w = ctx;

	(void)topic;
	(void)hint;
	(void)latest;
	w->woken = true;
}

/* Hints save time; without them the reply is found all the same. */
static int start_hints(
	struct wait *w, const char *home, const char *base_url, struct err *e)
{
	static const struct stream_options options = { .idle_ms =
							       STREAM_IDLE_MS,
		.max_backoff_ms = STREAM_MAX_BACKOFF_MS };

	if (api_open(&w->hints, home, base_url, e) < 0)
		return -1;
	w->hints.retry_ms = 0;
	w->streams = stream_new(&w->hints, &options, on_hint, w);
	stream_add(w->streams, w->r->topic);
	return 0;
}

static void stop_hints(struct wait *w)
{
	stream_free(w->streams);
	w->streams = NULL;
}

static void ask(struct wait *w, int64_t now)
{
	w->woken = false;
	w->look_ms = now + LOOK_MS;
	reader_ask(w->reader,
		&(struct dialect_page){ .topic = w->r->topic,
			.after = buf_text(&w->r->position),
			.limit = API_PAGE_LIMIT },
		false);
}

/* true: to another place. */
static bool move_on(struct reply *r, const struct api_page *page)
{
	struct buf *to = &r->position;
	struct slice number;
	bool moved = false;

	if (page->next) {
		moved = strcmp(buf_text(to), page->next) != 0;
		buf_set(to, page->next);
	} else if (page->n) {
		number = page->events[page->n - 1].position;
		moved = true;
		buf_clear(to);
		buf_add(to, number.p, number.len);
	}
	return moved;
}

/* 1: the reply is in `line`. */
static int search(struct wait *w, const struct api_page *page, struct buf *line)
{
	size_t i;

	for (i = 0; i < page->n; i++)
		if (is_reply(&page->events[i], w->want)) {
			event_line(&page->events[i], w->r->topic, line);
			return 1;
		}
	if (page->lost)
		say("reading %s: events are gone: lost to retention; the reply "
		    "may be among them",
			w->r->topic);
	if (move_on(w->r, page) && page->has_more)
		w->woken = true;
	return 0;
}

/* Looks at what the reader has brought. As reply_wait, 0: go on. */
static int look(struct wait *w, struct buf *line, struct err *e)
{
	struct api_page page;
	int found = reader_take(w->reader, &page, e);

	if (found == 1) {
		found = search(w, &page, line);
		api_page_release(&page);
	} else if (found < 0 && e->code == EX_TEMPFAIL) {
		say_again(1, e->text, -1);
		w->woken = false;
		w->look_ms = backoff_clock_ms() +
			     (e->retry_ms > LOOK_MS ? e->retry_ms : LOOK_MS);
		*e = (struct err){ 0 };
		found = 0;
	}
	return found;
}

static long least(int64_t a, int64_t b)
{
	return (long)(a < b ? a : b);
}

static int turn(struct wait *w, int64_t left, struct buf *line, struct err *e)
{
	struct pollfd fd = { .fd = reader_fd(w->reader), .events = POLLIN };
	int64_t now = backoff_clock_ms();
	struct err why = { 0 };

	if (!reader_busy(w->reader) && (w->woken || now >= w->look_ms))
		ask(w, now);
	if (!reader_busy(w->reader))
		left = least(left, w->look_ms - now);
	if (w->streams && stream_turn(w->streams, &why) < 0) {
		if (why.code == ERR_STOPPED)
			return err_stopped(e);
		stop_hints(w);
	}
	if (w->streams)
		left = least(left, stream_wait_ms(w->streams));
	if (http_poll(w->hints.http, &fd, 1, left > 0 ? (long)left : 0, e) < 0)
		return -1;
	return look(w, line, e);
}

int reply_wait(struct reply *r, const char *home, const char *base_url,
	const struct reply_want *want, long wait_ms, struct buf *line,
	struct err *e)
{
	struct wait w = { .r = r, .want = want };
	int64_t end = backoff_clock_ms() + wait_ms, left;
	int found = 0;

	r->api->retry_ms = 0; /* looking again is all the retrying there is */
	w.reader = reader_new(r->api, e);
	if (w.reader == NULL)
		return -1;
	found = start_hints(&w, home, base_url, e);
	while (found == 0 && (left = end - backoff_clock_ms()) > 0)
		found = turn(&w, left, line, e);
	stop_hints(&w);
	api_close(&w.hints);
	reader_free(w.reader);
	return found;
}
