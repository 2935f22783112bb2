#include "err.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *program = "agentrux";
static int verbosity;
static atomic_bool status_shown;

/* Goes to the start of a terminal's line and wipes it. */
static const char wipe[] = "\r\033[K";

int err_set(struct err *e, int code, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	if (e) {
		e->code = code;
		e->retry_ms = 0;
		e->too_large = false;
		va_start(ap, fmt);
		vsnprintf(e->text, sizeof e->text, fmt, ap);
		va_end(ap);
	}
	errno = saved;
	return -1;
}

int err_mend(struct err *e, const char *command, const char *path,
	const char *fmt, ...)
{
	char text[ERR_TEXT_MAX], *word = xquote(path);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	err_set(e, EX_CONFIG, "%s: %s %s", text, command, word);
	free(word);
	return -1;
}

int err_errno(struct err *e, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;
	int n;

	if (e) {
		e->code = EX_IOERR;
		e->retry_ms = 0;
		e->too_large = false;
		va_start(ap, fmt);
		n = vsnprintf(e->text, sizeof e->text, fmt, ap);
		va_end(ap);
		if (n >= 0 && (size_t)n < sizeof e->text)
			snprintf(e->text + n, sizeof e->text - (size_t)n,
				": %s", strerror(saved));
	}
	errno = saved;
	return -1;
}

int err_prefix(struct err *e, const char *fmt, ...)
{
	char was[ERR_TEXT_MAX];
	int saved = errno;
	va_list ap;
	int n, left;

	if (e) {
		memcpy(was, e->text, sizeof was);
		va_start(ap, fmt);
		n = vsnprintf(e->text, sizeof e->text, fmt, ap);
		va_end(ap);
		left = n < 0 ? 0 : ERR_TEXT_MAX - n - 3;
		if (left > 0)
			snprintf(e->text + n, (size_t)left + 3, ": %.*s", left,
				was);
	}
	errno = saved;
	return -1;
}

static const char remedy[] = "; try again later";

int err_later(struct err *e)
{
	size_t len;

	if (e && e->code == EX_TEMPFAIL && strstr(e->text, "; ") == NULL) {
		len = strlen(e->text);
		snprintf(e->text + len, sizeof e->text - len, "%s", remedy);
	}
	return -1;
}

int err_stopped(struct err *e)
{
	return err_set(e, ERR_STOPPED, "told to end");
}

void say_program(const char *name)
{
	program = name;
}

void say_verbosity(int level)
{
	verbosity = level;
}

int say_level(void)
{
	return verbosity;
}

/* C0, DEL and, in UTF-8, C1 (C2 80 … C2 9F) become '?': a server's or a
 * sender's text must not move a cursor or fake a second line. */
static void defuse(char *s)
{
	unsigned char *p;

	for (p = (unsigned char *)s; *p; p++) {
		if (*p < 0x20 || *p == 0x7f)
			*p = '?';
		else if (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
			p[0] = p[1] = '?';
	}
}

/* One call, so that lines of several processes do not mix. Nothing can be done
 * about a stderr that does not take it. */
static void put(const char *text, size_t len)
{
	int saved = errno;
	struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };
	ssize_t n;

	/* One that is full and not read must not hold the program up. */
	if (poll(&out, 1, 200) == 0)
		return;
	do {
		n = write(STDERR_FILENO, text, len);
	} while (n < 0 && errno == EINTR);
	errno = saved;
}

__attribute__((format(printf, 1, 0))) static void say_va(
	const char *fmt, va_list ap)
{
	char line[ERR_TEXT_MAX + 256];
	size_t len;

	if (atomic_exchange(&status_shown, false))
		put(wipe, sizeof wipe - 1);
	snprintf(line, sizeof line, "%s: ", program);
	len = strlen(line);
	vsnprintf(line + len, sizeof line - len - 1, fmt, ap);
	defuse(line);
	len = strlen(line);
	line[len++] = '\n';
	put(line, len);
}

void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_va(fmt, ap);
	va_end(ap);
}

void say_info(const char *fmt, ...)
{
	va_list ap;

	if (verbosity < 0)
		return;
	va_start(ap, fmt);
	say_va(fmt, ap);
	va_end(ap);
}

void say_detail(int level, const char *fmt, ...)
{
	va_list ap;

	if (verbosity < level)
		return;
	va_start(ap, fmt);
	say_va(fmt, ap);
	va_end(ap);
}

void say_again(int level, const char *why, long wait_ms)
{
	size_t len = strlen(why), tail = sizeof remedy - 1;

	if (len >= tail && strcmp(why + len - tail, remedy) == 0)
		len -= tail;
	if (wait_ms < 0)
		say_detail(level, "%.*s; trying again", (int)len, why);
	else
		say_detail(level, "%.*s; trying again in %ld ms", (int)len, why,
			wait_ms);
}

void say_status(const char *text)
{
	char line[256];

	if (!atomic_exchange(&status_shown, *text) && *text == '\0')
		return;
	snprintf(line, sizeof line, "%s%.200s", wipe, text);
	defuse(line + sizeof wipe - 1);
	put(line, strlen(line));
}

int err_exit(const struct err *e)
{
	if (e->code == 0 || e->code == ERR_STOPPED)
		return EX_OK;
	if (e->text[0])
		say("%s", e->text);
	return e->code;
}

static void *or_die(void *p)
{
	if (p == NULL) {
		say("out of memory");
		_exit(EX_IOERR);
	}
	return p;
}

void *xcalloc(size_t n, size_t size)
{
	return or_die(calloc(n ? n : 1, size ? size : 1));
}

void *xrealloc(void *p, size_t size)
{
	return or_die(realloc(p, size ? size : 1));
}

char *xstrdup(const char *s)
{
	return or_die(strdup(s));
}

char *xstrndup(const char *s, size_t n)
{
	return or_die(strndup(s, n));
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s = NULL;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return or_die(n < 0 ? NULL : s);
}

char *xquote(const char *text)
{
	size_t quotes = 0;
	const char *p;
	char *word, *w;

	for (p = text; *p; p++)
		quotes += *p == '\'';
	w = word = xcalloc(strlen(text) + 3 * quotes + 3, 1);
	*w++ = '\'';
	for (p = text; *p; p++) {
		if (*p == '\'')
			w = stpcpy(w, "'\\'");
		*w++ = *p;
	}
	*w = '\'';
	return word;
}
