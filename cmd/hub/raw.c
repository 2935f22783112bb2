#include "raw.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 64 };

struct scan {
	const unsigned char *start, *p, *end;
	unsigned char *objects; /* one bit a level: 1 object, 0 array */
	size_t depth, levels;	/* levels: that `objects` has room for */
	struct err *e;
};

static int fail(struct scan *s, const char *what)
{
	return err_set(s->e, EX_DATAERR, "invalid JSON at byte %zu: %s",
		(size_t)(s->p - s->start), what);
}

static void skip_blanks(struct scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' ||
					*s->p == '\n' || *s->p == '\r'))
		s->p++;
}

static bool at(const struct scan *s, int c)
{
	return s->p < s->end && *s->p == c;
}

static bool is_digit(const struct scan *s)
{
	return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

static int push(struct scan *s, bool object)
{
	unsigned char bit = (unsigned char)(1U << (s->depth % 8));

	if (s->depth == RAW_DEPTH_MAX)
		return fail(s, "nested too deep");
	if (s->depth == s->levels) {
		s->levels = s->levels ? s->levels * 2 : 512;
		s->objects = xrealloc(s->objects, s->levels / 8);
	}
	if (object)
		s->objects[s->depth / 8] |= bit;
	else
		s->objects[s->depth / 8] &= (unsigned char)~bit;
	s->depth++;
	return 0;
}

static bool in_object(const struct scan *s)
{
	size_t level = s->depth - 1;

	return s->objects[level / 8] & (1U << (level % 8));
}

/* The length of the UTF-8 sequence at p, or 0 if there is no valid one:
 * neither overlong forms nor surrogates nor anything beyond U+10FFFF. */
static size_t sequence(const unsigned char *p, const unsigned char *end)
{
	unsigned char low = 0x80, high = 0xBF;
	size_t n, i;

	if (p[0] >= 0xC2 && p[0] <= 0xDF)
		n = 2;
	else if (p[0] >= 0xE0 && p[0] <= 0xEF)
		n = 3;
	else if (p[0] >= 0xF0 && p[0] <= 0xF4)
		n = 4;
	else
		return 0;
	if ((size_t)(end - p) < n)
		return 0;
	if (p[0] == 0xE0)
		low = 0xA0;
	else if (p[0] == 0xED)
		high = 0x9F;
	else if (p[0] == 0xF0)
		low = 0x90;
	else if (p[0] == 0xF4)
		high = 0x8F;
	if (p[1] < low || p[1] > high)
		return 0;
	for (i = 2; i < n; i++)
		if (p[i] < 0x80 || p[i] > 0xBF)
			return 0;
	return n;
}

static int hex_digit(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static int escape(struct scan *s)
{
	int i;

	s->p++;
	if (s->p == s->end || *s->p == '\0' ||
		strchr("\"\\/bfnrtu", *s->p) == NULL)
		return fail(s, "no such escape");
	if (*s->p++ != 'u')
		return 0;
	for (i = 0; i < 4; i++, s->p++)
		if (s->p == s->end || hex_digit(*s->p) < 0)
			return fail(s, "\\u needs four hex digits");
	return 0;
}

static int string(struct scan *s)
{
	size_t n;

	if (!at(s, '"'))
		return fail(s, "a string was expected");
	s->p++;
	for (;;) {
		while (s->p < s->end && *s->p >= 0x20 && *s->p < 0x80 &&
			*s->p != '"' && *s->p != '\\')
			s->p++;
		if (s->p == s->end)
			return fail(s, "the string does not end");
		if (*s->p == '"') {
			s->p++;
			return 0;
		}
		if (*s->p == '\\') {
			if (escape(s) < 0)
				return -1;
			continue;
		}
		if (*s->p < 0x20)
			return fail(s, "a control character in a string");
		n = sequence(s->p, s->end);
		if (n == 0)
			return fail(s, "not UTF-8");
		s->p += n;
	}
}

static int digits(struct scan *s)
{
	if (!is_digit(s))
		return fail(s, "a digit was expected");
	while (is_digit(s))
		s->p++;
	return 0;
}

static int number(struct scan *s)
{
	if (at(s, '-'))
		s->p++;
	if (at(s, '0'))
		s->p++;
	else if (digits(s) < 0)
		return -1;
	if (at(s, '.')) {
		s->p++;
		if (digits(s) < 0)
			return -1;
	}
	if (at(s, 'e') || at(s, 'E')) {
		s->p++;
		if (at(s, '+') || at(s, '-'))
			s->p++;
		return digits(s);
	}
	return 0;
}

static int literal(struct scan *s, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
		return fail(s, "a value was expected");
	s->p += n;
	return 0;
}

static int scalar(struct scan *s)
{
	if (s->p == s->end)
		return fail(s, "it ends where a value was expected");
	switch (*s->p) {
	case '"':
		return string(s);
	case 't':
		return literal(s, "true");
	case 'f':
		return literal(s, "false");
	case 'n':
		return literal(s, "null");
	default:
		if (*s->p != '-' && !is_digit(s))
			return fail(s, "a value was expected");
		return number(s);
	}
}

/* `"name" :` with blanks around; stands at the value after. */
static int member_name(struct scan *s, struct raw *name)
{
	skip_blanks(s);
	name->at = (const char *)s->p;
	if (string(s) < 0)
		return -1;
	name->len = (size_t)((const char *)s->p - name->at);
	skip_blanks(s);
	if (!at(s, ':'))
		return fail(s, "a colon was expected");
	s->p++;
	return 0;
}

/* A value has ended: closes what ends with it. 1: all is closed down to level
 * `base`; 0: stands where the next value begins. */
static int close_levels(struct scan *s, size_t base)
{
	struct raw name;

	for (;;) {
		if (s->depth == base)
			return 1;
		skip_blanks(s);
		if (at(s, ',')) {
			s->p++;
			return in_object(s) ? member_name(s, &name) : 0;
		}
		if (!at(s, in_object(s) ? '}' : ']'))
			return fail(s, "a comma or a closing bracket was "
				       "expected");
		s->p++;
		s->depth--;
	}
}

/* One whole value, however deep. */
static int value(struct scan *s)
{
	size_t base = s->depth;
	struct raw name;
	int r;

	for (;;) {
		skip_blanks(s);
		if (at(s, '{') || at(s, '[')) {
			bool object = *s->p++ == '{';

			if (push(s, object) < 0)
				return -1;
			skip_blanks(s);
			if (!at(s, object ? '}' : ']')) {
				if (object && member_name(s, &name) < 0)
					return -1;
				continue;
			}
		} else if (scalar(s) < 0) {
			return -1;
		}
		r = close_levels(s, base);
		if (r)
			return r < 0 ? -1 : 0;
	}
}

/* Does a member name, escapes and all, spell `text`? */
static bool spells(struct raw name, const char *text)
{
	struct buf b = BUF_INIT(NAME_MAX_BYTES);
	bool same;

	if (memchr(name.at, '\\', name.len) == NULL)
		return name.len == strlen(text) + 2 &&
		       memcmp(name.at + 1, text, name.len - 2) == 0;
	same = raw_text(name, &b) == 0 && strcmp(buf_text(&b), text) == 0;

	buf_release(&b);
	return same;
}

static int member(struct scan *s, struct raw_want *want, size_t n)
{
	struct raw name, v;
	size_t i;

	if (member_name(s, &name) < 0)
		return -1;
	skip_blanks(s);
	v.at = (const char *)s->p;
	if (value(s) < 0)
		return -1;
	v.len = (size_t)((const char *)s->p - v.at);
	for (i = 0; i < n; i++) {
		if (!spells(name, want[i].name))
			continue;
		if (want[i].value.at)
			return err_set(s->e, EX_DATAERR,
				"the member \"%s\" is there twice",
				want[i].name);
		want[i].value = v;
	}
	return 0;
}

static int members(struct scan *s, struct raw_want *want, size_t n)
{
	skip_blanks(s);
	if (!at(s, '{'))
		return fail(s, "an object was expected");
	s->p++;
	skip_blanks(s);
	if (!at(s, '}')) {
		for (;;) {
			if (member(s, want, n) < 0)
				return -1;
			skip_blanks(s);
			if (!at(s, ','))
				break;
			s->p++;
		}
		if (!at(s, '}'))
			return fail(s, "a comma or a closing bracket was "
				       "expected");
	}
	s->p++;
	skip_blanks(s);
	return s->p == s->end ? 0 : fail(s, "something behind the document");
}

int raw_object(const char *doc, size_t len, struct raw_want *want, size_t n,
	struct err *e)
{
	const unsigned char *p = (const unsigned char *)(doc ? doc : "");
	struct scan s = { .start = p, .p = p, .end = p + len, .e = e };
	size_t i;
	int r;

	for (i = 0; i < n; i++)
		want[i].value.at = NULL;
	r = members(&s, want, n);
	free(s.objects);
	return r;
}
