/* hub: publishing and reading events. */
#include "endpoints.h"
#include "events.h"
#include "stream.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

enum {
	PAGE_DEFAULT = 20,
	PAGE_MAX = 100,
	SEQUENCE_MAX = 500,
	BLOCK = 256 << 10,
	BLOCK_MAX = BLOCK + EVENT_ROOM_MAX
};

static void invalid(struct req *r, const char *why)
{
	answer_error(r, MHD_HTTP_UNPROCESSABLE_CONTENT, "INVALID", "%s", why);
}

static void not_found(struct req *r, const char *what)
{
	answer_error(r, MHD_HTTP_NOT_FOUND, "NOT_FOUND", "There is no such %s",
		what);
}

/* A handle for reading; NULL: answered. */
static struct db *reader(struct req *r)
{
	struct err e = { 0 };
	struct db *db = db_take(r->hub->pool, &e);

	if (db == NULL) {
		say("%s", e.text);
		answer_failure(r, &e);
	}
	return db;
}

static void failed(struct req *r, const struct err *e)
{
	say("%s", e->text);
	answer_failure(r, e);
}

void topics_list(struct req *r)
{
	struct err e = { 0 };
	struct db *db = reader(r);
	struct query *q;
	const char *comma = "";
	int ok;

	if (db == NULL)
		return;
	q = db_query(db, &e,
		"SELECT topics.id, name, group_concat(action) FROM grants "
		"JOIN topics ON topics.row = grants.topic WHERE script = ? "
		"GROUP BY topics.row ORDER BY name",
		"i", r->script.row);
	answer(r, MHD_HTTP_OK, "{\"items\":[");
	while ((ok = db_step(q, &e)) == 1) {
		const char *actions = db_text(q, 2);

		buf_printf(&r->out, "%s{\"topic_id\":\"%s\",\"name\":", comma,
			db_text(q, 0));
		json_text(&r->out, db_text(q, 1));
		buf_printf(&r->out, ",\"actions\":[%s%s%s]}",
			strstr(actions, "read") ? "\"read\"" : "",
			strchr(actions, ',') ? "," : "",
			strstr(actions, "write") ? "\"write\"" : "");
		comma = ",";
	}
	buf_str(&r->out, "]}");
	db_give(r->hub->pool, db);
	if (ok < 0)
		failed(r, &e);
}

/* An answer that is made block by block while it is sent. */
struct page {
	struct hub *hub;
	struct event_run run;
	struct buf block;
	size_t given; /* of the block */
	size_t held;  /* counted in hub->held */
	bool over;    /* the block is the last one */
};

static void page_free(void *arg)
{
	struct page *p = arg;

	atomic_fetch_sub(&p->hub->held, p->held);
	buf_release(&p->block);
	free(p->run.type);
	free(p);
}

static int page_fill(struct page *p, struct db *db, struct err *e)
{
	int more = event_more(db, &p->run, BLOCK, &p->block, e);

	if (more == 0) {
		p->over = true;
		buf_str(&p->block, "],\"next_cursor\":null}");
	}
	if (p->block.cap > p->held) {
		atomic_fetch_add(&p->hub->held, p->block.cap - p->held);
		p->held = p->block.cap;
	}
	return more < 0 ? -1 : 0;
}

static ssize_t page_read(void *arg, uint64_t pos, char *out, size_t max)
{
	struct page *p = arg;
	struct err e = { 0 };

	(void)pos;
	if (p->given == p->block.len && !p->over) {
		struct db *db = db_take(p->hub->pool, &e);
		int ok;

		buf_clear(&p->block);
		p->given = 0;
		ok = db ? page_fill(p, db, &e) : -1;
		db_give(p->hub->pool, db);
		if (ok < 0) {
			say("%s", e.text);
			return MHD_CONTENT_READER_END_WITH_ERROR;
		}
	}
	if (p->given == p->block.len)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (max > p->block.len - p->given)
		max = p->block.len - p->given;
	memcpy(out, p->block.data + p->given, max);
	p->given += max;
	return (ssize_t)max;
}

