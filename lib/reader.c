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
 * `after` if it has none. */
static int64_t greatest(const struct api_page *page, int64_t after)
{
	int64_t v;
	size_t i;

	for (i = 0; i < page->n; i++)
		if (slice_int(page->events[i].position, &v) && v > after)
			after = v;
	return after;
}

/* One page behind `after` (-1: the newest). The number of events, or -1;
 * `*last` gets the greatest position in it. */
static long look(struct api *api, const char *topic, int64_t after, long limit,
	int64_t *last, struct err *e)
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
	*last = greatest(&page, after < 0 ? 0 : after);
	api_page_release(&page);
	return n;
}

/* The end lies behind `*low`, which has events behind it: doubles the stride
 * until nothing lies beyond, then halves the range that remains. */
static int gallop(
	struct api *api, const char *topic, int64_t *low, struct err *e)
{
	int64_t stride = API_PAGE_LIMIT, high = INT64_MAX, probe, last;
	long n;

	while (high == INT64_MAX || high - *low > 1) {
		if (high != INT64_MAX)
			probe = *low + (high - *low) / 2;
		else if (*low > INT64_MAX / 2 - stride)
			break;
		else
			probe = *low + stride;
		n = look(api, topic, probe, 1, &last, e);
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

/* Where positions are texts the service says which event is the newest. */
static int newest_text(
	struct api *api, const char *topic, struct buf *position, struct err *e)
{
	struct api_page page;

	if (api_page(api, &(struct dialect_page){ .topic = topic, .limit = 1 },
		    &page, e) < 0)
		return -1;
	buf_clear(position);
	if (page.n == 0 || !slice_text(page.events[0].position, position))
		buf_str(position, api->dialect->oldest);
	api_page_release(&page);
	return 0;
}

static int newest_number(
	struct api *api, const char *topic, struct buf *position, struct err *e)
{
	int64_t newest, last;
	long n = look(api, topic, -1, API_PAGE_LIMIT, &newest, e);

	if (n < 0)
		return -1;
	if (n > 0) {
		/* A server that lists the oldest first shows it by a full
		 * page behind what should be the end. */
		n = look(api, topic, newest, API_PAGE_LIMIT, &last, e);
		if (n < 0)
			return -1;
		if (n == API_PAGE_LIMIT) {
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

enum state { IDLE, ASKED, READY };

struct reader {
	struct api *api;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t asked;
	enum state state; /* this and the rest: under the mutex */
	bool ending;
	struct dialect_page want;
	char *topic, *after, *type;
	struct api_page page;
	struct err err;
	int status;
	int event_fd;
};

static void forget_request(struct reader *r)
{
	free(r->topic);
	free(r->after);
	free(r->type);
	r->topic = r->after = r->type = NULL;
}

static void *work(void *ctx)
{
	static const uint64_t one = 1;
	struct reader *r = ctx;

	pthread_mutex_lock(&r->mutex);
	for (;;) {
		while (r->state != ASKED && !r->ending)
			pthread_cond_wait(&r->asked, &r->mutex);
		if (r->ending)
			break;
		/* While it is ASKED nobody else touches the request. */
		pthread_mutex_unlock(&r->mutex);
		r->err = (struct err){ 0 };
		r->status = api_page(r->api, &r->want, &r->page, &r->err);
		pthread_mutex_lock(&r->mutex);
		r->state = READY;
		if (write(r->event_fd, &one, sizeof one) < 0) {
			/* It is readable already. */
		}
	}
	pthread_mutex_unlock(&r->mutex);
	return NULL;
}

struct reader *reader_new(struct api *api, struct err *e)
{
	struct reader *r = xcalloc(1, sizeof *r);

	r->api = api;
	r->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&r->mutex, NULL);
	pthread_cond_init(&r->asked, NULL);
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
	if (r == NULL)
		return;
	pthread_mutex_lock(&r->mutex);
	r->ending = true;
	/* A request under way ends with everything else that waits. */
	if (r->state == ASKED)
		stop_ask();
	pthread_cond_signal(&r->asked);
	pthread_mutex_unlock(&r->mutex);
	pthread_join(r->thread, NULL);
	if (r->state == READY && r->status == 0)
		api_page_release(&r->page);
	forget_request(r);
	close(r->event_fd);
	pthread_mutex_destroy(&r->mutex);
	pthread_cond_destroy(&r->asked);
	free(r);
}

static char *copy(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

void reader_ask(struct reader *r, const struct dialect_page *page)
{
	pthread_mutex_lock(&r->mutex);
	forget_request(r);
	r->want = *page;
	r->want.topic = r->topic = copy(page->topic);
	r->want.after = r->after = copy(page->after);
	r->want.type = r->type = copy(page->type);
	r->state = ASKED;
	pthread_cond_signal(&r->asked);
	pthread_mutex_unlock(&r->mutex);
}

bool reader_busy(struct reader *r)
{
	bool busy;

	pthread_mutex_lock(&r->mutex);
	busy = r->state != IDLE;
	pthread_mutex_unlock(&r->mutex);
	return busy;
}

int reader_fd(const struct reader *r)
{
	return r->event_fd;
}

int reader_take(struct reader *r, struct api_page *page, struct err *e)
{
	uint64_t n;
	int status = 0;

	pthread_mutex_lock(&r->mutex);
	if (r->state == READY) {
		if (read(r->event_fd, &n, sizeof n) < 0) {
			/* Taken before it was polled: nothing to clear. */
		}
		r->state = IDLE;
		status = r->status < 0 ? -1 : 1;
		if (status < 0)
			*e = r->err;
		else
			*page = r->page;
	}
	pthread_mutex_unlock(&r->mutex);
	return status;
}
