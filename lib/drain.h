/* service: topics read from their positions on, each event delivered once: as a
 * line, or to a handler. What agentrux-drain promises is kept here; the
 * program brings options in and an exit code out.
 *
 * One loop, driven by descriptors: hints on stdin, pages from the reader's
 * thread, handlers that end, a stdout that can take more. */
#ifndef AGENTRUX_DRAIN_H
#define AGENTRUX_DRAIN_H

#include "api.h"
#include "err.h"

#include <stdbool.h>

enum { DRAIN_TOPICS_MAX = 1000, DRAIN_HINT_MAX = 65536 };

enum drain_from {
	DRAIN_FROM_SAVED,  /* and at first contact from now on */
	DRAIN_FROM_OLDEST, /* at first contact all that is retained */
	DRAIN_FROM_LATEST, /* at every start from now on */
};

struct drain {
	/* `setup` looks for first positions, `api` belongs to the reader. Their
	 * own retry time is 0: a topic in trouble must not hold up others. */
	struct api *setup, *api;
	char *const *topics;  /* NULL-terminated; may be empty with hints */
	char *const *handler; /* argv, or NULL: lines on out_fd */
	int hints_fd;	      /* -1: a single pass */
	int out_fd;
	int ack_fd; /* ids of lines that count; -1: those that were taken */
	enum drain_from from;
	/* The letters in dead/ instead of the topics: no service is needed, nor
	 * `api`; of `setup` only the home and a dialect. */
	bool dead;
	bool peek;	   /* print, save nothing */
	bool resident;	   /* handlers stay: resident.h */
	long jobs;	   /* handlers at once */
	const char *key;   /* payload field that makes a conversation */
	const char *dedup; /* payload field of which a value is done once */
	bool stop_at_gap;  /* EX_DATAERR where events were lost */
	const char *type;  /* of events; NULL: all */
	bool exclude_self;
	long limit; /* page size */
	long max;   /* events; 0: no bound */
	long attempts;
	long timeout_ms; /* of a handler; 0: none */
	long grace_ms;	 /* for handlers when told to end */
	long lock_wait_ms;
	long retry_ms;	/* for temporary trouble in a single pass */
	bool skip_busy; /* a topic that another drain has is passed over */
};

/* 0, or -1 with the exit code in `e` (ERR_STOPPED when told to end). */
int drain_run(const struct drain *d, struct err *e);

#endif
