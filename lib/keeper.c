#include "keeper.h"

#include "backoff.h"
#include "family.h"
#include "io.h"
#include "stop.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SWEEP_MS = 50, GIVE_UP_MS = 2000, STARTED = 0 };

struct keeper {
	const struct keeper_job *job;
	int report_fd;
	pid_t handler;
	int signals, stderr_fd;
	bool handler_gone, childless, reported;
	int status;		     /* of waitpid(2) */
	enum keeper_end why;	     /* KEEPER_EXITED: nothing of ours */
	int64_t timeout_at, kill_at; /* 0: none */
	struct keeper_report report;
};

/* --- starting --- */

/* What neither stdio nor the job needs is closed: connections and pipes of
 * drain must not live as long as a handler. */
static void close_foreign(const struct keeper_job *job, int report_fd)
{
	long fd;
	DIR *d = opendir("/proc/self/fd");
	struct dirent *entry;
	size_t i;

	while (d && (entry = readdir(d))) {
		fd = atol(entry->d_name);
		if (entry->d_name[0] == '.' || fd < 3 || fd == dirfd(d) ||
			fd == job->stdin_fd || fd == job->stdout_fd ||
			fd == report_fd)
			continue;
		for (i = 0; i < job->n_keep && job->keep[i] != fd; i++)
			;
		if (i == job->n_keep)
			close((int)fd);
	}
	if (d)
		closedir(d);
}

static _Noreturn void become_handler(
	const struct keeper_job *job, pid_t keeper, int stderr_w, int failed_w)
{
	int why;
	size_t i;

	/* A keeper that is killed takes the handler along: it must not go on
	 * beside its own repetition. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != keeper)
		_exit(1);
	setpgid(0, 0);
	stop_reset_child();
	for (i = 0; job->env[i]; i++)
		putenv(job->env[i]);
	if (dup2(job->stdin_fd, STDIN_FILENO) >= 0 &&
		(job->stdout_fd < 0 ||
			dup2(job->stdout_fd, STDOUT_FILENO) >= 0) &&
		dup2(stderr_w, STDERR_FILENO) >= 0 &&
		close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
		execvp(job->argv[0], job->argv);
	why = errno;
	io_write(failed_w, &why, sizeof why);
	_exit(127);
}

/* 0, or the errno that kept it from starting. */
static int start(struct keeper *k)
{
	int err[2], failed[2], why = STARTED;
	pid_t keeper = getpid();
	ssize_t n;

	if (pipe2(err, O_CLOEXEC) < 0)
		return errno;
	if (pipe2(failed, O_CLOEXEC) < 0)
		return errno;
	k->handler = fork();
	if (k->handler < 0)
		return errno;
	if (k->handler == 0)
		become_handler(k->job, keeper, err[1], failed[1]);
	close(err[1]);
	close(failed[1]);
	close(k->job->stdin_fd);
	if (k->job->stdout_fd >= 0)
		close(k->job->stdout_fd);
	k->stderr_fd = err[0];
	do {
		n = read(failed[0], &why, sizeof why);
	} while (n < 0 && errno == EINTR);
	close(failed[0]);
	return n == sizeof why ? why : STARTED;
}

/* --- watching --- */

static void keep_tail(struct keeper_report *r, const char *p, size_t n)
{
	if (n >= sizeof r->tail) {
		p += n - sizeof r->tail;
		n = sizeof r->tail;
	}
	if (r->tail_len + n > sizeof r->tail) {
		size_t drop = r->tail_len + n - sizeof r->tail;

		memmove(r->tail, r->tail + drop, r->tail_len - drop);
		r->tail_len -= drop;
	}
	memcpy(r->tail + r->tail_len, p, n);
	r->tail_len += n;
}

/* Passes on what is there. false: nothing was. */
static bool pass_stderr(struct keeper *k)
{
	struct pollfd fd = { .fd = k->stderr_fd, .events = POLLIN };
	char block[4096];
	ssize_t n;

	struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };

	/* Never into a write that would block: time must go on counting. */
	if (k->stderr_fd < 0 || poll(&out, 1, 0) == 0 || poll(&fd, 1, 0) <= 0)
		return false;
	n = read(k->stderr_fd, block, sizeof block);
	if (n <= 0) {
		close(k->stderr_fd);
		k->stderr_fd = -1;
		return false;
	}
	keep_tail(&k->report, block, (size_t)n);
	if (io_write(STDERR_FILENO, block, (size_t)n) < 0) {
		/* A stderr that is gone must not stop the handler. */
	}
	return true;
}

static bool ended_well(const struct keeper *k)
{
	return k->handler_gone && WIFEXITED(k->status) &&
	       WEXITSTATUS(k->status) == 0;
}

static void report(struct keeper *k)
{
	int blocks;

	/* What it wrote before it ended; a grandchild that goes on writing
	 * cannot keep us here. */
	for (blocks = 0; blocks < 64 && pass_stderr(k); blocks++)
		;
	if (k->why == KEEPER_TIMED_OUT ||
		(k->why == KEEPER_INTERRUPTED && !ended_well(k))) {
		k->report.end = k->why;
	} else if (WIFSIGNALED(k->status)) {
		k->report.end = KEEPER_SIGNALED;
		k->report.value = WTERMSIG(k->status);
	} else {
		k->report.end = KEEPER_EXITED;
		k->report.value = WEXITSTATUS(k->status);
	}
	io_write(k->report_fd, &k->report, sizeof k->report);
	k->reported = true;
}

