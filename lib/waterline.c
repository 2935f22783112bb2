#include "waterline.h"

#include "home.h"
#include "json.h"
#include "slice.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LOCK_TRIES = 500 };

#define LOCK_NAME HOME_WATERLINE ".lock"

static int damaged(const struct statedir *home, struct err *e)
{
	return statefile_refuse(home, HOME_WATERLINE,
		"it is damaged; restore it from a backup, or let every topic "
		"start anew with",
		"mv @ @.damaged", e);
}

/* Loads and checks the file. 1: `doc` is its object. 0: there is none. */
static int load(const struct statedir *home, struct buf *text,
	struct slice *doc, struct err *e)
{
	size_t bad;
	int r = statefile_load(home, HOME_WATERLINE, text, e);

	if (r <= 0)
		return r;
	if (slice_document(buf_text(text), text->len, SLICE_UTF8, doc, &bad) <
			0 ||
		slice_kind(*doc) != '{')
		return damaged(home, e);
	return 1;
}

/* The object that maps topics, whoever wrote the file: ours is flat, the
 * plugin's later ones are {"v":2|3,"w":{…}}. */
static struct slice topics_of(struct slice doc)
{
	struct slice inner;

	if (slice_member(doc, "w", &inner) && slice_kind(inner) == '{')
		return inner;
	return doc;
}

/* The position in a topic's value: a number, a text, or the plugin's
 * {"seq","event_id"}. `raw` gets it as it is to be written. */
static int position_of(struct slice value, bool numeric, struct slice *raw)
{
	struct slice id = { 0 }, seq = { 0 };

	if (slice_kind(value) == '{') {
		/* Version 2 has both, version 3 the id. */
		slice_member(value, "event_id", &id);
		slice_member(value, "seq", &seq);
		if (slice_kind(seq) == '0' &&
			(numeric || slice_kind(id) != '"'))
			value = seq;
		else
			value = id;
	}
	if (slice_kind(value) != '"' && slice_kind(value) != '0')
		return -1;
	*raw = value;
	return 0;
}

int waterline_text(struct slice position, bool numeric, struct buf *text)
{
	bool is_text = slice_kind(position) == '"', is_number;

	buf_clear(text);
	if (is_text ? !slice_text(position, text)
		    : buf_add(text, position.p, position.len) < 0)
		return -1;
	is_number =
		text->len && strspn(buf_text(text), "0123456789") == text->len;
	if (numeric ? text->len == 0
		    : !is_text && strcmp(buf_text(text), "0") == 0) {
		buf_set(text, numeric ? "0" : "");
		return 1;
	}
	return (numeric ? is_number : is_text) ? 1 : 2;
}

int waterline_get(const struct statedir *home, const char *topic, bool numeric,
	struct buf *position, struct err *e)
{
	struct buf text = BUF_INIT(WATERLINE_FILE_MAX);
	struct slice doc, value;
	int r = load(home, &text, &doc, e);

	buf_clear(position);
	if (r <= 0)
		goto out;
	r = 0;
	if (!slice_member(topics_of(doc), topic, &value))
		goto out;
	r = position_of(value, numeric, &value);
	if (r == 0)
		r = waterline_text(value, numeric, position);
	if (r < 0)
		r = damaged(home, e);
out:
	buf_release(&text);
	return r;
}

/* The new file: every other topic as it was, this one with `raw`, or without it
 * where that is NULL. */
static int rebuild(const struct statedir *home, const struct slice *doc,
	const char *topic, bool numeric, const char *raw, struct buf *out,
	struct err *e)
{
	struct slice name, value;
	struct slice_walk w;
	const char *between = "{";
	char *quoted;

	if (doc) {
		slice_walk_start(&w, topics_of(*doc), NULL);
		while (slice_walk_next(&w, &name, &value)) {
			if (slice_is(name, topic))
				continue;
			if (position_of(value, numeric, &value) < 0)
				return damaged(home, e);
			buf_str(out, between);
			buf_add(out, name.p, name.len);
			buf_char(out, ':');
			buf_add(out, value.p, value.len);
			between = ",\n";
		}
	}
	if (raw) {
		quoted = json_quote(topic);
		buf_printf(out, "%s%s:%s", between, quoted, raw);
		between = "";
		free(quoted);
	}
	buf_printf(out, "%s}\n", *between == '{' ? "{" : "");
	if (out->full)
		return err_set(e, EX_IOERR,
			"saving %s/%s: it would grow over %d bytes", home->path,
			HOME_WATERLINE, WATERLINE_FILE_MAX);
	return 0;
}

