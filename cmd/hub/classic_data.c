/* hub: topics and events in the classic dialect. */
#include "endpoints.h"
#include "page.h"
#include "refuse.h"
#include "stream.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE_DEFAULT = 20, PAGE_MAX = 100, SEQUENCE_MAX = 500 };

static void not_found(struct req *r, const char *what)
{
	answer_error(r, MHD_HTTP_NOT_FOUND, "NOT_FOUND", "There is no such %s",
		what);
}

void classic_topics(struct req *r)
{
	struct err e = { 0 };
	struct db *db = web_reader(r);
	int ok;

	if (db == NULL)
		return;
	answer(r, MHD_HTTP_OK, "{\"items\":");
	ok = json_topics(&r->out, db, r->script.row, "", "name", &e);
	buf_char(&r->out, '}');
	db_give(r->hub->pool, db);
	if (ok < 0)
		answer_trouble(r, &e);
}

static void tail(struct buf *b, const struct event_run *run, int64_t latest)
{
	(void)run;
	(void)latest;
	buf_str(b, "],\"next_cursor\":null}");
}

static const struct page_form form = { "{\"items\":[", tail };

static struct event_run run_of(struct req *r)
{
	struct event_run run = { .where = &r->topic,
		.to = INT64_MAX,
		.write = event_write_classic };

	return run;
}

void classic_events(struct req *r)
{
	struct event_run run = run_of(r);
	int64_t limit = PAGE_DEFAULT, after = 0;
	const char *type = web_query(r, "type");
	int has_after = web_query_number(r, "after_sequence_no", &after);
	struct err e = { 0 };
	struct db *db;
	int ok = 1;

	if (has_after < 0 || web_query_number(r, "limit", &limit) < 0)
		return;
	if (limit < 1 || limit > PAGE_MAX) {
		answer_error(r, MHD_HTTP_BAD_REQUEST, "INVALID",
			"limit is from 1 to %d", PAGE_MAX);
		return;
	}
	db = web_reader(r);
	if (db == NULL)
		return;
	run.left = limit;
	run.from = after + 1;
	run.type = type ? xstrdup(type) : NULL;
	if (!has_after)
		ok = event_newest(db, &run, limit, &run.from, &e);
	if (ok < 0) {
		free(run.type);
		answer_trouble(r, &e);
	} else {
		if (ok == 0)
			run.left = 0;
		page_send(r, db, &run, &form);
	}
	db_give(r->hub->pool, db);
}

void classic_by_sequence(struct req *r)
{
	struct event_run run = run_of(r);
	int a = web_query_number(r, "start_seq", &run.from);
	int b = a < 0 ? -1 : web_query_number(r, "end_seq", &run.to);
	struct db *db;

	if (a < 0 || b < 0)
		return;
	if (!a || !b || run.from > run.to ||
		run.to - run.from >= SEQUENCE_MAX) {
		answer_error(r, MHD_HTTP_BAD_REQUEST, "INVALID",
			"start_seq and end_seq, at most %d numbers",
			SEQUENCE_MAX);
		return;
	}
	db = web_reader(r);
	if (db == NULL)
		return;
	run.left = run.to - run.from + 1;
	page_send(r, db, &run, &form);
	db_give(r->hub->pool, db);
}

void classic_event(struct req *r)
{
	struct event_run run = run_of(r);
	struct err e = { 0 };
	struct db *db = web_reader(r);
	int found;

	if (db == NULL)
		return;
	found = event_get(db, &run, r->part[1], &r->out, &e);
	db_give(r->hub->pool, db);
	if (found < 0)
		answer_trouble(r, &e);
	else if (found == 0)
		not_found(r, "event");
	else
		r->status = MHD_HTTP_OK;
}

struct publish {
	struct event event;
	struct buf type;
};

static void publish_free(struct req *r)
{
	struct publish *p = r->own;

	buf_release(&p->type);
	free(p);
}

static int publish(struct req *r, struct db *db, struct err *e)
{
	struct publish *p = r->own;
	char id[SIGN_UUID];

	if (event_add(db, &p->event, e) < 0)
		return -1;
	sign_uuid_text(p->event.id, id);
	answer(r, MHD_HTTP_CREATED, "{\"event_id\":\"%s\"}", id);
	return 0;
}

static void published(struct req *r)
{
	struct publish *p = r->own;

	streams_note(r->hub->streams, &p->event);
}

/* Absent or null, or a string: kept as it came. false: answered. */
static bool small_field(struct req *r, const struct raw_want *w, struct raw *to)
{
	if (raw_is_null(w->value))
		return true;
	if (!raw_is_string(w->value) || w->value.len > EVENT_FIELD_MAX) {
		answer_error(r, MHD_HTTP_UNPROCESSABLE_CONTENT, "INVALID",
			"%s has to be a string of at most %d bytes, or null",
			w->name, EVENT_FIELD_MAX);
		return false;
	}
	*to = w->value;
	return true;
}

void classic_publish(struct req *r)
{
	enum { TYPE, PAYLOAD, CORRELATION, REPLY, REF, WANTS };
	struct raw_want w[WANTS] = { [TYPE] = { .name = "type" },
		[PAYLOAD] = { .name = "payload" },
		[CORRELATION] = { .name = "correlation_id" },
		[REPLY] = { .name = "reply_topic" },
		[REF] = { .name = "payload_ref" } };
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
	if (w[PAYLOAD].value.at == NULL && raw_is_null(w[REF].value)) {
		refuse_invalid(r, "payload is missing");
		return;
	}
	if (w[PAYLOAD].value.len > EVENT_PAYLOAD_MAX) {
		answer_error(r, MHD_HTTP_CONTENT_TOO_LARGE, "TOO_LARGE",
			"The payload is over %d bytes", EVENT_PAYLOAD_MAX);
		return;
	}
	if (!small_field(r, &w[CORRELATION], &p->event.correlation) ||
		!small_field(r, &w[REPLY], &p->event.reply) ||
		!small_field(r, &w[REF], &p->event.ref))
		return;
	p->event.type = buf_text(&p->type);
	p->event.payload = w[PAYLOAD].value;
	p->event.producer = r->script.id;
	p->event.topic = r->topic.row;
	r->change = publish;
	r->changed = published;
	web_change(r);
}
