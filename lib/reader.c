#include "reader.h"

#include "stop.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* The position after a page of a numeric dialect: the greatest in it, or
 * `after` (-1: none) if it has none. */
static int64_t greatest(const struct api_page *page, int64_t after)
{
	int64_t v;
	size_t i;

	for (i = 0; i < page->n; i++)
		if (slice_int(page->events[i].position, &v) && v > after)
			after = v;
	return after;
}

/* One page behind `after` (-1: the newest). The number of events, or -1; `*last`
 * gets the greatest position in it, `*full` whether there may be more. */
static long look(struct api *api, const char *topic, int64_t after, long limit,
	int64_t *last, bool *full, struct err *e)
{
	char text[24];
	struct api_page page;
	long n;

	snprintf(text, sizeof text, "%" PRId64, after);
	if (api_page(api,
		    &(struct dialect_page){ .topic = topic,
			    .after = after < 0 ? NULL : text,
			    .limit = limit },
		    &page, e) < 0)
		return -1;
	n = (long)page.n;
	*last = greatest(&page, after);
	*full = n >= page.limit;
	api_page_release(&page);
	return n;
}

/* The end lies behind `*low`, which has events behind it: doubles the stride
 * until nothing lies beyond, then halves the range that remains. */
static int gallop(
	struct api *api, const char *topic, int64_t *low, struct err *e)
{
	int64_t stride = API_PAGE_LIMIT, high = INT64_MAX, probe, last;
	bool full;
	long n;

	while (high == INT64_MAX || high - *low > 1) {
		if (high != INT64_MAX)
			probe = *low + (high - *low) / 2;
		else if (*low > INT64_MAX / 2 - stride)
			break;
		else
			probe = *low + stride;
		n = look(api, topic, probe, 1, &last, &full, e);
		if (n < 0)
			return -1;
		if (n > 0)
			*low = last;
		else
			high = probe;
		stride *= 2;
	}
	return 0;
}

/* A topic that is not empty must not be taken for one that is: all its events
 * would be delivered. */
static int no_position(const char *topic, struct err *e)
{
	return err_set(e, EX_TEMPFAIL,
		"reading %s: the newest events have no position; try again "
		"later",
		topic);
}

/* Where positions are texts the service says which event is the newest. */
static int newest_text(
	struct api *api, const char *topic, struct buf *position, struct err *e)
{
	struct api_page page;
	int status = 0;

	if (api_page(api, &(struct dialect_page){ .topic = topic, .limit = 1 },
		    &page, e) < 0)
		return -1;
	buf_clear(position);
	if (page.n == 0)
		buf_str(position, api->dialect->oldest);
	else if (!slice_text(page.events[0].position, position) ||
		 position->len == 0)
		status = no_position(topic, e);
	api_page_release(&page);
	return status;
}

static int newest_number(
	struct api *api, const char *topic, struct buf *position, struct err *e)
{
	int64_t newest, last;
	bool full;
	long n = look(api, topic, -1, API_PAGE_LIMIT, &newest, &full, e);

	if (n < 0)
		return -1;
	if (n == 0)
		newest = 0;
	else if (newest < 0)
		return no_position(topic, e);
	if (n > 0) {
		/* A server that lists the oldest first shows it by a full
		 * page behind what should be the end. */
		n = look(api, topic, newest, API_PAGE_LIMIT, &last, &full, e);
		if (n < 0)
			return -1;
		if (full) {
			newest = last;
			if (gallop(api, topic, &newest, e) < 0)
				return -1;
		}
	}
	buf_clear(position);
	buf_printf(position, "%" PRId64, newest);
	return 0;
}

int reader_latest(
	struct api *api, const char *topic, struct buf *position, struct err *e)
{
	return api->dialect->numeric ? newest_number(api, topic, position, e)
				     : newest_text(api, topic, position, e);
}

/* A page that was read, or why it could not be. */
struct result {
	struct api_page page;
	struct err err;
	int status;
};

