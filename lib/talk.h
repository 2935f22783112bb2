/* base: a conversation in lines over two descriptors, of which neither can hold
 * up the other: what is to go out waits in memory until the other side takes it,
 * and while much waits nothing more is taken in.
 *
 * A line that passes the ceiling is dropped and told of; the next is read all
 * the same. Lines that come in may hold secrets and are wiped. */
#ifndef AGENTRUX_TALK_H
#define AGENTRUX_TALK_H

#include "buf.h"

#include <poll.h>
#include <stdbool.h>

enum { TALK_LINE_MAX = 16777216, TALK_OUT_HIGH = 4194304 };

struct talk {
	int in_fd, out_fd;
	struct buf in, out;
	size_t given;	/* bytes of `in` that the last line took */
	size_t scanned; /* bytes of `in` known to hold no line end */
	bool skipping;	/* the rest of a line that was too long */
	bool ended;	/* nothing more comes in */
	size_t sent;	/* bytes of `out` */
};

enum { TALK_FDS = 2 };

void talk_start(struct talk *t, int in_fd, int out_fd);
void talk_release(struct talk *t);

/* Fills TALK_FDS entries for poll(2); unused ones have fd -1. */
void talk_fds(const struct talk *t, struct pollfd fds[TALK_FDS]);

/* Does so much wait that nothing more should be made of it? */
bool talk_is_full(const struct talk *t);

/* Moves what can be moved without waiting, after poll(2) filled in `fds`. -1 and
 * errno if the other side does not take anything any more. */
int talk_move(struct talk *t, const struct pollfd fds[TALK_FDS]);

enum talk_line { TALK_NONE, TALK_LINE, TALK_TOO_LONG };

/* The next line that is whole, without its end; at the end of the input the rest
 * is one, too. Valid until the next call. */
enum talk_line talk_next(struct talk *t, char **line, size_t *len);

#endif
