/* format: which of the last texts (event ids, say) have been seen.
 *
 * Texts are remembered by 128 bits of their SHA-256, which nobody can make
 * collide on purpose, at 32 bytes or so each. The last `keep` that were added
 * are always known, and what was added before them for some time longer: twice
 * `keep` at most. A window starts as WINDOW(keep). */
#ifndef AGENTRUX_WINDOW_H
#define AGENTRUX_WINDOW_H

#include <stdbool.h>
#include <stddef.h>

enum { WINDOW_SUM = 16 };

struct window_sum {
	unsigned char bytes[WINDOW_SUM];
};

struct window_set {
	struct window_sum *slots; /* all zero: free */
	size_t cap, n;
};

struct window {
	size_t keep;
	size_t keep_old; /* so many others may follow on what was old; 0: keep */
	bool old;	 /* some of that is in `before` */
	struct window_set now, before; /* `now` is full: it becomes `before` */
};

#define WINDOW(count)                                                          \
	{                                                                      \
		.keep = (count)                                                \
	}

void window_sum(const char *text, size_t len, struct window_sum *sum);

bool window_has(const struct window *w, const struct window_sum *sum);

/* false: it is in it already, and is not moved to its newer end. */
bool window_add(struct window *w, const struct window_sum *sum);

/* Adds one from before all that were added so far: of these, however many there
 * are, all are known until `keep_old` others were added. */
void window_add_old(struct window *w, const struct window_sum *sum);

void window_release(struct window *w);

#endif
