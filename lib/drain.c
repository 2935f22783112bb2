#include "drain.h"

#include "backoff.h"
#include "deliver.h"
#include "io.h"
#include "json.h"
#include "position.h"
#include "queue.h"
#include "reader.h"
#include "stop.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
	HINTS_A_TURN = 1000,
	UNSAVED_MS = 100, /* how soon what is settled is looked at again */
	MANY_TOPICS = 16,
	/* After such a page, a size that has shrunk grows again. */
	SMALL_PAGE = DIALECT_PAGE_MAX / 2,
	RETRY_BASE_MS = 1000,
	RETRY_CAP_MS = 60000,
};

struct run {
	const struct drain *d;
	struct queue_rules rules;
	struct queue *topics[DRAIN_TOPICS_MAX];
	size_t n_topics, turn, served; /* whose turn it is: to be read, run */
	struct queue *asked; /* whose pages the reader fetches; NULL: none */
	struct reader *reader;
	struct delivery *delivery;
	struct io_lines hints;
	bool hints_open, more_hints, at_gap;
	bool full; /* the delivery was when the last of a turn was given */
	long delivered;
	int64_t looked_ms; /* what was due by then was dealt with */
	struct err first;  /* the first thing that went wrong for good */
};

/* Said at once, for the end may be months away; then only the code counts. */
static void remember(struct run *r, const struct err *e)
{
	say("%s", e->text);
	if (r->first.code == 0)
		r->first.code = e->code;
}

/* --- topics --- */

/* Where a topic begins, at first contact or as --from has it. */
static int first_position(struct run *r, struct queue *q, struct err *e)
{
	struct buf position = BUF_INIT(EVENT_POSITION_MAX);
	int status = 0;

	if (q->foreign.len && r->d->from == DRAIN_FROM_SAVED)
		return position_refuse(q->topic, buf_text(&q->foreign), e);
	if (r->d->from == DRAIN_FROM_LATEST ||
		(!q->known && r->d->from == DRAIN_FROM_SAVED)) {
		status = reader_latest(r->d->setup, q->topic, &position, e);
		if (status == 0)
			status = queue_start(q, buf_text(&position), e);
	} else if (!q->known) {
		status = queue_start(q, r->d->setup->dialect->oldest, e);
	}
	q->started = status == 0;
	buf_release(&position);
	return status;
}

static struct queue *find(struct run *r, const char *topic)
{
	char *id = api_topic(r->d->setup, topic);
	struct queue *q = NULL;
	size_t i;

	for (i = 0; i < r->n_topics && q == NULL; i++)
		if (strcmp(r->topics[i]->topic, id) == 0)
			q = r->topics[i];
	free(id);
	return q;
}

/* Takes a topic on; the service is not asked before its turn to be read. */
static int add_topic(struct run *r, const char *topic, struct err *e)
{
	char *id = api_topic(r->d->setup, topic);
	struct queue *q;
	bool busy;

	q = queue_open(&r->rules, id, &busy, e);
	free(id);
	if (q == NULL && busy && r->d->skip_busy) {
		*e = (struct err){ 0 };
		return 0;
	}
	if (q == NULL)
		return -1;
	q->dirty = true;
	q->limit = r->d->limit;
	q->retry = (struct backoff){ .base_ms = RETRY_BASE_MS,
		.cap_ms = RETRY_CAP_MS };
	delivery_keep(r->delivery, q->lock.fd);
	r->topics[r->n_topics++] = q;
	r->rules.many = r->n_topics > MANY_TOPICS;
	return 0;
}

/* Refused, or not there: this topic is given up, the others go on. */
static void drop_topic(struct queue *q)
{
	q->dirty = false;
	q->dropped = true;
}

static void hint(struct queue *q)
{
	if (q->dropped)
		return;
	q->dirty = q->hinted = true;
	queue_wake(q);
}

static void hint_all(struct run *r)
{
	size_t i;

	for (i = 0; i < r->n_topics; i++)
		hint(r->topics[i]);
}

/* A line names its topic, or means all. A foreign one is for somebody else
 * where operands say which are ours. */
