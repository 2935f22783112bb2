#include "queue.h"

#include "backoff.h"
#include "dead.h"
#include "event.h"
#include "waterline.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	RECORD_MAX = 100, /* settled items that make a commit worth while */
	RECORD_AFTER_MS = 100, /* or the time that one has waited for it */
	SAVE_AFTER_MS = 1000,
	/* What is settled beyond the saved position must stay within the
	 * ledger's window, or a kill would bring it back. */
	SAVE_AFTER_EVENTS = LEDGER_WINDOW / 4,
	RETRY_BASE_MS = 1000, /* 1 s, 4 s, 16 s … between attempts */
	RETRY_CAP_MS = 3600000,
};

static void item_free(struct item *it)
{
	free(it->id);
	free(it->type);
	free(it->position);
	free(it->key);
	free(it->line);
	free(it);
}

static void move_to(struct buf *b, const char *position)
{
	buf_clear(b);
	buf_str(b, position);
}

struct queue *queue_open(const struct queue_rules *rules, const char *topic,
	bool *busy, struct err *e)
{
	struct queue *q = xcalloc(1, sizeof *q);
	int r = 1;

	q->rules = rules;
	q->topic = xstrdup(topic);
	q->lock = (struct lock)LOCK_NONE;
	q->saved = (struct buf)BUF_INIT(EVENT_POSITION_MAX);
	q->reached = (struct buf)BUF_INIT(EVENT_POSITION_MAX);
	q->read_to = (struct buf)BUF_INIT(EVENT_POSITION_MAX);
	if (rules->ledger)
		r = waterline_lock(
			rules->home, topic, rules->lock_wait_ms, &q->lock, e);
	*busy = r == 0;
	if (*busy)
		r = err_set(e, EX_TEMPFAIL,
			"draining %s: another drain of this topic is at work; "
			"wait for it with --lock-wait, or let it be",
			topic);
	if (r > 0)
		r = waterline_get(rules->home, topic, &q->saved, e);
	if (r < 0) {
		queue_close(q);
		return NULL;
	}
	q->known = r > 0;
	move_to(&q->read_to, buf_text(&q->saved));
	move_to(&q->reached, buf_text(&q->saved));
	q->saved_ms = backoff_clock_ms();
	return q;
}

void queue_close(struct queue *q)
{
	struct item *it;

	if (q == NULL)
		return;
	while ((it = q->head)) {
		q->head = it->next;
		item_free(it);
	}
	lock_release(&q->lock);
	buf_release(&q->saved);
	buf_release(&q->reached);
	buf_release(&q->read_to);
	free(q->topic);
	free(q);
}

static int save(struct queue *q, const char *position, struct err *e)
{
	if (q->rules->ledger &&
		waterline_set(q->rules->home, q->topic, position,
			q->rules->dialect->numeric, e) < 0)
		return -1;
	move_to(&q->saved, position);
	q->saved_ms = backoff_clock_ms();
	q->popped = 0;
	return 0;
}

int queue_start(struct queue *q, const char *position, struct err *e)
{
	q->known = true;
	move_to(&q->read_to, position);
	move_to(&q->reached, position);
	return save(q, position, e);
}

bool queue_has_room(const struct queue *q)
{
	return q->n < QUEUE_ITEMS && q->bytes < QUEUE_BYTES / 2;
}

/* --- adding a page --- */

static char *text_of(struct slice s, size_t max)
{
	struct buf b = BUF_INIT(max);

	if (!slice_text(s, &b) || b.len == 0) {
		buf_release(&b);
		return NULL;
	}
	return buf_detach(&b);
}

/* A position as text, digits or a cursor; NULL if there is none that is fit. */
static char *position_of(const struct queue *q, const struct event *ev)
{
	int64_t v;

	if (!q->rules->dialect->numeric)
		return text_of(ev->position, EVENT_POSITION_MAX);
	if (ev->position.p == NULL || !slice_int(ev->position, &v) || v < 0)
		return NULL;
	return xasprintf("%" PRId64, v);
}

/* Positions only move forward. true: this one lies beyond where we are. */
static bool is_ahead(const struct queue *q, const char *position)
{
	if (!q->rules->dialect->numeric)
		return strcmp(position, buf_text(&q->read_to)) != 0;
	return strtoll(position, NULL, 10) >
	       strtoll(buf_text(&q->read_to), NULL, 10);
}

