/* state: dead letters, dead/TOPIC/EVENT_ID.json: events that gave up, each with
 * the event itself, how often it was tried, how it ended, and when. */
#ifndef AGENTRUX_DEAD_H
#define AGENTRUX_DEAD_H

#include "err.h"
#include "slice.h"
#include "statefile.h"

struct dead_letter {
	const char *topic;
	const char *event_id; /* NULL: it had none */
	struct slice event;
	int attempts;
	const char *status;	/* "exit status 1", "no event_id" */
	const char *stderr_end; /* NULL: there was no handler */
};

/* Synced when it returns 0. The same event again replaces its letter. An id
 * that is not fit for a file name is replaced by its SHA-256, a missing one by
 * that of the event. */
int dead_write(const struct statedir *home, const struct dead_letter *letter,
	struct err *e);

#endif
