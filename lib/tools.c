#include "tools.h"

#include "rpc.h"

#include <string.h>

enum { TEXT_MAX = 33554432 };

static const struct tool *const all[] = { &tool_activate, &tool_publish,
	&tool_read, &tool_send_message, &tool_topics, &tool_redeem_grant,
	&tool_upload, &tool_download, &tool_exec };
enum { N_ALL = sizeof all / sizeof *all };

/* --- which --- */

static bool may_be_offered(const struct tools *t, const struct tool *tool)
{
	return tool != &tool_exec || t->env.policy->enabled;
}

static int select_one(
	struct tools *t, const char *name, size_t len, struct err *e)
{
	size_t i, j;

	for (i = 0; i < N_ALL; i++)
		if (strlen(all[i]->name) == len &&
			memcmp(all[i]->name, name, len) == 0)
			break;
	if (i == N_ALL)
		return err_set(e, EX_USAGE,
			"--tools: there is no tool '%.*s'; agentrux-mcp(1) "
			"lists them",
			(int)(len < 80 ? len : 80), name);
	for (j = 0; j < t->n && t->offered[j] != all[i]; j++)
		;
	if (!may_be_offered(t, all[i]))
		say("%s is not offered: execPolicy does not enable it",
			all[i]->name);
	else if (j == t->n)
		t->offered[t->n++] = all[i];
	return 0;
}

int tools_select(struct tools *t, const char *names, struct err *e)
{
	size_t i, len;

	t->n = 0;
	if (names == NULL) {
		for (i = 0; i < N_ALL; i++)
			if (may_be_offered(t, all[i]))
				t->offered[t->n++] = all[i];
		return 0;
	}
	for (;;) {
		len = strcspn(names, ",");
		if (select_one(t, names, len, e) < 0)
			return -1;
		if (names[len] == '\0')
			return 0;
		names += len + 1;
	}
}

const struct tool *tools_find(const struct tools *t, struct slice name)
{
	size_t i;

	for (i = 0; i < t->n; i++)
		if (slice_is(name, t->offered[i]->name))
			return t->offered[i];
	return NULL;
}

/* --- telling of them --- */

static const char *truth(bool b)
{
	return b ? "true" : "false";
}

static void about(
	const struct tools *t, const struct tool *tool, struct buf *text)
{
	const struct policy *p = t->env.policy;
	size_t i;

	buf_str(text, tool->about);
	if (tool != &tool_exec)
		return;
	buf_str(text, " Allowed are command lines that match one of these "
		      "patterns (PCRE2) as a whole:");
	for (i = 0; i < p->n && text->len < 4096; i++)
		buf_printf(text, "\n%.500s", p->texts[i]);
	if (i < p->n)
		buf_printf(text, "\nand %zu more", p->n - i);
}

static void list_one(const struct tools *t, const struct tool *tool,
	enum tools_detail detail, struct buf *out)
{
	struct buf text = BUF_INIT(65536);

	about(t, tool, &text);
	buf_printf(out, "{\"name\":\"%s\",\"description\":", tool->name);
	rpc_text(out, buf_text(&text), text.len);
	buf_str(out, ",\"inputSchema\":");
	args_schema(tool->args, out);
	if (detail >= TOOLS_ANNOTATED)
		buf_printf(out,
			",\"annotations\":{\"title\":\"%s\","
			"\"readOnlyHint\":%s,\"destructiveHint\":%s,"
			"\"idempotentHint\":%s,\"openWorldHint\":%s}",
			tool->title, truth(tool->read_only),
			truth(tool->destructive), truth(tool->idempotent),
			truth(!tool->local));
	if (detail >= TOOLS_STRUCTURED)
		buf_printf(out, ",\"title\":\"%s\",\"outputSchema\":%s",
			tool->title, tool->output);
	buf_char(out, '}');
	buf_release(&text);
}

void tools_list(
	const struct tools *t, enum tools_detail detail, struct buf *out)
{
	size_t i;

	buf_str(out, "\"result\":{\"tools\":[");
	for (i = 0; i < t->n; i++) {
		if (i > 0)
			buf_char(out, ',');
		list_one(t, t->offered[i], detail, out);
	}
	buf_str(out, "]}");
}

/* --- a call --- */

int tool_api(const struct tool_call *c, struct api *api, struct err *e)
{
	int r = api_open(api, c->env->home, c->env->base_url, e);

	api->retry_ms = c->env->retry_ms;
	return r;
}

void tool_member(struct tool_call *c, const char *name, const char *text)
{
	buf_printf(&c->data, "%s\"%s\":", c->data.len > 1 ? "," : "", name);
	rpc_text(&c->data, text, strlen(text));
}

/* What a model can do about it, where the error's own words are not enough. */
static const char *remedy(int code)
{
	switch (code) {
	case EX_TEMPFAIL:
		return "\nThis is temporary trouble: try again later.";
	case EX_NOPERM:
		return "\nThe service refuses this. The user can get a grant, "
		       "or an invite code for agentrux_redeem_grant.";
	case EX_CONFIG:
		return "\nIf agentrux was never set up here, ask the user for "
		       "an activation code and use agentrux_activate.";
	default:
		return "";
	}
}

static void fail(struct tool_call *c, const struct err *e)
{
	buf_set(&c->text, e->code == ERR_STOPPED
				  ? "the call was ended before it was done"
				  : e->text);
	buf_str(&c->text, remedy(e->code));
	c->failed = true;
}

static void write_result(
	struct tool_call *c, enum tools_detail detail, struct buf *out)
{
	if (c->text.full || c->data.full) {
		buf_set(&c->text, "the result is too large; ask for less");
		c->failed = true;
	}
	buf_str(out, "\"result\":{\"content\":[{\"type\":\"text\",\"text\":");
	rpc_text(out, buf_text(&c->text), c->text.len);
	buf_str(out, "}]");
	if (detail >= TOOLS_STRUCTURED && !c->failed) {
		buf_str(out, ",\"structuredContent\":");
		buf_add(out, c->data.data, c->data.len);
	}
	buf_printf(out, ",\"isError\":%s}", truth(c->failed));
}

void tools_run(const struct tools *t, const struct tool *tool,
	struct slice arguments, enum tools_detail detail, struct buf *out)
{
	struct arg_value values[ARGS_MAX];
	struct tool_call c = { .env = &t->env,
		.arg = values,
		.text = BUF_INIT(TEXT_MAX),
		.data = BUF_INIT(TEXT_MAX) };
	struct err e = { 0 };

	if (args_read(tool->args, arguments, values, &e) < 0) {
		rpc_error(out, RPC_INVALID_PARAMS, e.text);
	} else {
		buf_char(&c.data, '{');
		tool->run(&c, &e);
		buf_char(&c.data, '}');
		if (e.code)
			fail(&c, &e);
		write_result(&c, detail, out);
	}
	args_release(tool->args, values);
	buf_release(&c.text);
	buf_release(&c.data);
}
