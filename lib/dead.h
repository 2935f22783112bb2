/* state: dead letters, dead/TOPIC/EVENT_ID.json: events that gave up, each with
 * the event itself, how often it was tried, how it ended, and when. */
#ifndef AGENTRUX_DEAD_H
#define AGENTRUX_DEAD_H

#include "err.h"
#include "slice.h"
#include "statefile.h"

enum { DEAD_LETTER_MAX = 134217728 };

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

/* The letters of a topic by their file names, oldest first. Starts as all zero.
 * No folder is no letter. */
struct dead_list {
	char **names;
	size_t n, at; /* `at` is the caller's */
};
int dead_list(const struct statedir *home, const char *topic,
	struct dead_list *list, struct err *e);
void dead_list_release(struct dead_list *list);

/* A letter again: `event` and `attempts`; the slice borrows from `text`.
 * 1: read. 0: it is gone, or no letter, of which the user was told. -1: error. */
int dead_read(const struct statedir *home, const char *topic, const char *name,
	struct buf *text, struct dead_letter *letter, struct err *e);

int dead_remove(const struct statedir *home, const char *topic,
	const char *name, struct err *e);

#endif
