/* What comes into a queue: the events of a page, and letters of dead/. */
#include "queue.h"

#include "dead.h"
#include "event.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A position that is fit to be one, or none. */
static struct slice position_of(const struct queue *q, const struct event *ev)
{
	int64_t v;

	if (q->rules->dialect->numeric ? slice_int(ev->position, &v) && v >= 0
				       : slice_kind(ev->position) == '"')
		return ev->position;
	return (struct slice){ NULL, 0 };
}

/* Events are missing before the next one. false: so nothing more is read. */
static bool pass_gap(struct queue *q, const char *what)
{
	say("reading %s: %s are gone: lost to retention%s", q->topic, what,
		q->rules->stop_at_gap
			? "; stopping before them: --on-gap oldest goes on"
			: "");
	q->at_gap = q->rules->stop_at_gap;
	return !q->at_gap;
}

/* Positions only move forward, to this number; false: it is not beyond where we
 * are, or a jump that is not to be passed lies before it. */
static bool go_on_to(struct queue *q, int64_t number)
{
	int64_t from = q->read_number;
	char what[80];

	if (number <= from)
		return false;
	if (from > 0 && number > from + 1 && !q->rules->gaps_are_normal) {
		snprintf(what, sizeof what,
			"the events %" PRId64 " to %" PRId64, from + 1,
			number - 1);
		if (!pass_gap(q, what))
			return false;
	}
	q->read_number = number;
	return true;
}

static void append(struct queue *q, struct item *it)
{
	it->queue = q;
	if (q->tail)
		q->tail->next = it;
	else
		q->head = it;
	q->tail = it;
	if (q->first == NULL)
		q->first = it;
	q->n++;
	q->bytes += it->len;
}

/* A field of the payload as it stands there: equal bytes are the same. Without
 * a payload, or the field in it, there is none. */
static struct slice field_of(const struct event *ev, const char *field)
{
	struct slice v = { NULL, 0 };

	if (ev->payload.p)
		slice_member(ev->payload, field, &v);
	return slice_kind(v) == 'n' ? (struct slice){ NULL, 0 } : v;
}

/* Events without the key are one conversation, too; those without the value to
 * be done once have nothing in common. */
static void link_up(struct queue *q, struct item *it, const struct event *ev)
{
	struct slice v;

	if (q->rules->key) {
		v = field_of(ev, q->rules->key);
		window_sum(v.p ? v.p : "", v.len, &it->same_key.sum);
		chain_add(&q->keys, &it->same_key);
	}
	if (q->rules->dedup && (v = field_of(ev, q->rules->dedup)).p) {
		window_sum(v.p, v.len, &it->same_value.sum);
		chain_add(&q->values, &it->same_value);
	}
}

static bool is_own(const struct queue *q, const struct event *ev)
{
	return q->rules->not_by && ev->producer.p &&
	       slice_is(ev->producer, q->rules->not_by);
}

/* An event that cannot be delivered ends in dead/. */
static int bury(const struct queue *q, const struct event *ev, const char *id,
	const char *why, struct err *e)
{
	say("reading %s: an event %s: kept in dead/%s", q->topic, why,
		q->topic);
	if (q->rules->ledger == NULL)
		return 0;
	return dead_write(q->rules->home,
		&(struct dead_letter){ .topic = q->topic,
			.event_id = id,
			.event = ev->raw,
			.status = why },
		e);
}

/* What is wrong with it, or NULL. */
static const char *defect(const struct event *ev, const char *id)
{
	if (id == NULL)
		return "has no event_id";
	if (strpbrk(id, "\n\r"))
		return "has an event_id of several lines";
	if (!ev->utf8)
		return "is not valid UTF-8";
	return NULL;
}

/* Fills what is to be delivered. */
static int prepare(
	struct queue *q, struct item *it, const struct event *ev, struct err *e)
{
	if (q->tried) {
		it->attempts =
			ledger_attempts(q->rules->ledger, q->topic, it->id, e);
		if (it->attempts < 0)
			return -1;
	}
	item_make_line(it, ev, q->topic);
	link_up(q, it, ev);
	return 0;
}

/* Adds what is to be delivered, or at least its position. `old`: it was seen
 * before. */
static int add(struct queue *q, struct item *it, const struct event *ev,
	bool old, struct err *e)
{
	const char *why = old ? NULL : defect(ev, it->id);
	int r = 0;

	if (why)
		r = bury(q, ev, it->id, why, e);
	if (why || old || is_own(q, ev)) {
		it->state = ITEM_SETTLED;
		it->recorded = true;
	} else {
		r = prepare(q, it, ev, e);
	}
	if (r == 0)
		append(q, it);
	return r;
}

/* An event that was seen may still be of use for its position, if that is a
 * number; else the page's end is what counts. */
