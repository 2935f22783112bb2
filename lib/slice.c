#include "slice.h"

#include "err.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned char byte;

/* Strings are gone through eight bytes at a time: one operation on a word that
 * holds the same constant in every byte asks its question of all of them. */
#define EVERY(c) (UINT64_C(0x0101010101010101) * (c))
#define HIGH_BITS EVERY(0x80)

enum { WORD = 8, WIDE = 16, BITS = 64 };

/* And 16 at a time, where nothing special is expected: what the compiler makes
 * of it are the vectors of the machine. */
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

/* The high bit of each byte says whether it is `c`; right for bytes below 0x80,
 * and only up to the first one found. */
static inline uint64_t equal(uint64_t x, byte c)
{
	return (x ^ EVERY(c)) - EVERY(1);
}

static inline bool is_space(byte c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline bool is_digit(byte c)
{
	return c >= '0' && c <= '9';
}

static inline const byte *skip_space(const byte *p, const byte *end)
{
	while (p < end && is_space(*p))
		p++;
	return p;
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
	/* Open containers, one bit each, 1 for an object: the innermost are in
	 * `top`, and each 64 further out in a word of `below`. */
	uint64_t top;
	uint64_t *below;
	size_t depth, words;
	struct slice_ends *ends; /* or NULL; those of the open ones: */
	size_t open[SLICE_ENDS_DEPTH];
};

static const byte *fail(struct check *c, const byte *wrong)
{
	c->wrong = wrong;
	return NULL;
}

static void note_start(struct check *c, const byte *p)
{
	struct slice_ends *e = c->ends;

	if (e == NULL || c->depth >= SLICE_ENDS_DEPTH)
		return;
	if (e->n == e->cap) {
		e->cap = e->cap ? e->cap * 2 : 256;
		e->list = xrealloc(e->list, e->cap * sizeof *e->list);
	}
	c->open[c->depth] = e->n;
	e->list[e->n++].at = (const char *)p;
}

static void note_end(struct check *c, const byte *p)
{
	if (c->ends && c->depth < SLICE_ENDS_DEPTH)
		c->ends->list[c->open[c->depth]].end = (const char *)p;
}

static void push(struct check *c, bool object, const byte *p)
{
	size_t word = c->depth / BITS;

	note_start(c, p);
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
	note_end(c, p);
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
	if (*p != 'u')
		return *p && strchr("\"\\/bfnrt", *p) ? p + 1 : fail(c, p);
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
	p = skip_plain(p + 1, c->end);
	/* Most often nothing special is in it. */
	return p < c->end && *p == '"' ? p + 1 : check_special(c, p);
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
	p = skip_space(p, c->end);
	if (p == c->end || *p != ':')
		return fail(c, p);
	return skip_space(p + 1, c->end);
}

/* After a value: closes what closes. Returns where the next value starts, or
 * with depth 0 where the whole value ends. */
static inline const byte *check_after(struct check *c, const byte *p)
{
	while (c->depth) {
		bool object = c->top & 1;

		p = skip_space(p, c->end);
		if (p == c->end)
			return fail(c, p);
		if (*p == ',') {
			p = skip_space(p + 1, c->end);
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
			p = skip_space(p + 1, c->end);
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
	first = skip_space(start, c.end);
	last = check_value(&c, first);
	free(c.below);
	p = last ? skip_space(last, c.end) : c.wrong;
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

char slice_kind(struct slice value)
{
	if (value.p == NULL || value.len == 0)
		return '\0';
	switch (*value.p) {
	case '{':
	case '[':
	case '"':
	case 't':
	case 'f':
	case 'n':
		return *value.p;
	default:
		return '0';
	}
}

/* From here on texts were checked: brackets pair up, quotes close. The ends are
 * watched all the same, so that a wrong slice gives wrong answers and no more.
 *
 * What follows the string whose opening quote is at `p`: a quote behind an odd
 * number of backslashes is part of it. */
static inline const byte *string_end(const byte *p, const byte *end)
{
	const byte *quote = p, *q;

	while ((quote = memchr(quote + 1, '"', (size_t)(end - quote - 1)))) {
		for (q = quote; q[-1] == '\\' && q - 1 > p; q--)
			;
		if ((quote - q) % 2 == 0)
			return quote + 1;
	}
	return end;
}

/* The next quote or bracket. A bracket and a brace differ by one bit (0x20),
 * and as they pair up in a checked text, counting them together will do. */
static inline const byte *next_structural(const byte *p, const byte *end)
{
	for (; end - p >= WORD; p += WORD) {
		uint64_t x = load(p), y = x | EVERY(0x20);
		uint64_t hit = (equal(x, '"') | equal(y, '{') | equal(y, '}')) &
			       ~x & HIGH_BITS;

		if (hit)
			return p + first_of(hit);
	}
	while (p < end && *p != '"' && (*p | 0x20) != '{' && (*p | 0x20) != '}')
		p++;
	return p;
}

static const byte *container_end(const byte *p, const byte *end)
{
	size_t depth = 0;

	while (p < end) {
		if (*p == '"') {
			p = string_end(p, end);
		} else {
			depth += (*p | 0x20) == '{' ? 1 : (size_t)-1;
			p++;
			if (depth == 0)
				return p;
		}
		p = next_structural(p, end);
	}
	return end;
}

/* Where the container at `p` ends, as it was noted; NULL: it was not. */
static const byte *noted_end(struct slice_ends *ends, const byte *p)
{
	const char *at = (const char *)p;
	size_t low = 0, high = ends->n, middle;

	if (ends->next < high && ends->list[ends->next].at == at)
		return (const byte *)ends->list[ends->next++].end;
	while (low < high) {
		middle = low + (high - low) / 2;
		if (ends->list[middle].at < at)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == ends->n || ends->list[low].at != at)
		return NULL;
	ends->next = low + 1;
	return (const byte *)ends->list[low].end;
}

static const byte *value_end(
	struct slice_ends *ends, const byte *p, const byte *end)
{
	const byte *noted;

	if (*p == '"')
		return string_end(p, end);
	if (*p == '{' || *p == '[') {
		noted = ends ? noted_end(ends, p) : NULL;
		return noted ? noted : container_end(p, end);
	}
	while (p < end && !is_space(*p) && *p != ',' && *p != '}' && *p != ']')
		p++;
	return p;
}

void slice_walk_start(
	struct slice_walk *w, struct slice container, struct slice_ends *ends)
{
	char kind = slice_kind(container);

	*w = (struct slice_walk){ .object = kind == '{', .ends = ends };
	if ((kind == '{' || kind == '[') && container.len >= 2) {
		w->at = container.p + 1;
		w->end = container.p + container.len - 1;
	}
}

bool slice_walk_next(
	struct slice_walk *w, struct slice *name, struct slice *value)
{
	const byte *p = (const byte *)w->at, *end = (const byte *)w->end;
	struct slice key = { NULL, 0 };
	const byte *start;

	while (p < end && (*p == ',' || is_space(*p)))
		p++;
	if (p == end)
		return false;
	if (w->object) {
		start = p;
		p = string_end(p, end);
		key = (struct slice){ (const char *)start,
			(size_t)(p - start) };
		while (p < end && (*p == ':' || is_space(*p)))
			p++;
		if (p == end)
			return false;
	}
	start = p;
	p = value_end(w->ends, p, end);
	*value = (struct slice){ (const char *)start, (size_t)(p - start) };
	if (name)
		*name = key;
	w->at = (const char *)p;
	return true;
}

bool slice_member(struct slice object, const char *name, struct slice *value)
{
	struct slice_walk w;
	struct slice key, v;
	bool found = false;

	if (slice_kind(object) != '{')
		return false;
	slice_walk_start(&w, object, NULL);
	while (slice_walk_next(&w, &key, &v)) {
		if (slice_is(key, name)) {
			*value = v;
			found = true;
		}
	}
	return found;
}

/* What is between the quotes. false: not a string. */
static bool inside(struct slice string, struct slice *in)
{
	if (slice_kind(string) != '"' || string.len < 2)
		return false;
	*in = (struct slice){ string.p + 1, string.len - 2 };
	return true;
}

static unsigned hex4(const char *p)
{
	unsigned v = 0;
	int i;

	for (i = 0; i < 4; i++)
		v = v * 16 + ((unsigned)p[i] & 0xf) + (p[i] > '9' ? 9 : 0);
	return v;
}

/* The code point of the \uXXXX at the start of `in`, a pair of surrogates taken
 * as one. */
static unsigned take_unicode(struct slice *in)
{
	unsigned c = hex4(in->p + 2), low;

	in->p += 6;
	in->len -= 6;
	if (c < 0xd800 || c > 0xdfff)
		return c;
	if (c < 0xdc00 && in->len >= 6 && in->p[0] == '\\' && in->p[1] == 'u') {
		low = hex4(in->p + 2);
		if (low >= 0xdc00 && low <= 0xdfff) {
			in->p += 6;
			in->len -= 6;
			return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
		}
	}
	return 0xfffd;
}

static size_t to_utf8(unsigned c, char out[4])
{
	static const byte lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4, i;

	for (i = n; i-- > 1; c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	out[0] = (char)(lead[n] | c);
	return n;
}

/* Takes what comes next in a string: a piece without escapes, which is part of
 * the text, or one escape, which is put into `out`. */
static struct slice take_piece(struct slice *in, char out[4])
{
	static const char letters[] = "bfnrt", means[] = "\b\f\n\r\t";
	const char *at = memchr(in->p, '\\', in->len), *known;
	struct slice piece = { in->p, at ? (size_t)(at - in->p) : in->len };

	if (piece.len) {
		in->p += piece.len;
		in->len -= piece.len;
		return piece;
	}
	if (in->len >= 6 && in->p[1] == 'u')
		return (struct slice){ out, to_utf8(take_unicode(in), out) };
	if (in->len < 2) {
		in->len = 0;
		return (struct slice){ out, 0 };
	}
	known = strchr(letters, in->p[1]);
	out[0] = known ? means[known - letters] : in->p[1];
	in->p += 2;
	in->len -= 2;
	return (struct slice){ out, 1 };
}

bool slice_is(struct slice string, const char *plain)
{
	struct slice in, piece;
	char out[4];
	size_t n;

	/* Most often the first byte tells. */
	if (!inside(string, &in) ||
		(in.len && *in.p != *plain && *in.p != '\\'))
		return false;
	n = strlen(plain);
	/* No escape is shorter than what it stands for. */
	if (in.len < n)
		return false;
	if (memchr(in.p, '\\', in.len) == NULL)
		return in.len == n && memcmp(in.p, plain, n) == 0;
	while (in.len) {
		piece = take_piece(&in, out);
		if (piece.len > n || memcmp(piece.p, plain, piece.len) != 0)
			return false;
		plain += piece.len;
		n -= piece.len;
	}
	return n == 0;
}

bool slice_text(struct slice string, struct buf *out)
{
	size_t was = out->len;
	struct slice in, piece;
	char bytes[4];

	if (!inside(string, &in))
		return false;
	while (in.len) {
		piece = take_piece(&in, bytes);
		if (memchr(piece.p, '\0', piece.len) ||
			buf_add(out, piece.p, piece.len) < 0) {
			out->len = was;
			if (out->data)
				out->data[was] = '\0';
			return false;
		}
	}
	return true;
}

bool slice_int(struct slice number, int64_t *v)
{
	bool negative = number.len && *number.p == '-';
	const uint64_t limit = (uint64_t)INT64_MAX + negative;
	size_t i = negative;
	uint64_t sum = 0;

	if (i == number.len)
		return false;
	for (; i < number.len; i++) {
		unsigned digit = (byte)number.p[i] - (unsigned)'0';

		if (digit > 9 || sum > (limit - digit) / 10)
			return false;
		sum = sum * 10 + digit;
	}
	*v = negative ? (int64_t)-sum : (int64_t)sum;
	return true;
}

int slice_one_line(struct slice value, struct buf *out)
{
	const char *p = value.p, *end;
	size_t kept = 0;
	char *to;

	/* In a checked text they stand between tokens only. */
	if (value.len == 0 ||
		(!memchr(p, '\n', value.len) && !memchr(p, '\r', value.len)))
		return buf_add(out, p, value.len);
	end = p + value.len;
	for (; p < end; p++)
		kept += *p != '\n' && *p != '\r';
	to = buf_room(out, kept);
	if (to == NULL)
		return -1;
	/* Written before it is known whether it stays, without a branch: the
	 * last one that does not, if any, lands where the NUL goes. */
	for (p = value.p; p < end; p++) {
		*to = *p;
		to += *p != '\n' && *p != '\r';
	}
	*to = '\0';
	out->len += kept;
	return 0;
}
