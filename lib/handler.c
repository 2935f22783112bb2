#include "handler.h"

#include "io.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

enum { KEEP_MAX = 1024, ENV_VARS = 5 };

struct slot {
	pid_t keeper; /* 0: free */
	int fd;	      /* its reports; at end-of-file it is gone */
	void *tag;
	bool reported; /* the event is settled, but something still lives */
};

struct handler_pool {
	char *const *argv;
	unsigned jobs;
	long timeout_ms;
	int epoll;
	/* Twice as many: a keeper may still be cleaning up behind a handler
	 * whose successor has started. */
	struct slot slots[2 * HANDLER_JOBS_MAX];
	unsigned running; /* without a report yet */
	int keep[KEEP_MAX];
	size_t n_keep;
};

struct handler_pool *handler_pool_new(
	char *const *argv, unsigned jobs, long timeout_ms, struct err *e)
{
	struct handler_pool *p = xcalloc(1, sizeof *p);

	p->argv = argv;
	p->jobs = jobs;
	p->timeout_ms = timeout_ms;
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (p->epoll < 0) {
		err_errno(e, "getting ready to run handlers");
		free(p);
		return NULL;
	}
	return p;
}

void handler_keep(struct handler_pool *p, int fd)
{
	if (p->n_keep < KEEP_MAX)
		p->keep[p->n_keep++] = fd;
}

static struct slot *free_slot(struct handler_pool *p)
{
	unsigned i;

	for (i = 0; i < 2 * p->jobs; i++)
		if (p->slots[i].keeper == 0)
			return &p->slots[i];
	return NULL;
}

unsigned handler_free_slots(const struct handler_pool *p)
{
	unsigned i, unused = 0;

	for (i = 0; i < 2 * p->jobs; i++)
		unused += p->slots[i].keeper == 0;
	return p->jobs - p->running < unused ? p->jobs - p->running : unused;
}

unsigned handler_running(const struct handler_pool *p)
{
	return p->running;
}

