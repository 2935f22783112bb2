/* service: the tools of agentrux-mcp: which there are, how clients are told of
 * them, and one call of one. */
#ifndef AGENTRUX_TOOLS_H
#define AGENTRUX_TOOLS_H

#include "tool.h"

#include <stdbool.h>

enum { TOOLS_MAX = 16 };

struct tools {
	struct tool_env env;
	const struct tool *offered[TOOLS_MAX];
	size_t n;
};

/* All that there are, or those of a list of names, parted by commas; `exec` only
 * where the policy enables it. EX_USAGE for a name that is none. */
int tools_select(struct tools *t, const char *names, struct err *e);

/* NULL: it is not offered. `name` is a JSON string. */
const struct tool *tools_find(const struct tools *t, struct slice name);

/* What the version of the protocol has room for. */
enum tools_detail {
	TOOLS_PLAIN,
	TOOLS_ANNOTATED,  /* hints on what a tool may do */
	TOOLS_STRUCTURED, /* titles, and results as JSON objects as well */
};

/* Appends "result":{…}, the list for clients. */
void tools_list(
	const struct tools *t, enum tools_detail detail, struct buf *out);

/* Does it and appends "result":{…}, or "error":{…} for arguments that are not
 * what they must be. */
void tools_run(const struct tools *t, const struct tool *tool,
	struct slice arguments, enum tools_detail detail, struct buf *out);

#endif
