#include "drain.h"

#include "backoff.h"
#include "dead.h"
#include "handler.h"
#include "io.h"
#include "json.h"
#include "outlet.h"
#include "queue.h"
#include "reader.h"
#include "stop.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
	TAKEN_MIN_MS = 1, /* how often a slow reader's pipe is looked at */
	TAKEN_MAX_MS = 100,
	RETRY_BASE_MS = 1000,
	RETRY_CAP_MS = 60000,
};

struct run {
	const struct drain *d;
	struct queue_rules rules;
	struct queue *topics[DRAIN_TOPICS_MAX];
	size_t n_topics, turn; /* whose turn it is to be read */
	struct queue *asked;   /* whose page the reader fetches */
	struct reader *reader;
	struct handler_pool *pool; /* NULL: lines */
	struct outlet out;
	struct io_lines hints;
	bool hints_open;
	bool heard; /* a hint has come: the input was not empty */
	long delivered;
	long taken_ms; /* pause between looks at the pipe */
	struct backoff retry;
	struct err first; /* the first thing that went wrong for good */
};

/* Said at once, for the end may be months away; then only the code counts. */
static void remember(struct run *r, const struct err *e)
{
	say("%s", e->text);
	if (r->first.code == 0)
		r->first.code = e->code;
}

/* --- topics --- */

static int first_position(struct run *r, struct queue *q, struct err *e)
{
	struct buf position = BUF_INIT(EVENT_POSITION_MAX);
	int status = 0;

	if (r->d->from == DRAIN_FROM_LATEST ||
		(!q->known && r->d->from == DRAIN_FROM_SAVED)) {
		status = reader_latest(r->d->setup, q->topic, &position, e);
		if (status == 0)
			status = queue_start(q, buf_text(&position), e);
	} else if (!q->known) {
		status = queue_start(q, r->d->setup->dialect->oldest, e);
	}
	buf_release(&position);
	return status;
}

static struct queue *find(struct run *r, const char *topic)
{
	size_t i;

	for (i = 0; i < r->n_topics; i++)
		if (strcmp(r->topics[i]->topic, topic) == 0)
			return r->topics[i];
	return NULL;
}

static int add_topic(struct run *r, const char *topic, struct err *e)
{
	struct queue *q;
	bool busy;

	if (r->n_topics == DRAIN_TOPICS_MAX)
		return err_set(
			e, EX_USAGE, "more than %d topics", DRAIN_TOPICS_MAX);
	q = queue_open(&r->rules, topic, &busy, e);
	if (q == NULL)
		return busy && r->d->skip_busy ? 0 : -1;
	if (first_position(r, q, e) < 0) {
		queue_close(q);
		return -1;
	}
	q->dirty = true;
	if (r->pool && q->lock.fd >= 0)
		handler_keep(r->pool, q->lock.fd);
	r->topics[r->n_topics++] = q;
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
	q->dirty = true;
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
	int status;

	while (r->hints_open &&
		(status = io_lines_poll(&r->hints, &line, &len, e)) != 2) {
		if (status < 0)
			return -1;
		if (status == 0) {
			/* One last drain, of what came with the last hints;
			 * an input that was empty asked for one pass. */
			r->hints_open = false;
			if (r->heard)
				hint_all(r);
			break;
		}
		r->heard = true;
		if (take_hint(r, line, len, &why) < 0) {
			/* The next hint of that topic tries again. */
			if (why.code != EX_TEMPFAIL && why.code != EX_NOPERM &&
				why.code != EX_NOINPUT) {
				*e = why;
				return -1;
			}
			say("%s", why.text);
		}
	}
	return 0;
}

/* --- pages --- */

static bool enough(const struct run *r)
{
	return r->d->max && r->delivered >= r->d->max;
}

/* Starts the next page of a topic that has news and room. */
static void fetch(struct run *r, int64_t now)
{
	size_t i;

	if (reader_busy(r->reader) || enough(r))
		return;
	for (i = 0; i < r->n_topics; i++) {
		struct queue *q = r->topics[(r->turn + i) % r->n_topics];

		if (!q->dirty || q->retry_ms > now || !queue_has_room(q))
			continue;
		r->turn = (r->turn + i + 1) % r->n_topics;
		r->asked = q;
		reader_ask(r->reader,
			&(struct dialect_page){ .topic = q->topic,
				.after = buf_text(&q->read_to),
				.limit = r->d->limit,
				.type = r->d->type,
				.exclude_self = r->d->exclude_self });
		return;
	}
}

