/* format: regular expressions that a text matches as a whole or not at all. The
 * only user of PCRE2.
 *
 * Anchored at both ends whether the pattern says so or not: "df|rm" allows "df"
 * and "rm" and nothing longer. Characters are those of UTF-8; "." is no line
 * end, and \w and \d are ASCII. How long a match may take is bounded, so no
 * pattern and no text can hold us up. Pure code, no I/O. */
#ifndef AGENTRUX_PATTERN_H
#define AGENTRUX_PATTERN_H

#include "err.h"

#include <stddef.h>

struct pattern;

/* NULL with EX_DATAERR, saying where, if it is not one. */
struct pattern *pattern_new(const char *text, struct err *e);
void pattern_free(struct pattern *p);

enum pattern_answer {
	PATTERN_NO,
	PATTERN_YES,
	PATTERN_TOO_HARD /* given up at a limit, or not UTF-8 */
};

enum pattern_answer pattern_match(
	const struct pattern *p, const char *text, size_t len);

#endif
