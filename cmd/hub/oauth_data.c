/* hub: topics and events in the oauth dialect. */
#include "endpoints.h"
#include "objects.h"
#include "page.h"
#include "position.h"
#include "replays.h"
#include "refuse.h"
#include "stream.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	PAGE_DEFAULT = 50,
	PAGE_MAX = 100,
	INLINE_MAX = 256 << 10 /* beyond it: a payload object */
};

void oauth_topics(struct req *r)
{
	struct err e = { 0 };
	struct db *db = web_reader(r);
	int ok;

	if (db == NULL)
		return;
	answer(r, MHD_HTTP_OK, "{\"items\":");
	ok = json_topics(
		&r->out, db, r->script.row, "top_", "display_name", &e);
	buf_char(&r->out, '}');
	db_give(r->hub->pool, db);
	if (ok < 0)
		answer_trouble(r, &e);
}

static void add_cursor(struct buf *b, const char *name,
	const struct event_run *run, int64_t seq, bool frontier)
{
	struct cursor c = { run->where->row, seq, frontier };
	char text[CURSOR_TEXT];

	cursor_make(run->key, &c, text);
	buf_printf(b, "\"%s\":\"%s\"", name, text);
}

/* The frontier is how far this page has looked: to the end of the topic if
 * there was no more, whatever was left out on the way. */
static void tail(struct buf *b, const struct event_run *run, int64_t latest)
{
	int64_t frontier = latest;

	buf_str(b, "],\"next\":{");
	if (run->reached) {
		add_cursor(b, "after", run, run->reached, false);
		buf_char(b, ',');
	}
	buf_printf(b, "\"has_more\":%s,", run->more ? "true" : "false");
	if (!run->backwards && (run->more || run->from > latest))
		frontier = run->from - 1;
	add_cursor(b, "frontier_cursor", run, frontier, true);
	buf_str(b, "}}");
}

static const struct page_form form = { "{\"events\":[", tail };

static struct event_run run_of(struct req *r)
{
	struct event_run run = { .where = &r->topic,
		.from = 1,
		.to = r->topic.last_seq,
		.left = PAGE_DEFAULT,
		.write = event_write_oauth,
		.key = r->hub->key };

	return run;
}

/* What was behind the position has been deleted. */
static int answer_aged(struct req *r, struct db *db, struct err *e)
{
	char uuid[SIGN_UUID];
	int64_t seq;
	int some = event_oldest(db, r->topic.row, &seq, uuid, e);

	if (some < 0)
		return -1;
	answer(r, MHD_HTTP_NOT_FOUND,
		"{\"detail\":{\"error\":\"NOT_FOUND\",\"message\":\"What was "
		"behind this position has aged out\",\"details\":{\"reason\":"
		"\"ttl_expired\",\"oldest_available_evt_id\":%s%s%s},"
		"\"next_action\":\"cursor_advance\"}}",
		some ? "\"evt_" : "", some ? uuid : "null", some ? "\"" : "");
	return 0;
}

/* A run that goes on behind `after`. 0, also when answered; -1 an error. */
static int start_after(struct req *r, struct db *db, const char *after,
	struct event_run *run, struct err *e)
{
	enum position_state state;
	int64_t seq = 0;

	state = position_find(db, r->hub->key, &r->topic, after, &seq, e);
	if (state == POSITION_ERROR)
		return -1;
	if (state == POSITION_NONE)
		refuse_invalid(r,
			"after is neither a cursor of this topic nor an "
			"event's id");
	if (state == POSITION_GONE)
		return answer_aged(r, db, e);
	if (run->backwards)
		run->to = seq - 1;
	else
		run->from = seq + 1;
	return 0;
}

/* The query, but for `after`; false: answered. */
static bool read_query(struct req *r, struct event_run *run)
{
	const char *type = web_query(r, "type");
	const char *order = web_query(r, "order");

	if (web_query_number(r, "limit", &run->left) < 0)
		return false;
	if (run->left < 1 || run->left > PAGE_MAX) {
		refuse_invalid(r, "limit is from 1 to 100");
		return false;
	}
	run->backwards = order && strcmp(order, "desc") == 0;
	if (order && !run->backwards && strcmp(order, "asc") != 0) {
		refuse_invalid(r, "order is asc or desc");
		return false;
	}
	if (web_query_flag(r, "exclude_self"))
		snprintf(run->not_by, sizeof run->not_by, "%s", r->script.id);
	run->type = type ? xstrdup(type) : NULL;
	return true;
}

