#include "outlet.h"

#include "io.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIPE_SIZE = 262144 };

void outlet_init(struct outlet *o, int fd, size_t max)
{
	char path[32];
	struct stat st;

	*o = (struct outlet){
		.fd = fd, .pipe_fd = -1, .pending = BUF_INIT(max)
	};
	/* O_NONBLOCK belongs to the open file, which is shared with whoever
	 * started us: a pipe is opened once more, for ourselves. */
	if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode)) {
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
	o->done = 0;
	buf_release(&o->pending);
}

int outlet_put(struct outlet *o, const void *p, size_t n)
{
	if (buf_add(&o->pending, p, n) < 0) {
		o->pending.full = false;
		return -1;
	}
	o->queued += n;
	return 0;
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

	if (ioctl(o->pipe_fd, FIONREAD, &lying) < 0 || lying)
		return PIPE_BUF;
	size = fcntl(o->pipe_fd, F_GETPIPE_SZ);
	return size > PIPE_BUF ? (size_t)size : PIPE_BUF;
}

/* How much to write at once: whole lines as far as they are taken whole, so that
 * an end leaves no torn one; else one long line. */
static size_t next_piece(const struct outlet *o, const char *p, size_t n)
{
	size_t max = n > PIPE_BUF ? whole_max(o) : PIPE_BUF;
	const char *end;

	if (n <= max)
		return n;
	end = memrchr(p, '\n', max);
	if (end == NULL)
		end = memchr(p, '\n', n);
	return end ? (size_t)(end - p) + 1 : n;
}

/* Drops what is written, now and then: to move the rest to the front each time
 * would be most of the work where the reader is slow. */
static void compact(struct outlet *o)
{
	if (o->done < o->pending.len / 2)
		return;
	buf_shift(&o->pending, o->done);
	o->done = 0;
}

int outlet_flush(struct outlet *o, struct err *e)
{
	const char *at;
	ssize_t n;

	if (o->pipe_fd < 0) {
		if (io_put(o->fd, buf_text(&o->pending), o->pending.len, e) < 0)
			return -1;
		buf_clear(&o->pending);
		return 1;
	}
	while (outlet_waiting(o)) {
		at = o->pending.data + o->done;
		n = write(o->pipe_fd, at, next_piece(o, at, outlet_waiting(o)));
		if (n >= 0) {
			o->done += (size_t)n;
		} else if (errno == EAGAIN) {
			break;
		} else if (errno != EINTR) {
			return errno == EPIPE
				       ? err_stopped(e)
				       : err_errno(e,
						 "writing to standard output");
		}
	}
	compact(o);
	return outlet_waiting(o) == 0;
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
	if (keep >= outlet_waiting(o))
		return;
	o->queued -= outlet_waiting(o) - keep;
	o->pending.len = o->done + keep;
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
