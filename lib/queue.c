#include "queue.h"

#include "backoff.h"
#include "dead.h"
#include "event.h"
#include "position.h"
#include "waterline.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	RECORD_MAX = 100, /* settled items that make a commit worth while */
	RECORD_AFTER_MS = 100, /* or the time that one has waited for it */
	SAVE_AFTER_MS = 1000,
	/* What is settled beyond the saved position must stay within the
	 * ledger's window, or a kill would bring it back. */
	SAVE_AFTER_EVENTS = LEDGER_WINDOW - 2 * QUEUE_ITEMS,
	RETRY_BASE_MS = 1000, /* 1 s, 4 s, 16 s … between attempts */
	RETRY_CAP_MS = 3600000,
	TYPE_MAX = 4096,
};

static void item_free(struct item *it)
{
	free(it->page_end);
	free(it->line);
	free(it->letter);
	free(it);
}

static void move_to(struct buf *b, const char *position)
{
	buf_clear(b);
	buf_str(b, position);
}

/* The next page starts behind `position`. */
static void read_on(struct queue *q, const char *position)
{
	move_to(&q->read_to, position);
	if (q->rules->dialect->numeric)
		q->read_number = strtoll(position, NULL, 10);
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
	q->foreign = (struct buf)BUF_INIT(EVENT_POSITION_MAX);
	q->ids_seen = q->values_done = (struct window)WINDOW(LEDGER_WINDOW);
	if (rules->ledger || rules->dead)
		r = waterline_lock(
			rules->home, topic, rules->lock_wait_ms, &q->lock, e);
	*busy = r == 0;
	if (*busy)
		r = err_set(e, EX_TEMPFAIL,
			"draining %s: another drain of this topic is at work; "
			"wait for it with --lock-wait, or let it be",
			topic);
	if (r > 0)
		r = rules->dead ? dead_list(rules->home, topic, &q->letters, e)
				: position_get(rules->home, rules->dialect,
					  topic, &q->saved, e);
	if (r < 0) {
		queue_close(q);
		return NULL;
	}
	q->known = r == 1;
	if (r == 2) {
		move_to(&q->foreign, buf_text(&q->saved));
		buf_clear(&q->saved);
	}
	read_on(q, buf_text(&q->saved));
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
	window_release(&q->ids_seen);
	window_release(&q->values_done);
	dead_list_release(&q->letters);
	lock_release(&q->lock);
	buf_release(&q->saved);
	buf_release(&q->reached);
	buf_release(&q->read_to);
	buf_release(&q->foreign);
	free(q->topic);
	free(q);
}

static int save(struct queue *q, const char *position, struct err *e)
{
	if (q->rules->ledger && position_set(q->rules->home, q->rules->dialect,
					q->topic, position, e) < 0)
		return -1;
	move_to(&q->saved, position);
	q->saved_ms = backoff_clock_ms();
	q->popped = 0;
	return 0;
}

int queue_start(struct queue *q, const char *position, struct err *e)
{
	q->known = true;
	read_on(q, position);
	move_to(&q->reached, position);
	return save(q, position, e);
}

bool queue_has_room(const struct queue *q)
{
	return q->n < QUEUE_ITEMS && q->bytes < QUEUE_BYTES / 2;
}

/* --- adding a page --- */

/* A string, unescaped; NULL if it is none, or empty, or longer than `max`. `*at`,
 * where there is room for it, moves on. */
static char *put_text(char **at, struct slice s, size_t max)
{
	struct buf b = { .data = *at, .cap = s.len + 1, .max = max };
	char *text = *at;

	if (!slice_text(s, &b) || b.len == 0)
		return NULL;
	*at += b.len + 1;
	return text;
}

/* With the texts of the event; each of them is no longer than it stands there. */
static struct item *item_new(const struct event *ev, struct slice position)
{
	struct item *it = xcalloc(
		1, sizeof *it + ev->id.len + ev->type.len + position.len + 3);
	char *at = it->texts;

