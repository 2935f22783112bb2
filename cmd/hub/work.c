#include "work.h"

#include "stop.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_JOBS = 512, BATCH_BYTES = 16 << 20 };

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t some;
	struct job *first, **last;
	bool closed;
	pthread_t thread;
	bool running;
};

struct work {
	struct queue commits, files;
	struct db *db;
	void (*settled)(void *arg);
	void *arg;
};

static void queue_init(struct queue *q)
{
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->some, NULL);
	q->last = &q->first;
}

static int queue_put(struct queue *q, struct job *j)
{
	int r = -1;

	j->next = NULL;
	pthread_mutex_lock(&q->lock);
	if (!q->closed) {
		*q->last = j;
		q->last = &j->next;
		pthread_cond_signal(&q->some);
		r = 0;
	}
	pthread_mutex_unlock(&q->lock);
	return r;
}

/* Waits for jobs and takes at most `jobs` of them and, but for the first, not
 * more than `bytes`. NULL: closed, and none are left. */
static struct job *queue_take(struct queue *q, size_t jobs, size_t bytes)
{
	struct job *first, **at = &first;
	size_t weight = 0;

	pthread_mutex_lock(&q->lock);
	while (q->first == NULL && !q->closed)
		pthread_cond_wait(&q->some, &q->lock);
	while (q->first && jobs--) {
		struct job *j = q->first;

		if (at != &first && weight + j->weight > bytes)
			break;
		weight += j->weight;
		*at = j;
		at = &j->next;
		q->first = j->next;
	}
	*at = NULL;
	if (q->first == NULL)
		q->last = &q->first;
	pthread_mutex_unlock(&q->lock);
	return first;
}

static void queue_close(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->closed = true;
	pthread_cond_signal(&q->some);
	pthread_mutex_unlock(&q->lock);
	if (q->running)
		pthread_join(q->thread, NULL);
	q->running = false;
}

static void queue_release(struct queue *q)
{
	pthread_mutex_destroy(&q->lock);
	pthread_cond_destroy(&q->some);
}

static void run_job(struct work *w, struct job *j)
{
	struct err e = { 0 };

	/* A full disk makes SQLite roll back by itself. A savepoint would then
	 * be a transaction of its own, and be kept while its batch is lost. */
	if (!db_is_open(w->db))
		j->outcome = err_set(&e, EX_IOERR, "the transaction is lost");
	else
		j->outcome = db_mark(w->db, &e);
	if (j->outcome == 0) {
		j->outcome = j->run(j, w->db, &e);
		if (j->outcome == 0)
			j->outcome = db_keep(w->db, &e);
		if (j->outcome)
			db_undo(w->db);
	}
	if (j->outcome < 0) {
		j->error = xcalloc(1, sizeof e);
		*j->error = e;
	}
}

static void finish(struct job *j, const struct err *e)
{
	struct err *own = j->error;

	/* `done` gives the job back: not to be touched after. */
	j->error = NULL;
	if (own && e->code == 0)
		say("%s", own->text);
	j->done(j, own ? own : e);
	free(own);
}

static void commit_batch(struct work *w, struct job *batch)
{
	struct err e = { 0 };
	struct job *j, *next;

	if (db_begin(w->db, &e) == 0) {
		for (j = batch; j; j = j->next)
			run_job(w, j);
		db_commit(w->db, &e);
	}
	if (e.code)
		say("%s", e.text);
	for (j = batch; j; j = next) {
		next = j->next;
		finish(j, &e);
	}
	w->settled(w->arg);
}

static void *commit_thread(void *arg)
{
	struct work *w = arg;
	struct job *batch;

	while ((batch = queue_take(&w->commits, BATCH_JOBS, BATCH_BYTES)))
		commit_batch(w, batch);
	return NULL;
}

static void *file_thread(void *arg)
{
	struct work *w = arg;
	struct job *j;

	while ((j = queue_take(&w->files, 1, 0))) {
		struct err e = { 0 };

		if (stop_asked()) {
			err_stopped(&e);
		} else if (j->prepare(j, &e) == 0) {
			if (queue_put(&w->commits, j) == 0)
				continue;
			err_stopped(&e);
		} else {
			say("%s", e.text);
		}
		j->done(j, &e);
	}
	return NULL;
}

struct work *work_start(
	struct db *db, void (*settled)(void *arg), void *arg, struct err *e)
{
	struct work *w = xcalloc(1, sizeof *w);
	int r;

	w->db = db;
	w->settled = settled;
	w->arg = arg;
	queue_init(&w->commits);
	queue_init(&w->files);
	r = pthread_create(&w->commits.thread, NULL, commit_thread, w);
	w->commits.running = r == 0;
	if (r == 0) {
		r = pthread_create(&w->files.thread, NULL, file_thread, w);
		w->files.running = r == 0;
	}
	if (r == 0)
		return w;
	work_stop(w);
	work_free(w);
	err_set(e, EX_IOERR, "starting a thread: %s", strerror(r));
	return NULL;
}

int work_submit(struct work *w, struct job *j)
{
	j->error = NULL;
	return queue_put(j->prepare ? &w->files : &w->commits, j);
}

struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t over;
	bool is_over;
	struct err e;
	struct job job;
	struct job *inner;
};

static int waiter_run(struct job *j, struct db *db, struct err *e)
{
	struct waiter *wt = (void *)((char *)j - offsetof(struct waiter, job));

	return wt->inner->run(wt->inner, db, e);
}

static void waiter_done(struct job *j, const struct err *e)
{
	struct waiter *wt = (void *)((char *)j - offsetof(struct waiter, job));

	pthread_mutex_lock(&wt->lock);
	wt->e = *e;
	wt->is_over = true;
	pthread_cond_signal(&wt->over);
	pthread_mutex_unlock(&wt->lock);
}

int work_wait(struct work *w, struct job *j, struct err *e)
{
	struct waiter wt = { .inner = j };

	pthread_mutex_init(&wt.lock, NULL);
	pthread_cond_init(&wt.over, NULL);
	wt.job.run = waiter_run;
	wt.job.done = waiter_done;
	if (work_submit(w, &wt.job) < 0) {
		err_stopped(&wt.e);
	} else {
		pthread_mutex_lock(&wt.lock);
		while (!wt.is_over)
			pthread_cond_wait(&wt.over, &wt.lock);
		pthread_mutex_unlock(&wt.lock);
	}
	pthread_mutex_destroy(&wt.lock);
	pthread_cond_destroy(&wt.over);
	if (e)
		*e = wt.e;
	return wt.e.code ? -1 : 0;
}

void work_stop(struct work *w)
{
	/* Files first: what they have finished still has to be committed. */
	queue_close(&w->files);
	queue_close(&w->commits);
}

void work_free(struct work *w)
{
	if (w == NULL)
		return;
	queue_release(&w->files);
	queue_release(&w->commits);
	db_close(w->db);
	free(w);
}