static int take_hint(struct run *r, const char *line, size_t len, struct err *e)
{
	struct json *doc = json_parse(line, len, NULL);
	const char *topic = json_text(doc, "topic_id");
	struct queue *q;
	int status = 0;

	if (topic == NULL)
		hint_all(r);
	else if ((q = find(r, topic)))
		hint(q);
	else if (r->n_topics == DRAIN_TOPICS_MAX)
		say("draining %s: there are %d topics already; it is left out",
			topic, DRAIN_TOPICS_MAX);
	else if (r->d->topics[0] == NULL && api_check_topic(topic, NULL) == 0)
		status = add_topic(r, topic, e);
	json_free(doc);
	return status;
}

static int take_hints(struct run *r, struct err *e)
{
	struct err why = { 0 };
	char *line;
	size_t len;
	int status, n = 0;

	r->more_hints = false;
	while (r->hints_open &&
		(status = io_lines_poll(&r->hints, &line, &len, e)) != 2) {
		if (status < 0)
			return -1;
		if (status == 0) {
			/* One last drain. (At the very start all topics are
			 * to be read anyway, so that an empty input makes one
			 * pass and not two.) */
			r->hints_open = false;
			hint_all(r);
			break;
		}
		if (take_hint(r, line, len, &why) < 0) {
			/* The next hint of that topic tries again. */
			if (why.code != EX_TEMPFAIL) {
				*e = why;
				return -1;
			}
			remember(r, &why);
		}
		/* Hints that pour in must not keep us from reading. */
		if (++n == HINTS_A_TURN) {
			r->more_hints = true;
			break;
		}
	}
	return 0;
}

/* --- pages --- */

static bool enough(const struct run *r)
{
	return r->d->max && r->delivered >= r->d->max;
}

/* Is there room for a page, in the topic and in all of them together? An empty
 * one may always have a page, or those that wait could keep it from its own. */
static bool has_room(const struct run *r, const struct queue *q)
{
	size_t i, bytes = 0;

	for (i = 0; i < r->n_topics; i++)
		bytes += r->topics[i]->bytes;
	return queue_has_room(q) && (q->n == 0 || bytes < QUEUE_BYTES / 2);
}

/* A page that could not be had: later again, for as long as hints are followed
 * or else for the retry time; or the topic is given up. */
static int on_no_page(
	struct run *r, struct queue *q, const struct err *why, struct err *e)
{
	int64_t now = backoff_clock_ms();
	long wait;

	if (why->code == ERR_STOPPED || why->code == EX_IOERR) {
		*e = *why;
		return -1;
	}
	if (q->trouble_ms == 0)
		q->trouble_ms = now;
	if (why->code == EX_TEMPFAIL) {
		wait = backoff_next(&q->retry, why->retry_ms);
		/* Where no token is to be had for now, a single pass ends. */
		if (r->hints_open ||
			(now + wait <= q->trouble_ms + r->d->retry_ms &&
				!auth_is_blocked(&r->d->api->auth) &&
				!auth_is_blocked(&r->d->setup->auth))) {
			q->retry_ms = now + wait;
			say_again(r->hints_open ? 0 : 1, why->text, -1);
			return 0;
		}
	}
	remember(r, why);
	drop_topic(q);
	return 0;
}

static int fetch_letters(struct run *r, struct err *e)
{
	size_t i;

	for (i = 0; i < r->n_topics && !enough(r); i++)
		if (r->topics[i]->dirty && has_room(r, r->topics[i]) &&
			queue_add_letters(r->topics[i], e) < 0)
			return -1;
	return 0;
}

/* A page that there is no room for waits where it is. */
static bool can_take(const struct run *r)
{
	return r->asked == NULL || has_room(r, r->asked);
}

static bool is_alone(const struct run *r, const struct queue *q)
{
	size_t i;

	for (i = 0; i < r->n_topics; i++)
		if (r->topics[i] != q && r->topics[i]->dirty)
			return false;
	return true;
}

/* What is behind the page comes along, unless another topic waits for its turn,
 * or what is in this one decides how to go on. */
