#include "exec.h"

#include "backoff.h"
#include "family.h"
#include "io.h"
#include "stop.h"

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	GRACE_MS = 2000,	/* from SIGTERM to SIGKILL */
	GRACE_STOPPED_MS = 300, /* less than a second is left to end in */
	GIVE_UP_MS = 2000,	/* one that hangs in the kernel */
	SWEEP_MS = 10,
	LAST_READS = 64, /* of what was written before the end */
	BLOCK = 65536,
};

static const char *const folders[] = { "/usr/local/sbin", "/usr/local/bin",
	"/usr/sbin", "/usr/bin", "/sbin", "/bin", NULL };
#define PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct run {
	const struct exec_job *job;
	struct exec_result *result;
	pid_t pid;
	int pidfd, out; /* -1: none */
	int status;	/* of waitpid(2) */
	bool gone;
};

/* --- in the child --- */

/* execve(2) by our own PATH. execvp(3) would hand what is no program over to a
 * shell. Returns errno. */
static int become(char *const *argv, char *const *env)
{
	int why = ENOENT;
	char *path;
	size_t i;

	if (argv[0][0] == '\0')
		return ENOENT;
	if (strchr(argv[0], '/')) {
		execve(argv[0], argv, env);
		return errno;
	}
	for (i = 0; folders[i]; i++) {
		path = xasprintf("%s/%s", folders[i], argv[0]);
		execve(path, argv, env);
		if (errno != ENOENT && errno != ENOTDIR)
			why = errno;
		free(path);
	}
	return why;
}

static _Noreturn void child(
	const struct exec_job *job, pid_t parent, int out, int failed)
{
	struct passwd *pw = getpwuid(geteuid());
	char *home = xasprintf("HOME=%s", pw ? pw->pw_dir : "/");
	char *env[] = { PATH, home, "LANG=C.UTF-8", "TERM=dumb", NULL };
	int why, none = open("/dev/null", O_RDONLY | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	setsid();
	stop_reset_child();
	if (none >= 0 && dup2(none, STDIN_FILENO) >= 0 &&
		dup2(out, STDOUT_FILENO) >= 0 &&
		dup2(out, STDERR_FILENO) >= 0 && fchdir(job->dir_fd) == 0 &&
		close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
		why = become(job->argv, env);
	else
		why = errno;
	io_write(failed, &why, sizeof why);
	_exit(127);
}

/* --- in the parent --- */

static int start(struct run *r, struct err *e)
{
	int out[2], failed[2], why = 0;
	pid_t parent = getpid();
	ssize_t n;

	if (pipe2(out, O_CLOEXEC) < 0)
		return err_errno(e, "starting the command");
	if (pipe2(failed, O_CLOEXEC) < 0) {
		close(out[0]);
		close(out[1]);
		return err_errno(e, "starting the command");
	}
	r->pid = fork();
	if (r->pid == 0)
		child(r->job, parent, out[1], failed[1]);
	close(out[1]);
	close(failed[1]);
	r->out = out[0];
	fcntl(r->out, F_SETFL, O_NONBLOCK);
	if (r->pid < 0) {
		close(failed[0]);
		return err_errno(e, "starting the command");
	}
	do {
		n = read(failed[0], &why, sizeof why);
	} while (n < 0 && errno == EINTR);
	close(failed[0]);
	if (n == sizeof why) {
		r->result->end = EXEC_NOT_STARTED;
		r->result->value = why;
		return 0;
	}
	r->pidfd = pidfd_open(r->pid, 0);
	if (r->pidfd < 0)
		return err_errno(e, "watching the command");
	return 0;
}

/* Takes what is there. false: nothing is, or it has ended. */
static bool take_output(struct run *r)
{
	struct buf *b = &r->result->output;
	char block[BLOCK];
	ssize_t n;
	size_t room;

	if (r->out < 0)
		return false;
	n = read(r->out, block, sizeof block);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		close(r->out);
		r->out = -1;
		return false;
	}
	r->result->written += n;
	room = b->max - b->len;
	buf_add(b, block, (size_t)n < room ? (size_t)n : room);
	return true;
}

/* Takes in all that has ended. false: there is nobody left. */
static bool reap(struct run *r)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == r->pid) {
			r->status = status;
			r->gone = true;
		}
	return !(pid < 0 && errno == ECHILD);
}

static void end_all(struct run *r, long grace_ms)
{
	int64_t kill_at = backoff_clock_ms() + grace_ms, now;
	bool asked = false;

	while (reap(r)) {
		now = backoff_clock_ms();
		if (now >= kill_at + GIVE_UP_MS)
			break;
		if (now >= kill_at)
			family_signal(SIGKILL);
		else if (!asked)
			family_signal(SIGTERM);
		asked = true;
		take_output(r);
		poll(NULL, 0, SWEEP_MS);
	}
}

/* Until it has ended (0), its time is up (1), or -1. */
static int watch(struct run *r, struct err *e)
{
	int64_t end = backoff_clock_ms() + r->job->timeout_ms, left;

	while (!r->gone) {
		struct pollfd fds[] = {
			{ .fd = r->pidfd, .events = POLLIN },
			{ .fd = r->out, .events = POLLIN },
		};

		left = end - backoff_clock_ms();
		if (left <= 0)
			return 1;
		if (stop_poll(fds, 2, (long)left) < 0)
			return errno == ECANCELED
				       ? err_stopped(e)
				       : err_errno(e, "watching the command");
		if (fds[1].revents)
			take_output(r);
		if (fds[0].revents)
			reap(r);
	}
	return 0;
}

static void how_it_ended(const struct run *r, bool timed_out)
{
	struct exec_result *result = r->result;

	if (timed_out) {
		result->end = EXEC_TIMED_OUT;
	} else if (WIFSIGNALED(r->status)) {
		result->end = EXEC_SIGNALED;
		result->value = WTERMSIG(r->status);
	} else {
		result->end = EXEC_EXITED;
		result->value = WEXITSTATUS(r->status);
	}
}

int exec_run(
	const struct exec_job *job, struct exec_result *result, struct err *e)
{
	struct run r = { .job = job, .result = result, .pidfd = -1, .out = -1 };
	int status, i;

	result->written = 0;
	result->end = EXEC_EXITED;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	status = start(&r, e);
	if (status == 0 && result->end != EXEC_NOT_STARTED) {
		status = watch(&r, e);
		for (i = 0; i < LAST_READS && take_output(&r); i++)
			;
		if (status >= 0)
			how_it_ended(&r, status == 1);
	}
	end_all(&r, status < 0 ? GRACE_STOPPED_MS : GRACE_MS);
	if (r.pidfd >= 0)
		close(r.pidfd);
	if (r.out >= 0)
		close(r.out);
	return status < 0 ? -1 : 0;
}