static int add_new(struct queue *q, const struct event *ev, struct err *e)
{
	struct slice position = position_of(q, ev);
	bool numbered = q->rules->dialect->numeric && position.p;
	struct item *it;
	int64_t number;
	bool old;
	int r = 0;

	if (numbered && slice_int(position, &number) && !go_on_to(q, number))
		return 0;
	it = item_new(q->adding, ev, position);
	old = it->id && !window_add(&q->ids_seen, &it->sum);
	q->repeated = old ? q->repeated + 1 : 0;
	if (!old || numbered)
		r = add(q, it, ev, old, e);
	if (r < 0 || (old && !numbered))
		item_free(it);
	return r;
}

/* The end of a page is where its next one starts; it is reached when all that
 * stands here now is settled. */
static int end_page(struct queue *q, const struct api_page *page)
{
	const char *next = page->next;

	if (next == NULL && page->lost)
		next = q->rules->dialect->oldest;
	if (next == NULL || strcmp(next, buf_text(&q->read_to)) == 0)
		return page->has_more ? QUEUE_STUCK : QUEUE_END;
	queue_read_on(q, next);
	if (q->tail) {
		free(q->tail->page_end);
		q->tail->page_end = xstrdup(next);
	} else {
		buf_set(&q->reached, next);
	}
	if (!page->has_more)
		return QUEUE_END;
	/* Pages that go in a circle. */
	if (page->n == 0)
		q->repeated++;
	return q->repeated > 2 * LEDGER_WINDOW ? QUEUE_STUCK : QUEUE_MORE;
}

/* What the ledger knows of this topic. */
static int load(struct queue *q, struct err *e)
{
	struct ledger *l = q->rules->ledger;
	int tried;

	if (q->loaded || l == NULL)
		return 0;
	tried = ledger_tried(l, q->topic, e);
	if (tried < 0 || ledger_load(l, q->topic, NULL, &q->ids_seen, e) < 0 ||
		(q->rules->dedup && ledger_load(l, q->topic, q->rules->dedup,
					    &q->values_done, e) < 0))
		return -1;
	q->tried = tried > 0;
	q->loaded = true;
	return 0;
}

int queue_add(struct queue *q, struct api_page *page, struct err *e)
{
	int64_t from = q->read_number;
	struct item *last = q->tail;
	int r = page->n ? load(q, e) : 0;
	size_t i;

	if (q->rules->in_order)
		q->adding = item_page_new(
			&page->text, page->events, page->n, q->topic);
	if (page->lost)
		pass_gap(q,
			"the events behind the position, which has aged out,");
	for (i = 0; i < page->n && r == 0 && !q->at_gap; i++)
		r = add_new(q, &page->events[i], e);
	if (q->adding)
		item_page_made(q->adding, last ? last->next : q->head);
	q->adding = NULL;
	if (q->read_number != from) {
		buf_clear(&q->read_to);
		buf_printf(&q->read_to, "%" PRId64, q->read_number);
	}
	if (r == 0 && q->at_gap)
		r = QUEUE_END;
	else if (r == 0 && !q->rules->dialect->numeric)
		r = end_page(q, page);
	else if (r == 0 && q->read_number != from)
		r = QUEUE_MORE;
	else if (r == 0)
		/* Without a way on, the same page would come again. */
		r = page->n ? QUEUE_STUCK : QUEUE_END;
	return r;
}

/* --- letters --- */

/* The names of either dialect, whichever the event has. */
static void read_letter(
	const struct queue *q, struct slice raw, struct event *ev)
{
	event_read(raw, NULL, &q->rules->dialect->names, ev);
	if (ev->type.p == NULL)
		event_read(raw, NULL, &dialect_oauth.names, ev);
	if (ev->type.p == NULL)
		event_read(raw, NULL, &dialect_classic.names, ev);
}

/* One without an id goes by the name of its file. */
static int add_letter(struct queue *q, const char *name, struct err *e)
{
	struct buf text = BUF_INIT(DEAD_LETTER_MAX);
	char *quoted = xasprintf(
		"\"%.*s\"", (int)(strlen(name) - strlen(".json")), name);
	struct dead_letter letter = { 0 };
	struct item *it = NULL;
	struct event ev;
	int r = dead_read(q->rules->home, q->topic, name, &text, &letter, e);

	if (r <= 0)
		goto out;
	read_letter(q, letter.event, &ev);
	if (q->rules->type && !slice_is(ev.type, q->rules->type))
		goto out;
	it = item_new(NULL, &ev, ev.position);
	if (it->id == NULL) {
		item_free(it);
		ev.id = (struct slice){ quoted, strlen(quoted) };
		it = item_new(NULL, &ev, ev.position);
	}
	it->letter = xstrdup(name);
	prepare(q, it, &ev, e);
	it->attempts = letter.attempts;
	append(q, it);
out:
	if (r == 0)
		q->stayed++;
	free(quoted);
	buf_release(&text);
	return r < 0 ? -1 : 0;
}

int queue_add_letters(struct queue *q, struct err *e)
{
	while (q->letters.at < q->letters.n && queue_has_room(q))
		if (add_letter(q, q->letters.names[q->letters.at++], e) < 0)
			return -1;
	q->dirty = q->letters.at < q->letters.n;
	return 0;
}
