#include "buf.h"

#include "err.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CAP_MIN = 64 };

static void resize(struct buf *b, size_t cap)
{
	char *fresh;

	if (!b->secret) {
		b->data = xrealloc(b->data, cap);
		b->cap = cap;
		return;
	}
	/* realloc(3) would leave a copy of the secret behind. */
	fresh = xrealloc(NULL, cap);
	if (b->data) {
		memcpy(fresh, b->data, b->len);
		explicit_bzero(b->data, b->cap);
		free(b->data);
	}
	b->data = fresh;
	b->cap = cap;
}

char *buf_room(struct buf *b, size_t n)
{
	size_t need, cap;

	if (b->full || n > b->max || b->len > b->max - n) {
		b->full = true;
		return NULL;
	}
	need = b->len + n + 1;
	if (need > b->cap) {
		/* What comes first is often all. */
		cap = b->cap ? b->cap : need > CAP_MIN ? need : CAP_MIN;
		while (cap < need)
			cap = cap > SIZE_MAX / 2 ? need : cap * 2;
		resize(b, cap);
	}
	return b->data + b->len;
}

int buf_add(struct buf *b, const void *p, size_t n)
{
	char *at = buf_room(b, n);

	if (at == NULL)
		return -1;
	if (n)
		memcpy(at, p, n);
	b->len += n;
	b->data[b->len] = '\0';
	return 0;
}

int buf_str(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

int buf_set(struct buf *b, const char *s)
{
	buf_clear(b);
	return buf_str(b, s);
}

int buf_char(struct buf *b, char c)
{
	return buf_add(b, &c, 1);
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	char *at;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -1;
	at = buf_room(b, (size_t)n);
	if (at == NULL)
		return -1;
	va_start(ap, fmt);
	vsnprintf(at, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
	return 0;
}

void buf_shift(struct buf *b, size_t n)
{
	if (n > b->len)
		n = b->len;
	if (n == 0)
		return;
	memmove(b->data, b->data + n, b->len - n);
	if (b->secret)
		explicit_bzero(b->data + b->len - n, n);
	b->len -= n;
	b->data[b->len] = '\0';
}

void buf_clear(struct buf *b)
{
	if (b->data) {
		if (b->secret)
			explicit_bzero(b->data, b->cap);
		b->data[0] = '\0';
	}
	b->len = 0;
	b->full = false;
}

const char *buf_text(const struct buf *b)
{
	return b->data ? b->data : "";
}

char *buf_detach(struct buf *b)
{
	char *s = b->data ? b->data : xstrdup("");

	b->data = NULL;
	b->len = b->cap = 0;
	b->full = false;
	return s;
}

void buf_release(struct buf *b)
{
	if (b->data && b->secret)
		explicit_bzero(b->data, b->cap);
	free(b->data);
	b->data = NULL;
	b->len = b->cap = 0;
	b->full = false;
}

void buf_wipe_free(char *s)
{
	if (s == NULL)
		return;
	explicit_bzero(s, strlen(s));
	free(s);
}
