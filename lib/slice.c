#include "slice.h"

#include "err.h"

#include <stdlib.h>
#include <string.h>

typedef unsigned char byte;

/* Spaces, and what stands between values: in a checked text one may be passed
 * for the other. */
static inline bool is_between(byte c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == ',' ||
	       c == ':';
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

/* Where the value at `p` ends, as it was noted; NULL: it was not. */
static const byte *noted_end(struct slice_ends *ends, const byte *p)
{
	const char *at = (const char *)p;
	size_t low = 0, high = ends->n, middle, step = 8;

	if (ends->next < high && ends->list[ends->next].at == at)
		return (const byte *)ends->list[ends->next++].end;
	/* Most likely it is not far behind. */
	if (ends->next < high && ends->list[ends->next].at < at) {
		for (low = ends->next;
			step < high - low && ends->list[low + step].at < at;
			step *= 2)
			low += step;
		if (step < high - low)
			high = low + step + 1;
	}
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
	bool string = *p == '"';
	const byte *noted;

	if (string || *p == '{' || *p == '[') {
		noted = ends ? noted_end(ends, p) : NULL;
		if (noted)
			return noted;
		return string ? string_end(p, end) : container_end(p, end);
	}
	while (p < end && !is_between(*p) && *p != '}' && *p != ']')
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

	while (p < end && is_between(*p))
		p++;
	if (p == end)
		return false;
	if (w->object) {
		start = p;
		p = value_end(w->ends, p, end);
		key = (struct slice){ (const char *)start,
			(size_t)(p - start) };
		while (p < end && is_between(*p))
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
