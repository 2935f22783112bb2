#include "filename.h"

#include "buf.h"
#include "slice.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { EXTENSION_MAX = 20 };

/* Behind the last separator, of either world; what ends in one is a folder's
 * name, and counts without it. */
static const char *last_part(const char *p, size_t *len)
{
	size_t end = *len, start;

	while (end && (p[end - 1] == '/' || p[end - 1] == '\\'))
		end--;
	for (start = end; start; start--)
		if (p[start - 1] == '/' || p[start - 1] == '\\')
			break;
	*len = end - start;
	return p + start;
}

/* A character of `n` bytes of valid UTF-8. */
static uint32_t code_point(const unsigned char *p, size_t n)
{
	static const unsigned char mask[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	uint32_t c = p[0] & mask[n];
	size_t i;

	for (i = 1; i < n; i++)
		c = c << 6 | (p[i] & 0x3f);
	return c;
}

/* Controls, and what is not seen but changes what is. (U+200C and U+200D stay:
 * scripts and emoji need them.) */
static bool is_harmful(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c ||
	       c == 0x180e || c == 0x200b || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
	       (c >= 0xfe00 && c <= 0xfe0e) || c == 0xfeff ||
	       (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff);
}

/* How many bytes the first character has; 0 if they are none. */
static size_t character(const char *p, size_t len)
{
	size_t n;

	for (n = 1; n <= 4 && n <= len; n++)
		if (slice_utf8(p, n) == n)
			return n;
	return 0;
}

/* Length of the extension with its dot, which a name keeps; 0: it has none. */
static size_t extension(const char *name, size_t len)
{
	const char *dot = memrchr(name, '.', len);
	size_t n = dot ? len - (size_t)(dot - name) : 0;

	return n > 1 && n <= EXTENSION_MAX && n < len ? n : 0;
}

/* Every character as it is, or "_" in its place; blanks, dots and dashes in
 * front are left out. */
static void clean(const char *p, size_t len, struct buf *out)
{
	size_t n;

	for (; len; p += n, len -= n) {
		n = character(p, len);
		if (n && !is_harmful(code_point((const unsigned char *)p, n))) {
			if (out->len || strchr(" .-", *p) == NULL)
				buf_add(out, p, n);
			continue;
		}
		n += n == 0;
		buf_char(out, '_');
	}
}

void filename_safe(const char *text, size_t len, char out[FILENAME_SIZE])
{
	struct buf name = BUF_INIT(SIZE_MAX / 2);
	const char *p = last_part(text, &len);
	size_t ext, keep;

	clean(p, len, &name);
	while (name.len && strchr(" .", name.data[name.len - 1]))
		name.len--;
	ext = extension(buf_text(&name), name.len);
	keep = name.len - ext;
	if (name.len > FILENAME_LEN)
		for (keep = FILENAME_LEN - ext;
			((unsigned char)name.data[keep] & 0xc0) == 0x80;)
			keep--;
	snprintf(out, FILENAME_SIZE, "%.*s%.*s", (int)keep, buf_text(&name),
		(int)ext, buf_text(&name) + name.len - ext);
	buf_release(&name);
}

void filename_numbered(
	const char *name, unsigned number, char out[FILENAME_SIZE])
{
	size_t len = strlen(name), ext = extension(name, len);

	if (number < 2)
		snprintf(out, FILENAME_SIZE, "%s", name);
	else
		snprintf(out, FILENAME_SIZE, "%.*s-%u%s", (int)(len - ext),
			name, number, name + len - ext);
}
