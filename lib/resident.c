#include "resident.h"

#include "backoff.h"
#include "io.h"
#include "outlet.h"
#include "stop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
	KEEP_MAX = 1024,
	ANSWER_MAX = 16384,
	PIPE_SIZE = 262144,
	SLOW_MS = 20,	  /* one that takes longer is sent nothing ahead */
	SILENT_MS = 1000, /* between its stdout's end and its own */
	LEAVE_MS = 5000,  /* for it to end by itself at the end of its input */
};

struct held {
	const char *id;
	void *tag;
	uint64_t start, end; /* of its line, in bytes of input */
	int64_t since_ms;    /* it is the oldest */
	int64_t slept_ms;    /* the pool's, at that time */
};

struct resident {
	pid_t keeper; /* 0: none */
	int report_fd;
	struct outlet in;
	struct io_lines answers;
	bool in_watched;		  /* for room in it */
	struct held held[RESIDENT_AHEAD]; /* oldest first */
	unsigned n, ahead;
	bool alone;    /* what it has is to be handled alone */
	bool answered; /* ever */
	bool foreign_told;
	const void *overdue; /* tag of the event that it was ended for */
	int64_t end_at;	     /* it is to be ended then; 0: not */
	bool ended;	     /* there is a report */
	bool gone;	     /* and nothing more to be read from it */
	uint64_t taken;	     /* of its input, at the end */
	struct keeper_report report;
	struct handler_result last; /* what comes of that */
};

struct resident_pool {
	char *const *argv;
	unsigned jobs, at;
	long timeout_ms;
	int epoll;
	bool stopping, ending;
	/* A clock that runs while we wait: what happens while we are busy
	 * ourselves is no sign of slowness. */
	int64_t slept_ms, asleep_since_ms;
	unsigned barren; /* deaths in a row without an answer */
	char *barren_id; /* the oldest event at the last of them */
	int keep[KEEP_MAX];
	size_t n_keep;
	struct resident all[];
};

struct resident_pool *resident_pool_new(
	char *const *argv, unsigned jobs, long timeout_ms, struct err *e)
{
	struct resident_pool *p = xcalloc(1, sizeof *p + jobs * sizeof *p->all);

	p->argv = argv;
	p->jobs = jobs;
	p->timeout_ms = timeout_ms;
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (p->epoll >= 0)
		return p;
	err_errno(e, "getting ready to run handlers");
	free(p);
	return NULL;
}

void resident_keep(struct resident_pool *p, int fd)
{
	if (p->n_keep < KEEP_MAX)
		p->keep[p->n_keep++] = fd;
}

static void watch_fd(struct resident_pool *p, int fd, unsigned events)
{
	struct epoll_event watch = { .events = events };

	epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &watch);
}

static void unwatch_fd(struct resident_pool *p, int fd)
{
	epoll_ctl(p->epoll, EPOLL_CTL_DEL, fd, NULL);
}

/* --- starting and ending --- */

static int start(struct resident_pool *p, struct resident *r, struct err *e)
{
	char *env[] = { NULL };
	struct keeper_job job = { .argv = p->argv,
		.env = env,
		.keep = p->keep,
		.n_keep = p->n_keep };
	int in[2], out[2] = { -1, -1 };
	pid_t pid = -1;

	if (pipe2(in, O_CLOEXEC) < 0)
		return err_errno(e, "starting a handler");
	if (pipe2(out, O_CLOEXEC) < 0) {
		err_errno(e, "starting a handler");
	} else {
		fcntl(in[1], F_SETPIPE_SZ, PIPE_SIZE);
		job.stdin_fd = in[0];
		job.stdout_fd = out[1];
		*r = (struct resident){ .ahead = 1 };
		outlet_init(&r->in, in[1]);
		pid = keeper_start(&job, &r->report_fd, e);
		close(out[1]);
	}
	close(in[0]);
	if (pid < 0) {
		outlet_release(&r->in);
		close(in[1]);
		if (out[0] >= 0)
			close(out[0]);
		return -1;
	}
	r->keeper = pid;
	r->answers = (struct io_lines)IO_LINES(out[0], ANSWER_MAX);
	watch_fd(p, r->report_fd, EPOLLIN);
	watch_fd(p, out[0], EPOLLIN);
	return 0;
}

static void close_in(struct resident_pool *p, struct resident *r)
{
	if (r->in_watched)
		unwatch_fd(p, outlet_fd(&r->in));
	r->in_watched = false;
	if (r->in.fd >= 0)
		close(r->in.fd);
	r->in.fd = -1;
	outlet_release(&r->in);
}

