#include "lanes.h"

#include "stop.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { AHEAD = 8 /* jobs beyond two a lane that may be put and not ended */ };

struct lane {
	struct lanes *all;
	struct api api;
	pthread_t thread;
};

struct lanes {
	struct lanes_work w;
	struct lane lanes[LANES_MAX];
	long n_open, n_started;
	pthread_mutex_t mutex;
	pthread_cond_t to_do; /* for the lanes: `next`, `closing`, `over` */
	pthread_cond_t room;  /* for lanes_put */
	long n_idle;	      /* lanes that wait */
	bool full;	      /* lanes_put waits */
	struct lanes_job *first, *last; /* put and not ended, in order */
	struct lanes_job *next;		/* the first that is not begun */
	size_t n_jobs, weight;
	bool closing; /* nothing more will be put */
	bool over;    /* nothing more is to be begun */
	int event_fd;
};

static size_t max_jobs(const struct lanes *l)
{
	return (size_t)l->w.n * 2 + AHEAD;
}

static void set_over(struct lanes *l)
{
	static const uint64_t one = 1;

	l->over = true;
	pthread_cond_broadcast(&l->to_do);
	pthread_cond_signal(&l->room);
	if (write(l->event_fd, &one, sizeof one) < 0) {
		/* It is readable already. */
	}
}

/* Ends what is done at the head of the queue. */
static void settle(struct lanes *l, bool all)
{
	struct lanes_job *job;

	while ((job = l->first) && (all || job->done)) {
		l->first = job->next;
		l->n_jobs--;
		l->weight -= job->weight;
		if (l->w.end(l->w.ctx, job) < 0)
			set_over(l);
	}
	if (l->first == NULL)
		l->last = l->next = NULL;
}

static struct lanes_job *take(struct lanes *l)
{
	struct lanes_job *job;

	l->n_idle++;
	while (l->next == NULL && !l->closing && !l->over)
		pthread_cond_wait(&l->to_do, &l->mutex);
	l->n_idle--;
	if (stop_asked())
		set_over(l);
	if (l->over || l->next == NULL)
		return NULL;
	job = l->next;
	l->next = job->next;
	job->begun = true;
	return job;
}

static void *lane(void *ctx)
{
	struct lane *own = ctx;
	struct lanes *l = own->all;
	struct lanes_job *job;

	pthread_mutex_lock(&l->mutex);
	while ((job = take(l))) {
		pthread_mutex_unlock(&l->mutex);
		l->w.work(l->w.ctx, &own->api, job);
		pthread_mutex_lock(&l->mutex);
		job->done = true;
		settle(l, false);
		/* Waking it for each job would cost more than it brings. */
		if (l->full && l->n_jobs <= max_jobs(l) / 2)
			pthread_cond_signal(&l->room);
	}
	pthread_mutex_unlock(&l->mutex);
	return NULL;
}

static int open_lane(struct lanes *l, struct err *e)
{
	struct lane *own = &l->lanes[l->n_open++];

	own->all = l;
	if (api_open(&own->api, l->w.home, l->w.base_url, e) < 0)
		return -1;
	own->api.retry_ms = l->w.retry_ms;
	if (own->api.auth.cache.off)
		l->w.n = 1;
	return 0;
}

struct lanes *lanes_new(const struct lanes_work *w, struct err *e)
{
	struct lanes *l = xcalloc(1, sizeof *l);

	l->w = *w;
	if (l->w.n > LANES_MAX)
		l->w.n = LANES_MAX;
	pthread_mutex_init(&l->mutex, NULL);
	pthread_cond_init(&l->to_do, NULL);
	pthread_cond_init(&l->room, NULL);
	l->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->event_fd < 0) {
		err_errno(e, "starting to work");
		goto fail;
	}
	while (l->n_open < l->w.n)
		if (open_lane(l, e) < 0)
			goto fail;
	for (; l->n_started < l->w.n; l->n_started++) {
		struct lane *own = &l->lanes[l->n_started];

		errno = pthread_create(&own->thread, NULL, lane, own);
		if (errno) {
			err_errno(e, "starting to work");
			goto fail;
		}
	}
	return l;
fail:
	lanes_finish(l);
	return NULL;
}

static bool has_room(const struct lanes *l, size_t weight)
{
	return l->n_jobs == 0 ||
	       (l->n_jobs < max_jobs(l) &&
		       l->weight + weight <= LANES_WEIGHT_MAX);
}

int lanes_put(struct lanes *l, struct lanes_job *job, size_t weight)
{
	int r = -1;

	pthread_mutex_lock(&l->mutex);
	/* Told to end, the lanes see to it that this does not last. */
	while (!l->over && !has_room(l, weight)) {
		l->full = true;
		pthread_cond_wait(&l->room, &l->mutex);
	}
	l->full = false;
	if (stop_asked())
		set_over(l);
	if (!l->over) {
		*job = (struct lanes_job){ .weight = weight };
		if (l->last)
			l->last->next = job;
		else
			l->first = job;
		l->last = job;
		if (l->next == NULL)
			l->next = job;
		l->n_jobs++;
		l->weight += weight;
		r = 0;
		if (l->n_idle)
			pthread_cond_signal(&l->to_do);
	}
	pthread_mutex_unlock(&l->mutex);
	return r;
}

int lanes_fd(const struct lanes *l)
{
	return l->event_fd;
}

void lanes_finish(struct lanes *l)
{
	long i;

	if (l == NULL)
		return;
	pthread_mutex_lock(&l->mutex);
	l->closing = true;
	pthread_cond_broadcast(&l->to_do);
	pthread_mutex_unlock(&l->mutex);
	for (i = 0; i < l->n_started; i++)
		pthread_join(l->lanes[i].thread, NULL);
	settle(l, true);
	for (i = 0; i < l->n_open; i++)
		api_close(&l->lanes[i].api);
	if (l->event_fd >= 0)
		close(l->event_fd);
	pthread_cond_destroy(&l->to_do);
	pthread_cond_destroy(&l->room);
	pthread_mutex_destroy(&l->mutex);
	free(l);
}
