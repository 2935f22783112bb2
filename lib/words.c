#include "words.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Where they stand unquoted a shell does more than take them as they are. */
static const char special[] = "|&;<>()$`*?[]{}\n\r";

static int bad(struct err *e, const char *what)
{
	return err_set(e, EX_DATAERR,
		"reading the command: %s; no shell runs it: put what is meant "
		"literally into quotes, or give the command as a list of words",
		what);
}

static int bad_char(struct err *e, char c)
{
	char what[64] = "a line end outside of quotes";

	if (c >= ' ')
		memcpy(what, "an unquoted  ", 14), what[12] = c;
	return bad(e, what);
}

int words_add(struct words *w, const char *word, struct err *e)
{
	if (w->n == WORDS_MAX)
		return err_set(e, EX_DATAERR,
			"reading the command: it has more than %d words",
			WORDS_MAX);
	w->v = xrealloc(w->v, (w->n + 2) * sizeof *w->v);
	w->v[w->n++] = xstrdup(word);
	w->v[w->n] = NULL;
	return 0;
}

void words_release(struct words *w)
{
	size_t i;

	for (i = 0; i < w->n; i++)
		free(w->v[i]);
	free(w->v);
	*w = (struct words){ 0 };
}

/* What stands in single quotes, up to and with the closing one. */
static int single(const char **at, struct buf *word, struct err *e)
{
	const char *end = strchr(*at, '\'');

	if (end == NULL)
		return bad(e, "a ' has no end");
	buf_add(word, *at, (size_t)(end - *at));
	*at = end + 1;
	return 0;
}

/* What stands in double quotes: a backslash takes their special meaning from
 * four characters, and is itself before others. */
static int twofold(const char **at, struct buf *word, struct err *e)
{
	const char *p = *at;

	for (; *p && *p != '"'; p++) {
		if (*p == '$' || *p == '`')
			return bad(e, "$ and ` have no effect in \"…\" here");
		if (*p == '\\' && p[1] && strchr("\\\"$`", p[1]))
			p++;
		buf_char(word, *p);
	}
	if (*p == '\0')
		return bad(e, "a \" has no end");
	*at = p + 1;
	return 0;
}

/* One word, which starts at `*at`. */
static int read_word(const char **at, struct buf *word, struct err *e)
{
	const char *p = *at;

	if (*p == '~' || *p == '#')
		return bad_char(e, *p);
	while (*p && *p != ' ' && *p != '\t') {
		char c = *p++;

		if (c == '\'') {
			if (single(&p, word, e) < 0)
				return -1;
		} else if (c == '"') {
			if (twofold(&p, word, e) < 0)
				return -1;
		} else if (c == '\\') {
			if (*p == '\0' || *p == '\n' || *p == '\r')
				return bad(e, "a \\ at the end of a line");
			buf_char(word, *p++);
		} else if (strchr(special, c)) {
			return bad_char(e, c);
		} else {
			buf_char(word, c);
		}
	}
	*at = p;
	return 0;
}

/* NAME=value in front would set the environment in a shell. */
static bool assigns(const char *line)
{
	size_t n = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				"abcdefghijklmnopqrstuvwxyz0123456789_");

	return n > 0 && line[n] == '=';
}

int words_split(const char *line, struct words *w, struct err *e)
{
	struct buf word = BUF_INIT(WORDS_LINE_MAX);
	int r = 0;

	if (strlen(line) > WORDS_LINE_MAX)
		return err_set(e, EX_DATAERR,
			"reading the command: it is over %d bytes",
			WORDS_LINE_MAX);
	line += strspn(line, " \t");
	if (assigns(line))
		return bad(e, "variables cannot be set in front of it");
	while (r == 0 && *line) {
		buf_clear(&word);
		r = read_word(&line, &word, e);
		if (r == 0)
			r = words_add(w, buf_text(&word), e);
		line += strspn(line, " \t");
	}
	buf_release(&word);
	if (r == 0 && w->n == 0)
		return bad(e, "it is empty");
	return r;
}

/* Is nothing in it that a shell would not take as it is? */
static bool is_plain(const char *word)
{
	const char *p;

	if (*word == '\0')
		return false;
	for (p = word; *p; p++)
		if (!((unsigned char)*p >= 0x80 || (*p >= '0' && *p <= '9') ||
			    (*p >= 'A' && *p <= 'Z') ||
			    (*p >= 'a' && *p <= 'z') ||
			    strchr("_@%+=:,./-", *p)))
			return false;
	return true;
}

static void quote(const char *word, struct buf *out)
{
	buf_char(out, '\'');
	for (; *word; word++)
		if (*word == '\'')
			buf_str(out, "'\\''");
		else
			buf_char(out, *word);
	buf_char(out, '\'');
}

int words_join(const struct words *w, struct buf *out)
{
	size_t i;

	for (i = 0; i < w->n; i++) {
		if (i > 0)
			buf_char(out, ' ');
		/* In front, NAME=value is one thing and a program another. */
		if (is_plain(w->v[i]) && !(i == 0 && assigns(w->v[i])))
			buf_str(out, w->v[i]);
		else
			quote(w->v[i], out);
	}
	return out->full ? -1 : 0;
}