static void close_answers(struct resident_pool *p, struct resident *r)
{
	if (r->answers.fd < 0)
		return;
	unwatch_fd(p, r->answers.fd);
	close(r->answers.fd);
	r->answers.fd = -1;
	io_lines_release(&r->answers);
}

/* Its keeper has ended as well. */
static void retire(struct resident_pool *p, struct resident *r)
{
	unwatch_fd(p, r->report_fd);
	keeper_end(r->keeper, r->report_fd);
	r->keeper = 0;
}

/* Nothing more is to be read from it. Whom does its end concern? */
static void bury(struct resident_pool *p, struct resident *r)
{
	handler_judge(&r->report, &r->last);
	r->gone = true;
	if (r->in.fd >= 0)
		r->taken = outlet_taken(&r->in);
	/* To have read up to where a line starts is not to have it. */
	if (r->taken)
		r->taken--;
	close_in(p, r);
	close_answers(p, r);
	if (r->overdue) {
		r->last.outcome = HANDLER_FAILED;
		snprintf(r->last.status, sizeof r->last.status, "timeout");
	} else if (r->last.outcome == HANDLER_INTERRUPTED && !p->ending) {
		r->last.outcome = HANDLER_FAILED;
		snprintf(r->last.status, sizeof r->last.status,
			"closed its output");
	} else if (r->last.outcome == HANDLER_DONE ||
		   r->last.outcome == HANDLER_NEVER) {
		r->last.outcome = HANDLER_FAILED;
	}
	if (r->n == 0 || r->answered || r->overdue ||
		r->last.outcome != HANDLER_FAILED)
		return;
	if (p->barren_id == NULL || strcmp(p->barren_id, r->held[0].id))
		p->barren++;
	free(p->barren_id);
	p->barren_id = xstrdup(r->held[0].id);
	if (p->barren == RESIDENT_BARREN)
		r->last.outcome = HANDLER_BROKEN;
}

static void end(struct resident *r)
{
	if (r->keeper)
		kill(r->keeper, SIGTERM);
	r->end_at = 0;
}

/* --- giving --- */

static bool takes(const struct resident *r)
{
	return r->keeper && !r->ended && !r->alone && !r->overdue &&
	       !r->end_at && r->n < r->ahead && r->in.fd >= 0 &&
	       (r->n == 0 || outlet_waiting(&r->in) == 0);
}

/* The one with the least to do; one that does nothing before one that is to be
 * started, and that before one that is sent lines ahead. */
static struct resident *choose(struct resident_pool *p, bool alone)
{
	struct resident *best = NULL, *unused = NULL;
	unsigned i;

	for (i = 0; i < p->jobs; i++) {
		struct resident *r = &p->all[i];

		if (r->keeper == 0 && r->n == 0) {
			if (unused == NULL)
				unused = r;
		} else if (takes(r) && (best == NULL || r->n < best->n)) {
			best = r;
		}
	}
	if (best && best->n == 0)
		return best;
	return unused ? unused : alone ? NULL : best;
}

bool resident_has_room(const struct resident_pool *p)
{
	unsigned i;

	for (i = 0; i < p->jobs && !p->stopping; i++)
		if ((p->all[i].keeper == 0 && p->all[i].n == 0) ||
			takes(&p->all[i]))
			return true;
	return false;
}

/* Sends what can be sent now. */
static void flush(struct resident_pool *p, struct resident *r)
{
	struct err why;
	bool more;

	if (r->in.fd < 0 || outlet_waiting(&r->in) == 0)
		return;
	if (outlet_flush(&r->in, &why) < 0) {
		/* It reads no more. What it has it may still answer. */
		r->taken = outlet_taken(&r->in);
		close_in(p, r);
		r->end_at = backoff_clock_ms() + SILENT_MS;
		return;
	}
	more = outlet_waiting(&r->in) > 0;
	if (more && !r->in_watched)
		watch_fd(p, outlet_fd(&r->in), EPOLLOUT);
	else if (!more && r->in_watched)
		unwatch_fd(p, outlet_fd(&r->in));
	r->in_watched = more;
}

static void becomes_oldest(struct resident_pool *p, struct resident *r)
{
	r->held[0].since_ms = backoff_clock_ms();
	r->held[0].slept_ms = p->slept_ms;
}

