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

/* Comes once through `report_fd`, in one write. */
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
	int report_fd;
	long timeout_ms; /* 0: none */
	pid_t parent;	 /* whose death ends it */
	/* Descriptors that stay open as long as anything of it lives. */
	const int *keep;
	size_t n_keep;
};

/* Called in a fresh child; does not return. */
_Noreturn void keeper_run(const struct keeper_job *job);

#endif
