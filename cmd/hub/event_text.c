/* How the dialects write an event; the columns are those of events.c. */
#include "events.h"

#include "text.h"

#include <string.h>

/* ,"name":<the JSON of a column> */
static void add_json(struct buf *b, const char *name, struct query *q, int col)
{
	size_t n;
	const char *p = db_blob(q, col, &n);

	buf_printf(b, ",\"%s\":", name);
	if (p)
		buf_add(b, p, n);
	else
		buf_str(b, "null");
}

void event_write_classic(
	struct buf *b, struct query *q, const struct event_run *run)
{
	char when[TIME_TEXT], uuid[SIGN_UUID] = "";
	size_t n;
	const unsigned char *id = db_blob(q, 1, &n);
	const void *payload = db_blob(q, 8, &n);

	if (id)
		sign_uuid_text(id, uuid);
	(void)run;
	time_text(db_int(q, 2), true, when);
	buf_printf(b,
		"{\"event_id\":\"%s\",\"sequence_no\":%lld,"
		"\"timestamp\":\"%s\",\"type\":",
		uuid, (long long)db_int(q, 0), when);
	json_text(b, db_text(q, 3));
	buf_printf(b, ",\"payload_mode\":\"%s\"", payload ? "inline" : "ref");
	add_json(b, "payload", q, 8);
	add_json(b, "payload_ref", q, 7);
	buf_str(b, ",\"producer_script\":");
	json_text(b, db_text(q, 4));
	add_json(b, "correlation_id", q, 5);
	add_json(b, "reply_topic", q, 6);
	buf_char(b, '}');
}

/* An object is "obj_<uuid>" to one dialect and "pob_<uuid>" to the other. */
static void add_object_id(struct buf *b, struct query *q)
{
	static const char ours[] = "\"obj_";
	size_t n;
	const char *p = db_blob(q, 7, &n);

	buf_str(b, ",\"payload_object_id\":");
	if (p && n > sizeof ours && memcmp(p, ours, sizeof ours - 1) == 0) {
		buf_str(b, "\"pob_");
		buf_add(b, p + sizeof ours - 1, n - (sizeof ours - 1));
	} else if (p) {
		buf_add(b, p, n);
	} else {
		buf_str(b, "null");
	}
}

/* What classic has fields for travels in the metadata here. */
static void add_metadata(struct buf *b, struct query *q)
{
	size_t n, m;
	const char *own = db_blob(q, 9, &n), *p;

	buf_str(b, ",\"metadata\":");
	if (own) {
		buf_add(b, own, n);
		return;
	}
	buf_char(b, '{');
	p = db_blob(q, 5, &n);
	if (p) {
		buf_str(b, "\"correlation_id\":");
		buf_add(b, p, n);
	}
	own = db_blob(q, 6, &m);
	if (own) {
		buf_printf(b, "%s\"reply_topic\":", p ? "," : "");
		buf_add(b, own, m);
	}
	buf_char(b, '}');
}

void event_write_oauth(
	struct buf *b, struct query *q, const struct event_run *run)
{
	char when[TIME_TEXT], uuid[SIGN_UUID] = "", cursor[CURSOR_TEXT];
	struct cursor c = { run->where->row, db_int(q, 0), false };
	size_t n;
	const unsigned char *id = db_blob(q, 1, &n);

	if (id)
		sign_uuid_text(id, uuid);
	cursor_make(run->key, &c, cursor);
	time_text(db_int(q, 2), true, when);
	buf_printf(b,
		"{\"event_id\":\"evt_%s\",\"topic_id\":\"top_%s\","
		"\"event_type\":",
		uuid, run->where->id);
	json_text(b, db_text(q, 3));
	buf_printf(b, ",\"stored_at\":\"%.*s+00:00\",\"cursor\":\"%s\"",
		(int)strlen(when) - 1, when, cursor);
	add_json(b, "payload", q, 8);
	add_object_id(b, q);
	add_metadata(b, q);
	buf_str(b, ",\"producer_script\":");
	json_text(b, db_text(q, 4));
	buf_char(b, '}');
}