static void ask(struct run *r, struct queue *q)
{
	const struct drain *d = r->d;
	bool last = d->max && d->max - r->delivered <= q->limit;

	r->asked = q;
	q->hinted = false;
	reader_ask(r->reader,
		&(struct dialect_page){ .topic = q->topic,
			.after = buf_text(&q->read_to),
			.limit = q->limit,
			.type = d->type,
			.exclude_self = d->exclude_self },
		is_alone(r, q) && !last && !d->stop_at_gap &&
			q->limit == d->limit);
}

/* Pages that are of no use, or keep another topic from its own. */
static void drop_pages(struct run *r)
{
	reader_drop(r->reader);
	r->asked = NULL;
}

/* Starts the next page of a topic that has news and room. */
static int fetch(struct run *r, int64_t now, struct err *e)
{
	struct err why = { 0 };
	size_t i;

	if (r->d->dead)
		return fetch_letters(r, e);

	if (!can_take(r) && !is_alone(r, r->asked))
		drop_pages(r);
	for (i = 0; i < r->n_topics && !reader_busy(r->reader) && !enough(r) &&
		    !r->at_gap;
		i++) {
		struct queue *q = r->topics[(r->turn + i) % r->n_topics];

		if (!q->dirty || q->retry_ms > now || !has_room(r, q))
			continue;
		if (!q->started && first_position(r, q, &why) < 0) {
			if (on_no_page(r, q, &why, e) < 0)
				return -1;
			continue;
		}
		r->turn = (r->turn + i + 1) % r->n_topics;
		ask(r, q);
	}
	return 0;
}

static int take_page(struct run *r, struct err *e)
{
	struct queue *q = r->asked;
	struct api_page page;
	struct err why = { 0 };
	int status;

	if (q && enough(r))
		drop_pages(r);
	status = r->reader && can_take(r) ? reader_take(r->reader, &page, &why)
					  : 0;

	if (status == 0)
		return 0;
	if (status < 0)
		return on_no_page(r, q, &why, e);
	backoff_reset(&q->retry);
	q->trouble_ms = 0;
	q->limit = page.limit;
	if (q->limit < r->d->limit && page.text.len < SMALL_PAGE)
		q->limit =
			q->limit * 2 < r->d->limit ? q->limit * 2 : r->d->limit;
	if (!is_alone(r, q))
		reader_hold(r->reader);
	status = queue_add(q, &page, e);
	if (q->at_gap) {
		/* It has been told; what lies before is delivered yet. */
		r->at_gap = true;
		r->first.code = EX_DATAERR;
	} else if (status == QUEUE_END) {
		q->dirty = q->hinted; /* meanwhile */
	} else if (status == QUEUE_STUCK) {
		q->dirty = false;
		drop_pages(r);
		say("reading %s: the service repeats itself; try again later",
			q->topic);
	}
	api_page_release(&page);
	return status < 0 ? -1 : 0;
}

/* --- delivering --- */

/* The topics take turns. Once -n is reached only what was begun goes on. */
static struct item *next_item(struct run *r, int64_t now)
{
	struct item *it = NULL;
	size_t i;

	for (i = 0; i < r->n_topics && it == NULL; i++)
		it = queue_next(r->topics[(r->served + i) % r->n_topics], now,
			enough(r));
	r->served += i;
	return it;
}

static int deliver(struct run *r, int64_t now, struct err *e)
{
	struct item *it;
	int given;

	r->full = false;
	while (delivery_has_room(r->delivery) && (it = next_item(r, now))) {
		given = delivery_give(r->delivery, it, e);
		if (given <= 0)
			return given;
		/* An event counts once, however often it is tried. */
		r->delivered += !it->counted;
		it->counted = true;
	}
	r->full = !delivery_has_room(r->delivery);
	return 0;
}

/* --- the loop --- */

static bool any(const struct run *r, bool (*is)(const struct queue *))
{
	size_t i;

	for (i = 0; i < r->n_topics; i++)
		if (is(r->topics[i]))
			return true;
	return false;
}

static bool is_kept(const struct queue *q)
{
	return !q->dropped;
}

