#include "deliver.h"

#include "backoff.h"
#include "dead.h"
#include "handler.h"
#include "outlet.h"

#include <poll.h>
#include <stdlib.h>

enum {
	TAKEN_MIN_MS = 1, /* how often a slow reader's pipe is looked at */
	TAKEN_MAX_MS = 100,
	LAST_LINES_MS = 500, /* for a reader to take them when we end */
	DEFER_MS = 1000,     /* "not now" is not asked again before that */
};

struct delivery {
	struct delivery_rules rules;
	struct handler_pool *pool; /* NULL: lines */
	struct outlet out;
	struct item *first, *last; /* lines given and not taken yet */
	long taken_ms;		   /* pause between looks at the pipe */
};

struct delivery *delivery_new(const struct delivery_rules *r, struct err *e)
{
	struct delivery *d = xcalloc(1, sizeof *d);

	d->rules = *r;
	d->taken_ms = TAKEN_MIN_MS;
	if (r->handler == NULL) {
		outlet_init(&d->out, r->out_fd, QUEUE_BYTES);
		return d;
	}
	d->pool = handler_pool_new(r->handler, r->jobs, r->timeout_ms, e);
	if (d->pool)
		return d;
	free(d);
	return NULL;
}

void delivery_free(struct delivery *d)
{
	if (d == NULL)
		return;
	if (d->pool)
		handler_pool_free(d->pool);
	else
		outlet_release(&d->out);
	free(d);
}

void delivery_keep(struct delivery *d, int fd)
{
	if (d->pool && fd >= 0)
		handler_keep(d->pool, fd);
}

bool delivery_is_dear(const struct delivery *d)
{
	return d->pool != NULL;
}

bool delivery_has_room(const struct delivery *d)
{
	return d->pool ? handler_free_slots(d->pool) > 0
		       : d->out.pending.len < d->out.pending.max / 2;
}

/* --- lines --- */

static int print(struct delivery *d, struct item *it, struct err *e)
{
	if (outlet_put(&d->out, it->line, it->len) < 0)
		return err_set(e, EX_FAILED,
			"printing %s of %s: it is larger than %zu bytes",
			it->id, it->queue->topic, d->out.pending.max);
	it->end = d->out.queued;
	it->next_given = NULL;
	if (d->first)
		d->last->next_given = it;
	else
		d->first = it;
	d->last = it;
	return 0;
}

/* Counts what the reader has taken. */
static void count_taken(struct delivery *d)
{
	uint64_t taken = outlet_taken(&d->out);
	struct item *it;

	if (d->first && d->first->end <= taken)
		d->taken_ms = TAKEN_MIN_MS;
	else if (d->taken_ms < TAKEN_MAX_MS)
		d->taken_ms *= 2;
	while ((it = d->first) && it->end <= taken) {
		d->first = it->next_given;
		queue_settle(it, true);
	}
}

/* Told to end: a line that was begun is finished, and the reader may still take
 * what lies in the pipe, so that little of it comes again. */
static void finish_lines(struct delivery *d)
{
	int64_t end = backoff_clock_ms() + LAST_LINES_MS;
	uint64_t written = d->out.queued - d->out.pending.len;
	struct pollfd reader = { .fd = outlet_fd(&d->out), .events = 0 };
	const struct item *it = d->first;
	struct err why;

	while (it && it->end <= written)
		it = it->next_given;
	outlet_cut(&d->out, it && it->end - it->len < written
				    ? (size_t)(it->end - written)
				    : 0);
	do {
		if (outlet_flush(&d->out, &why) < 0)
			break;
		count_taken(d);
	} while (d->first && d->first->end <= d->out.queued &&
		 backoff_clock_ms() < end && poll(&reader, 1, 5) == 0);
	count_taken(d);
}

/* --- handlers --- */

static int start(struct delivery *d, struct item *it, struct err *e)
{
	const struct handler_event ev = { .topic = it->queue->topic,
		.id = it->id,
		.type = it->type,
		.position = it->position ? it->position : "",
		.attempt = it->attempts + 1,
		.line = it->line,
		.len = it->len };

	return handler_start(d->pool, &ev, it, e);
}