void oauth_events(struct req *r)
{
	struct event_run run = run_of(r);
	const char *after = web_query(r, "after");
	struct err e = { 0 };
	struct db *db;
	int ok = 0;

	if (!read_query(r, &run))
		return;
	db = web_reader(r);
	if (db && after && *after)
		ok = start_after(r, db, after, &run, &e);
	if (ok < 0)
		answer_trouble(r, &e);
	if (r->status)
		free(run.type);
	else
		page_send(r, db, &run, &form);
	db_give(r->hub->pool, db);
}

void oauth_event(struct req *r)
{
	struct event_run run = run_of(r);
	const char *id = r->part[1];
	struct err e = { 0 };
	struct db *db = web_reader(r);
	int found;

	if (db == NULL)
		return;
	if (strncmp(id, "evt_", 4) == 0)
		id += 4;
	found = event_get(db, &run, id, &r->out, &e);
	db_give(r->hub->pool, db);
	if (found < 0)
		answer_trouble(r, &e);
	else if (found == 0)
		answer_error(r, MHD_HTTP_NOT_FOUND, "NOT_FOUND",
			"There is no such event");
	else
		r->status = MHD_HTTP_OK;
}

struct publish {
	struct event event;
	struct buf type;
	char object[ID_MAX];  /* "" or the object it names */
	char ref[ID_MAX + 2]; /* the same as JSON */
	bool has_key;
	struct replay replay;
};

static void publish_free(struct req *r)
{
	struct publish *p = r->own;

	buf_release(&p->type);
	free(p);
}

/* The object that the event names. 0 fine, 1 answered, -1. */
static int take_object(struct req *r, struct db *db, struct err *e)
{
	struct publish *p = r->own;
	struct object ob;
	int found = object_find(db, p->object, &ob, e);

	if (found < 0)
		return -1;
	if (found && ob.topic == r->topic.row && ob.stored)
		return object_commit(db, p->object, e) < 0 ? -1 : 0;
	if (found && ob.topic == r->topic.row)
		refuse_invalid(r, "The payload object was not uploaded yet");
	else
		answer_error(r, MHD_HTTP_NOT_FOUND, "NOT_FOUND",
			"There is no such payload object");
	return 1;
}

static int replay(struct req *r, struct db *db, struct err *e)
{
	struct publish *p = r->own;
	char id[SIGN_UUID];

	switch (replay_look(db, &p->replay, p->event.id, e)) {
	case REPLAY_NEW:
		return 0;
	case REPLAY_SAME:
		sign_uuid_text(p->event.id, id);
		answer(r, MHD_HTTP_OK, "{\"event_id\":\"evt_%s\"}", id);
		r->replayed = true;
		return 1;
	case REPLAY_OTHER:
		answer_error(r, MHD_HTTP_CONFLICT, "CONFLICT",
			"The idempotency key was used for something else");
		return 1;
	case REPLAY_ERROR:
		break;
	}
	return -1;
}

static int publish(struct req *r, struct db *db, struct err *e)
{
	struct publish *p = r->own;
	char id[SIGN_UUID];
	int no = p->has_key ? replay(r, db, e) : 0;

	if (no == 0 && p->object[0])
		no = take_object(r, db, e);
	if (no)
		return no;
	if (event_add(db, &p->event, e) < 0 ||
		(p->has_key && replay_add(db, &p->replay, p->event.id, e) < 0))
		return -1;
	sign_uuid_text(p->event.id, id);
	answer(r, MHD_HTTP_CREATED, "{\"event_id\":\"evt_%s\"}", id);
	return 0;
}

static void published(struct req *r)
{
	struct publish *p = r->own;

	streams_note(r->hub->streams, &p->event);
}

