/* service: one tool for a model: what it is called and takes, and the function
 * that does it. Each tools_*.c holds some; tools.h has the list of all. */
#ifndef AGENTRUX_TOOL_H
#define AGENTRUX_TOOL_H

#include "api.h"
#include "args.h"
#include "buf.h"
#include "err.h"
#include "policy.h"

#include <stdbool.h>

/* What all of them work with, for as long as the server runs. */
struct tool_env {
	const char *home, *base_url; /* as the options have them, or NULL */
	long retry_ms;
	int root;		     /* the folder for files and commands */
	const struct policy *policy; /* as it was at the start, for the list */
};

/* One call, in a process of its own. */
struct tool_call {
	const struct tool_env *env;
	const struct arg_value *arg; /* in the order of the tool's table */
	struct buf text;	     /* the result, for the model */
	struct buf data;	     /* the same as a JSON object */
	bool failed;		     /* the text says why */
};

struct tool {
	const char *name, *title, *about;
	const struct arg *args;
	const char *output; /* JSON Schema of `data` */
	bool read_only, destructive, idempotent;
	bool local; /* deals with this machine only */
	/* 0, or -1 with an error that becomes the result. No result and no
	 * error holds a secret. */
	int (*run)(struct tool_call *c, struct err *e);
};

extern const struct tool tool_activate, tool_redeem_grant, tool_topics;
extern const struct tool tool_publish, tool_read, tool_send_message;
extern const struct tool tool_upload, tool_download;
extern const struct tool tool_exec;

/* Opens the api for a call. api_close in any case. */
int tool_api(const struct tool_call *c, struct api *api, struct err *e);

/* Appends a member to `data`: name, and a text as a JSON string. */
void tool_member(struct tool_call *c, const char *name, const char *text);

#endif