static int give_up(
	struct item *it, const struct handler_result *res, struct err *e)
{
	struct queue *q = it->queue;
	const struct dead_letter letter = { .topic = q->topic,
		.event_id = it->id,
		.event = { it->line, it->len - 1 },
		.attempts = it->attempts,
		.status = res->status,
		.stderr_end = res->stderr_end };

	if (dead_write(q->rules->home, &letter, e) < 0)
		return -1;
	say("handling %s of %s: %s, %d attempt%s; kept in dead/%s", it->id,
		q->topic, res->status, it->attempts,
		it->attempts == 1 ? "" : "s", q->topic);
	queue_settle(it, false);
	return 0;
}

static int failed(struct delivery *d, struct item *it,
	const struct handler_result *res, struct err *e)
{
	if (queue_failed(it, e) < 0)
		return -1;
	if (it->attempts >= d->rules.attempts)
		return give_up(it, res, e);
	say("handling %s of %s: %s, attempt %d of %ld", it->id,
		it->queue->topic, res->status, it->attempts, d->rules.attempts);
	return 0;
}

static int conclude(struct delivery *d, struct item *it,
	const struct handler_result *res, struct err *e)
{
	switch (res->outcome) {
	case HANDLER_DONE:
		queue_settle(it, true);
		return 0;
	case HANDLER_NEVER:
		it->attempts++;
		return give_up(it, res, e);
	case HANDLER_NOT_NOW:
		queue_defer(it, DEFER_MS);
		say_info(
			"handling %s of %s: not now", it->id, it->queue->topic);
		return 0;
	case HANDLER_INTERRUPTED:
		queue_defer(it, 0);
		return 0;
	case HANDLER_BROKEN:
		queue_defer(it, 0);
		return err_set(e, EX_CONFIG,
			"handling %s of %s: the handler is broken (%s); mend "
			"it: the event waits",
			it->id, it->queue->topic, res->status);
	case HANDLER_FAILED:
		break;
	}
	return failed(d, it, res, e);
}

static int take_results(struct delivery *d, struct err *e)
{
	struct handler_result res;
	struct err why = { 0 };
	int status = 0;
	void *tag;

	/* All of them are dealt with; the first trouble is the one told. */
	while (handler_take(d->pool, &tag, &res))
		if (conclude(d, tag, &res, status ? &why : e) < 0)
			status = -1;
	return status;
}

/* --- either --- */

int delivery_give(struct delivery *d, struct item *it, struct err *e)
{
	if ((d->pool ? start(d, it, e) : print(d, it, e)) < 0)
		return -1;
	it->state = ITEM_RUNNING;
	return 0;
}

int delivery_collect(struct delivery *d, struct err *e)
{
	if (d->pool)
		return take_results(d, e);
	if (outlet_flush(&d->out, e) < 0)
		return -1;
	count_taken(d);
	return 0;
}

unsigned delivery_fds(const struct delivery *d, struct pollfd *fds)
{
	if (d->pool)
		fds[0] = (struct pollfd){ .fd = handler_pool_fd(d->pool),
			.events = POLLIN };
	else if (d->out.pending.len)
		fds[0] = (struct pollfd){ .fd = outlet_fd(&d->out),
			.events = POLLOUT };
	else
		return 0;
	return 1;
}

long delivery_wait_ms(const struct delivery *d)
{
	return d->first ? d->taken_ms : -1;
}

void delivery_wind_up(struct delivery *d, long grace_ms, struct err *e)
{
	int64_t end = backoff_clock_ms() + grace_ms;
	struct err why = { 0 };
	bool told = false;

	if (d->pool == NULL) {
		finish_lines(d);
		return;
	}
	while (handler_running(d->pool)) {
		int64_t left = end - backoff_clock_ms();
		struct pollfd fd = { .fd = handler_pool_fd(d->pool),
			.events = POLLIN };

		if (left <= 0 && !told) {
			handler_end_all(d->pool);
			told = true;
		}
		poll(&fd, 1, told ? -1 : (int)left);
		if (take_results(d, &why) < 0 && e->code == 0)
			*e = why;
	}
}