int resident_give(struct resident_pool *p, const struct handler_event *ev,
	bool alone, void *tag, struct err *e)
{
	struct resident *r = choose(p, alone);

	if (r == NULL)
		return 0;
	if (r->keeper == 0 && start(p, r, e) < 0)
		return -1;
	outlet_put(&r->in, ev->line, ev->len);
	r->held[r->n++] = (struct held){ .id = ev->id,
		.tag = tag,
		.start = r->in.queued - ev->len,
		.end = r->in.queued };
	if (r->n == 1)
		becomes_oldest(p, r);
	r->alone = alone;
	flush(p, r);
	return 1;
}

/* --- results --- */

/* Takes the i-th of what it has out. */
static void *release(struct resident_pool *p, struct resident *r, unsigned i)
{
	void *tag = r->held[i].tag;

	memmove(&r->held[i], &r->held[i + 1], (r->n - i - 1) * sizeof *r->held);
	r->n--;
	if (i == 0 && r->n)
		becomes_oldest(p, r);
	if (r->n == 0)
		r->alone = false;
	return tag;
}

/* How far ahead it may be sent lines: twice as many if it had used up what it
 * had, none if it lets us wait. */
static void pace(struct resident_pool *p, struct resident *r, unsigned i)
{
	if (i == 0 && p->slept_ms - r->held[0].slept_ms > SLOW_MS)
		r->ahead = 1;
	else if (r->n == 1 && r->ahead < RESIDENT_AHEAD)
		r->ahead *= 2;
}

static void tell_foreign(struct resident *r, const char *line)
{
	if (!r->foreign_told)
		say("reading the answers of a handler: '%.80s' is none to an "
		    "event that it has; others like it are passed over without "
		    "a word",
			line);
	r->foreign_told = true;
}

/* A line "EVENT_ID STATUS". false: it is for none of what it has. */
static bool take_answer(struct resident_pool *p, struct resident *r, char *line,
	void **tag, struct handler_result *result)
{
	char *space = strrchr(line, ' '), *rest;
	uint64_t sent = outlet_written(&r->in);
	unsigned i;
	long status;

	if (space == NULL) {
		tell_foreign(r, line);
		return false;
	}
	*space = '\0';
	for (i = 0; i < r->n && strcmp(r->held[i].id, line); i++)
		;
	if (i == r->n || (r->in.fd >= 0 && r->held[i].end > sent)) {
		*space = ' ';
		tell_foreign(r, line);
		return false;
	}
	pace(p, r, i);
	*tag = release(p, r, i);
	r->answered = true;
	p->barren = 0;
	*result = (struct handler_result){ .exit_status = -1 };
	status = strtol(space + 1, &rest, 10);
	if (rest == space + 1 || strcspn(rest, "\r") || status < 0 ||
		status > 255) {
		result->outcome = HANDLER_FAILED;
		snprintf(result->status, sizeof result->status,
			"answer '%.40s'", space + 1);
	} else {
		result->exit_status = (int)status;
		result->outcome = handler_outcome_of((int)status);
		snprintf(result->status, sizeof result->status, "answer %ld",
			status);
	}
	return true;
}

static bool next_answer(struct resident_pool *p, struct resident *r, void **tag,
	struct handler_result *result)
{
	struct err why = { 0 };
	char *line;
	size_t len;
	int got;

	while (r->answers.fd >= 0) {
		got = io_lines_poll(&r->answers, &line, &len, &why);
		if (got == 1) {
			if (take_answer(p, r, line, tag, result))
				return true;
		} else if (got < 0 && why.code == EX_DATAERR) {
			tell_foreign(r, "a line that is too long");
		} else {
			if (got != 2) { /* it has closed its stdout */
				close_answers(p, r);
				r->end_at = backoff_clock_ms() + SILENT_MS;
			}
			return false;
		}
	}
	return false;
}

/* Of one that is gone: each event that it had. What lay unread in its pipe it
 * cannot have failed at, and one that ran out of time has done so at one; but
 * one that read nothing at all has failed at the first. */
static void take_last(struct resident_pool *p, struct resident *r, void **tag,
	struct handler_result *result)
{
	bool blamed = r->overdue ? r->overdue == r->held[0].tag
				 : r->held[0].start <= r->taken;

	*result = r->last;
	if (!blamed && (r->last.outcome == HANDLER_FAILED ||
			       r->last.outcome == HANDLER_NOT_NOW))
		result->outcome = HANDLER_AGAIN;
	*tag = release(p, r, 0);
}