static void tell_gap(const struct queue *q, const char *position)
{
	long long from = strtoll(buf_text(&q->read_to), NULL, 10);
	long long to = strtoll(position, NULL, 10);

	if (!q->rules->dialect->numeric || q->rules->gaps_are_normal ||
		from <= 0 || to <= from + 1)
		return;
	say("reading %s: the events %lld to %lld are gone: lost to retention",
		q->topic, from + 1, to - 1);
}

static bool is_queued(const struct queue *q, const char *id)
{
	const struct item *it;

	for (it = q->head; it; it = it->next)
		if (strcmp(it->id, id) == 0)
			return true;
	return false;
}

static void append(struct queue *q, struct item *it)
{
	it->queue = q;
	if (q->tail)
		q->tail->next = it;
	else
		q->head = it;
	q->tail = it;
	q->n++;
	q->bytes += it->len;
}

/* The value of the --key field, as it stands there: equal bytes are one
 * conversation, and so are all events without it. */
static char *key_of(const struct queue *q, const struct event *ev)
{
	struct slice v;

	if (q->rules->key == NULL)
		return NULL;
	if (ev->payload.p == NULL ||
		!slice_member(ev->payload, q->rules->key, &v))
		return xstrdup("");
	return xstrndup(v.p, v.len);
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
	if (slice_utf8(ev->raw.p, ev->raw.len) != ev->raw.len)
		return "is not valid UTF-8";
	return NULL;
}

/* Adds what is to be delivered, or at least its position. */
static int add(struct queue *q, const struct event *ev, struct err *e)
{
	struct item *it = xcalloc(1, sizeof *it);
	struct buf line = BUF_INIT(QUEUE_BYTES * 2UL);
	const char *why;
	int seen = 0;

	it->position = position_of(q, ev);
	it->id = text_of(ev->id, EVENT_ID_MAX * 8);
	why = defect(ev, it->id);
	if (why) {
		it->state = ITEM_SETTLED;
		it->recorded = true;
		if (bury(q, ev, it->id, why, e) < 0)
			goto fail;
		if (it->id == NULL)
			it->id = xstrdup("");
	} else if (q->rules->ledger) {
		seen = ledger_seen(q->rules->ledger, q->topic, it->id, e);
		if (seen < 0)
			goto fail;
		it->attempts =
			ledger_attempts(q->rules->ledger, q->topic, it->id, e);
		if (it->attempts < 0)
			goto fail;
	}
	if (seen || is_own(q, ev)) {
		it->state = ITEM_SETTLED;
		it->recorded = true;
	}
	if (it->state == ITEM_WAITING) {
		event_line(ev, q->topic, &line);
		it->len = line.len;
		it->line = buf_detach(&line);
		it->type = text_of(ev->type, 4096);
		if (it->type == NULL)
			it->type = xstrdup("");
		it->key = key_of(q, ev);
	}
	append(q, it);
	return 0;
fail:
	item_free(it);
	return -1;
}

/* 1: added. 0: it stood there already. */
static int add_new(struct queue *q, const struct event *ev, struct err *e)
{
	char *position = position_of(q, ev);
	char *id = text_of(ev->id, EVENT_ID_MAX * 8);
	bool old = (id && is_queued(q, id)) ||
		   (position && q->rules->dialect->numeric &&
			   !is_ahead(q, position));
	bool ahead = position && is_ahead(q, position);
	int r = 0;

	if (!old) {
		if (position)
			tell_gap(q, position);
		/* Without a way on, the same page would come again. */
		r = add(q, ev, e) < 0 ? -1 : ahead;
	}
	if (ahead)
		move_to(&q->read_to, position);
	free(position);
	free(id);
	return r;
}

int queue_add(struct queue *q, const struct api_page *page, struct err *e)
{
	int news = 0, r = 0;
	size_t i;

	if (q->rules->ledger && ledger_look_begin(q->rules->ledger, e) < 0)
		return -1;
	for (i = 0; i < page->n && r >= 0; i++) {
		r = add_new(q, &page->events[i], e);
		news |= r > 0;
	}
	if (q->rules->ledger)
		ledger_look_end(q->rules->ledger);
	return r < 0 ? -1 : news;
}

/* --- running --- */

/* The first of an item's conversation that is not settled: only that one may
 * run. */
static const struct item *first_of_key(
	const struct queue *q, const struct item *it)
{
	const struct item *p;

	if (it->key == NULL)
		return it;
	for (p = q->head; p != it; p = p->next)
		if (p->state != ITEM_SETTLED && p->key &&
			strcmp(p->key, it->key) == 0)
			return p;
	return it;
}

struct item *queue_next(struct queue *q, int64_t now, bool begun)
{
	struct item *it;

