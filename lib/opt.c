#include "opt.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* FIRST_ROW is beyond every short letter, so that one number tells both. */
enum {
	OPTS_MAX = 64,
	VALUE_HELP = 1,
	VALUE_VERSION,
	VALUE_LIST,
	FIRST_ROW = 256
};

static struct opt_args *current;
static int verbosity;
static bool quiet;

static const struct opt common_rows[] = { { OPT_FLAG, "help", 'h', NULL, NULL,
						  "show this help", 0, 0 },
	{ OPT_FLAG, "version", 'V', NULL, NULL, "show the version", 0, 0 },
	{ OPT_FLAG, "quiet", 'q', NULL, NULL, "errors only", 0, 0 },
	{ OPT_FLAG, "verbose", 'v', NULL, NULL, "say more; -vv: requests too",
		0, 0 },
	{ OPT_END, NULL, 0, NULL, NULL, NULL, 0, 0 } };
static const struct opt home_rows[] = {
	{ OPT_TEXT, "home", 0, NULL, "DIR", "instead of ~/.agentrux", 0, 0 },
	{ OPT_TEXT, "base-url", 0, NULL, "URL",
		"instead of what the credentials say", 0, 0 },
	{ OPT_END, NULL, 0, NULL, NULL, NULL, 0, 0 }
};

/* All rows of a program, its own first. */
static size_t collect(const struct opt_program *p, const struct opt **rows)
{
	const struct opt *tables[] = { p->opts, home_rows, common_rows };
	size_t n = 0, i;
	const struct opt *o;

	for (i = 0; i < 3; i++) {
		if (i == 1 && !p->uses_home)
			continue;
		for (o = tables[i]; o && o->kind != OPT_END; o++)
			if (n < OPTS_MAX)
				rows[n++] = o;
	}
	return n;
}

/* A whole number followed by one of `units` (factor in `factors`). */
static long scaled(
	const char *s, const char *units, const long *factors, long plain)
{
	const char *u;
	char *end;
	long v, factor = plain;

	if (*s < '0' || *s > '9')
		return -1;
	errno = 0;
	v = strtol(s, &end, 10);
	if (errno || v < 0)
		return -1;
	if (*end) {
		u = strchr(units, *end);
		if (u == NULL || end[1])
			return -1;
		factor = factors[u - units];
	}
	return v > LONG_MAX / factor ? -1 : v * factor;
}

long opt_duration(const char *s)
{
	static const long ms[] = { 1000, 60000, 3600000, 86400000 };

	return scaled(s, "smhd", ms, 1000);
}

long opt_size(const char *s)
{
	static const long bytes[] = { 1024, 1048576, 1073741824, 1024, 1048576,
		1073741824 };

	return scaled(s, "KMGkmg", bytes, 1);
}

static int store(const struct opt *o, const char *arg, struct err *e)
{
	long v = 0;
	char *end;
	struct opt_list *list;

	switch (o->kind) {
	case OPT_FLAG:
		*(bool *)o->value = true;
		return 0;
	case OPT_TEXT:
		*(const char **)o->value = arg;
		return 0;
	case OPT_LIST:
		list = o->value;
		if (list->n == list->max)
			return err_set(e, EX_USAGE, "--%s: at most %zu of them",
				o->name, list->max);
		list->items[list->n++] = arg;
		return 0;
	case OPT_NUMBER:
		errno = 0;
		v = strtol(arg, &end, 10);
		if (errno || end == arg || *end)
			return err_set(e, EX_USAGE,
				"--%s: '%s' is not a whole number", o->name,
				arg);
		break;
	case OPT_DURATION:
		v = opt_duration(arg);
		if (v < 0)
			return err_set(e, EX_USAGE,
				"--%s: '%s' is not a time such as 30s, 5m, 1h "
				"or 1d",
				o->name, arg);
		break;
	case OPT_SIZE:
		v = opt_size(arg);
		if (v < 0)
			return err_set(e, EX_USAGE,
				"--%s: '%s' is not a size such as 64K, 10M or "
				"1G",
				o->name, arg);
		break;
	case OPT_END:
		return 0;
	}
	if (v < o->min || (o->max && v > o->max))
		return err_set(e, EX_USAGE, "--%s: '%s' is out of range",
			o->name, arg);
	*(long *)o->value = v;
	return 0;
}

static void print_help(
	const struct opt_program *p, const struct opt **rows, size_t n)
{
	size_t i;

	printf("Usage: %s %s\n\n%s\n\nOptions:\n", p->name, p->synopsis,
		p->about);
	for (i = 0; i < n; i++) {
		char left[64];

		snprintf(left, sizeof left, "--%s%s%s", rows[i]->name,
			rows[i]->arg ? " " : "",
			rows[i]->arg ? rows[i]->arg : "");
		if (rows[i]->letter)
			printf("  -%c, %-26s %s\n", rows[i]->letter, left,
				rows[i]->help);
		else
			printf("      %-26s %s\n", left, rows[i]->help);
	}
	printf("\nThe manual: man %s; exit codes: man 7 agentrux\n", p->name);
}

/* One option a line: long name, short letter or "-", value name or "-", help,
 * divided by tabs. This is what the completions and the tests read. */
static void print_list(const struct opt **rows, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		printf("--%s\t", rows[i]->name);
		if (rows[i]->letter)
			printf("-%c", rows[i]->letter);
		else
			printf("-");
		printf("\t%s\t%s\n", rows[i]->arg ? rows[i]->arg : "-",
			rows[i]->help);
	}
}