struct reader {
	struct api *api;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t news;	  /* something to do, or room for it */
	struct dialect_page want; /* the thread's own while it is `reading` */
	char *topic, *after, *type;
	size_t before; /* so is this: bytes of the page that it follows, or 0 */
	/* From here on: under the mutex. */
	bool asked, go_on, reading, dropped, ending;
	struct result ready[READER_AHEAD]; /* the oldest first */
	size_t n_ready, bytes;
	int event_fd; /* is told of each that was read */
};

static char *copy(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

static void forget_request(struct reader *r)
{
	free(r->topic);
	free(r->after);
	free(r->type);
	r->topic = r->after = r->type = NULL;
}

static void release(struct result *res)
{
	if (res->status == 0)
		api_page_release(&res->page);
}

/* Where the page behind this one starts, appended to `after`; false: that is not
 * known, it leads nowhere, or there is nothing in it yet. (Were its last event not
 * the newest, some would come again.) */
static bool behind(const struct dialect *d, const struct dialect_page *want,
	const struct api_page *page, struct buf *after)
{
	const char *from = want->after ? want->after : d->oldest;
	int64_t was, last;

	/* One that had to be smaller is followed by whatever is asked for then. */
	if (page->n < (size_t)want->limit || page->lost)
		return false;
	if (!d->numeric)
		return page->has_more && page->next &&
		       strcmp(page->next, from) &&
		       buf_str(after, page->next) == 0;
	was = strtoll(from, NULL, 10);
	return slice_int(page->last, &last) && last > was &&
	       buf_printf(after, "%" PRId64, last) == 0;
}

/* Makes the next page what is wanted; false: there is none to be read. */
static bool advance(struct reader *r, const struct result *res)
{
	struct buf after = BUF_INIT(EVENT_POSITION_MAX);
	bool more = res->status == 0 &&
		    behind(r->api->dialect, &r->want, &res->page, &after);

	r->before = more ? res->page.text.len : 0;
	if (more) {
		free(r->after);
		r->want.after = r->after = buf_detach(&after);
	}
	buf_release(&after);
	return more;
}

/* Bytes that it takes while it waits. */
static size_t size_of(const struct api_page *page)
{
	return page->text.len + page->n * sizeof *page->raw +
	       page->ends.n * sizeof *page->ends.list;
}

static void add(struct reader *r, const struct result *res)
{
	r->ready[r->n_ready++] = *res;
	r->bytes += size_of(&res->page);
}

/* There is a page, or something can be asked for again. */
static void tell(struct reader *r)
{
	static const uint64_t one = 1;

	if (write(r->event_fd, &one, sizeof one) < 0) {
		/* It is readable already. */
	}
}

/* Has it something to do, and room for what comes of it? */
static bool can_read(const struct reader *r)
{
	return r->asked && r->n_ready < READER_AHEAD && r->bytes < READER_BYTES;
}

/* From what size on is the page that is wanted as full as the one before it, and
 * followed by another one? 0: there would be no room for that. */
static size_t full_from(const struct reader *r)
{
	if (!r->go_on || r->n_ready + 1 >= READER_AHEAD ||
		r->bytes + r->before >= READER_BYTES)
		return 0;
	return r->before - r->before / 8;
}

static void *work(void *ctx)
{
	struct reader *r = ctx;
	struct result res;
	bool more;

	pthread_mutex_lock(&r->mutex);
	for (;;) {
		while (!can_read(r) && !r->ending) {
			api_ahead_drop(r->api);
			pthread_cond_wait(&r->news, &r->mutex);
		}
		if (r->ending)
			break;
		r->reading = true;
		r->want.ahead_from = full_from(r);
		pthread_mutex_unlock(&r->mutex);
		res = (struct result){ 0 };
		res.status = api_page(r->api, &r->want, &res.page, &res.err);
		more = advance(r, &res);
		pthread_mutex_lock(&r->mutex);
		r->reading = false;
		if (r->dropped)
			release(&res);
		else
			add(r, &res);
		tell(r);
		r->asked = more && r->go_on && !r->dropped;
		r->dropped = false;
	}
	pthread_mutex_unlock(&r->mutex);
	return NULL;
}

struct reader *reader_new(struct api *api, struct err *e)
{
	struct reader *r = xcalloc(1, sizeof *r);

	r->api = api;
	r->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	pthread_mutex_init(&r->mutex, NULL);
	pthread_cond_init(&r->news, NULL);
	if (r->event_fd >= 0) {
		errno = pthread_create(&r->thread, NULL, work, r);
		if (errno == 0)
			return r;
		close(r->event_fd);
	}
	err_errno(e, "starting to read");
	free(r);
	return NULL;
}

void reader_free(struct reader *r)
{
	size_t i;

	if (r == NULL)
		return;
	pthread_mutex_lock(&r->mutex);
	r->ending = true;
	/* A request under way ends with everything else that waits. */
	if (r->reading)
		stop_ask();
	pthread_cond_signal(&r->news);
	pthread_mutex_unlock(&r->mutex);
	pthread_join(r->thread, NULL);
	for (i = 0; i < r->n_ready; i++)
		release(&r->ready[i]);
	forget_request(r);
	close(r->event_fd);
	pthread_mutex_destroy(&r->mutex);
	pthread_cond_destroy(&r->news);
	free(r);
}

void reader_ask(struct reader *r, const struct dialect_page *page, bool go_on)
{
	pthread_mutex_lock(&r->mutex);
	forget_request(r);
	r->want = *page;
	r->want.topic = r->topic = copy(page->topic);
	r->want.after = r->after = copy(page->after);
	r->want.type = r->type = copy(page->type);
	r->want.later = true;
	r->before = 0;
	r->asked = true;
	r->go_on = go_on;
	pthread_cond_signal(&r->news);
	pthread_mutex_unlock(&r->mutex);
}

bool reader_busy(struct reader *r)
{
	bool busy;

	pthread_mutex_lock(&r->mutex);
	busy = r->asked || r->reading || r->n_ready;
	pthread_mutex_unlock(&r->mutex);
	return busy;
}

void reader_hold(struct reader *r)
{
	pthread_mutex_lock(&r->mutex);
	r->go_on = false;
	/* What is asked for and not begun waits for room behind another page:
	 * it is one that was gone on to. */
	if (!r->reading && r->n_ready)
		r->asked = false;
	pthread_mutex_unlock(&r->mutex);
}

/* Takes the oldest that is ready. */
static struct result get(struct reader *r)
{
	struct result res = r->ready[0];

	r->n_ready--;
	memmove(r->ready, r->ready + 1, r->n_ready * sizeof *r->ready);
	r->bytes -= size_of(&res.page);
	pthread_cond_signal(&r->news);
	return res;
}

void reader_drop(struct reader *r)
{
	struct result res;

	pthread_mutex_lock(&r->mutex);
	r->asked = false;
	r->dropped = r->reading;
	while (r->n_ready) {
		res = get(r);
		release(&res);
	}
	pthread_mutex_unlock(&r->mutex);
}

int reader_fd(const struct reader *r)
{
	return r->event_fd;
}

int reader_take(struct reader *r, struct api_page *page, struct err *e)
{
	struct result res = { 0 };
	uint64_t told;
	int status = 0;

	pthread_mutex_lock(&r->mutex);
	if (read(r->event_fd, &told, sizeof told) < 0) {
		/* Taken before it was told. */
	}
	if (r->n_ready) {
		res = get(r);
		status = res.status < 0 ? -1 : 1;
	}
	pthread_mutex_unlock(&r->mutex);
	if (status < 0)
		*e = res.err;
	if (status <= 0)
		return status;
	*page = res.page;
	/* Not by the thread, which has more to do. */
	api_page_read(r->api, page);
	return 1;
}