/* A position must be saved even when we were told to end: so no wait of
 * stop.h's here, but a bounded one. */
static int lock(const struct statedir *home, struct lock *l, struct err *e)
{
	static const struct timespec nap = { 0, 10000000 };
	int i, r;

	for (i = 0; i < LOCK_TRIES; i++) {
		r = lock_take(l, home, LOCK_NAME, 0, e);
		if (r)
			return r < 0 ? -1 : 0;
		nanosleep(&nap, NULL);
	}
	return err_set(e, EX_TEMPFAIL,
		"saving %s/%s: another process holds its lock; try again",
		home->path, HOME_WATERLINE);
}

/* Changes one topic's entry under the file's lock. */
static int change(const struct statedir *home, const char *topic, bool numeric,
	const char *raw, struct err *e)
{
	struct buf text = BUF_INIT(WATERLINE_FILE_MAX);
	struct buf fresh = BUF_INIT(WATERLINE_FILE_MAX);
	struct lock l = LOCK_NONE;
	struct slice doc;
	int found, r = -1;

	if (lock(home, &l, e) < 0)
		goto out;
	found = load(home, &text, &doc, e);
	if (found < 0 || rebuild(home, found ? &doc : NULL, topic, numeric, raw,
				 &fresh, e) < 0)
		goto out;
	r = statefile_replace(home, HOME_WATERLINE, fresh.data, fresh.len, e);
out:
	lock_release(&l);
	buf_release(&text);
	buf_release(&fresh);
	return r;
}

int waterline_set(const struct statedir *home, const char *topic, bool numeric,
	const char *position, struct err *e)
{
	char *raw = numeric ? xstrdup(position) : json_quote(position);
	int r = change(home, topic, numeric, raw, e);

	free(raw);
	return r;
}

int waterline_forget(const struct statedir *home, const char *topic,
	bool numeric, struct err *e)
{
	return change(home, topic, numeric, NULL, e);
}

/* -1 with no error made: an entry is not a position. */
static int walk(struct slice doc, bool numeric, waterline_fn *each, void *ctx,
	bool *damage, struct err *e)
{
	struct slice name, value;
	struct slice_walk w;

	*damage = false;
	slice_walk_start(&w, topics_of(doc), NULL);
	while (slice_walk_next(&w, &name, &value)) {
		if (position_of(value, numeric, &value) < 0) {
			*damage = true;
			return -1;
		}
		if (each(ctx, name, value, e) < 0)
			return -1;
	}
	return 0;
}

int waterline_each(const struct statedir *home, bool numeric,
	waterline_fn *each, void *ctx, struct err *e)
{
	struct buf text = BUF_INIT(WATERLINE_FILE_MAX);
	struct slice doc;
	bool damage = false;
	int r = load(home, &text, &doc, e);

	if (r > 0)
		r = walk(doc, numeric, each, ctx, &damage, e);
	if (damage)
		r = damaged(home, e);
	buf_release(&text);
	return r;
}

int waterline_parse(const char *text, size_t len, bool numeric,
	waterline_fn *each, void *ctx, struct err *e)
{
	size_t bad, line, column;
	struct slice doc;
	bool damage;
	int r;

	if (slice_document(text, len, SLICE_UTF8, &doc, &bad) < 0) {
		slice_line_column(text, bad, &line, &column);
		return err_set(e, EX_DATAERR,
			"reading positions: no JSON at line %zu, column %zu",
			line, column);
	}
	if (slice_kind(doc) != '{')
		return err_set(e, EX_DATAERR,
			"reading positions: it is no JSON object");
	r = walk(doc, numeric, each, ctx, &damage, e);
	if (damage)
		return err_set(e, EX_DATAERR,
			"reading positions: an entry is neither a number nor "
			"a text");
	return r;
}

int waterline_lock(const struct statedir *home, const char *topic, long wait_ms,
	struct lock *l, struct err *e)
{
	char *name = xasprintf("topic-%s.lock", topic);
	int r = lock_take(l, home, name, wait_ms, e);

	free(name);
	return r;
}