/* A memory file with the line, at its start, that nobody can change. */
static int event_file(const struct handler_event *ev, struct err *e)
{
	int fd = memfd_create("event", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && io_write(fd, ev->line, ev->len) == 0 &&
		fcntl(fd, F_ADD_SEALS,
			F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE |
				F_SEAL_SEAL) == 0 &&
		lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	err_errno(e, "handing an event of %zu bytes over", ev->len);
	if (fd >= 0)
		close(fd);
	return -1;
}

int handler_start(struct handler_pool *p, const struct handler_event *ev,
	void *tag, struct err *e)
{
	struct slot *slot = free_slot(p);
	struct keeper_job job = { .argv = p->argv,
		.stdout_fd = -1,
		.timeout_ms = p->timeout_ms,
		.keep = p->keep,
		.n_keep = p->n_keep };
	char *env[ENV_VARS + 1] = {
		xasprintf("AGENTRUX_TOPIC_ID=%s", ev->topic),
		xasprintf("AGENTRUX_EVENT_ID=%s", ev->id),
		xasprintf("AGENTRUX_EVENT_TYPE=%s", ev->type),
		xasprintf("AGENTRUX_POSITION=%s", ev->position),
		xasprintf("AGENTRUX_ATTEMPT=%d", ev->attempt),
	};
	struct epoll_event watch = { .events = EPOLLIN, .data.ptr = slot };
	int report_fd, i;
	pid_t pid = -1;

	job.env = env;
	job.stdin_fd = event_file(ev, e);
	if (job.stdin_fd >= 0) {
		pid = keeper_start(&job, &report_fd, e);
		close(job.stdin_fd);
	}
	if (pid > 0) {
		epoll_ctl(p->epoll, EPOLL_CTL_ADD, report_fd, &watch);
		*slot = (struct slot){ pid, report_fd, tag, false };
		p->running++;
	}
	for (i = 0; i < ENV_VARS; i++)
		free(env[i]);
	return pid > 0 ? 0 : -1;
}

int handler_pool_fd(const struct handler_pool *p)
{
	return p->epoll;
}

enum handler_outcome handler_outcome_of(int status)
{
	switch (status) {
	case EX_OK:
		return HANDLER_DONE;
	case EX_DATAERR:
		return HANDLER_NEVER;
	case EX_TEMPFAIL:
		return HANDLER_NOT_NOW;
	case EX_CONFIG:
	case 126:
	case 127:
		return HANDLER_BROKEN;
	default:
		return HANDLER_FAILED;
	}
}

static enum handler_outcome outcome_of(const struct keeper_report *r)
{
	switch (r->end) {
	case KEEPER_INTERRUPTED:
		return HANDLER_INTERRUPTED;
	case KEEPER_NOT_STARTED:
		return HANDLER_BROKEN;
	case KEEPER_EXITED:
		return handler_outcome_of(r->value);
	case KEEPER_SIGNALED:
	case KEEPER_TIMED_OUT:
		break;
	}
	return HANDLER_FAILED;
}

void handler_judge(const struct keeper_report *r, struct handler_result *out)
{
	size_t n =
		r->tail_len < KEEPER_TAIL_MAX ? r->tail_len : KEEPER_TAIL_MAX;

	out->outcome = outcome_of(r);
	out->exit_status = r->end == KEEPER_EXITED ? r->value : -1;
	memcpy(out->stderr_end, r->tail, n);
	out->stderr_end[n] = '\0';
	switch (r->end) {
	case KEEPER_EXITED:
		snprintf(out->status, sizeof out->status, "exit status %d",
			r->value);
		break;
	case KEEPER_SIGNALED:
		snprintf(
			out->status, sizeof out->status, "signal %d", r->value);
		break;
	case KEEPER_TIMED_OUT:
		snprintf(out->status, sizeof out->status, "timeout");
		break;
	case KEEPER_INTERRUPTED:
		snprintf(out->status, sizeof out->status, "interrupted");
		break;
	case KEEPER_NOT_STARTED:
		snprintf(out->status, sizeof out->status, "not started: %s",
			strerror(r->value));
		break;
	}
}

/* Reads what a keeper has to say. true: that was a report. */
static bool hear(
	struct handler_pool *p, struct slot *slot, struct keeper_report *report)
{
	if (!keeper_hear(slot->fd, report) && slot->reported) {
		epoll_ctl(p->epoll, EPOLL_CTL_DEL, slot->fd, NULL);
		keeper_end(slot->keeper, slot->fd);
		*slot = (struct slot){ 0 };
		return false;
	}
	slot->reported = true;
	p->running--;
	return true;
}

int handler_take(
	struct handler_pool *p, void **tag, struct handler_result *result)
{
	struct keeper_report report;
	struct epoll_event ready;
	struct slot *slot;

	while (epoll_wait(p->epoll, &ready, 1, 0) > 0) {
		slot = ready.data.ptr;
		if (hear(p, slot, &report)) {
			*tag = slot->tag;
			handler_judge(&report, result);
			return 1;
		}
	}
	return 0;
}

void handler_end_all(struct handler_pool *p)
{
	unsigned i;

	for (i = 0; i < 2 * p->jobs; i++)
		if (p->slots[i].keeper)
			kill(p->slots[i].keeper, SIGTERM);
}

void handler_pool_free(struct handler_pool *p)
{
	struct keeper_report report;
	struct epoll_event ready;
	unsigned i, left = 0;

	if (p == NULL)
		return;
	handler_end_all(p);
	for (i = 0; i < 2 * p->jobs; i++)
		left += p->slots[i].keeper != 0;
	while (left) {
		struct slot *slot;

		if (epoll_wait(p->epoll, &ready, 1, -1) <= 0)
			continue;
		slot = ready.data.ptr;
		hear(p, slot, &report);
		left -= slot->keeper == 0;
	}
	close(p->epoll);
	free(p);
}
