/* format: JSON as raw bytes. A strict RFC 8259 scan, then values as slices of
 * the text they stand in: nothing is re-formatted, so numbers beyond 2^53,
 * "\u0000", lone surrogates and odd spellings pass through unchanged.
 *
 * Order of calls: slice_document() checks a text and gives its value; every
 * other function here takes slices of a text that was checked, and relies on
 * it. Slices borrow: they live as long as the text. Nesting costs one bit a
 * level and no recursion; it is bounded by the text only. Pure code, no I/O. */
#ifndef AGENTRUX_SLICE_H
#define AGENTRUX_SLICE_H

#include "buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slice {
	const char *p; /* NULL: not there */
	size_t len;
};

enum slice_bytes {
	SLICE_UTF8,	 /* what is not valid UTF-8 is malformed */
	SLICE_ANY_BYTES, /* any byte >= 0x80 may stand in strings */
};

/* One JSON value with white space around it, and nothing else. 0, or -1 with
 * the offset of the first byte that cannot be right in `*bad` (`len` if the
 * text ends too early). A BOM is
 * malformed, as RFC 8259 has it. `text` needs no NUL. */
int slice_document(const char *text, size_t len, enum slice_bytes bytes,
	struct slice *value, size_t *bad);

/* Where the strings, arrays and objects of the outer levels begin and end, in
 * order: who walks a large text need not go through them again to pass them. */
enum { SLICE_ENDS_DEPTH = 4, SLICE_ENDS_MAX = 65536 /* the rest is not */ };
struct slice_end {
	const char *at, *end;
};
struct slice_ends {
	struct slice_end *list;
	size_t n, cap;
	size_t next; /* what is asked for most likely */
	bool lines;  /* there are line ends in the value, between tokens */
};

/* slice_document() that notes them as well; `ends` starts as all zero. */
int slice_document_ends(const char *text, size_t len, enum slice_bytes bytes,
	struct slice *value, struct slice_ends *ends, size_t *bad);
void slice_ends_release(struct slice_ends *ends);

/* How many bytes at the start of `text` are whole characters of valid UTF-8:
 * `len` if it all is. */
size_t slice_utf8(const char *text, size_t len);

/* Where offset `bad` is for people: both count from 1; columns count
 * characters (UTF-8), lines end with \n. */
void slice_line_column(
	const char *text, size_t bad, size_t *line, size_t *column);

/* The value's kind by its first byte: '{' '[' '"' 't' 'f' 'n', and '0' for any
 * number; '\0' for a slice that is not there. */
char slice_kind(struct slice value);

/* Member of an object; names are compared unescaped, of double ones the last
 * counts (as jq has it). false: no such member, or not an object. */
bool slice_member(struct slice object, const char *name, struct slice *value);

/* All elements of an array or members of an object, in order. */
struct slice_walk {
	const char *at, *end;
	bool object;
	struct slice_ends *ends; /* of the text, if they are known */
};

/* A value that is neither walks as empty. `ends` may be NULL. */
void slice_walk_start(
	struct slice_walk *w, struct slice container, struct slice_ends *ends);

/* `name` may be NULL; it gets the string with its quotes (arrays: no slice). */
bool slice_walk_next(
	struct slice_walk *w, struct slice *name, struct slice *value);

/* Is this a string that reads `plain`? */
bool slice_is(struct slice string, const char *plain);

/* Appends a string's characters, unescaped, as UTF-8; a lone surrogate becomes
 * U+FFFD, and bytes that SLICE_ANY_BYTES let in stay as they are. false, with
 * nothing appended, if it is not a string, does not fit, or holds U+0000 (what
 * is used as an id or a name must not be cut short there). */
bool slice_text(struct slice string, struct buf *out);

/* An integer written as one (no fraction, no exponent) within int64_t. */
bool slice_int(struct slice number, int64_t *v);

/* Appends the value on one line: line ends between tokens are left out, every
 * other byte is kept. Returns as buf_add. */
int slice_one_line(struct slice value, struct buf *out);

#endif
