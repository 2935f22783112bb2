/* service: how an event reaches whoever handles it, and when it counts.
 *
 * As a line on a descriptor (lines.h), where it counts once the reader has taken
 * or acknowledged it; or on the stdin of a handler (handler.h, resident.h), by
 * whose end or answer it is settled, tried again, put off, or given up to dead/. Items come from queues
 * (queue.h) and are settled there. delivery_give() only while
 * delivery_has_room(); what has ended since is dealt with by
 * delivery_collect(). */
#ifndef AGENTRUX_DELIVER_H
#define AGENTRUX_DELIVER_H

#include "err.h"
#include "queue.h"

#include <stdbool.h>

struct pollfd;

struct delivery_rules {
	char *const *handler; /* argv, or NULL: lines on out_fd */
	int out_fd;
	int ack_fd;	 /* -1: a line counts once it was taken */
	bool resident;	 /* handlers stay: resident.h */
	unsigned jobs;	 /* handlers at once */
	long timeout_ms; /* of a handler; 0: none */
	long attempts;	 /* failed ones before an event is given up */
};

struct delivery;

struct delivery *delivery_new(const struct delivery_rules *r, struct err *e);

/* Ends what still runs and waits until nothing of it is left. */
void delivery_free(struct delivery *d);

/* A descriptor that stays open as long as anything of a handler lives. */
void delivery_keep(struct delivery *d, int fd);

bool delivery_has_room(const struct delivery *d);

/* 1: the item is running. 0: this one not now. */
int delivery_give(struct delivery *d, struct item *it, struct err *e);

/* Settles what has ended. EX_CONFIG: the handler is broken. */
int delivery_collect(struct delivery *d, struct err *e);

/* Is every end worth recording at once? (A handler's is: it may have cost.) */
bool delivery_is_dear(const struct delivery *d);

/* Nothing that runs can be settled any more. */
bool delivery_is_over(const struct delivery *d);

/* No more will be given. */
void delivery_end(struct delivery *d);

/* Right before waiting: what to poll for (2 at most; the number is returned),
 * and after how many ms at the latest to collect again (-1: no need). */
unsigned delivery_fds(const struct delivery *d, struct pollfd *fds);
long delivery_wait_ms(struct delivery *d);

/* Told to end: what runs may finish for grace_ms, then it is ended. Returns
 * when nothing runs any more; what did end well is settled. `e` gets the first
 * thing that went wrong meanwhile, if any did. */
void delivery_wind_up(struct delivery *d, long grace_ms, struct err *e);

#endif