static bool is_finished(const struct run *r)
{
	size_t i;

	if (!r->hints_open && delivery_is_over(r->delivery))
		return true;
	for (i = 0; i < r->n_topics; i++) {
		const struct queue *q = r->topics[i];

		/* What is not recorded yet makes room once it is. */
		if (queue_is_active(q, enough(r)) ||
			(!enough(r) && !r->at_gap && q->dirty &&
				(has_room(r, q) || q->unrecorded)))
			return false;
	}
	/* Topics that were named and are all refused: no hint will help. */
	return enough(r) || r->at_gap || !r->hints_open ||
	       (r->d->topics[0] && !any(r, is_kept));
}

/* Is everything given out that ever will be? */
static bool is_last(const struct run *r)
{
	size_t i;

	for (i = 0; i < r->n_topics && !r->hints_open; i++) {
		const struct queue *q = r->topics[i];

		if (queue_has_waiting(q, enough(r)) ||
			(!enough(r) && !r->at_gap && q->dirty))
			break;
	}
	return !r->hints_open && i == r->n_topics;
}

static int commit_all(struct run *r, enum queue_when when, struct err *e)
{
	size_t i;

	for (i = 0; i < r->n_topics; i++)
		if (queue_commit(r->topics[i], when, e) < 0)
			return -1;
	return 0;
}

static long sooner(long wait, int64_t left)
{
	if (left < 0)
		left = 0;
	return wait < 0 || left < wait ? (long)left : wait;
}

/* Could its next page be asked for right now? */
static bool can_read(const struct run *r, const struct queue *q)
{
	return q->dirty && q->retry_ms <= r->looked_ms && !r->at_gap &&
	       !enough(r) && has_room(r, q) &&
	       !(r->reader && reader_busy(r->reader));
}

/* How long the loop may sleep; -1: until something happens. */
static long how_long(struct run *r, int64_t now)
{
	long wait = delivery_wait_ms(r->delivery);
	bool room = delivery_has_room(r->delivery);
	size_t i;

	/* A reader was quick to make room behind this turn's back. */
	if (r->full && room)
		return 0;
	for (i = 0; i < r->n_topics; i++) {
		struct queue *q = r->topics[i];
		int64_t due = queue_due(q, r->looked_ms);

		/* The room for it came after this turn had looked. */
		if (can_read(r, q))
			return 0;
		/* Or what it waited for, of its conversation, was taken. */
		if (room && !delivery_is_dear(r->delivery) &&
			queue_next(q, r->looked_ms, enough(r)))
			return 0;
		if (due >= 0)
			wait = sooner(wait, due - now);
		if (q->dirty && q->retry_ms > r->looked_ms)
			wait = sooner(wait, q->retry_ms - now);
		if (queue_is_unsaved(q))
			wait = sooner(wait, UNSAVED_MS);
	}
	return wait;
}

static int wait_for_news(struct run *r, struct err *e)
{
	struct pollfd fds[4]; /* 2 of them the delivery's */
	unsigned n = delivery_fds(r->delivery, fds);

	if (r->reader && can_take(r))
		fds[n++] = (struct pollfd){ .fd = reader_fd(r->reader),
			.events = POLLIN };
	if (r->hints_open)
		fds[n++] =
			(struct pollfd){ .fd = r->hints.fd, .events = POLLIN };
	if (stop_poll(fds, n,
		    r->more_hints ? 0 : how_long(r, backoff_clock_ms())) < 0)
		return err_stopped(e);
	return 0;
}

static int turn(struct run *r, struct err *e)
{
	int64_t now = backoff_clock_ms();

	r->looked_ms = now;
	if (take_page(r, e) < 0 || fetch(r, now, e) < 0)
		return -1;
	/* A handler that ends after this is seen in the next turn, by its
	 * descriptor: two looks in one turn could miss the free slot. */
	if (delivery_collect(r->delivery, e) < 0 || deliver(r, now, e) < 0 ||
		(!delivery_is_dear(r->delivery) &&
			delivery_collect(r->delivery, e) < 0))
		return -1;
	if (is_last(r))
		delivery_end(r->delivery);
	return commit_all(r,
		delivery_is_dear(r->delivery) ? QUEUE_RECORD_NOW
					      : QUEUE_WHEN_DUE,
		e);
}

