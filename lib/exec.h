/* service: one command, without a shell, and nothing of it left behind.
 *
 * For a process of one thread without children, which becomes the parent of all
 * that the command leaves. The command finds no input and no terminal, a small
 * environment that is always the same, and its program by a fixed PATH or by a
 * name with a slash. When it has ended, or its time is up, or we are told to
 * end, everything that it started is ended: SIGTERM, and SIGKILL soon after. */
#ifndef AGENTRUX_EXEC_H
#define AGENTRUX_EXEC_H

#include "buf.h"
#include "err.h"

#include <stdint.h>

struct exec_job {
	char *const *argv;
	int dir_fd; /* the folder that it runs in */
	long timeout_ms;
};

enum exec_end {
	EXEC_EXITED,   /* value: its exit status */
	EXEC_SIGNALED, /* value: the signal */
	EXEC_TIMED_OUT,
	EXEC_NOT_STARTED, /* value: errno of execve(2) */
};

struct exec_result {
	enum exec_end end;
	int value;
	/* What it wrote to stdout and stderr, as it came; what the ceiling of
	 * the caller's buffer does not hold is only counted. */
	struct buf output;
	int64_t written;
};

/* 0, or -1: told to end (ERR_STOPPED), or this machine cannot. */
int exec_run(
	const struct exec_job *job, struct exec_result *result, struct err *e);

#endif
