/* base: the command line.
 *
 * A program declares ONE constant table; from it come parsing (getopt_long(3)
 * rules), --help, --version and --list-options, which the completions ask for.
 * -h, -V, -q and -v are added to every table, --home and --base-url to those
 * of programs with `uses_home`.
 *
 * Wrong use ends in EX_USAGE with one line on stderr. Values are stored where
 * the table points; what is not given keeps the value it had, so defaults are
 * plain initialisers. Option values are never secrets. */
#ifndef AGENTRUX_OPT_H
#define AGENTRUX_OPT_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>

#ifndef AGENTRUX_VERSION
#define AGENTRUX_VERSION "0.0.0"
#endif

enum opt_kind {
	OPT_FLAG,     /* bool */
	OPT_TEXT,     /* const char *, borrowed from argv */
	OPT_NUMBER,   /* long, min..max */
	OPT_DURATION, /* long, ms: 30s 5m 1h 1d, a bare number is seconds */
	OPT_SIZE,     /* long, bytes: 64K 10M 1G, a bare number is bytes */
	OPT_LIST,     /* struct opt_list: may be repeated */
	OPT_END
};

struct opt_list {
	const char **items; /* the program's, OPT_LIST_MAX long or less */
	size_t n, max;
};

struct opt {
	enum opt_kind kind;
	const char *name; /* long, without the dashes */
	char letter;	  /* short form, or 0 */
	void *value;
	const char *arg;  /* how --help names the value; NULL for a flag */
	const char *help; /* one line */
	long min, max;	  /* for the three numeric kinds; max 0: LONG_MAX */
};

struct opt_program {
	const char *name;     /* agentrux-publish */
	const char *synopsis; /* "[OPTIONS] TOPIC" */
	const char *about;    /* what it does, in one sentence */
	const struct opt *opts;
	int min_operands, max_operands; /* max -1: any number */
	/* After "--" comes a command: operands before it are counted by the
	 * two above, and opt_args.command is what follows. */
	bool takes_command;
	bool uses_home;
};

/* What every program has. */
struct opt_args {
	const char *home;     /* --home, or NULL */
	const char *base_url; /* --base-url, or NULL */
	char **operands;      /* NULL-terminated */
	int n_operands;
	char **command; /* behind "--", or NULL */
};

/* Reads the command line. 1: go on. 0: --help and the like were answered, end
 * with `*status`; also for wrong use, which has been reported. Sets the
 * program's name and verbosity (err.h). */
int opt_parse(const struct opt_program *p, int argc, char **argv,
	struct opt_args *args, int *status);

/* Reports wrong use that a table cannot express; returns EX_USAGE. */
int opt_misuse(const struct opt_program *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* "5m" and the like as ms, "10M" as bytes; -1 if it is not one. */
long opt_duration(const char *s);
long opt_size(const char *s);

#endif
