/* service: handlers, at most N at once, each with one event on its stdin.
 *
 * handler_pool_new, then handler_start while handler_free_slots says so;
 * handler_pool_fd becomes readable when handler_take has a result. stdin is a
 * sealed memory file, so the event is whole even if we die; never argv or the
 * environment, which cannot hold every event. What lives under a handler and
 * how it ends is keeper.h's business. For one thread, the main one. */
#ifndef AGENTRUX_HANDLER_H
#define AGENTRUX_HANDLER_H

#include "err.h"
#include "keeper.h"

#include <stddef.h>

enum { HANDLER_JOBS_MAX = 256 };

/* DESIGN, agentrux-drain, the table of exit statuses. */
enum handler_outcome {
	HANDLER_DONE,	     /* 0 */
	HANDLER_NEVER,	     /* 65: no attempt will help */
	HANDLER_NOT_NOW,     /* 75: no attempt is counted */
	HANDLER_BROKEN,	     /* 78, 126, 127, or it cannot be started */
	HANDLER_FAILED,	     /* anything else: a failed attempt */
	HANDLER_INTERRUPTED, /* we ended it: no attempt is counted */
	HANDLER_AGAIN,	     /* it never was begun */
};

struct handler_result {
	enum handler_outcome outcome;
	char status[64]; /* for people: "exit status 1", "timeout" */
	int exit_status; /* -1 where it is not that */
	char stderr_end[KEEPER_TAIL_MAX + 1];
};

/* What the handler finds in its environment as AGENTRUX_… */
struct handler_event {
	const char *topic, *id, *type, *position;
	int attempt;
	const char *line; /* its stdin */
	size_t len;
};

/* What a status means, of an exit or an answer; and a keeper's report. */
enum handler_outcome handler_outcome_of(int status);
void handler_judge(
	const struct keeper_report *report, struct handler_result *result);

struct handler_pool;

/* argv[0] is looked up in PATH; timeout_ms 0: none. */
struct handler_pool *handler_pool_new(
	char *const *argv, unsigned jobs, long timeout_ms, struct err *e);

/* A descriptor (a lock) that must stay open while anything of a handler
 * lives. */
void handler_keep(struct handler_pool *p, int fd);

unsigned handler_free_slots(const struct handler_pool *p);
unsigned handler_running(const struct handler_pool *p);

/* `tag` comes back with the result. EX_IOERR or EX_TEMPFAIL if this machine
 * cannot start a process. */
int handler_start(struct handler_pool *p, const struct handler_event *ev,
	void *tag, struct err *e);

int handler_pool_fd(const struct handler_pool *p);

/* 1: one has ended. 0: none. */
int handler_take(
	struct handler_pool *p, void **tag, struct handler_result *result);

/* Tells those that run to end; their results still come. */
void handler_end_all(struct handler_pool *p);

/* Ends what still runs and waits until nothing of any handler is left. */
void handler_pool_free(struct handler_pool *p);

#endif
