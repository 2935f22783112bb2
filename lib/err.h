/* base: exit codes, the error a function reports, messages for people.
 *
 * A library function that can fail takes a `struct err *` as its last
 * parameter, returns 0 or -1, and on -1 has filled the struct. Only a program
 * prints it (err_exit) and ends. The one exception is memory that cannot be
 * had: the x... functions below end the process with EX_IOERR, for there is
 * nothing sensible that a small program could do instead.
 *
 * Nothing else in the toolkit writes to stderr. Text is stripped of control
 * characters on its way out, so that a server's words cannot steer a terminal.
 * Secrets must never be passed to any function here. */
#ifndef AGENTRUX_ERR_H
#define AGENTRUX_ERR_H

#include <stdbool.h>
#include <stddef.h>
#include <sysexits.h>

/* Exit codes are those of sysexits(3), the same in every program; agentrux(7)
 * holds the table for users. In use: EX_OK 0, EX_USAGE 64, EX_DATAERR 65,
 * EX_NOINPUT 66 (nothing there to act on), EX_CANTCREAT 73 (would overwrite),
 * EX_IOERR 74 (this machine's trouble), EX_TEMPFAIL 75, EX_NOPERM 77,
 * EX_CONFIG 78, and these two: */
enum {
	EX_FAILED = 1,	  /* failed for good, no other code names why */
	EX_TIMEOUT = 124, /* time ran out waiting for what was accepted */
	/* Not an exit code: told to end by a signal, or by a reader that
	 * closed. err_exit() makes it a quiet 0. */
	ERR_STOPPED = -1,
};

enum { ERR_TEXT_MAX = 1024 };

struct err {
	int code;		 /* an exit code, or ERR_STOPPED; 0: none */
	long retry_ms;		 /* EX_TEMPFAIL: not before that; 0: not said */
	bool too_large;		 /* it passed a ceiling of ours: ask for less */
	char text[ERR_TEXT_MAX]; /* what was tried: what went wrong; remedy */
};

/* Fills `e` and returns -1, so that callers can `return err_set(…)`. Longer
 * text is cut. A `struct err` may be NULL where the caller does not care. */
int err_set(struct err *e, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same with EX_CONFIG and ": COMMAND 'PATH'" appended, the path quoted for
 * a shell: what mends it. */
int err_mend(struct err *e, const char *command, const char *path,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* The same with EX_IOERR and ": <reason of errno>" appended. errno is kept. */
int err_errno(struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Puts "<text>: " in front of what `e` holds already; returns -1. */
int err_prefix(struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Puts "; try again later" behind a temporary error that names no remedy;
 * returns -1. */
int err_later(struct err *e);

/* Fills `e` as told to end (ERR_STOPPED); returns -1. */
int err_stopped(struct err *e);

/* Messages: "NAME: text\n", one write(2) each. The name is that of the running
 * program (say_program, once, from main). */
void say_program(const char *name);

/* verbosity: -1 after -q, 0, then 1 and 2 for -v and -vv. */
void say_verbosity(int level);
int say_level(void);

/* An error or a warning that the user must see: printed at any verbosity. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A temporary error after which the program itself tries again, in wait_ms (-1:
 * not said): that stands where the user was told to. At `level` 0 as say_info,
 * above as say_detail. */
void say_again(int level, const char *why, long wait_ms);

/* Progress and good news: not printed after -q. */
void say_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Detail: printed at `level` 1 with -v, at 2 with -vv. */
void say_detail(int level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* A line that the next one, or the next message, wipes; "" wipes it now. Only
 * for a stderr that is a terminal, and cut to its first 200 bytes. */
void say_status(const char *text);

/* The last line of a program: prints `e` if it holds an error and returns the
 * process's exit code (ERR_STOPPED and 0 are silent and 0; an empty text, for
 * what was said already, is silent too). */
int err_exit(const struct err *e);

/* Memory, or the end of the process. xcalloc checks n * size for overflow. */
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The text as one word of a shell command that a message gives. */
char *xquote(const char *text);

#endif