/* A page that could not be had: try again while hints are followed, else give
 * the topic up. */
static int on_no_page(struct run *r, const struct err *why, struct err *e)
{
	struct queue *q = r->asked;

	if (why->code == ERR_STOPPED) {
		*e = *why;
		return -1;
	}
	if (why->code == EX_TEMPFAIL && r->hints_open) {
		q->retry_ms = backoff_clock_ms() +
			      backoff_next(&r->retry, why->retry_ms);
		say("%s; trying again", why->text);
		return 0;
	}
	remember(r, why);
	drop_topic(q);
	return 0;
}

static int take_page(struct run *r, struct err *e)
{
	struct api_page page;
	struct err why = { 0 };
	int news, status = reader_take(r->reader, &page, &why);

	if (status == 0)
		return 0;
	if (status < 0)
		return on_no_page(r, &why, e);
	backoff_reset(&r->retry);
	news = queue_add(r->asked, &page, e);
	if (news == 0) {
		/* Nothing newer; a page that is not empty and brings nothing
		 * new would come again and again. */
		r->asked->dirty = false;
		if (page.n && r->d->setup->dialect->numeric)
			say("reading %s: the service repeats itself",
				r->asked->topic);
	}
	api_page_release(&page);
	return news < 0 ? -1 : 0;
}

/* --- handlers --- */

static int give_up(
	struct item *it, const struct handler_result *res, struct err *e)
{
	struct queue *q = it->queue;
	struct slice event = { it->line, it->len - 1 };

	if (dead_write(q->rules->home,
		    &(struct dead_letter){ .topic = q->topic,
			    .event_id = it->id,
			    .event = event,
			    .attempts = it->attempts,
			    .status = res->status,
			    .stderr_end = res->stderr_end },
		    e) < 0)
		return -1;
	say("handling %s of %s: %s, %d attempt%s; kept in dead/%s", it->id,
		q->topic, res->status, it->attempts,
		it->attempts == 1 ? "" : "s", q->topic);
	queue_settle(it);
	return 0;
}

static int settle(struct run *r, struct item *it,
	const struct handler_result *res, struct err *e)
{
	switch (res->outcome) {
	case HANDLER_DONE:
		queue_settle(it);
		return 0;
	case HANDLER_NEVER:
		it->attempts++;
		return give_up(it, res, e);
	case HANDLER_NOT_NOW:
		it->state = ITEM_DEFERRED;
		it->due_ms = backoff_clock_ms() + RETRY_BASE_MS;
		say_info(
			"handling %s of %s: not now", it->id, it->queue->topic);
		return 0;
	case HANDLER_INTERRUPTED:
		it->state = ITEM_DEFERRED;
		return 0;
	case HANDLER_BROKEN:
		it->state = ITEM_DEFERRED;
		return err_set(e, EX_CONFIG,
			"handling %s of %s: the handler is broken (%s); mend "
			"it: the event waits",
			it->id, it->queue->topic, res->status);
	case HANDLER_FAILED:
		break;
	}
	if (queue_failed(it, e) < 0)
		return -1;
	if (it->attempts >= r->d->attempts)
		return give_up(it, res, e);
	say("handling %s of %s: %s, attempt %d of %ld", it->id,
		it->queue->topic, res->status, it->attempts, r->d->attempts);
	return 0;
}

static int take_results(struct run *r, struct err *e)
{
	struct handler_result res;
	void *tag;
	int status = 0;

	while (r->pool && handler_take(r->pool, &tag, &res))
		if (settle(r, tag, &res, e) < 0)
			status = -1;
	return status;
}

static struct item *next_item(struct run *r, int64_t now)
{
	struct item *it = NULL;
	size_t i;

	for (i = 0; i < r->n_topics && it == NULL; i++)
		it = queue_next(r->topics[i], now);
	return it;
}

