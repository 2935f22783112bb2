#include "deliver.h"

#include "backoff.h"
#include "dead.h"
#include "handler.h"
#include "lines.h"
#include "resident.h"

#include <poll.h>
#include <stdlib.h>

enum {
	DEFER_MS = 1000, /* "not now" is not asked again before that */
	WIND_UP_MS = 1000,
};

struct delivery {
	struct delivery_rules rules;
	/* One of these: */
	struct lines *lines;
	struct handler_pool *pool;
	struct resident_pool *residents;
};

struct delivery *delivery_new(const struct delivery_rules *r, struct err *e)
{
	struct delivery *d = xcalloc(1, sizeof *d);

	d->rules = *r;
	if (r->resident)
		d->residents = resident_pool_new(
			r->handler, r->jobs, r->timeout_ms, e);
	else if (r->handler)
		d->pool =
			handler_pool_new(r->handler, r->jobs, r->timeout_ms, e);
	else
		d->lines = lines_new(r->out_fd, r->ack_fd);
	if (d->pool || d->residents || d->lines)
		return d;
	free(d);
	return NULL;
}

void delivery_free(struct delivery *d)
{
	if (d == NULL)
		return;
	handler_pool_free(d->pool);
	resident_pool_free(d->residents);
	lines_free(d->lines);
	free(d);
}

void delivery_keep(struct delivery *d, int fd)
{
	if (d->pool && fd >= 0)
		handler_keep(d->pool, fd);
	if (d->residents && fd >= 0)
		resident_keep(d->residents, fd);
}

bool delivery_is_dear(const struct delivery *d)
{
	return d->lines == NULL || d->rules.ack_fd >= 0;
}

bool delivery_is_over(const struct delivery *d)
{
	return d->lines && lines_are_over(d->lines);
}

void delivery_end(struct delivery *d)
{
	if (d->lines)
		lines_end(d->lines);
}

bool delivery_has_room(const struct delivery *d)
{
	if (d->lines)
		return lines_have_room(d->lines);
	return d->pool ? handler_free_slots(d->pool) > 0
		       : resident_has_room(d->residents);
}

/* --- handlers --- */

static int start(struct delivery *d, struct item *it, struct err *e)
{
	const struct handler_event ev = { .topic = it->queue->topic,
		.id = it->id,
		.type = it->type ? it->type : "",
		.position = it->position ? it->position : "",
		.attempt = it->attempts + 1,
		.line = it->line,
		.len = it->len };

	/* Whom a resident takes along when it dies is told apart from what
	 * killed it by having it alone the next time; where there is none, at
	 * once. */
	if (d->residents)
		return resident_give(d->residents, &ev,
			it->attempts || d->rules.attempts == 1, it, e);
	return handler_start(d->pool, &ev, it, e) < 0 ? -1 : 1;
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
	case HANDLER_AGAIN:
		queue_return(it);
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

static int take(struct delivery *d, void **tag, struct handler_result *res)
{
	return d->pool ? handler_take(d->pool, tag, res)
		       : resident_take(d->residents, tag, res);
}

static int take_results(struct delivery *d, struct err *e)
{
	struct handler_result res;
	struct err why = { 0 };
	int status = 0;
	void *tag;

	/* All of them are dealt with; the first trouble is the one told. */
	while (take(d, &tag, &res))
		if (conclude(d, tag, &res, status ? &why : e) < 0)
			status = -1;
	return status;
}

/* --- either --- */

int delivery_give(struct delivery *d, struct item *it, struct err *e)
{
	int r = 1;

	if (d->lines)
		lines_give(d->lines, it);
	else
		r = start(d, it, e);
	if (r > 0)
		it->state = ITEM_RUNNING;
	return r;
}

int delivery_collect(struct delivery *d, struct err *e)
{
	return d->lines ? lines_collect(d->lines, e) : take_results(d, e);
}

static struct pollfd handlers_fd(const struct delivery *d)
{
	return (struct pollfd){ .fd = d->pool ? handler_pool_fd(d->pool)
					      : resident_pool_fd(d->residents),
		.events = POLLIN };
}

unsigned delivery_fds(const struct delivery *d, struct pollfd *fds)
{
	if (d->lines)
		return lines_fds(d->lines, fds);
	fds[0] = handlers_fd(d);
	return 1;
}

long delivery_wait_ms(struct delivery *d)
{
	if (d->lines)
		return lines_wait_ms(d->lines);
	return d->residents ? resident_wait_ms(d->residents) : -1;
}

static unsigned running(const struct delivery *d)
{
	return d->pool ? handler_running(d->pool) : resident_held(d->residents);
}

static void end_handlers(struct delivery *d)
{
	if (d->pool)
		handler_end_all(d->pool);
	else
		resident_end_all(d->residents);
}

void delivery_wind_up(struct delivery *d, long grace_ms, struct err *e)
{
	int64_t end = backoff_clock_ms() + grace_ms;
	struct err why = { 0 };
	bool told = false;

	if (d->lines) {
		lines_wind_up(d->lines);
		return;
	}
	if (d->residents)
		resident_stop(d->residents);
	while (running(d)) {
		int64_t left = end - backoff_clock_ms();
		struct pollfd fd = handlers_fd(d);

		if (left <= 0 && !told) {
			end_handlers(d);
			told = true;
		}
		poll(&fd, 1,
			told || left > WIND_UP_MS ? WIND_UP_MS : (int)left);
		if (take_results(d, &why) < 0 && e->code == 0)
			*e = why;
	}
}