	for (it = q->head; it; it = it->next)
		if (it->state == ITEM_WAITING && it->due_ms <= now &&
			(it->counted || !begun) && first_of_key(q, it) == it)
			return it;
	return NULL;
}

int64_t queue_due(const struct queue *q, int64_t now)
{
	const struct item *it;
	int64_t due = -1;

	for (it = q->head; it; it = it->next)
		if (it->state == ITEM_WAITING && it->due_ms > now &&
			(due < 0 || it->due_ms < due))
			due = it->due_ms;
	return due;
}

bool queue_is_active(const struct queue *q, bool begun)
{
	const struct item *it;

	for (it = q->head; it; it = it->next) {
		if (begun && !it->counted)
			continue;
		if (it->state == ITEM_RUNNING ||
			(it->state == ITEM_WAITING &&
				first_of_key(q, it)->state != ITEM_DEFERRED))
			return true;
	}
	return false;
}

void queue_settle(struct item *it)
{
	struct queue *q = it->queue;

	it->state = ITEM_SETTLED;
	q->bytes -= it->len;
	it->len = 0;
	free(it->line);
	it->line = NULL;
	if (q->unrecorded++ == 0)
		q->unrecorded_ms = backoff_clock_ms();
}

int queue_failed(struct item *it, struct err *e)
{
	struct queue *q = it->queue;
	struct ledger_mark mark = { it->id, LEDGER_FAILED };
	int64_t wait = RETRY_BASE_MS;
	int i;

	for (i = 0; i < it->attempts && wait < RETRY_CAP_MS; i++)
		wait *= 4;
	it->attempts++;
	it->due_ms = backoff_clock_ms() + wait;
	it->state = ITEM_WAITING;
	return ledger_record(q->rules->ledger, q->topic, &mark, 1, e);
}

void queue_defer(struct item *it, long ms)
{
	it->state = ITEM_DEFERRED;
	it->due_ms = backoff_clock_ms() + ms;
}

void queue_wake(struct queue *q)
{
	struct item *it;

	for (it = q->head; it; it = it->next)
		if (it->state == ITEM_DEFERRED)
			it->state = ITEM_WAITING;
}

/* --- recording --- */

static int record(struct queue *q, struct err *e)
{
	struct ledger_mark *marks = xcalloc(q->unrecorded, sizeof *marks);
	struct item *it;
	size_t n = 0;
	int r = 0;

	for (it = q->head; it && n < q->unrecorded; it = it->next)
		if (it->state == ITEM_SETTLED && !it->recorded)
			marks[n++] =
				(struct ledger_mark){ it->id, LEDGER_DONE };
	if (q->rules->ledger)
		r = ledger_record(q->rules->ledger, q->topic, marks, n, e);
	for (it = q->head; it && r == 0; it = it->next)
		it->recorded |= it->state == ITEM_SETTLED;
	if (r == 0)
		q->unrecorded = 0;
	free(marks);
	return r;
}

/* Takes the settled ones off the front; returns the position behind them, the
 * caller's to free, or NULL if it has not moved. */
static char *pop(struct queue *q)
{
	char *position = NULL;
	struct item *it;

	while ((it = q->head) && it->state == ITEM_SETTLED) {
		if (it->position) {
			free(position);
			position = it->position;
			it->position = NULL;
		}
		q->head = it->next;
		if (q->head == NULL)
			q->tail = NULL;
		q->n--;
		q->popped++;
		item_free(it);
	}
	return position;
}

bool queue_is_unsaved(const struct queue *q)
{
	return q->unrecorded ||
	       strcmp(buf_text(&q->reached), buf_text(&q->saved)) != 0;
}

int queue_commit(struct queue *q, enum queue_when when, struct err *e)
{
	int64_t clock = backoff_clock_ms();
	char *position;

	if (q->unrecorded &&
		(when != QUEUE_WHEN_DUE || q->unrecorded >= RECORD_MAX ||
			clock - q->unrecorded_ms >= RECORD_AFTER_MS) &&
		record(q, e) < 0)
		return -1;
	/* Only what is recorded may be forgotten here. */
	if (q->unrecorded == 0) {
		position = pop(q);
		if (position)
			move_to(&q->reached, position);
		free(position);
	}
	if (!queue_is_unsaved(q) || q->unrecorded ||
		(when != QUEUE_ALL_NOW && (q->head || q->dirty) &&
			q->popped < SAVE_AFTER_EVENTS &&
			clock - q->saved_ms < SAVE_AFTER_MS))
		return 0;
	return save(q, buf_text(&q->reached), e);
}
