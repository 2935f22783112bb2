/* hub: finds the members of a JSON document as ranges of its own bytes.
 *
 * A payload has to come back exactly as it came: numbers beyond 2^53, 1e400,
 * \u0000, lone surrogates, blanks. So nothing is parsed into values here; a
 * document is checked against RFC 8259 (strictly, and for valid UTF-8) and its
 * parts are pointed at. The scan is iterative: nesting costs one bit a level,
 * up to RAW_DEPTH_MAX levels. Ranges borrow the document; nothing is allocated
 * beyond the call. Pure, thread-safe.
 *
 * Errors are EX_DATAERR with the byte at which the document went wrong. */
#ifndef AGENTRUX_HUB_RAW_H
#define AGENTRUX_HUB_RAW_H

#include "buf.h"
#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RAW_DEPTH_MAX = 1 << 20 };

struct raw {
	const char *at; /* NULL: not there */
	size_t len;
};

struct raw_want {
	const char *name;
	struct raw value; /* out; at is NULL if there is no such member */
};

/* The document must be one object and nothing else; fills in the wanted
 * members. A wanted member that is there twice is an error: which of them
 * counts would be anybody's guess. */
int raw_object(const char *doc, size_t len, struct raw_want *want, size_t n,
	struct err *e);

/* Absent or the literal null. */
bool raw_is_null(struct raw r);

bool raw_is_string(struct raw r);
bool raw_is_true(struct raw r);

/* Appends the text of a string value. -1: not a string, or one that no C
 * string holds (\u0000, a lone surrogate), or over the ceiling of `out`. */
int raw_text(struct raw r, struct buf *out);

/* A whole number from 0 to 10^15, written as plain digits; else -1. */
int64_t raw_number(struct raw r);

/* How many characters (code points) a UTF-8 text has. */
size_t raw_characters(const char *s);

#endif