static int loop(struct run *r, struct err *e)
{
	for (;;) {
		if (turn(r, e) < 0)
			return -1;
		if (is_finished(r))
			return 0;
		if (wait_for_news(r, e) < 0 || take_hints(r, e) < 0)
			return -1;
	}
}

/* No new events; what was delivered by now counts. */
static void wind_up(struct run *r, struct err *e)
{
	struct err why = { 0 }, unsaved = { 0 };

	delivery_wind_up(r->delivery, r->d->grace_ms, &why);
	if (commit_all(r, QUEUE_ALL_NOW, &unsaved) < 0 && why.code == 0)
		why = unsaved;
	if (why.code && e->code <= 0)
		*e = why;
}

static int open_all(struct run *r, struct err *e)
{
	size_t i;

	if (!r->d->peek && !r->d->dead) {
		r->rules.ledger = ledger_open(&r->d->setup->home, e);
		if (r->rules.ledger == NULL)
			return -1;
	}
	r->delivery = delivery_new(
		&(struct delivery_rules){ .handler = r->d->handler,
			.out_fd = r->d->out_fd,
			.ack_fd = r->d->ack_fd,
			.resident = r->d->resident,
			.jobs = (unsigned)r->d->jobs,
			.timeout_ms = r->d->timeout_ms,
			/* A letter had its attempts; it gets
				      * one more each time. */
			.attempts = r->d->dead ? 1 : r->d->attempts },
		e);
	if (r->delivery == NULL)
		return -1;
	for (i = 0; r->d->topics[i]; i++) {
		if (find(r, r->d->topics[i]) ||
			add_topic(r, r->d->topics[i], e) == 0)
			continue;
		return -1;
	}
	if (r->d->dead)
		return 0;
	r->reader = reader_new(r->d->api, e);
	return r->reader ? 0 : -1;
}

/* After the end: what was begun, or read at all, and is not settled waits for a
 * later run. */
static bool has_left(const struct run *r)
{
	const struct item *it;
	size_t i;

	for (i = 0; i < r->n_topics; i++) {
		if (r->topics[i]->stayed)
			return true;
		for (it = r->topics[i]->head; it; it = it->next)
			if (it->state != ITEM_SETTLED &&
				(it->counted || !enough(r)))
				return true;
	}
	return false;
}

int drain_run(const struct drain *d, struct err *e)
{
	struct run *r = xcalloc(1, sizeof *r);
	int status;
	size_t i;

	r->d = d;
	r->rules = (struct queue_rules){ .home = &d->setup->home,
		.dialect = d->setup->dialect,
		.key = d->key,
		.dedup = d->dedup,
		.stop_at_gap = d->stop_at_gap,
		.not_by = d->exclude_self ? d->setup->cred.script_id : NULL,
		.gaps_are_normal = d->type != NULL,
		.in_order = d->handler == NULL && d->ack_fd < 0 &&
			    d->key == NULL && d->dedup == NULL,
		.dead = d->dead,
		.keep = d->peek,
		.type = d->type,
		.lock_wait_ms = d->lock_wait_ms };
	r->hints = (struct io_lines)IO_LINES(d->hints_fd, DRAIN_HINT_MAX);
	r->hints_open = d->hints_fd >= 0;
	status = open_all(r, e);
	if (status == 0) {
		status = take_hints(r, e) < 0 ? -1 : loop(r, e);
		wind_up(r, e);
		if (e->code > 0)
			status = -1;
	}
	if (status == 0 && r->first.code)
		*e = r->first;
	else if (status == 0 && has_left(r))
		err_set(e, EX_TEMPFAIL,
			"draining: events remain that could not be handled "
			"now; a later run tries again");
	/* The reader is ended as if by a signal, which handlers must not see. */
	delivery_free(r->delivery);
	reader_free(r->reader);
	for (i = 0; i < r->n_topics; i++)
		queue_close(r->topics[i]);
	ledger_close(r->rules.ledger);
	io_lines_release(&r->hints);
	free(r);
	return e->code ? -1 : 0;
}