	it->id = put_text(&at, ev->id, EVENT_ID_MAX * 8);
	it->type = put_text(&at, ev->type, TYPE_MAX);
	if (slice_kind(position) == '0')
		it->position = memcpy(at, position.p, position.len);
	else
		it->position = put_text(&at, position, EVENT_POSITION_MAX);
	if (it->id)
		window_sum(it->id, strlen(it->id), &it->sum);
	return it;
}

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
	struct buf line = BUF_INIT(QUEUE_BYTES * 2UL);

	if (q->tried) {
		it->attempts =
			ledger_attempts(q->rules->ledger, q->topic, it->id, e);
		if (it->attempts < 0)
			return -1;
	}
	event_line(ev, q->topic, &line);
	it->len = line.len;
	it->line = buf_detach(&line);
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
	it = item_new(ev, position);
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
	read_on(q, next);
	if (q->tail) {
		free(q->tail->page_end);
		q->tail->page_end = xstrdup(next);
	} else {
		move_to(&q->reached, next);
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

int queue_add(struct queue *q, const struct api_page *page, struct err *e)
{
	int64_t from = q->read_number;
	int r = page->n ? load(q, e) : 0;
	size_t i;

	if (page->lost)
		pass_gap(q,
			"the events behind the position, which has aged out,");
	for (i = 0; i < page->n && r == 0 && !q->at_gap; i++)
		r = add_new(q, &page->events[i], e);
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
	it = item_new(&ev, ev.position);
	if (it->id == NULL) {
		item_free(it);
		ev.id = (struct slice){ quoted, strlen(quoted) };
		it = item_new(&ev, ev.position);
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

/* --- running --- */

/* Of one conversation, and of those with one value, only the first may run. */
static bool is_first(const struct item *it)
{
	return chain_is_first(&it->same_key) && chain_is_first(&it->same_value);
}

/* Was the same value done before? */
static bool is_repeated(const struct queue *q, const struct item *it)
{
	return it->same_value.linked &&
	       window_has(&q->values_done, &it->same_value.sum);
}

struct item *queue_next(struct queue *q, int64_t now, bool begun)
{
	struct item *it;

	while (q->first && q->first->state != ITEM_WAITING)
		q->first = q->first->next;
	for (it = q->first; it; it = it->next) {
		if (it->state != ITEM_WAITING || it->due_ms > now ||
			(begun && !it->counted) || !is_first(it))
			continue;
		if (!is_repeated(q, it))
			return it;
		say_detail(1, "%s of %s: one with the same %s was done before",
			it->id, q->topic, q->rules->dedup);
		queue_settle(it, false);
	}
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

bool queue_has_waiting(const struct queue *q, bool begun)
{
	const struct item *it;

	for (it = q->first; it; it = it->next)
		if (it->state == ITEM_WAITING && (it->counted || !begun) &&
			is_first(it))
			return true;
	return false;
}

bool queue_is_active(const struct queue *q, bool begun)
{
	const struct item *it;

	for (it = q->head; it; it = it->next)
		if (it->state == ITEM_RUNNING && (it->counted || !begun))
			return true;
	return queue_has_waiting(q, begun);
}

void queue_settle(struct item *it, bool done)
{
	struct queue *q = it->queue;

	it->done = done;
	q->stayed += it->letter && !done;
	if (done && it->same_value.linked) {
		it->value_new = true;
		window_add(&q->values_done, &it->same_value.sum);
	}
	chain_remove(&q->keys, &it->same_key);
	chain_remove(&q->values, &it->same_value);
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
	struct ledger_mark mark = { .outcome = LEDGER_FAILED,
		.event_id = it->id };
	int64_t wait = RETRY_BASE_MS;
	int i;

	for (i = 0; i < it->attempts && wait < RETRY_CAP_MS; i++)
		wait *= 4;
	it->attempts++;
	it->due_ms = backoff_clock_ms() + wait;
	it->state = ITEM_WAITING;
	q->first = q->head;
	q->tried = true;
	if (q->rules->ledger == NULL)
		return 0;
	return ledger_record(
		q->rules->ledger, q->topic, NULL, &mark, 1, true, e);
}

void queue_defer(struct item *it, long ms)
{
	it->state = ITEM_DEFERRED;
	it->due_ms = backoff_clock_ms() + ms;
}

void queue_return(struct item *it)
{
	it->state = ITEM_WAITING;
	it->queue->first = it->queue->head;
}

void queue_wake(struct queue *q)
{
	struct item *it;

	for (it = q->head; it; it = it->next)
		if (it->state == ITEM_DEFERRED)
			it->state = ITEM_WAITING;
	q->first = q->head;
}

/* --- recording --- */

/* A letter that was done is no longer needed. */
static int remove_letters(struct queue *q, struct err *e)
{
	struct item *it;

	for (it = q->head; it; it = it->next)
		if (it->letter && it->done && !it->recorded &&
			!q->rules->keep &&
			dead_remove(q->rules->home, q->topic, it->letter, e) <
				0)
			return -1;
	return 0;
}

/* `sync`: it outlasts the loss of power as well. */
static int record(struct queue *q, bool sync, struct err *e)
{
	struct ledger_mark *marks = xcalloc(q->unrecorded, sizeof *marks);
	struct item *it;
	size_t n = 0;
	int r = 0;

	for (it = q->head; it && n < q->unrecorded; it = it->next)
		if (it->state == ITEM_SETTLED && !it->recorded)
			marks[n++] = (struct ledger_mark){
				.outcome = LEDGER_DONE,
				.event_id = it->id,
				.id = it->sum,
				.value = it->value_new ? &it->same_value.sum
						       : NULL,
				.tried = it->attempts > 0,
			};
	if (q->rules->ledger)
		r = ledger_record(q->rules->ledger, q->topic, q->rules->dedup,
			marks, n, sync, e);
	else if (q->rules->dead)
		r = remove_letters(q, e);
	for (it = q->head; it && r == 0; it = it->next)
		it->recorded |= it->state == ITEM_SETTLED;
	if (r == 0)
		q->unrecorded = 0;
	free(marks);
	return r;
}

/* Takes the settled ones off the front: up to the last position among them
 * everything is settled. */
static void pop(struct queue *q)
{
	bool numeric = q->rules->dialect->numeric;
	struct item *it;
	const char *to;

	while ((it = q->head) && it->state == ITEM_SETTLED) {
		to = numeric ? it->position : it->page_end;
		if (to)
			move_to(&q->reached, to);
		q->head = it->next;
		if (q->head == NULL)
			q->tail = NULL;
		if (q->first == it)
			q->first = q->head;
		q->n--;
		q->popped++;
		item_free(it);
	}
}

bool queue_is_unsaved(const struct queue *q)
{
	return q->unrecorded ||
	       strcmp(buf_text(&q->reached), buf_text(&q->saved)) != 0;
}

/* Where there are many topics, one that rests gives its windows back. */
static void rest(struct queue *q)
{
	if (!q->rules->many || q->head || q->unrecorded)
		return;
	window_release(&q->ids_seen);
	window_release(&q->values_done);
	q->loaded = false;
}

int queue_commit(struct queue *q, enum queue_when when, struct err *e)
{
	int64_t clock = backoff_clock_ms();
	bool in_time = clock - q->unrecorded_ms >= RECORD_AFTER_MS;

	/* A full page of lines that were taken is written at once, but to sync
	 * each would be most of the time there is. */
	if (q->unrecorded &&
		(when != QUEUE_WHEN_DUE || in_time ||
			q->unrecorded >= RECORD_MAX) &&
		record(q, when != QUEUE_WHEN_DUE || in_time, e) < 0)
		return -1;
	/* Only what is recorded may be forgotten here. */
	if (q->unrecorded == 0) {
		pop(q);
		rest(q);
	}
	if (!queue_is_unsaved(q) || q->unrecorded ||
		(when != QUEUE_ALL_NOW && (q->head || q->dirty) &&
			q->popped < SAVE_AFTER_EVENTS &&
			clock - q->saved_ms < SAVE_AFTER_MS))
		return 0;
	return save(q, buf_text(&q->reached), e);
}
