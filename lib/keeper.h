/* service: the process that stands between drain and one handler.
 *
 * A handler may fork, call setsid, ignore signals and leave pipes open. So each
 * runs under a keeper, forked for it, which is the subreaper of all that the
 * handler starts: what loses its parent becomes the keeper's child, and so
 * nothing escapes. The keeper enforces the timeout, passes stderr on and keeps
 * its end, and when the handler has ended, or time is up, or drain told it to
 * end or died, sees to it that nothing of it survives: SIGTERM to all, SIGKILL
 * KEEPER_GRACE_MS later. */
#ifndef AGENTRUX_KEEPER_H
#define AGENTRUX_KEEPER_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { KEEPER_GRACE_MS = 5000, KEEPER_TAIL_MAX = 3072 };

enum keeper_end {
	KEEPER_EXITED,	 /* value: the exit status */
	KEEPER_SIGNALED, /* value: the signal */
	KEEPER_TIMED_OUT,
	KEEPER_INTERRUPTED, /* we were told to end it */
	KEEPER_NOT_STARTED, /* value: errno of exec */
};

struct keeper_report {
	enum keeper_end end;
	int value;
	size_t tail_len;
	char tail[KEEPER_TAIL_MAX]; /* the end of its stderr */
};

struct keeper_job {
	char *const *argv;
	char *const *env; /* "NAME=value" to add, NULL-terminated */
	int stdin_fd;
	int stdout_fd;	 /* -1: ours */
	long timeout_ms; /* 0: none */
	/* Descriptors that stay open as long as anything of it lives. */
	const int *keep;
	size_t n_keep;
};

/* Starts a keeper and with it the handler; its pid, or -1. `*report_fd` gets one
 * report and is at its end when nothing of the handler is left. The descriptors
 * of the job stay the caller's. */
pid_t keeper_start(const struct keeper_job *job, int *report_fd, struct err *e);

/* Reads from that descriptor. true: this is the report. false: it is at its end;
 * if that comes first, somebody has killed the keeper, and the report says so of
 * the handler, which went along. */
bool keeper_hear(int report_fd, struct keeper_report *report);

/* Waits for a keeper whose descriptor is at its end, and closes that. */
void keeper_end(pid_t keeper, int report_fd);

#endif
