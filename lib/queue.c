#include "queue.h"

#include "backoff.h"
#include "dead.h"
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
};

void queue_read_on(struct queue *q, const char *position)
{
	buf_set(&q->read_to, position);
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
	q->ids_seen = q->values_done = (struct window)WINDOW(QUEUE_WINDOW);
	/* What is read again after a kill may begin with many that the ledger
	 * does not know: our own, say. */
	q->ids_seen.keep_old = LEDGER_WINDOW;
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
		buf_set(&q->foreign, buf_text(&q->saved));
		buf_clear(&q->saved);
	}
	queue_read_on(q, buf_text(&q->saved));
	buf_set(&q->reached, buf_text(&q->saved));
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
	buf_set(&q->saved, position);
	q->saved_ms = backoff_clock_ms();
	q->popped = 0;
	return 0;
}

int queue_start(struct queue *q, const char *position, struct err *e)
{
	q->known = true;
	queue_read_on(q, position);
	buf_set(&q->reached, position);
	return save(q, position, e);
}

bool queue_has_room(const struct queue *q)
{
	return q->n < QUEUE_ITEMS && q->bytes < QUEUE_BYTES / 2;
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
	item_drop_line(it);
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
	const char *at, *reached = NULL;
	struct item *it, *end = q->head;

	for (; end && end->state == ITEM_SETTLED; end = end->next) {
		at = numeric ? end->position : end->page_end;
		if (at)
			reached = at;
	}
	if (reached)
		buf_set(&q->reached, reached);
	while ((it = q->head) != end) {
		q->head = it->next;
		if (q->first == it)
			q->first = q->head;
		q->n--;
		q->popped++;
		item_free(it);
	}
	if (q->head == NULL)
		q->tail = NULL;
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
			q->popped + q->n < SAVE_AFTER_EVENTS &&
			clock - q->saved_ms < SAVE_AFTER_MS))
		return 0;
	return save(q, buf_text(&q->reached), e);
}
