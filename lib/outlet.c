#include "outlet.h"

#include "io.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	PIPE_SIZE = 262144,
	PIECES_MIN = 16,
	PIECES_AT_ONCE = 128, /* to the kernel */
};

void outlet_init(struct outlet *o, int fd)
{
	char path[32];
	struct stat st;

	*o = (struct outlet){ .fd = fd, .pipe_fd = -1 };
	if (fstat(fd, &st) < 0)
		return;
	o->is_file = S_ISREG(st.st_mode);
	/* O_NONBLOCK belongs to the open file, which is shared with whoever
	 * started us: a pipe is opened once more, for ourselves. */
	if (S_ISFIFO(st.st_mode)) {
		o->is_pipe = true;
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		o->pipe_fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
		/* So that writer and reader take turns less often; what the
		 * system does not allow stays as it is. */
		fcntl(o->pipe_fd, F_SETPIPE_SZ, PIPE_SIZE);
	}
}

void outlet_release(struct outlet *o)
{
	if (o->pipe_fd >= 0)
		close(o->pipe_fd);
	o->pipe_fd = -1;
	free(o->pieces);
	o->pieces = NULL;
	o->first = o->n = o->cap = o->waiting = 0;
}

/* Room for one more piece. */
static void make_room(struct outlet *o)
{
	if (o->n < o->cap)
		return;
	if (o->first) {
		o->n -= o->first;
		memmove(o->pieces, o->pieces + o->first,
			o->n * sizeof *o->pieces);
		o->first = 0;
		return;
	}
	o->cap = o->cap ? o->cap * 2 : PIECES_MIN;
	o->pieces = xrealloc(o->pieces, o->cap * sizeof *o->pieces);
}

void outlet_put(struct outlet *o, const char *line, size_t len)
{
	struct outlet_piece *last =
		o->n > o->first ? &o->pieces[o->n - 1] : NULL;

	o->waiting += len;
	o->queued += len;
	if (last && last->p + last->len == line) {
		last->len += len;
		return;
	}
	make_room(o);
	o->pieces[o->n++] = (struct outlet_piece){ line, len };
}

int outlet_fd(const struct outlet *o)
{
	return o->pipe_fd >= 0 ? o->pipe_fd : o->fd;
}

/* How many bytes the kernel takes whole or not at all: an empty pipe as many as
 * it holds. */
static size_t whole_max(const struct outlet *o)
{
	int lying, size;

	if (o->is_file)
		return SIZE_MAX;
	if (ioctl(o->pipe_fd, FIONREAD, &lying) < 0 || lying)
		return PIPE_BUF;
	size = fcntl(o->pipe_fd, F_GETPIPE_SZ);
	return size > PIPE_BUF ? (size_t)size : PIPE_BUF;
}

/* How much of a piece fits into `room`: whole lines. */
static size_t whole_lines(const struct outlet_piece *piece, size_t room)
{
	const char *end;

	if (piece->len <= room)
		return piece->len;
	end = memrchr(piece->p, '\n', room);
	return end ? (size_t)(end - piece->p) + 1 : 0;
}

static size_t first_line(const struct outlet_piece *piece)
{
	const char *end = memchr(piece->p, '\n', piece->len);

	return end ? (size_t)(end - piece->p) + 1 : piece->len;
}

static struct iovec vector(const struct outlet_piece *piece, size_t len)
{
	/* Nothing is written to it. */
	return (struct iovec){ .iov_base = (void *)piece->p, .iov_len = len };
}

/* What to write at once: whole lines as far as they are taken whole, so that an
 * end leaves no torn one; else one long line. How many pieces that are. */
static int next_pieces(
	const struct outlet *o, struct iovec pieces[PIECES_AT_ONCE])
{
	size_t room = o->waiting > PIPE_BUF ? whole_max(o) : PIPE_BUF, len;
	const struct outlet_piece *piece = o->pieces + o->first;
	int n = 0;

	for (; piece < o->pieces + o->n && n < PIECES_AT_ONCE; piece++) {
		len = whole_lines(piece, room);
		if (len == 0)
			break;
		pieces[n++] = vector(piece, len);
		if (len < piece->len)
			break;
		room -= len;
	}
	if (n == 0)
		pieces[n++] = vector(piece, first_line(piece));
	return n;
}

/* So many bytes are written. */
static void advance(struct outlet *o, size_t len)
{
	struct outlet_piece *piece;

	o->waiting -= len;
	for (; len; len -= piece->len, o->first++) {
		piece = &o->pieces[o->first];
		if (len < piece->len) {
			piece->p += len;
			piece->len -= len;
			return;
		}
	}
	if (o->first == o->n)
		o->first = o->n = 0;
}

/* To a terminal, say: where waiting is no harm. */
static int put_all(struct outlet *o, struct err *e)
{
	const struct outlet_piece *piece;

	while (o->waiting) {
		piece = &o->pieces[o->first];
		if (io_put(o->fd, piece->p, piece->len, e) < 0)
			return -1;
		advance(o, piece->len);
	}
	return 1;
}

int outlet_flush(struct outlet *o, struct err *e)
{
	struct iovec pieces[PIECES_AT_ONCE];
	ssize_t n;

	if (o->pipe_fd < 0 && !o->is_file)
		return put_all(o, e);
	while (o->waiting) {
		n = writev(outlet_fd(o), pieces, next_pieces(o, pieces));
		if (n >= 0)
			advance(o, (size_t)n);
		else if (errno == EAGAIN)
			break;
		else if (errno != EINTR)
			return errno == EPIPE
				       ? err_stopped(e)
				       : err_errno(e,
						 "writing to standard output");
	}
	return o->waiting == 0;
}

void outlet_close(struct outlet *o)
{
	int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (nowhere >= 0) {
		dup2(nowhere, o->fd);
		close(nowhere);
	} else {
		close(o->fd);
	}
	outlet_release(o);
}

void outlet_cut(struct outlet *o, size_t keep)
{
	size_t cut, len;

	if (keep >= o->waiting)
		return;
	cut = o->waiting - keep;
	o->queued -= cut;
	o->waiting = keep;
	for (; cut; cut -= len) {
		struct outlet_piece *last = &o->pieces[o->n - 1];

		len = last->len < cut ? last->len : cut;
		last->len -= len;
		o->n -= last->len == 0;
	}
}

uint64_t outlet_taken(const struct outlet *o)
{
	uint64_t written = outlet_written(o);
	int lying = 0;

	if (!o->is_pipe)
		return written;
	if (ioctl(outlet_fd(o), FIONREAD, &lying) < 0 || lying < 0)
		lying = 0;
	/* Another writer's bytes may lie there as well: then ours count as
	 * not taken yet, which is the safe side. */
	return (uint64_t)lying > written ? 0 : written - (uint64_t)lying;
}
