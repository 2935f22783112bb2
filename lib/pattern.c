#define PCRE2_CODE_UNIT_WIDTH 8

#include "pattern.h"

#include <pcre2.h>

#include <stdlib.h>
#include <string.h>

/* Each match alone: about a quarter of a second at worst. */
enum {
	MATCH_LIMIT = 1000000,
	DEPTH_LIMIT = 100000,
	HEAP_LIMIT_KIB = 16384,
	PATTERN_MAX = 16384,
};

struct pattern {
	pcre2_code *code;
	pcre2_match_context *limits;
};

void pattern_free(struct pattern *p)
{
	if (p == NULL)
		return;
	pcre2_code_free(p->code);
	pcre2_match_context_free(p->limits);
	free(p);
}

struct pattern *pattern_new(const char *text, struct err *e)
{
	struct pattern *p;
	PCRE2_UCHAR why[160];
	PCRE2_SIZE at;
	int code;

	if (strlen(text) > PATTERN_MAX) {
		err_set(e, EX_DATAERR, "a pattern is over %d bytes",
			PATTERN_MAX);
		return NULL;
	}
	p = xcalloc(1, sizeof *p);
	/* \C would match half a character. */
	p->code = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
		PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOLLAR_ENDONLY |
			PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C,
		&code, &at, NULL);
	p->limits = pcre2_match_context_create(NULL);
	if (p->code && p->limits) {
		pcre2_set_match_limit(p->limits, MATCH_LIMIT);
		pcre2_set_depth_limit(p->limits, DEPTH_LIMIT);
		pcre2_set_heap_limit(p->limits, HEAP_LIMIT_KIB);
		return p;
	}
	if (p->code)
		memcpy(why, "out of memory", 14);
	else
		pcre2_get_error_message(code, why, sizeof why);
	err_set(e, EX_DATAERR, "the pattern '%.200s', at its byte %zu: %s",
		text, p->code ? 0 : at + 1, (const char *)why);
	pattern_free(p);
	return NULL;
}

enum pattern_answer pattern_match(
	const struct pattern *p, const char *text, size_t len)
{
	pcre2_match_data *found =
		pcre2_match_data_create_from_pattern(p->code, NULL);
	const PCRE2_SIZE *span;
	enum pattern_answer answer = PATTERN_TOO_HARD;
	int r;

	if (found == NULL)
		return PATTERN_TOO_HARD;
	r = pcre2_match(p->code, (PCRE2_SPTR)text, len, 0, 0, found, p->limits);
	span = pcre2_get_ovector_pointer(found);
	/* \K in a pattern moves the start; what counts is the whole. */
	if (r >= 0)
		answer = span[0] == 0 && span[1] == len ? PATTERN_YES
							: PATTERN_NO;
	else if (r == PCRE2_ERROR_NOMATCH)
		answer = PATTERN_NO;
	pcre2_match_data_free(found);
	return answer;
}
