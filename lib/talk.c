#include "talk.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BLOCK = 65536, KEEP = 1048576 };

void talk_start(struct talk *t, int in_fd, int out_fd)
{
	*t = (struct talk){ .in_fd = in_fd,
		.out_fd = out_fd,
		.in = BUF_SECRET(TALK_LINE_MAX + BLOCK),
		.out = BUF_INIT(SIZE_MAX / 2) };
}

void talk_release(struct talk *t)
{
	buf_release(&t->in);
	buf_release(&t->out);
}

bool talk_is_full(const struct talk *t)
{
	return t->out.len - t->sent >= TALK_OUT_HIGH;
}

void talk_fds(const struct talk *t, struct pollfd fds[TALK_FDS])
{
	fds[0] = (struct pollfd){ .fd = t->ended || talk_is_full(t) ? -1
								    : t->in_fd,
		.events = POLLIN };
	fds[1] = (struct pollfd){ .fd = t->sent < t->out.len ? t->out_fd : -1,
		.events = POLLOUT };
}

static void take_in(struct talk *t)
{
	char *room = buf_room(&t->in, BLOCK);
	ssize_t n;

	if (room == NULL)
		return;
	n = read(t->in_fd, room, BLOCK);
	if (n > 0)
		t->in.len += (size_t)n;
	else if (n == 0 || (errno != EINTR && errno != EAGAIN))
		t->ended = true;
}

/* What a descriptor that is ready takes without making us wait: a socket can be
 * asked for that, and a pipe takes PIPE_BUF bytes. */
static ssize_t put(const struct talk *t)
{
	const char *p = t->out.data + t->sent;
	size_t n = t->out.len - t->sent;
	ssize_t put = send(t->out_fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (put < 0 && errno == ENOTSOCK)
		put = write(t->out_fd, p, n < PIPE_BUF ? n : PIPE_BUF);
	return put;
}

static int give_out(struct talk *t)
{
	struct pollfd fd = { .fd = t->out_fd, .events = POLLOUT };
	ssize_t n = 0;

	while (t->sent < t->out.len && poll(&fd, 1, 0) > 0) {
		n = put(t);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -1;
		if (n < 0)
			break;
		t->sent += (size_t)n;
	}
	if (t->sent == t->out.len) {
		t->sent = 0;
		buf_clear(&t->out);
		if (t->out.cap > KEEP)
			buf_release(&t->out);
	}
	return 0;
}

int talk_move(struct talk *t, const struct pollfd fds[TALK_FDS])
{
	if (fds[0].fd >= 0 && fds[0].revents)
		take_in(t);
	return t->sent < t->out.len ? give_out(t) : 0;
}

/* The rest of a line that was too long has come, or more of it. */
static void skip(struct talk *t)
{
	char *end = memchr(t->in.data, '\n', t->in.len);

	if (end) {
		buf_shift(&t->in, (size_t)(end + 1 - t->in.data));
		t->skipping = false;
	} else {
		buf_clear(&t->in);
	}
	t->scanned = 0;
}

enum talk_line talk_next(struct talk *t, char **line, size_t *len)
{
	char *end;

	if (t->given)
		buf_shift(&t->in, t->given);
	t->given = 0;
	if (t->in.len == 0 && t->in.cap > KEEP)
		buf_release(&t->in);
	if (t->skipping && t->in.len)
		skip(t);
	if (t->in.len == 0)
		return TALK_NONE;
	end = memchr(t->in.data + t->scanned, '\n', t->in.len - t->scanned);
	if (end == NULL && t->in.len <= TALK_LINE_MAX && !t->ended) {
		t->scanned = t->in.len;
		return TALK_NONE;
	}
	t->scanned = 0;
	*line = t->in.data;
	*len = end ? (size_t)(end - t->in.data) : t->in.len;
	if (*len > TALK_LINE_MAX) {
		t->skipping = true;
		skip(t);
		return TALK_TOO_LONG;
	}
	t->given = end ? *len + 1 : *len;
	return TALK_LINE;
}