static int finish_stdout(void)
{
	struct err e = { 0 };

	if (fflush(stdout) == 0)
		return EX_OK;
	if (errno == EPIPE)
		return EX_OK;
	err_errno(&e, "writing to standard output");
	return err_exit(&e);
}

int opt_misuse(const struct opt_program *p, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	say("%s; try '%s --help'", text, p->name);
	return EX_USAGE;
}

/* The tables in the form that getopt_long(3) wants. */
static void to_getopt(
	const struct opt **rows, size_t n, struct option *longs, char *shorts)
{
	size_t i;

	/* A leading ':' keeps getopt quiet: messages are ours to write. */
	*shorts++ = ':';
	for (i = 0; i < n; i++) {
		longs[i] = (struct option){ rows[i]->name,
			rows[i]->arg ? required_argument : no_argument, NULL,
			FIRST_ROW + (int)i };
		if (rows[i]->letter) {
			*shorts++ = rows[i]->letter;
			if (rows[i]->arg)
				*shorts++ = ':';
		}
	}
	*shorts = '\0';
	longs[n] = (struct option){ "list-options", no_argument, NULL,
		VALUE_LIST };
	longs[n + 1] = (struct option){ NULL, 0, NULL, 0 };
}

/* -1: apply went wrong (reported in e), 0: go on, else a VALUE_ to answer. */
static int apply(const struct opt *o, const char *arg, struct err *e)
{
	if (strcmp(o->name, "help") == 0)
		return VALUE_HELP;
	if (strcmp(o->name, "version") == 0)
		return VALUE_VERSION;
	if (o == &common_rows[2])
		quiet = true;
	else if (o == &common_rows[3])
		verbosity++;
	else if (o == &home_rows[0])
		current->home = arg;
	else if (o == &home_rows[1])
		current->base_url = arg;
	else
		return store(o, arg, e);
	return 0;
}

static int answer(const struct opt_program *p, const struct opt **rows,
	size_t n, int which)
{
	if (which == VALUE_HELP)
		print_help(p, rows, n);
	else if (which == VALUE_VERSION)
		printf("%s %s\n", p->name, AGENTRUX_VERSION);
	else
		print_list(rows, n);
	return finish_stdout();
}

/* Where "--" stands among the words, if what follows it is a command. getopt
 * must not see the command: it would reorder its words. */
static int find_command(const struct opt_program *p, int argc, char **argv)
{
	int i;

	if (p->takes_command)
		for (i = 1; i < argc; i++)
			if (strcmp(argv[i], "--") == 0)
				return i;
	return argc;
}

static const struct opt *row_of(const struct opt **rows, size_t n, int value)
{
	size_t i;

	if (value >= FIRST_ROW && (size_t)(value - FIRST_ROW) < n)
		return rows[value - FIRST_ROW];
	for (i = 0; i < n; i++)
		if (rows[i]->letter == value)
			return rows[i];
	return NULL;
}

/* What getopt did not take. A letter may stand in a word ("-ab") that it is not
 * through with: then `word`, the last one read, is the one before. */
static int refuse(const struct opt_program *p, int c, const char *word)
{
	char letter[] = { '-', (char)optopt, '\0' };
	bool is_long =
		optopt == 0 || optopt == VALUE_LIST || optopt >= FIRST_ROW;

	if (!is_long)
		word = letter;
	if (c == ':')
		return opt_misuse(p, "option '%s' needs a value", word);
	if (is_long && optopt)
		return opt_misuse(p, "option '%s' takes no value", word);
	return opt_misuse(p, "no such option: '%s'", word);
}

static int check_operands(const struct opt_program *p, struct opt_args *args)
{
	/* A script's unset variable must not make it the root folder. */
	if (args->home && *args->home == '\0')
		return opt_misuse(p, "option '--home' needs a value");
	if (args->n_operands < p->min_operands)
		return opt_misuse(
			p, "too few operands: %s %s", p->name, p->synopsis);
	if (p->max_operands >= 0 && args->n_operands > p->max_operands)
		return opt_misuse(p, "'%s' is one operand too many",
			args->operands[p->max_operands]);
	return EX_OK;
}

int opt_parse(const struct opt_program *p, int argc, char **argv,
	struct opt_args *args, int *status)
{
	const struct opt *rows[OPTS_MAX];
	struct option longs[OPTS_MAX + 2];
	char shorts[2 * OPTS_MAX + 2];
	size_t n = collect(p, rows);
	int end = find_command(p, argc, argv);
	struct err e = { 0 };
	int c, which;

	say_program(p->name);
	memset(args, 0, sizeof *args);
	current = args;
	to_getopt(rows, n, longs, shorts);
	if (end < argc) {
		args->command = argv + end + 1;
		argv[end] = NULL;
	}
	opterr = 0;
	optind = 1;
	while ((c = getopt_long(end, argv, shorts, longs, NULL)) != -1) {
		const struct opt *o = row_of(rows, n, c);

		if (c == ':' || c == '?') {
			*status = refuse(p, c, argv[optind - 1]);
			return 0;
		}
		which = c == VALUE_LIST ? VALUE_LIST : apply(o, optarg, &e);
		if (which < 0) {
			*status = opt_misuse(p, "%s", e.text);
			return 0;
		}
		if (which > 0) {
			*status = answer(p, rows, n, which);
			return 0;
		}
	}
	say_verbosity(quiet ? -1 : verbosity);
	args->operands = argv + optind;
	args->n_operands = end - optind;
	if (args->command && args->command[0] == NULL) {
		*status = opt_misuse(p, "no command behind '--'");
		return 0;
	}
	*status = check_operands(p, args);
	return *status == EX_OK;
}
