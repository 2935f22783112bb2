#include "form.h"

#include "buf.h"

#include <string.h>

static int hex_digit(char c)
{
	static const char hex[] = "0123456789abcdef0123456789ABCDEF";
	const char *at = c ? strchr(hex, c) : NULL;

	return at ? (int)(at - hex) & 15 : -1;
}

/* A name or a value, decoded; -1: it is not one, or holds what no text does. */
static int decode(const char *p, size_t n, struct buf *out)
{
	const char *end = p + n;

	for (; p < end; p++) {
		int c = (unsigned char)*p;

		if (c == '+') {
			c = ' ';
		} else if (c == '%') {
			if (end - p < 3 || hex_digit(p[1]) < 0 ||
				hex_digit(p[2]) < 0)
				return -1;
			c = hex_digit(p[1]) << 4 | hex_digit(p[2]);
			p += 2;
		}
		if (c < 0x20 || c == 0x7F || buf_char(out, (char)c) < 0)
			return -1;
	}
	return 0;
}

static int take(struct form_want *w, const char *p, size_t n, struct err *e)
{
	struct buf value = BUF_SECRET(FORM_VALUE_MAX);

	if (w->value) {
		err_set(e, EX_DATAERR, "%s is there twice", w->name);
	} else if (decode(p, n, &value) < 0) {
		err_set(e, EX_DATAERR, "%s is malformed or too long", w->name);
	} else {
		if (value.len)
			w->value = buf_detach(&value);
		buf_release(&value);
		return 0;
	}
	buf_release(&value);
	return -1;
}

static int field(const char *p, size_t n, struct form_want *want, size_t wants,
	struct err *e)
{
	const char *equals = memchr(p, '=', n);
	size_t name_len = equals ? (size_t)(equals - p) : n, i;
	struct buf name = BUF_INIT(FORM_VALUE_MAX);
	int r = 0;

	if (decode(p, name_len, &name) < 0)
		r = err_set(e, EX_DATAERR, "the body is not a form");
	for (i = 0; r == 0 && i < wants; i++)
		if (strcmp(buf_text(&name), want[i].name) == 0)
			r = take(&want[i], p + name_len + (equals != NULL),
				n - name_len - (equals != NULL), e);
	buf_release(&name);
	return r;
}

int form_read(const char *body, size_t len, struct form_want *want, size_t n,
	struct err *e)
{
	const char *p = body ? body : "", *end = p + len;

	while (p < end) {
		const char *and = memchr(p, '&', (size_t)(end - p));
		const char *stop = and? and : end;

		if (stop > p && field(p, (size_t)(stop - p), want, n, e) < 0)
			return -1;
		p = stop + (and != NULL);
	}
	return 0;
}

void form_release(struct form_want *want, size_t n)
{
	while (n--) {
		buf_wipe_free(want[n].value);
		want[n].value = NULL;
	}
}
