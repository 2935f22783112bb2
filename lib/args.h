/* format: the arguments of a tool. A tool declares ONE constant table; from it
 * come the JSON Schema that clients are told and the reading of what they send.
 * Pure code, no I/O. */
#ifndef AGENTRUX_ARGS_H
#define AGENTRUX_ARGS_H

#include "buf.h"
#include "err.h"
#include "slice.h"
#include "words.h"

#include <stdbool.h>

enum { ARGS_MAX = 8 };

enum arg_kind {
	ARG_TEXT,
	ARG_NUMBER,  /* an integer, min..max */
	ARG_JSON,    /* any value; the schema recommends an object */
	ARG_COMMAND, /* a list of words, or a line of them */
	ARG_END
};

struct arg {
	enum arg_kind kind;
	const char *name;
	const char *about;
	bool required;
	bool secret; /* a text that is wiped */
	long min, max;
};

/* What was sent, in the order of the table. */
struct arg_value {
	bool given;
	char *text;
	long number;
	struct slice json; /* borrowed from the arguments */
	struct words words;
};

/* Appends the schema of the table. */
void args_schema(const struct arg *table, struct buf *out);

/* EX_DATAERR, naming it, for an argument that is missing, not in the table, or
 * not what the table says; null counts as not given. `arguments` with p NULL are
 * none. args_release in any case. */
int args_read(const struct arg *table, struct slice arguments,
	struct arg_value values[ARGS_MAX], struct err *e);
void args_release(const struct arg *table, struct arg_value values[ARGS_MAX]);

#endif
