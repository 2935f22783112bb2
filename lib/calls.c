#include "calls.h"

#include "backoff.h"
#include "family.h"
#include "stop.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	KILL_MS = 5000, /* all that a call does ends sooner when it is told */
	REAP_MS = 1000,
	SWEEP_MS = 10,
	BLOCK = 65536,
};

void calls_start(struct calls *c, const struct calls_work *w)
{
	*c = (struct calls){ .w = *w };
	/* What a call leaves that was killed itself is ours to end. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
}

int calls_put(struct calls *c, struct call *call, size_t weight)
{
	if (c->n >= CALLS_MAX ||
		(c->n > 0 && c->weight + weight > CALLS_WEIGHT_MAX))
		return -1;
	*call = (struct call){
		.weight = weight, .fd = -1, .answer = BUF_INIT(CALLS_ANSWER_MAX)
	};
	if (c->last)
		c->last->next = call;
	else
		c->first = call;
	c->last = call;
	c->n++;
	c->weight += weight;
	return 0;
}

/* --- one process --- */

static _Noreturn void child(
	struct calls *c, struct call *call, pid_t parent, int fd)
{
	int i, none = open("/dev/null", O_RDWR | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	/* Nothing that is said here is for the other side. */
	dup2(none, STDIN_FILENO);
	dup2(none, STDOUT_FILENO);
	for (i = 0; i < CALLS_RUNNING; i++)
		if (c->running[i] && c->running[i]->fd >= 0)
			close(c->running[i]->fd);
	stop_when_reader_closes(fd);
	c->w.work(c->w.ctx, call, fd);
	_exit(0);
}

static int start(struct calls *c, struct call *call)
{
	pid_t parent = getpid();
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	call->pid = stop_fork();
	if (call->pid == 0) {
		close(fds[0]);
		child(c, call, parent, fds[1]);
	}
	close(fds[1]);
	if (call->pid < 0) {
		call->pid = 0;
		close(fds[0]);
		return -1;
	}
	call->fd = fds[0];
	call->started_ms = backoff_clock_ms();
	return 0;
}

static void give_back(struct calls *c, struct call *call, bool answered)
{
	const struct buf *a = &call->answer;

	answered = answered && a->len && a->data[a->len - 1] == '\n';
	if (call->fd >= 0)
		close(call->fd);
	call->fd = -1;
	c->n--;
	c->weight -= call->weight;
	c->w.ended(c->w.ctx, call, answered ? a->data : NULL,
		answered ? a->len - 1 : 0);
}

static void end(struct calls *c, int i, bool answered)
{
	struct call *call = c->running[i];

	c->running[i] = NULL;
	give_back(c, call, answered);
}

static void start_waiting(struct calls *c)
{
	struct call *call;
	int i;

	for (i = 0; i < CALLS_RUNNING && c->first; i++) {
		if (c->running[i])
			continue;
		call = c->first;
		c->first = call->next;
		if (c->first == NULL)
			c->last = NULL;
		if (start(c, call) == 0) {
			c->running[i] = call;
		} else {
			say("starting a process: no more can be had");
			give_back(c, call, false);
		}
	}
}

static void reap(struct calls *c)
{
	pid_t pid;
	int i;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		for (i = 0; i < CALLS_RUNNING; i++)
			if (c->running[i] && c->running[i]->pid == pid)
				c->running[i]->pid = -1;
	c->children = pid == 0;
}

/* Its number may be another's once it has been reaped. */
static void signal_call(const struct call *call, int sig)
{
	if (call->pid > 0)
		kill(call->pid, sig);
}

static void take_answer(struct calls *c, int i)
{
	struct call *call = c->running[i];
	char *room = buf_room(&call->answer, BLOCK);
	ssize_t n;

	if (room == NULL) {
		signal_call(call, SIGKILL);
		end(c, i, false);
		return;
	}
	n = read(call->fd, room, BLOCK);
	if (n > 0)
		call->answer.len += (size_t)n;
	else if (n == 0 || errno != EINTR)
		end(c, i, true);
}

/* --- all --- */

static void tell_to_end(struct call *call)
{
	if (call->kill_ms)
		return;
	signal_call(call, SIGTERM);
	call->kill_ms = backoff_clock_ms() + KILL_MS;
}

void calls_cancel(struct calls *c, struct call *call)
{
	struct call **at, *before = NULL;

	if (call->pid != 0) {
		tell_to_end(call);
		return;
	}
	for (at = &c->first; *at && *at != call; at = &(*at)->next)
		before = *at;
	if (*at == NULL)
		return;
	*at = call->next;
	if (c->last == call)
		c->last = before;
	give_back(c, call, false);
}

void calls_fds(const struct calls *c, struct pollfd fds[CALLS_RUNNING])
{
	int i;

	for (i = 0; i < CALLS_RUNNING; i++)
		fds[i] =
			(struct pollfd){ .fd = c->running[i] ? c->running[i]->fd
							     : -1,
				.events = POLLIN };
}

long calls_wait_ms(const struct calls *c)
{
	int i;

	for (i = 0; i < CALLS_RUNNING && c->first; i++)
		if (c->running[i] == NULL)
			return 0;
	/* One that is to be killed or reaped says nothing by itself. */
	return c->children ? REAP_MS : -1;
}

void calls_turn(struct calls *c, const struct pollfd fds[CALLS_RUNNING])
{
	int64_t now = backoff_clock_ms();
	int i;

	for (i = 0; i < CALLS_RUNNING; i++) {
		if (c->running[i] == NULL)
			continue;
		if (c->running[i]->kill_ms && now >= c->running[i]->kill_ms)
			signal_call(c->running[i], SIGKILL);
		if (fds[i].fd == c->running[i]->fd && fds[i].revents)
			take_answer(c, i);
	}
	start_waiting(c);
	reap(c);
}

void calls_finish(struct calls *c, long wait_ms)
{
	int64_t end_ms = backoff_clock_ms() + wait_ms;
	int i;

	while (c->first)
		calls_cancel(c, c->first);
	for (i = 0; i < CALLS_RUNNING; i++)
		if (c->running[i]) {
			tell_to_end(c->running[i]);
			end(c, i, false);
		}
	for (reap(c); c->children; reap(c)) {
		if (backoff_clock_ms() >= end_ms) {
			family_signal(SIGKILL);
			break;
		}
		poll(NULL, 0, SWEEP_MS);
	}
}