/* What was never sent, when no more is to be. */
static bool take_unsent(struct resident_pool *p, struct resident *r, void **tag,
	struct handler_result *result)
{
	if (!p->stopping || r->n == 0 || r->in.fd < 0 ||
		r->held[r->n - 1].end <= r->in.queued)
		return false;
	*result = (struct handler_result){ .outcome = HANDLER_INTERRUPTED };
	*tag = release(p, r, r->n - 1);
	return true;
}

static void on_time(struct resident_pool *p, struct resident *r, int64_t now)
{
	if (r->end_at && now >= r->end_at)
		end(r);
	if (p->timeout_ms && r->n && !r->overdue &&
		now - r->held[0].since_ms >= p->timeout_ms) {
		r->overdue = r->held[0].tag;
		end(r);
	}
}

static bool has_news(int fd)
{
	struct pollfd in = { .fd = fd, .events = POLLIN };

	return poll(&in, 1, 0) > 0;
}

static bool take_from(struct resident_pool *p, struct resident *r, void **tag,
	struct handler_result *result)
{
	if (r->keeper && !r->gone) {
		if (!r->ended && has_news(r->report_fd)) {
			keeper_hear(r->report_fd, &r->report);
			r->ended = true;
		}
		flush(p, r);
		/* What it said before it ended is there by now. */
		if (next_answer(p, r, tag, result) ||
			take_unsent(p, r, tag, result))
			return true;
		if (r->ended)
			bury(p, r);
		else
			on_time(p, r, backoff_clock_ms());
	}
	if (r->n && r->gone) {
		take_last(p, r, tag, result);
		return true;
	}
	if (r->keeper && r->gone && has_news(r->report_fd))
		retire(p, r);
	return false;
}

int resident_take(
	struct resident_pool *p, void **tag, struct handler_result *result)
{
	if (p->asleep_since_ms)
		p->slept_ms += backoff_clock_ms() - p->asleep_since_ms;
	p->asleep_since_ms = 0;
	for (; p->at < p->jobs; p->at++)
		if (take_from(p, &p->all[p->at], tag, result))
			return 1;
	p->at = 0;
	return 0;
}

/* --- the rest --- */

int resident_pool_fd(const struct resident_pool *p)
{
	return p->epoll;
}

long resident_wait_ms(struct resident_pool *p)
{
	int64_t now = backoff_clock_ms(), due = INT64_MAX, at;
	unsigned i;

	p->asleep_since_ms = now;
	for (i = 0; i < p->jobs; i++) {
		const struct resident *r = &p->all[i];

		if (r->keeper == 0 || r->ended)
			continue;
		if (r->end_at && r->end_at < due)
			due = r->end_at;
		at = r->held[0].since_ms + p->timeout_ms;
		if (p->timeout_ms && r->n && !r->overdue && at < due)
			due = at;
	}
	if (due == INT64_MAX)
		return -1;
	return due > now ? (long)(due - now) : 0;
}

unsigned resident_held(const struct resident_pool *p)
{
	unsigned i, n = 0;

	for (i = 0; i < p->jobs; i++)
		n += p->all[i].n;
	return n;
}

void resident_stop(struct resident_pool *p)
{
	unsigned i, k;

	p->stopping = true;
	for (i = 0; i < p->jobs; i++) {
		struct resident *r = &p->all[i];
		uint64_t sent = outlet_written(&r->in);

		/* A line that was begun is finished. */
		for (k = 0; k < r->n && r->held[k].end <= sent; k++)
			;
		if (k < r->n && (k ? r->held[k - 1].end : 0) >= sent)
			outlet_cut(&r->in, 0);
		else if (k < r->n)
			outlet_cut(&r->in, (size_t)(r->held[k].end - sent));
	}
}

void resident_end_all(struct resident_pool *p)
{
	unsigned i;

	p->ending = true;
	for (i = 0; i < p->jobs; i++)
		end(&p->all[i]);
}

void resident_pool_free(struct resident_pool *p)
{
	int64_t end_at = backoff_clock_ms() + (stop_asked() ? 0 : LEAVE_MS);
	struct handler_result result;
	struct epoll_event ready;
	unsigned i, left;
	void *tag;

	if (p == NULL)
		return;
	do {
		while (resident_take(p, &tag, &result))
			;
		for (i = left = 0; i < p->jobs; i++) {
			left += p->all[i].keeper != 0;
			if (p->all[i].keeper && !p->all[i].gone)
				close_in(p, &p->all[i]);
		}
		if (!p->ending && backoff_clock_ms() >= end_at)
			resident_end_all(p);
		if (left)
			epoll_wait(p->epoll, &ready, 1, 100);
	} while (left);
	close(p->epoll);
	free(p->barren_id);
	free(p);
}