/* Answers with a run of events; takes run->type over. A page that fits into
 * one block, as most do, is sent whole and with its length. */
static void send_page(struct req *r, struct db *db, struct event_run *run)
{
	struct page *p = xcalloc(1, sizeof *p);
	struct err e = { 0 };
	struct MHD_Response *m;

	p->hub = r->hub;
	p->run = *run;
	p->block = (struct buf)BUF_INIT(BLOCK_MAX);
	buf_str(&p->block, "{\"items\":[");
	if (page_fill(p, db, &e) < 0) {
		page_free(p);
		failed(r, &e);
		return;
	}
	if (!web_hold(r, 0)) {
		page_free(p);
		return;
	}
	if (p->over) {
		buf_release(&r->out);
		r->out = p->block;
		p->block.data = NULL;
		r->held += p->held;
		p->held = 0;
		r->status = MHD_HTTP_OK;
		page_free(p);
		return;
	}
	m = MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, 64 << 10, page_read, p, page_free);
	if (m == NULL) {
		page_free(p);
		err_set(&e, EX_IOERR, "out of memory");
		failed(r, &e);
		return;
	}
	MHD_add_response_header(
		m, "Content-Type", "application/json; charset=utf-8");
	MHD_add_response_header(m, "Cache-Control", "no-store");
	answer_response(r, MHD_HTTP_OK, m);
}

void events_list(struct req *r)
{
	struct event_run run = { .topic = r->topic.row, .to = INT64_MAX };
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
	db = reader(r);
	if (db == NULL)
		return;
	run.left = limit;
	run.from = after + 1;
	run.type = type ? xstrdup(type) : NULL;
	if (!has_after)
		ok = event_newest(db, &run, limit, &run.from, &e);
	if (ok < 0) {
		free(run.type);
		failed(r, &e);
	} else {
		if (ok == 0)
			run.left = 0;
		send_page(r, db, &run);
	}
	db_give(r->hub->pool, db);
}

void events_by_sequence(struct req *r)
{
	struct event_run run = { .topic = r->topic.row };
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
	db = reader(r);
	if (db == NULL)
		return;
	run.left = run.to - run.from + 1;
	send_page(r, db, &run);
	db_give(r->hub->pool, db);
}

void events_get(struct req *r)
{
	struct err e = { 0 };
	struct db *db = reader(r);
	int found;

	if (db == NULL)
		return;
	found = event_get(db, r->topic.row, r->part[1], &r->out, &e);
	db_give(r->hub->pool, db);
	if (found < 0)
		failed(r, &e);
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

	streams_note(r->hub->streams, r->topic.row, p->event.seq);
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

void events_publish(struct req *r)
{
	enum { TYPE, PAYLOAD, CORRELATION, REPLY, REF, WANTS };
	struct raw_want w[WANTS] = { [TYPE] = { .name = "type" },
		[PAYLOAD] = { .name = "payload" },
		[CORRELATION] = { .name = "correlation_id" },
		[REPLY] = { .name = "reply_topic" },
		[REF] = { .name = "payload_ref" } };
	struct publish *p;
	struct err e = { 0 };
	size_t n;

	if (raw_object(r->body.data, r->body.len, w, WANTS, &e) < 0) {
		answer_error(r, MHD_HTTP_BAD_REQUEST, "INVALID", "%s", e.text);
		return;
	}
	r->own = p = xcalloc(1, sizeof *p);
	r->own_free = publish_free;
	p->type = (struct buf)BUF_INIT(4 * EVENT_TYPE_MAX);
	if (raw_text(w[TYPE].value, &p->type) < 0 ||
		(n = raw_characters(buf_text(&p->type))) < 1 ||
		n > EVENT_TYPE_MAX) {
		invalid(r, "type has to be a string of 1 to 256 characters");
		return;
	}
	if (w[PAYLOAD].value.at == NULL && raw_is_null(w[REF].value)) {
		invalid(r, "payload is missing");
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
