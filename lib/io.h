/* base: whole reads and writes on descriptors.
 *
 * Every descriptor opened here is close-on-exec. EINTR and short transfers are
 * dealt with; errno is kept for the caller on failure. */
#ifndef AGENTRUX_IO_H
#define AGENTRUX_IO_H

#include "buf.h"
#include "err.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/types.h>

/* openat(2) with O_CLOEXEC, O_NOFOLLOW and O_NOCTTY added. -1 and errno. */
int io_open(int dirfd, const char *path, int flags, mode_t mode);

/* Writes all of it. -1 and errno; EPIPE means that the reader has closed. */
int io_write(int fd, const void *p, size_t n);

/* Appends everything up to end-of-file to `b`. -1 with errno; EFBIG if the
 * ceiling of `b` does not hold it. */
int io_read_all(int fd, struct buf *b);

/* The same for standard input and the like, interruptible by stop.h, with the
 * error made: `what` names the input in messages. */
int io_slurp(int fd, struct buf *b, const char *what, struct err *e);

/* Data for standard output: all of it or an error. A reader that closed is
 * ERR_STOPPED, as is being told to end while a slow one keeps us waiting; a full
 * disk and the like EX_IOERR. Never from lib/ but through
 * a descriptor that the program handed in. */
int io_put(int fd, const void *p, size_t n, struct err *e);
int io_put_line(int fd, const char *line, struct err *e);

/* close(2) whose failure is reported (a write may fail only here). */
int io_close(int fd, const char *what, struct err *e);

/* Lines of a descriptor, read in blocks. Start with IO_LINES(fd, max). */
struct io_lines {
	int fd;
	bool eof;
	struct buf buf; /* read, not yet given out */
	size_t given;	/* bytes of buf that were given out */
	size_t scanned; /* bytes of buf known to hold no further newline */
	bool skipping;	/* within a line that is too long */
};

#define IO_LINES(descriptor, ceiling)                                          \
	{                                                                      \
		.fd = (descriptor), .buf = BUF_INIT(ceiling)                   \
	}

/* The next line without its newline, NUL-terminated, valid until the next call;
 * the last line may lack its newline. 1: a line, 0: end of input, -1: error
 * (EX_DATAERR if a line with its newline is longer than the ceiling; the next
 * call gives the line behind it). Waits interruptibly. */
int io_lines_next(struct io_lines *l, char **line, size_t *len, struct err *e);

/* The same without waiting: 2 if no whole line is there yet. */
int io_lines_poll(struct io_lines *l, char **line, size_t *len, struct err *e);

void io_lines_release(struct io_lines *l);

#endif
