/* The values that raw.c has pointed at, as texts and numbers. They were checked
 * by its scan: what is not JSON does not come here. */
#include "raw.h"

#include <string.h>

static uint32_t hex_digit(char c)
{
	if (c <= '9')
		return (uint32_t)(c - '0');
	return (uint32_t)((c | 0x20) - 'a' + 10);
}

bool raw_is_null(struct raw r)
{
	return r.at == NULL || (r.len == 4 && memcmp(r.at, "null", 4) == 0);
}

bool raw_is_string(struct raw r)
{
	return r.at && r.len >= 2 && r.at[0] == '"';
}

bool raw_is_true(struct raw r)
{
	return r.len == 4 && memcmp(r.at, "true", 4) == 0;
}

static uint32_t hex4(const char *p)
{
	uint32_t v = 0;
	int i;

	for (i = 0; i < 4; i++)
		v = v << 4 | hex_digit(p[i]);
	return v;
}

static int add_utf8(struct buf *out, uint32_t c)
{
	char u[4];
	size_t n = 0;

	if (c < 0x80) {
		u[n++] = (char)c;
	} else if (c < 0x800) {
		u[n++] = (char)(0xC0 | c >> 6);
		u[n++] = (char)(0x80 | (c & 0x3F));
	} else if (c < 0x10000) {
		u[n++] = (char)(0xE0 | c >> 12);
		u[n++] = (char)(0x80 | (c >> 6 & 0x3F));
		u[n++] = (char)(0x80 | (c & 0x3F));
	} else {
		u[n++] = (char)(0xF0 | c >> 18);
		u[n++] = (char)(0x80 | (c >> 12 & 0x3F));
		u[n++] = (char)(0x80 | (c >> 6 & 0x3F));
		u[n++] = (char)(0x80 | (c & 0x3F));
	}
	return buf_add(out, u, n);
}

/* \uXXXX, or a pair of them, at *p (behind the "u"); moves *p behind it. */
static int unicode_escape(const char **p, const char *end, struct buf *out)
{
	uint32_t c = hex4(*p), low;

	*p += 4;
	if (c == 0 || (c >= 0xDC00 && c <= 0xDFFF))
		return -1;
	if (c >= 0xD800 && c <= 0xDBFF) {
		if (end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
			return -1;
		low = hex4(*p + 2);
		if (low < 0xDC00 || low > 0xDFFF)
			return -1;
		*p += 6;
		c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
	}
	return add_utf8(out, c);
}

int raw_text(struct raw r, struct buf *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *p, *end;

	if (!raw_is_string(r))
		return -1;
	end = r.at + r.len - 1;
	for (p = r.at + 1; p < end;) {
		const char *plain = p;

		while (p < end && *p != '\\')
			p++;
		if (buf_add(out, plain, (size_t)(p - plain)) < 0)
			return -1;
		if (p == end)
			break;
		p += 2;
		if (p[-1] == 'u') {
			if (unicode_escape(&p, end, out) < 0)
				return -1;
		} else if (buf_char(out, to[strchr(from, p[-1]) - from]) < 0) {
			return -1;
		}
	}
	return 0;
}

int64_t raw_number(struct raw r)
{
	int64_t v = 0;
	size_t i;

	if (r.at == NULL || r.len == 0 || r.len > 15)
		return -1;
	for (i = 0; i < r.len; i++) {
		if (r.at[i] < '0' || r.at[i] > '9')
			return -1;
		v = v * 10 + (r.at[i] - '0');
	}
	return v;
}

size_t raw_characters(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		if (((unsigned char)*s & 0xC0) != 0x80)
			n++;
	return n;
}
