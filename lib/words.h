/* format: a command as a list of words, and as the one line that stands for it.
 *
 * A line is split by plain rules: blanks part words, quotes and backslashes work
 * as in a shell, and nothing else does. What a shell would take for an operator
 * or expand ($x, *, ~, |, ; and so on, unquoted) is an error, so that a line is
 * never run as something else than it says.
 *
 * Joining is the way back, with quotes where a shell would need them. No two
 * lists have the same line, so what is decided by the line holds for the list;
 * words_split() gives back the list that was joined. Pure code, no I/O. */
#ifndef AGENTRUX_WORDS_H
#define AGENTRUX_WORDS_H

#include "buf.h"
#include "err.h"

#include <stddef.h>

enum {
	WORDS_MAX = 1024,
	WORDS_LINE_MAX = 65536, /* of all words together, as a line */
};

struct words {
	char **v; /* NULL-terminated, as execve(2) wants it; NULL: none yet */
	size_t n;
};

/* EX_DATAERR if it is not such a line, holds no word, or passes a ceiling. `w`
 * starts empty and is the caller's to release in any case. */
int words_split(const char *line, struct words *w, struct err *e);

/* Adds a word of the caller's to a list. EX_DATAERR past WORDS_MAX. */
int words_add(struct words *w, const char *word, struct err *e);

/* Appends the list as a line. -1 if it does not fit. */
int words_join(const struct words *w, struct buf *out);

void words_release(struct words *w);

#endif