/* The metadata, and of it what classic has fields for. false: answered. */
static bool take_metadata(struct req *r, struct raw value, struct event *ev)
{
	struct raw_want w[] = { { .name = "correlation_id" },
		{ .name = "reply_topic" } };
	struct raw *to[] = { &ev->correlation, &ev->reply };
	struct err e = { 0 };
	size_t i;

	if (raw_is_null(value))
		return true;
	if (value.len > EVENT_METADATA_MAX ||
		raw_object(value.at, value.len, w, 2, &e) < 0) {
		answer_error(r, MHD_HTTP_UNPROCESSABLE_CONTENT, "INVALID",
			"metadata has to be an object of at most %d bytes",
			EVENT_METADATA_MAX);
		return false;
	}
	ev->metadata = value;
	for (i = 0; i < 2; i++)
		if (raw_is_string(w[i].value) &&
			w[i].value.len <= EVENT_FIELD_MAX)
			*to[i] = w[i].value;
	return true;
}

/* A payload or an object, never both; false: answered. */
static bool take_payload(
	struct req *r, struct raw payload, struct raw object, struct publish *p)
{
	struct buf id = BUF_INIT(ID_MAX);

	if (raw_is_null(object)) {
		p->event.payload = payload;
		if (payload.at == NULL)
			refuse_invalid(
				r, "payload or payload_object_id is missing");
		else if (payload.len > INLINE_MAX)
			answer_error(r, MHD_HTTP_CONTENT_TOO_LARGE, "TOO_LARGE",
				"A payload of over %d bytes has to be uploaded",
				INLINE_MAX);
		return r->status == 0;
	}
	if (!raw_is_null(payload))
		refuse_invalid(
			r, "payload and payload_object_id exclude each other");
	else if (raw_text(object, &id) < 0 ||
		 !object_id_read(buf_text(&id), p->object))
		answer_error(r, MHD_HTTP_NOT_FOUND, "NOT_FOUND",
			"There is no such payload object");
	buf_release(&id);
	snprintf(p->ref, sizeof p->ref, "\"%s\"", p->object);
	p->event.ref.at = p->ref;
	p->event.ref.len = strlen(p->ref);
	return r->status == 0;
}

/* false: answered. */
static bool take_key(struct req *r, struct publish *p)
{
	const char *key = web_header(r, "Idempotency-Key");
	const char *s;

	if (key == NULL)
		return true;
	for (s = key; *s > 0x20 && *s < 0x7F; s++)
		;
	if (s == key || *s || s - key > REPLAY_KEY_MAX) {
		answer_error(r, MHD_HTTP_BAD_REQUEST, "INVALID",
			"Idempotency-Key has to be 1 to %d visible characters",
			REPLAY_KEY_MAX);
		return false;
	}
	replay_init(&p->replay, r->script.row, key, r->topic.row, r->body.data,
		r->body.len);
	p->has_key = true;
	return true;
}

void oauth_publish(struct req *r)
{
	enum { TYPE, PAYLOAD, OBJECT, METADATA, WANTS };
	struct raw_want w[WANTS] = { [TYPE] = { .name = "event_type" },
		[PAYLOAD] = { .name = "payload" },
		[OBJECT] = { .name = "payload_object_id" },
		[METADATA] = { .name = "metadata" } };
	struct publish *p;
	struct err e = { 0 };

	if (raw_object(r->body.data, r->body.len, w, WANTS, &e) < 0) {
		answer_error(r, MHD_HTTP_BAD_REQUEST, "INVALID", "%s", e.text);
		return;
	}
	r->own = p = xcalloc(1, sizeof *p);
	r->own_free = publish_free;
	if (!refuse_no_type(r, &w[TYPE], &p->type))
		return;
	if (!take_payload(r, w[PAYLOAD].value, w[OBJECT].value, p) ||
		!take_metadata(r, w[METADATA].value, &p->event) ||
		!take_key(r, p))
		return;
	p->event.type = buf_text(&p->type);
	p->event.producer = r->script.id;
	p->event.topic = r->topic.row;
	r->change = publish;
	r->changed = published;
	web_change(r);
}
