/* Whatever slice.h says of a text has to agree with what it says of its parts.
 * Aborts where it does not. */
#include "slice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LEVELS_MAX = 40 };

static void need(bool holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "does not hold: %s\n", what);
		abort();
	}
}

static bool same(struct slice a, struct slice b)
{
	return a.len == b.len && memcmp(a.p, b.p, a.len) == 0;
}

static void check_string(struct slice string)
{
	struct buf text = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);

	if (slice_text(string, &text)) {
		need(strlen(buf_text(&text)) == text.len, "no NUL in a text");
		need(slice_is(string, buf_text(&text)), "is what it reads");
		buf_add(&again, string.p, string.len);
		need(text.len + 2 <= again.len, "no text outgrows its string");
		buf_char(&text, 'x');
		need(!slice_is(string, buf_text(&text)), "is nothing more");
	} else {
		need(!slice_is(string, ""), "what has no text is not empty");
	}
	buf_release(&text);
	buf_release(&again);
}

static void check_int(struct slice number)
{
	char text[32];
	int64_t v;

	if (!slice_int(number, &v))
		return;
	snprintf(text, sizeof text, "%lld", (long long)v);
	need(same(number, (struct slice){ text, strlen(text) }) ||
			(number.len == 2 && memcmp(number.p, "-0", 2) == 0),
		"an integer reads as it is written");
}

/* Of the text that is looked at. */
static struct slice_ends ends;

static void check_value(struct slice v, enum slice_bytes bytes, int level);

static void check_members(struct slice v, enum slice_bytes bytes, int level)
{
	struct slice name, inner, found, noted;
	struct slice_walk w, quick;
	const char *at = v.p + 1;

	slice_walk_start(&w, v, NULL);
	slice_walk_start(&quick, v, &ends);
	while (slice_walk_next(&w, &name, &inner)) {
		need(slice_walk_next(&quick, NULL, &noted) &&
				noted.p == inner.p && noted.len == inner.len,
			"a part ends where it was noted to end");
		need(inner.p >= at && inner.p + inner.len < v.p + v.len,
			"parts are in order and inside");
		at = inner.p + inner.len;
		check_value(inner, bytes, level + 1);
		need((name.p != NULL) == (*v.p == '{'), "members have names");
		if (name.p) {
			struct buf text = BUF_INIT(1 << 20);

			check_value(name, bytes, level + 1);
			if (slice_text(name, &text)) {
				need(slice_member(v, buf_text(&text), &found),
					"a member is found by its name");
				need(found.p >= inner.p, "the last one counts");
			}
			buf_release(&text);
		}
	}
}

static void check_value(struct slice v, enum slice_bytes bytes, int level)
{
	struct slice whole;
	size_t bad;

	need(slice_document(v.p, v.len, bytes, &whole, &bad) == 0 &&
			whole.p == v.p && whole.len == v.len,
		"a part is a whole value");
	switch (slice_kind(v)) {
	case '"':
		check_string(v);
		break;
	case '0':
		check_int(v);
		break;
	case '{':
	case '[':
		/* A level costs what is in it, twice. */
		if (level < LEVELS_MAX)
			check_members(v, bytes, level);
	}
}

static void check_one_line(struct slice v, enum slice_bytes bytes)
{
	struct buf line = BUF_INIT(1 << 20), twice = BUF_INIT(1 << 20);
	struct slice again;
	size_t bad;

	need(slice_one_line(v, &line) == 0, "it fits");
	need(!memchr(line.data, '\n', line.len) &&
			!memchr(line.data, '\r', line.len),
		"one line");
	need(slice_document(line.data, line.len, bytes, &again, &bad) == 0,
		"one line is the same value");
	slice_one_line(again, &twice);
	need(twice.len == line.len, "one line stays as it is");
	buf_release(&line);
	buf_release(&twice);
}

/* In memory of its very size: a byte read beyond it is seen. */
static int document(const char *text, size_t len, enum slice_bytes bytes,
	struct slice *v, size_t *bad, char **copy)
{
	*copy = malloc(len ? len : 1);
	if (*copy == NULL)
		abort();
	memcpy(*copy, text, len);
	slice_ends_release(&ends);
	return slice_document_ends(*copy, len, bytes, v, &ends, bad);
}

static void check_wrong(const char *text, size_t bad, enum slice_bytes bytes)
{
	size_t earlier, line, column;
	struct slice v;
	char *copy;

	slice_line_column(text, bad, &line, &column);
	need(line >= 1 && column >= 1 && line + column <= bad + 2,
		"a place in the text");
	need(document(text, bad, bytes, &v, &earlier, &copy) == 0 ||
			earlier == bad,
		"what is before the wrong byte can be right");
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum slice_bytes modes[] = { SLICE_UTF8, SLICE_ANY_BYTES };
	const char *text = (const char *)data;
	bool right[2];
	struct slice v;
	size_t bad, i;
	char *copy;

	need(slice_utf8(text, size) <= size, "part of the text");
	for (i = 0; i < 2; i++) {
		right[i] = document(text, size, modes[i], &v, &bad, &copy) == 0;
		if (right[i]) {
			check_value(v, modes[i], 0);
			check_one_line(v, modes[i]);
		} else {
			need(bad <= size, "an offset");
			check_wrong(text, bad, modes[i]);
		}
		free(copy);
	}
	need(right[0] == (right[1] && slice_utf8(text, size) == size),
		"the modes differ by UTF-8");
	return 0;
}