/* Begins to end everything, for this reason. */
static void end_all(struct keeper *k, enum keeper_end why)
{
	if (k->kill_at)
		return;
	k->why = why;
	k->timeout_at = 0;
	k->kill_at = backoff_clock_ms() + KEEPER_GRACE_MS;
	family_signal(SIGTERM);
}

static void on_signals(struct keeper *k)
{
	struct signalfd_siginfo info;

	while (read(k->signals, &info, sizeof info) == sizeof info)
		if (info.ssi_signo != SIGCHLD)
			end_all(k, KEEPER_INTERRUPTED);
}

static void reap(struct keeper *k)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == k->handler) {
			k->status = status;
			k->handler_gone = true;
		}
	k->childless = pid < 0 && errno == ECHILD;
}

/* Until the next thing to do; -1: nothing is due. */
static long wait_ms(const struct keeper *k, int64_t now)
{
	int64_t due = k->kill_at ? k->kill_at : k->timeout_at;

	if (due == 0)
		return -1;
	if (due > now)
		return (long)(due - now);
	return k->kill_at ? SWEEP_MS : 0;
}

static void on_time(struct keeper *k, int64_t now)
{
	if (k->timeout_at && now >= k->timeout_at)
		end_all(k, KEEPER_TIMED_OUT);
	if (k->kill_at && now >= k->kill_at)
		family_signal(SIGKILL);
	/* One that hangs in the kernel cannot be waited for for ever. */
	if (k->kill_at && now >= k->kill_at + GIVE_UP_MS)
		k->childless = true;
}

static void watch(struct keeper *k)
{
	while (!k->childless) {
		struct pollfd fds[] = {
			{ .fd = k->signals, .events = POLLIN },
			{ .fd = k->stderr_fd, .events = POLLIN },
			{ .fd = STDERR_FILENO, .events = POLLOUT },
		};
		bool taken = k->stderr_fd < 0 || poll(&fds[2], 1, 0) != 0;

		/* While ours is full, wait for room in it; not for more. */
		fds[taken ? 2 : 1].fd = -1;
		poll(fds, 3, (int)wait_ms(k, backoff_clock_ms()));
		pass_stderr(k);
		on_signals(k);
		reap(k);
		on_time(k, backoff_clock_ms());
		if (k->handler_gone && !k->reported &&
			k->why == KEEPER_EXITED) {
			report(k);
			if (!k->childless)
				end_all(k, KEEPER_EXITED);
		}
	}
}

/* In a fresh child. */
static _Noreturn void run(
	const struct keeper_job *job, pid_t drain, int report_fd)
{
	struct keeper k = {
		.job = job, .report_fd = report_fd, .stderr_fd = -1
	};
	sigset_t watched;
	int why;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != drain)
		_exit(1);
	setpgid(0, 0);
	sigemptyset(&watched);
	sigaddset(&watched, SIGCHLD);
	sigaddset(&watched, SIGTERM);
	sigaddset(&watched, SIGINT);
	sigaddset(&watched, SIGHUP);
	sigprocmask(SIG_SETMASK, &watched, NULL);
	signal(SIGCHLD, SIG_DFL);
	close_foreign(job, report_fd);
	k.signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
	if (job->timeout_ms)
		k.timeout_at = backoff_clock_ms() + job->timeout_ms;
	why = start(&k);
	if (why != STARTED) {
		k.report.end = KEEPER_NOT_STARTED;
		k.report.value = why;
		io_write(report_fd, &k.report, sizeof k.report);
		_exit(1);
	}
	watch(&k);
	if (!k.reported)
		report(&k);
	_exit(0);
}

pid_t keeper_start(const struct keeper_job *job, int *report_fd, struct err *e)
{
	pid_t pid, drain = getpid();
	sigset_t all, was;
	int report[2];

	if (pipe2(report, O_CLOEXEC) < 0)
		return err_errno(e, "starting a handler");
	/* A signal for the keeper before it watches for them would be lost. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &was);
	pid = fork();
	if (pid == 0)
		run(job, drain, report[1]);
	sigprocmask(SIG_SETMASK, &was, NULL);
	close(report[1]);
	*report_fd = report[0];
	if (pid < 0) {
		err_errno(e, "starting a handler");
		close(report[0]);
	}
	return pid;
}

bool keeper_hear(int report_fd, struct keeper_report *report)
{
	ssize_t n;

	do {
		n = read(report_fd, report, sizeof *report);
	} while (n < 0 && errno == EINTR);
	if (n == sizeof *report)
		return true;
	memset(report, 0, sizeof *report);
	report->end = KEEPER_SIGNALED;
	report->value = SIGKILL;
	return false;
}

void keeper_end(pid_t keeper, int report_fd)
{
	close(report_fd);
	while (waitpid(keeper, NULL, 0) < 0 && errno == EINTR)
		;
}
