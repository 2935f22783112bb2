#include "io.h"

#include "stop.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 65536 };

int io_open(int dirfd, const char *path, int flags, mode_t mode)
{
	int fd;

	do {
		fd = openat(dirfd, path,
			flags | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, mode);
	} while (fd < 0 && errno == EINTR);
	return fd;
}

int io_write(int fd, const void *p, size_t n)
{
	const char *at = p;
	struct pollfd writable = { .fd = fd, .events = POLLOUT };

	while (n) {
		ssize_t w = write(fd, at, n);

		if (w >= 0) {
			at += w;
			n -= (size_t)w;
		} else if (errno == EAGAIN) {
			/* A descriptor that somebody made non-blocking. */
			poll(&writable, 1, -1);
		} else if (errno != EINTR) {
			return -1;
		}
	}
	return 0;
}

/* Reads one block behind what is there. >0 bytes, 0 end, -1 and errno; EFBIG,
 * with the first byte that has no place in `extra`. */
static ssize_t read_block(int fd, struct buf *b, char *extra)
{
	size_t want = BLOCK;
	char *at;
	ssize_t n;

	if (want > b->max - b->len)
		want = b->max - b->len;
	if (want == 0) {
		/* Exactly full: fine if this was all. */
		do {
			n = read(fd, extra, 1);
		} while (n < 0 && errno == EINTR);
		if (n > 0)
			errno = EFBIG;
		return n > 0 ? -1 : n;
	}
	at = buf_room(b, want);
	if (at == NULL) {
		errno = EFBIG;
		return -1;
	}
	do {
		n = read(fd, at, want);
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		b->len += (size_t)n;
	b->data[b->len] = '\0';
	return n;
}

int io_read_all(int fd, struct buf *b)
{
	ssize_t n;
	char extra;

	do {
		n = read_block(fd, b, &extra);
	} while (n > 0);
	return n < 0 ? -1 : 0;
}

/* Waits until `fd` has something to read. */
static int wait_readable(int fd, const char *what, struct err *e)
{
	struct pollfd in = { .fd = fd, .events = POLLIN };

	if (stop_poll(&in, 1, -1) >= 0)
		return 0;
	if (errno == ECANCELED)
		return err_stopped(e);
	return err_errno(e, "waiting for %s", what);
}

int io_slurp(int fd, struct buf *b, const char *what, struct err *e)
{
	ssize_t n;
	char extra;

	do {
		if (wait_readable(fd, what, e) < 0)
			return -1;
		n = read_block(fd, b, &extra);
		if (n < 0 && errno == EFBIG)
			return err_set(e, EX_DATAERR,
				"reading %s: it is larger than %zu bytes", what,
				b->max);
		if (n < 0 && errno != EAGAIN)
			return err_errno(e, "reading %s", what);
	} while (n != 0);
	return 0;
}

int io_put(int fd, const void *p, size_t n, struct err *e)
{
	struct pollfd out = { .fd = fd, .events = POLLOUT };
	const char *at = p;
	struct stat st;
	size_t part, most = PIPE_BUF;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		most = n;
	/* A pipe that is ready takes PIPE_BUF bytes at once: so we never sit in
	 * a write that a signal could not end. */
	for (; n; at += part, n -= part) {
		part = n > most ? most : n;
		if (poll(&out, 1, 0) == 0 && stop_poll(&out, 1, -1) < 0 &&
			errno == ECANCELED)
			return err_stopped(e);
		if (io_write(fd, at, part) < 0)
			return errno == EPIPE
				       ? err_stopped(e)
				       : err_errno(e,
						 "writing to standard output");
	}
	return 0;
}

int io_put_line(int fd, const char *line, struct err *e)
{
	struct buf b = BUF_SECRET((size_t)-1 / 2);
	int r;

	/* One write, so that a line of up to PIPE_BUF bytes stays whole. */
	buf_str(&b, line);
	buf_char(&b, '\n');
	r = io_put(fd, b.data, b.len, e);
	buf_release(&b);
	return r;
}

int io_close(int fd, const char *what, struct err *e)
{
	/* EINTR leaves the descriptor closed on Linux: never close again. */
	if (close(fd) == 0 || errno == EINTR)
		return 0;
	return err_errno(e, "closing %s", what);
}

/* Drops what is read of a line that was too long. */
static void skip(struct io_lines *l)
{
	char *nl = l->buf.len ? memchr(l->buf.data, '\n', l->buf.len) : NULL;

	l->skipping = nl == NULL;
	buf_shift(&l->buf, nl ? (size_t)(nl - l->buf.data) + 1 : l->buf.len);
	l->given = l->scanned = 0;
}

/* Takes a whole line out of the block, if one is there. */
static int take_line(struct io_lines *l, char **line, size_t *len)
{
	struct buf *b = &l->buf;
	char *nl = NULL;

	if (b->len > l->scanned)
		nl = memchr(b->data + l->scanned, '\n', b->len - l->scanned);
	l->scanned = nl ? (size_t)(nl - b->data) + 1 : b->len;
	if (nl == NULL && (!l->eof || b->len == l->given))
		return 0;
	*line = b->data + l->given;
	*len = l->scanned - l->given - (nl != NULL);
	(*line)[*len] = '\0';
	l->given = l->scanned;
	return 1;
}

/* Makes room for the next block. (To do so for each line would move the rest of
 * a block each time.) */
static void drop_given(struct io_lines *l)
{
	buf_shift(&l->buf, l->given);
	l->scanned -= l->given;
	l->given = 0;
}

static int next_line(
	struct io_lines *l, bool wait, char **line, size_t *len, struct err *e)
{
	struct pollfd in = { .fd = l->fd, .events = POLLIN };
	ssize_t n;
	char extra;

	for (;;) {
		if (l->skipping)
			skip(l);
		if (!l->skipping && take_line(l, line, len))
			return 1;
		if (l->eof)
			return 0;
		if (wait) {
			if (wait_readable(l->fd, "standard input", e) < 0)
				return -1;
		} else if (poll(&in, 1, 0) <= 0) {
			return 2;
		}
		drop_given(l);
		n = read_block(l->fd, &l->buf, &extra);
		if (n < 0 && errno == EFBIG) {
			buf_clear(&l->buf);
			l->scanned = 0;
			l->skipping = extra != '\n';
			return err_set(e, EX_DATAERR,
				"reading standard input: a line is longer "
				"than %zu bytes",
				l->buf.max);
		}
		if (n < 0 && errno != EAGAIN)
			return err_errno(e, "reading standard input");
		if (n == 0)
			l->eof = true;
	}
}

int io_lines_next(struct io_lines *l, char **line, size_t *len, struct err *e)
{
	return next_line(l, true, line, len, e);
}

int io_lines_poll(struct io_lines *l, char **line, size_t *len, struct err *e)
{
	return next_line(l, false, line, len, e);
}

void io_lines_release(struct io_lines *l)
{
	buf_release(&l->buf);
}
