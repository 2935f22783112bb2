#include "hints.h"

#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The slot for one more; the oldest makes room. */
static struct hint *next_slot(struct hints *h)
{
	struct hint *to = &h->ring[(h->first + h->n) % HINTS_MAX];

	if (h->n < HINTS_MAX)
		h->n++;
	else
		h->first = (h->first + 1) % HINTS_MAX;
	free(to->type);
	buf_release(&to->frame);
	return to;
}

void hints_add(struct hints *h, const struct event *ev)
{
	struct hint *to = next_slot(h);

	to->seq = ev->seq;
	memcpy(to->id, ev->id, sizeof to->id);
	to->type = xstrdup(ev->type);
	snprintf(to->producer, sizeof to->producer, "%s", ev->producer);
}

void hints_release(struct hints *h)
{
	size_t i;

	for (i = 0; i < HINTS_MAX; i++) {
		free(h->ring[i].type);
		buf_release(&h->ring[i].frame);
	}
	memset(h, 0, sizeof *h);
}

struct hint *hints_after(struct hints *h, int64_t seq, bool *gap)
{
	size_t i;

	*gap = h->n && h->ring[h->first].seq > seq + 1;
	for (i = 0; i < h->n; i++) {
		struct hint *at = &h->ring[(h->first + i) % HINTS_MAX];

		if (at->seq > seq)
			return at;
	}
	return NULL;
}

int hints_load(struct hints *h, struct db *db, int64_t topic, int64_t seq,
	struct err *e)
{
	struct query *q = db_query(db, e,
		"SELECT seq, id, type, producer FROM events "
		"WHERE topic = ? AND seq > ? ORDER BY seq LIMIT ?",
		"iii", topic, seq, (int64_t)HINTS_MAX + 1);
	size_t n;
	int r;

	while ((r = db_step(q, e)) == 1 && h->n < HINTS_MAX) {
		struct event ev = { .seq = db_int(q, 0),
			.type = db_text(q, 2),
			.producer = db_text(q, 3) };
		const void *id = db_blob(q, 1, &n);

		if (id && n == sizeof ev.id)
			memcpy(ev.id, id, n);
		hints_add(h, &ev);
	}
	db_done(q);
	return r < 0 ? -1 : r == 0;
}

void frame_latest(struct buf *b, const char *topic_id, int64_t seq)
{
	buf_printf(b,
		"id: %lld\ndata: {\"topic_id\":\"%s\","
		"\"latest_sequence_no\":%lld}\n\n",
		(long long)seq, topic_id, (long long)seq);
}

static void make_frame(struct hint *h, const unsigned char key[SIGN_KEY],
	const struct topic *t)
{
	struct cursor c = { t->row, h->seq, false };
	char cursor[CURSOR_TEXT], uuid[SIGN_UUID];

	h->frame = (struct buf)BUF_INIT(HINT_FRAME_MAX);
	cursor_make(key, &c, cursor);
	sign_uuid_text(h->id, uuid);
	buf_printf(&h->frame,
		"event: hint\nid: %s\ndata: {\"topic_id\":\"top_%s\","
		"\"event_id\":\"evt_%s\",\"cursor\":\"%s\",\"event_type\":",
		cursor, t->id, uuid, cursor);
	json_text(&h->frame, h->type);
	buf_str(&h->frame, "}\n\n");
}

void frame_hint(struct buf *b, const unsigned char key[SIGN_KEY],
	const struct topic *t, struct hint *h)
{
	if (h->frame.len == 0)
		make_frame(h, key, t);
	buf_add(b, h->frame.data, h->frame.len);
}

void frame_ready(struct buf *b, const char *topic_id)
{
	buf_printf(b, "event: ready\ndata: {\"topic_id\":\"top_%s\"}\n\n",
		topic_id);
}

void frame_resync(struct buf *b, const char *topic_id, const char *reason)
{
	buf_printf(b,
		"event: resync_required\ndata: {\"topic_id\":\"top_%s\","
		"\"reason\":\"%s\",\"next_action\":\"pull_resync\"}\n\n",
		topic_id, reason);
}

void frame_error(struct buf *b, const char *code, const char *reason)
{
	buf_printf(b,
		"event: error\ndata: {\"code\":\"%s\",\"reason\":\"%s\"}\n\n",
		code, reason);
}
