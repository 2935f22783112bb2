/* base: a growing byte buffer with a ceiling.
 *
 * A buffer starts as BUF_INIT(max) or BUF_SECRET(max) on the caller's storage
 * and ends with buf_release, which may be called again and on an empty one.
 * What is in it is followed by a NUL that does not count in `len`.
 *
 * An append that would pass `max` adds nothing, returns -1 and marks the buffer
 * `full`; later appends then fail as well. So a string can be built with
 * several calls and checked once. A secret buffer wipes every byte it gives
 * up, also when it grows. Thread-compatible, not thread-safe. */
#ifndef AGENTRUX_BUF_H
#define AGENTRUX_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *data; /* NULL until something was appended */
	size_t len;
	size_t cap;
	size_t max; /* ceiling for len */
	bool full;  /* an append was refused */
	bool secret;
};

#define BUF_INIT(ceiling)                                                      \
	{                                                                      \
		.max = (ceiling)                                               \
	}
#define BUF_SECRET(ceiling)                                                    \
	{                                                                      \
		.max = (ceiling), .secret = true                               \
	}

int buf_add(struct buf *b, const void *p, size_t n);
int buf_str(struct buf *b, const char *s);
int buf_set(struct buf *b, const char *s); /* in place of what is in it */
int buf_char(struct buf *b, char c);
int buf_printf(struct buf *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Room for `n` more bytes (plus NUL), to be filled by the caller, who then
 * adds to `len` what was used. NULL if the ceiling does not allow it. */
char *buf_room(struct buf *b, size_t n);

/* Drops the first `n` bytes. */
void buf_shift(struct buf *b, size_t n);

/* Empty again (and no longer `full`), the memory kept; a secret is wiped. */
void buf_clear(struct buf *b);

/* The contents as a string, "" when empty. Borrowed: valid until a change. */
const char *buf_text(const struct buf *b);

/* The contents as a string of the caller's own; the buffer is empty after. */
char *buf_detach(struct buf *b);

void buf_release(struct buf *b);

/* Wipes and frees a string that held a secret; NULL is fine. */
void buf_wipe_free(char *s);

#endif
