/* The check of slice.h: a strict scan of the whole text, once. */
#include "slice.h"

#include "err.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned char byte;

#define HIGH_BITS UINT64_C(0x8080808080808080)

enum { WORD = 8, WIDE = 16, BITS = 64 };

/* Strings are gone through 16 bytes at a time: the compiler makes of it the
 * vectors of the machine. A comparison gives all bits of a byte, or none. */
typedef signed char wide __attribute__((vector_size(WIDE)));

/* The byte at the lowest address becomes the lowest of the number, so that
 * the lowest bit set in a mask is the first byte found. */
static inline uint64_t load(const byte *p)
{
	uint64_t x;

	memcpy(&x, p, WORD);
	return le64toh(x);
}

static inline size_t first_of(uint64_t mask)
{
	return (size_t)__builtin_ctzll(mask) / 8;
}

static inline bool is_space(byte c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline bool is_digit(byte c)
{
	return c >= '0' && c <= '9';
}

/* One character of two to four bytes, as RFC 3629 has it: no overlong form, no
 * surrogate, nothing above U+10FFFF. Returns what follows it, or NULL with the
 * first byte that cannot be right in `*wrong`. */
static const byte *character(const byte *p, const byte *end, const byte **wrong)
{
	byte lead = *p, low = 0x80, high = 0xbf;
	int more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;

	*wrong = p;
	if (lead < 0xc2 || lead > 0xf4)
		return NULL;
	if (lead == 0xe0)
		low = 0xa0;
	else if (lead == 0xed)
		high = 0x9f;
	else if (lead == 0xf0)
		low = 0x90;
	else if (lead == 0xf4)
		high = 0x8f;
	for (p++; more; more--, p++) {
		if (p == end || *p < low || *p > high) {
			*wrong = p;
			return NULL;
		}
		low = 0x80;
		high = 0xbf;
	}
	return p;
}

size_t slice_utf8(const char *text, size_t len)
{
	const byte *start = (const byte *)text, *p = start, *end = p + len;
	const byte *next, *wrong;

	while (p < end) {
		if (end - p >= WIDE &&
			((load(p) | load(p + WORD)) & HIGH_BITS) == 0)
			next = p + WIDE;
		else
			next = *p < 0x80 ? p + 1 : character(p, end, &wrong);
		if (next == NULL)
			break;
		p = next;
	}
	return (size_t)(p - start);
}

/* The check. Its functions return what follows the thing they read, or NULL
 * with the first byte that cannot be right in `wrong`. */
struct check {
	const byte *end, *wrong;
	enum slice_bytes bytes;
	bool lines; /* there were line ends between tokens */
	/* Open containers, one bit each, 1 for an object: the innermost are in
	 * `top`, and each 64 further out in a word of `below`. */
	uint64_t top;
	uint64_t *below;
	size_t depth, words;
	struct slice_ends *ends; /* or NULL; those of the open ones: */
	size_t open[SLICE_ENDS_DEPTH];
};

static inline const byte *skip_space(struct check *c, const byte *p)
{
	for (; p < c->end && is_space(*p); p++)
		c->lines |= *p == '\n' || *p == '\r';
	return p;
}

static const byte *fail(struct check *c, const byte *wrong)
{
	c->wrong = wrong;
	return NULL;
}

/* What starts here: is its end to be noted? */
static inline bool is_noted(const struct check *c)
{
	return c->ends && c->depth < SLICE_ENDS_DEPTH;
}

static void note(struct slice_ends *e, const byte *at, const byte *end)
{
	if (e->n == SLICE_ENDS_MAX)
		return;
	if (e->n == e->cap) {
		e->cap = e->cap ? e->cap * 2 : 256;
		e->list = xrealloc(e->list, e->cap * sizeof *e->list);
	}
	e->list[e->n++] =
		(struct slice_end){ (const char *)at, (const char *)end };
}

static void push(struct check *c, bool object, const byte *p)
{
	size_t word = c->depth / BITS;

	if (is_noted(c)) {
		c->open[c->depth] = c->ends->n;
		note(c->ends, p, NULL);
	}
	if (c->depth % BITS == 0 && c->depth) {
		if (word > c->words) {
			c->words = 2 * word;
			c->below =
				xrealloc(c->below, c->words * sizeof *c->below);
		}
		c->below[word - 1] = c->top;
	}
	c->top = c->top << 1 | object;
	c->depth++;
}

static void pop(struct check *c, const byte *p)
{
	c->depth--;
	if (is_noted(c) && c->open[c->depth] < SLICE_ENDS_MAX)
		c->ends->list[c->open[c->depth]].end = (const char *)p;
	c->top >>= 1;
	if (c->depth % BITS == 0 && c->depth)
		c->top = c->below[c->depth / BITS - 1];
}

static inline bool is_plain(byte c)
{
	return c >= ' ' && c < 0x80 && c != '"' && c != '\\';
}

/* Skips what stands for itself in a string. (As signed numbers, bytes from 0x80
 * on are below the space, too.) */
static inline const byte *skip_plain(const byte *p, const byte *end)
{
	byte found[WIDE];
	wide x;

	for (; end - p >= WIDE; p += WIDE) {
		memcpy(&x, p, WIDE);
		x = (x < ' ') | (x == '"') | (x == '\\');
		memcpy(found, &x, WIDE);
		if (load(found))
			return p + first_of(load(found));
		if (load(found + WORD))
			return p + WORD + first_of(load(found + WORD));
	}
	while (p < end && is_plain(*p))
		p++;
	return p;
}

/* From a backslash on. */
static const byte *check_escape(struct check *c, const byte *p)
{
	int i;

	if (++p == c->end)
		return fail(c, p);
	switch (*p) {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		return p + 1;
	case 'u':
		break;
	default:
		return fail(c, p);
	}
	p++;
	for (i = 0; i < 4; i++, p++)
		if (p == c->end || *p == '\0' ||
			!strchr("0123456789abcdefABCDEF", *p))
			return fail(c, p);
	return p;
}

static const byte *check_wide(struct check *c, const byte *p)
{
	while (p && p < c->end && *p >= 0x80) {
		if (c->bytes == SLICE_ANY_BYTES)
			p++;
		else
			p = character(p, c->end, &c->wrong);
	}
	return p;
}

/* A string from a byte on that does not stand for itself. */
static const byte *check_special(struct check *c, const byte *p)
{
	while (p && p < c->end) {
		if (*p == '"')
			return p + 1;
		if (*p == '\\')
			p = check_escape(c, p);
		else if (*p >= 0x80)
			p = check_wide(c, p);
		else
			return fail(c, p);
		if (p)
			p = skip_plain(p, c->end);
	}
	return p ? fail(c, p) : NULL;
}

/* From the opening quote on. */
static inline const byte *check_string(struct check *c, const byte *p)
{
	const byte *start = p;

	p = skip_plain(p + 1, c->end);
	/* Most often nothing special is in it. */
	p = p < c->end && *p == '"' ? p + 1 : check_special(c, p);
	if (is_noted(c))
		note(c->ends, start, p);
	return p;
}

static const byte *check_digits(struct check *c, const byte *p)
{
	if (p == c->end || !is_digit(*p))
		return fail(c, p);
	while (p < c->end && is_digit(*p))
		p++;
	return p;
}

static const byte *check_number(struct check *c, const byte *p)
{
	if (*p == '-')
		p++;
	if (p < c->end && *p == '0')
		p++;
	else
		p = check_digits(c, p);
	if (p && p < c->end && *p == '.')
		p = check_digits(c, p + 1);
	if (p && p < c->end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < c->end && (*p == '+' || *p == '-'))
			p++;
		p = check_digits(c, p);
	}
	return p;
}

