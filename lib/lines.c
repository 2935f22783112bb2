#include "lines.h"

#include "backoff.h"
#include "io.h"
#include "outlet.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
	TAKEN_MIN_MS = 1, /* how often a slow reader's pipe is looked at */
	TAKEN_MAX_MS = 100,
	LAST_LINES_MS = 500, /* for a reader to take them when we end */
	ACK_LINE_MAX = 65536,
	AHEAD = 131072, /* what may wait for the pipe, and another line */
	ACKS_A_TURN = 1000,
};

struct lines {
	struct outlet out;
	bool acked; /* by lines of `acks` */
	struct io_lines acks;
	bool acks_ended, foreign_told;
	bool closed;		   /* the reader has */
	struct item *first, *last; /* given, and not counted yet */
	long taken_ms;		   /* pause between looks at the pipe */
};

struct lines *lines_new(int out_fd, int ack_fd)
{
	struct lines *l = xcalloc(1, sizeof *l);

	l->taken_ms = TAKEN_MIN_MS;
	l->acked = ack_fd >= 0;
	l->acks = (struct io_lines)IO_LINES(ack_fd, ACK_LINE_MAX);
	outlet_init(&l->out, out_fd);
	return l;
}

void lines_free(struct lines *l)
{
	if (l == NULL)
		return;
	outlet_release(&l->out);
	io_lines_release(&l->acks);
	free(l);
}

bool lines_have_room(const struct lines *l)
{
	return !l->closed && !l->acks_ended && outlet_waiting(&l->out) < AHEAD;
}

void lines_give(struct lines *l, struct item *it)
{
	outlet_put(&l->out, it->line, it->len);
	it->end = l->out.queued;
	it->next_given = NULL;
	if (l->first)
		l->last->next_given = it;
	else
		l->first = it;
	l->last = it;
}

/* --- taken --- */

static void count_taken(struct lines *l)
{
	struct item *it;
	uint64_t taken;

	if (l->first == NULL)
		return;
	taken = outlet_taken(&l->out);
	if (l->first->end <= taken)
		l->taken_ms = TAKEN_MIN_MS;
	else if (l->taken_ms < TAKEN_MAX_MS)
		l->taken_ms *= 2;
	while ((it = l->first) && it->end <= taken) {
		l->first = it->next_given;
		queue_settle(it, true);
	}
}

/* --- acknowledged --- */

/* The item of this id is taken out; NULL: there is none. One whose line is not
 * written yet cannot have been handled, and its line is needed. */
static struct item *take_given(struct lines *l, const char *id, size_t len)
{
	uint64_t written = outlet_written(&l->out);
	struct item *it, *before = NULL;
	struct window_sum sum;

	window_sum(id, len, &sum);
	for (it = l->first; it; before = it, it = it->next_given)
		if (memcmp(&it->sum, &sum, sizeof sum) == 0)
			break;
	if (it == NULL || it->end > written)
		return NULL;
	if (before)
		before->next_given = it->next_given;
	else
		l->first = it->next_given;
	if (l->last == it)
		l->last = before;
	return it;
}

/* Words that are no id of ours are said once: a program that prints something
 * else there will print a lot of it. */
static void tell_foreign(struct lines *l, const char *line)
{
	if (l->foreign_told)
		return;
	l->foreign_told = true;
	say("reading acknowledgements: '%.80s' is no event that waits for one; "
	    "others like it are passed over without a word",
		line);
}

static int take_acks(struct lines *l, struct err *e)
{
	struct item *it;
	char *line;
	size_t len;
	int n, r = 2;

	for (n = 0; n < ACKS_A_TURN && !l->acks_ended &&
		    (r = io_lines_poll(&l->acks, &line, &len, e)) == 1;
		n++) {
		if (len && line[len - 1] == '\r')
			line[--len] = '\0';
		if (len == 0)
			continue;
		it = take_given(l, line, len);
		if (it)
			queue_settle(it, true);
		else
			tell_foreign(l, line);
	}
	if (r < 0 && e->code == EX_DATAERR) {
		tell_foreign(l, "a line that is too long");
		*e = (struct err){ 0 };
		r = 1; /* the next turn goes on behind it */
	}
	if (r == 0) {
		l->acks_ended = true;
		say_detail(1, "reading acknowledgements: that was the last");
	}
	return r < 0 ? -1 : 0;
}

/* --- either --- */

static int flush(struct lines *l, struct err *e)
{
	struct pollfd reader = { .fd = outlet_fd(&l->out), .events = 0 };

	if (l->closed)
		return 0;
	if (outlet_flush(&l->out, e) < 0) {
		if (!l->acked || e->code != ERR_STOPPED)
			return -1;
		*e = (struct err){ 0 };
		l->closed = true;
	} else if (l->acked && poll(&reader, 1, 0) > 0 &&
		   (reader.revents & (POLLERR | POLLHUP))) {
		l->closed = true;
	}
	return 0;
}

int lines_collect(struct lines *l, struct err *e)
{
	if (flush(l, e) < 0)
		return -1;
	if (!l->acked) {
		count_taken(l);
		return 0;
	}
	if (take_acks(l, e) < 0)
		return -1;
	return l->closed && l->first == NULL ? err_stopped(e) : 0;
}

unsigned lines_fds(const struct lines *l, struct pollfd *fds)
{
	unsigned n = 0;

	if (!l->closed && (outlet_waiting(&l->out) || l->acked))
		fds[n++] = (struct pollfd){ .fd = outlet_fd(&l->out),
			.events = outlet_waiting(&l->out) ? POLLOUT : 0 };
	if (l->acked && !l->acks_ended)
		fds[n++] =
			(struct pollfd){ .fd = l->acks.fd, .events = POLLIN };
	return n;
}

long lines_wait_ms(const struct lines *l)
{
	return l->first && !l->acked ? l->taken_ms : -1;
}

bool lines_are_over(const struct lines *l)
{
	return l->acks_ended;
}

void lines_end(struct lines *l)
{
	if (l->acked && !l->closed && outlet_waiting(&l->out) == 0) {
		outlet_close(&l->out);
		l->closed = true;
	}
}

void lines_wind_up(struct lines *l)
{
	int64_t end = backoff_clock_ms() + LAST_LINES_MS;
	uint64_t written = outlet_written(&l->out);
	struct pollfd wake[] = { { .fd = outlet_fd(&l->out), .events = 0 },
		{ .fd = l->acks.fd, .events = POLLIN } };
	const struct item *it = l->first;
	struct err why = { 0 };

	while (it && it->end <= written)
		it = it->next_given;
	outlet_cut(&l->out, it && it->end - it->len < written
				    ? (size_t)(it->end - written)
				    : 0);
	/* In the first pipe mode a poll that is woken has lost its reader. */
	while (lines_collect(l, &why) == 0 && l->first &&
		l->first->end <= l->out.queued && !l->acks_ended &&
		backoff_clock_ms() < end) {
		if (l->closed)
			wake[0].fd = -1;
		if (poll(wake, l->acked ? 2 : 1, 5) != 0 && !l->acked)
			break;
	}
	if (!l->acked)
		count_taken(l);
}
