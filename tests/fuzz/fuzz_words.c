/* What words.h joins it has to split again, and a line that it lets through is
 * one way to write a list, not two. Aborts where that does not hold. */
#include "words.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "does not hold: %s\n", what);
		abort();
	}
}

static void same(const struct words *a, const struct words *b)
{
	size_t i;

	need(a->n == b->n, "as many words");
	for (i = 0; i < a->n; i++)
		need(strcmp(a->v[i], b->v[i]) == 0, "the same words");
}

static void round_trip(const struct words *w)
{
	struct buf line = BUF_INIT(1 << 20);
	struct words again = { 0 };

	need(words_join(w, &line) == 0, "there is room for them");
	if (w->n && line.len <= WORDS_LINE_MAX) {
		need(words_split(buf_text(&line), &again, NULL) == 0,
			"what was joined can be split");
		same(w, &again);
	}
	words_release(&again);
	buf_release(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xcalloc(1, size + 1);
	struct words w = { 0 };
	size_t at;

	memcpy(text, data, size);
	if (words_split(text, &w, NULL) == 0)
		round_trip(&w);
	words_release(&w);
	/* The same bytes as a list: a NUL ends a word. */
	for (at = 0; at < size; at += strlen(text + at) + 1)
		if (words_add(&w, text + at, NULL) < 0)
			break;
	round_trip(&w);
	words_release(&w);
	free(text);
	return 0;
}
