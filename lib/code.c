#include "code.h"

#include "err.h"

#include <stdbool.h>
#include <string.h>

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f' ||
	       c == '`';
}

char *code_find(const char *text, size_t len, const char *const *prefixes)
{
	const char *end = text + len, *eol, *last;
	size_t i, n;

	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	for (; text < end; text = eol + 1) {
		eol = memchr(text, '\n', (size_t)(end - text));
		if (eol == NULL)
			eol = end;
		for (last = eol; last > text && blank(last[-1]);)
			last--;
		while (text < last && blank(*text))
			text++;
		for (i = 0; prefixes[i]; i++) {
			n = strlen(prefixes[i]);
			if ((size_t)(last - text) >= n &&
				memcmp(text, prefixes[i], n) == 0)
				return xstrndup(text, (size_t)(last - text));
		}
	}
	return NULL;
}
