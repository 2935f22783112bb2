/* service: jobs done side by side, and dealt with in the order they were put.
 *
 * Each lane is a thread with an api of its own. A job is put (lanes_put), some
 * lane works on it, and once it and all before it are worked on it is ended, one
 * job at a time. What is put and not ended is bounded in number and in weight,
 * so memory is, too: lanes_put waits.
 *
 * The end of a job may put an end to all: then no further job is begun, those
 * under way are finished, and all of them are ended all the same, the ones that
 * were not begun as such. The same when we are told to end. */
#ifndef AGENTRUX_LANES_H
#define AGENTRUX_LANES_H

#include "api.h"
#include "err.h"

#include <stdbool.h>
#include <stddef.h>

enum { LANES_MAX = 64, LANES_WEIGHT_MAX = 33554432 };

/* The first member of a job of the caller's own. */
struct lanes_job {
	struct lanes_job *next;
	size_t weight;
	bool begun, done;
};

struct lanes_work {
	const char *home;     /* as for api_open */
	const char *base_url; /* likewise */
	long retry_ms;
	long n; /* lanes, 1..LANES_MAX */
	/* In a lane's thread. */
	void (*work)(void *ctx, struct api *api, struct lanes_job *job);
	/* In some thread, one at a time, in order; the job is the caller's
	 * again. -1: begin no further ones. */
	int (*end)(void *ctx, struct lanes_job *job);
	void *ctx;
};

struct lanes;

/* `w` is copied. NULL on error. Where the access token cannot be shared there
 * is one lane only: tokens are few. */
struct lanes *lanes_new(const struct lanes_work *w, struct err *e);

/* 0: put. -1: all has been ended, or we are told to end; the job stays the
 * caller's. A job over LANES_WEIGHT_MAX waits until it is alone. */
int lanes_put(struct lanes *l, struct lanes_job *job, size_t weight);

/* Becomes readable when the end of a job has ended all. */
int lanes_fd(const struct lanes *l);

/* Waits until all jobs have been ended and gives everything back. */
void lanes_finish(struct lanes *l);

#endif
