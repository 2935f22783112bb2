/* format: a name from the wire becomes the name of a file. Pure code, no I/O.
 *
 * What comes out is one plain name, whatever came in: valid UTF-8, no path, no
 * dot or dash in front (no hidden file, no option), nothing that steers a
 * terminal or turns the reading direction, and short enough for any file
 * system, with room for a number and for a prefix and suffix of ours. */
#ifndef AGENTRUX_FILENAME_H
#define AGENTRUX_FILENAME_H

#include <stddef.h>

enum {
	FILENAME_LEN = 200, /* bytes that a safe name has at most */
	FILENAME_SIZE = FILENAME_LEN + 16, /* with a number, and NUL */
};

/* The safe name for `len` bytes of any kind; "" if nothing of them is left.
 * What must not be is replaced by "_", a name that is too long loses characters
 * in front of its extension. */
void filename_safe(const char *text, size_t len, char out[FILENAME_SIZE]);

/* The name to try when `name`, a safe one, is taken: "report.pdf" and 2 are
 * "report-2.pdf". 0 and 1 are the name itself. */
void filename_numbered(
	const char *name, unsigned number, char out[FILENAME_SIZE]);

#endif