static const byte *check_word(struct check *c, const byte *p, const char *word)
{
	for (; *word; word++, p++)
		if (p == c->end || *p != (byte)*word)
			return fail(c, p);
	return p;
}

static inline const byte *check_scalar(struct check *c, const byte *p)
{
	if (p == c->end)
		return fail(c, p);
	switch (*p) {
	case '"':
		return check_string(c, p);
	case 't':
		return check_word(c, p, "true");
	case 'f':
		return check_word(c, p, "false");
	case 'n':
		return check_word(c, p, "null");
	case '-':
		return check_number(c, p);
	default:
		return is_digit(*p) ? check_number(c, p) : fail(c, p);
	}
}

/* A member's name and its colon, up to the value. */
static inline const byte *check_name(struct check *c, const byte *p)
{
	if (p == c->end || *p != '"')
		return fail(c, p);
	p = check_string(c, p);
	if (p == NULL)
		return NULL;
	p = skip_space(c, p);
	if (p == c->end || *p != ':')
		return fail(c, p);
	return skip_space(c, p + 1);
}

/* After a value: closes what closes. Returns where the next value starts, or
 * with depth 0 where the whole value ends. */
static inline const byte *check_after(struct check *c, const byte *p)
{
	while (c->depth) {
		bool object = c->top & 1;

		p = skip_space(c, p);
		if (p == c->end)
			return fail(c, p);
		if (*p == ',') {
			p = skip_space(c, p + 1);
			return object ? check_name(c, p) : p;
		}
		if (*p != (object ? '}' : ']'))
			return fail(c, p);
		p++;
		pop(c, p);
	}
	return p;
}

/* From the first byte of a value on. */
static const byte *check_value(struct check *c, const byte *p)
{
	do {
		bool object;

		if (p == c->end || (*p != '{' && *p != '[')) {
			p = check_scalar(c, p);
		} else {
			object = *p == '{';
			push(c, object, p);
			p = skip_space(c, p + 1);
			if (p == c->end || *p != (object ? '}' : ']')) {
				if (object)
					p = check_name(c, p);
				continue;
			}
		}
		if (p)
			p = check_after(c, p);
	} while (p && c->depth);
	return p;
}

int slice_document_ends(const char *text, size_t len, enum slice_bytes bytes,
	struct slice *value, struct slice_ends *ends, size_t *bad)
{
	const byte *start = (const byte *)text, *first, *last, *p;
	struct check c = { .end = start + len, .bytes = bytes, .ends = ends };

	*value = (struct slice){ NULL, 0 };
	first = skip_space(&c, start);
	c.lines = false;
	last = check_value(&c, first);
	free(c.below);
	if (ends)
		ends->lines = c.lines;
	p = last ? skip_space(&c, last) : c.wrong;
	if (last == NULL || p != c.end) {
		*bad = (size_t)(p - start);
		return -1;
	}
	*value = (struct slice){ (const char *)first, (size_t)(last - first) };
	return 0;
}

int slice_document(const char *text, size_t len, enum slice_bytes bytes,
	struct slice *value, size_t *bad)
{
	return slice_document_ends(text, len, bytes, value, NULL, bad);
}

void slice_ends_release(struct slice_ends *ends)
{
	free(ends->list);
	*ends = (struct slice_ends){ 0 };
}

void slice_line_column(
	const char *text, size_t bad, size_t *line, size_t *column)
{
	size_t i;

	*line = *column = 1;
	for (i = 0; i < bad; i++) {
		if (text[i] == '\n') {
			++*line;
			*column = 1;
		} else if (((byte)text[i] & 0xc0) != 0x80) {
			++*column;
		}
	}
}