static int run_handlers(struct run *r, int64_t now, struct err *e)
{
	struct item *it;

	while (handler_free_slots(r->pool) && !enough(r) &&
		(it = next_item(r, now))) {
		/* An event counts once, however often it is tried. */
		struct handler_event ev = { .topic = it->queue->topic,
			.id = it->id,
			.type = it->type,
			.position = it->position ? it->position : "",
			.attempt = it->attempts + 1,
			.line = it->line,
			.len = it->len };

		if (handler_start(r->pool, &ev, it, e) < 0)
			return -1;
		it->state = ITEM_RUNNING;
		r->delivered += !it->counted;
		it->counted = true;
	}
	return 0;
}

/* --- lines --- */

static int print_lines(struct run *r, int64_t now, struct err *e)
{
	struct item *it;

	while (!enough(r) && (it = next_item(r, now))) {
		if (outlet_put(&r->out, it->line, it->len) < 0)
			break; /* when the reader has taken some */
		it->end = r->out.queued;
		it->state = ITEM_RUNNING;
		r->delivered++;
	}
	return outlet_flush(&r->out, e) < 0 ? -1 : 0;
}

/* Counts what the reader has taken. */
static void count_taken(struct run *r)
{
	uint64_t taken = outlet_taken(&r->out);
	bool moved = false;
	struct item *it;
	size_t i;

	for (i = 0; i < r->n_topics; i++)
		for (it = r->topics[i]->head; it; it = it->next)
			if (it->state == ITEM_RUNNING && it->end <= taken) {
				queue_settle(it);
				moved = true;
			}
	if (moved)
		r->taken_ms = TAKEN_MIN_MS;
	else if (r->taken_ms < TAKEN_MAX_MS)
		r->taken_ms *= 2;
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

static bool has_more(const struct queue *q)
{
	return q->dirty || queue_is_active(q);
}

static bool is_kept(const struct queue *q)
{
	return !q->dropped;
}

static bool is_finished(const struct run *r)
{
	if (enough(r))
		return !any(r, queue_is_running);
	if (any(r, has_more))
		return false;
	/* Topics that were named and are all refused: no hint will help. */
	return !r->hints_open || (r->d->topics[0] && !any(r, is_kept));
}

static int commit_all(struct run *r, enum queue_when when, struct err *e)
{
	size_t i;

	for (i = 0; i < r->n_topics; i++)
		if (queue_commit(r->topics[i], when, e) < 0)
			return -1;
	return 0;
}

static long sooner(long wait, int64_t due, int64_t now)
{
	long left = due > now ? (long)(due - now) : 0;

	return wait < 0 || left < wait ? left : wait;
}

/* How long the loop may sleep; -1: until something happens. */
static long how_long(const struct run *r, int64_t now)
{
	long wait = -1;
	size_t i;

	for (i = 0; i < r->n_topics; i++) {
		const struct queue *q = r->topics[i];
		int64_t due = queue_due(q, now);

		if (due >= 0)
			wait = sooner(wait, due, now);
		if (q->dirty && q->retry_ms > now)
			wait = sooner(wait, q->retry_ms, now);
		if (queue_is_unsaved(q))
			wait = sooner(wait, now + TAKEN_MAX_MS, now);
	}
	if (r->pool == NULL && any(r, queue_is_running))
		wait = sooner(wait, now + r->taken_ms, now);
	return wait;
}

static int wait_for_news(struct run *r, struct err *e)
{
	struct pollfd fds[4];
	unsigned n = 0;

	fds[n++] =
		(struct pollfd){ .fd = reader_fd(r->reader), .events = POLLIN };
	if (r->pool)
		fds[n++] = (struct pollfd){ .fd = handler_pool_fd(r->pool),
			.events = POLLIN };
	if (r->hints_open)
		fds[n++] =
			(struct pollfd){ .fd = r->hints.fd, .events = POLLIN };
	if (r->out.pending.len)
		fds[n++] = (struct pollfd){ .fd = outlet_fd(&r->out),
			.events = POLLOUT };
	if (stop_poll(fds, n, how_long(r, backoff_clock_ms())) < 0)
		return err_stopped(e);
	return 0;
}

static int turn(struct run *r, struct err *e)
{
	int64_t now = backoff_clock_ms();

	if (take_results(r, e) < 0 || take_page(r, e) < 0)
		return -1;
	fetch(r, now);
	if (r->pool) {
		if (run_handlers(r, now, e) < 0)
			return -1;
	} else {
		if (print_lines(r, now, e) < 0)
			return -1;
		count_taken(r);
	}
	return commit_all(r, r->pool ? QUEUE_RECORD_NOW : QUEUE_WHEN_DUE, e);
}

static int loop(struct run *r, struct err *e)
{
	for (;;) {
		if (turn(r, e) < 0)
			return -1;
		fetch(r, backoff_clock_ms());
		if (is_finished(r))
			return 0;
		if (wait_for_news(r, e) < 0 || take_hints(r, e) < 0)
			return -1;
	}
}

/* No new events: handlers may finish for the grace, then they are ended; what
 * they did counts. */
static void wind_up(struct run *r, struct err *e)
{
	int64_t end = backoff_clock_ms() + r->d->grace_ms;
	struct err why = { 0 };
	bool told = false;

	while (r->pool && handler_running(r->pool)) {
		int64_t left = end - backoff_clock_ms();
		struct pollfd fd = { .fd = handler_pool_fd(r->pool),
			.events = POLLIN };

		if (left <= 0 && !told) {
			handler_end_all(r->pool);
			told = true;
		}
		poll(&fd, 1, told ? -1 : (int)left);
		take_results(r, &why);
	}
	if (r->pool == NULL)
		count_taken(r);
	why.code = 0;
	if (commit_all(r, QUEUE_ALL_NOW, &why) < 0 && e->code <= 0)
		*e = why;
}

static int open_all(struct run *r, struct err *e)
{
	struct err why = { 0 };
	size_t i;

	if (!r->d->peek) {
		r->rules.ledger = ledger_open(&r->d->setup->home, e);
		if (r->rules.ledger == NULL)
			return -1;
	}
	if (r->d->handler) {
		r->pool = handler_pool_new(r->d->handler, (unsigned)r->d->jobs,
			r->d->timeout_ms, e);
		if (r->pool == NULL)
			return -1;
	}
	for (i = 0; r->d->topics[i]; i++) {
		if (find(r, r->d->topics[i]) ||
			add_topic(r, r->d->topics[i], &why) == 0)
			continue;
		if (why.code != EX_NOPERM && why.code != EX_NOINPUT) {
			*e = why;
			return -1;
		}
		remember(r, &why);
	}
	if (r->d->topics[0] && r->n_topics == 0)
		return 0; /* none is left; the first error tells */
	r->reader = reader_new(r->d->api, e);
	return r->reader ? 0 : -1;
}

/* After the end: what was not settled waits for a later run. */
static bool has_left(const struct queue *q)
{
	return q->head != NULL;
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
		.not_by = d->exclude_self ? d->setup->cred.script_id : NULL,
		.gaps_are_normal = d->type != NULL,
		.lock_wait_ms = d->lock_wait_ms };
	r->hints = (struct io_lines)IO_LINES(d->hints_fd, DRAIN_HINT_MAX);
	r->hints_open = d->hints_fd >= 0;
	r->retry = (struct backoff){ .base_ms = RETRY_BASE_MS,
		.cap_ms = RETRY_CAP_MS };
	r->taken_ms = TAKEN_MIN_MS;
	outlet_init(&r->out, d->out_fd, QUEUE_BYTES);
	status = open_all(r, e);
	if (status == 0 && r->reader) {
		status = loop(r, e);
		wind_up(r, e);
		if (e->code > 0)
			status = -1;
	}
	if (status == 0 && r->first.code)
		*e = r->first;
	else if (status == 0 && any(r, has_left) && !enough(r))
		err_set(e, EX_TEMPFAIL,
			"draining: events remain that could not be handled "
			"now; a later run tries again");
	reader_free(r->reader);
	handler_pool_free(r->pool);
	for (i = 0; i < r->n_topics; i++)
		queue_close(r->topics[i]);
	ledger_close(r->rules.ledger);
	outlet_release(&r->out);
	io_lines_release(&r->hints);
	free(r);
	return e->code ? -1 : 0;
}
