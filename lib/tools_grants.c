#include "tool.h"

#include "bootstrap.h"
#include "json.h"
#include "renew.h"

#include <stdlib.h>
#include <string.h>

/* --- agentrux_activate --- */

/* What these credentials may do, as the activation told it, or else as the
 * service tells it now; NULL if neither does. */
static struct json *grants_of(
	const struct tool_call *c, const struct outcome *result)
{
	struct json *topics = NULL;
	struct err ignored = { 0 };
	struct api api;

	if (result->grants)
		return json_copy(result->grants);
	if (tool_api(c, &api, &ignored) == 0) {
		api.retry_ms = 0;
		api_topics(&api, &topics, &ignored);
	}
	api_close(&api);
	return topics;
}

/* "topic: read" or "topic: read, write", in whichever form it was told. */
static void tell_grant(struct tool_call *c, const struct json *grant)
{
	const struct json *actions = json_member(grant, "actions");
	const char *topic = json_text(grant, "topic_id");
	const char *name = json_text(grant, "name");
	const char *action = json_text(grant, "action");
	size_t i;

	buf_printf(&c->text, "\n%s", topic ? topic : "a topic");
	if (name)
		buf_printf(&c->text, " (%s)", name);
	buf_printf(&c->text, ": %s", action ? action : "");
	for (i = 0; i < json_count(actions); i++) {
		action = json_string(json_item(actions, i));
		buf_printf(
			&c->text, "%s%s", i ? ", " : "", action ? action : "");
	}
}

static void tell_activation(struct tool_call *c, const struct outcome *result)
{
	struct json *grants = grants_of(c, result);
	char *text = grants ? json_print(grants) : xstrdup("[]");
	size_t i;

	tool_member(c, "outcome", outcome_name(result->kind));
	buf_printf(&c->data, ",\"grants\":%s", text);
	buf_str(&c->text, result->kind == OUTCOME_OK
				  ? "Activated."
				  : "Nothing to do: it is set up already.");
	if (json_count(grants))
		buf_str(&c->text, " Granted:");
	else if (result->kind == OUTCOME_OK)
		buf_str(&c->text, " No grants were named.");
	for (i = 0; i < json_count(grants); i++)
		tell_grant(c, json_item(grants, i));
	free(text);
	json_free(grants);
}

static int run_activate(struct tool_call *c, struct err *e)
{
	struct bootstrap b = BOOTSTRAP_NONE;
	int r;

	b.home = c->env->home;
	b.base_url = c->env->base_url;
	b.text = c->arg[0].text;
	r = bootstrap_activate(&b, e);
	if (r == 0)
		tell_activation(c, &b.result);
	bootstrap_release(&b);
	return r;
}

static const struct arg activate_args[] = {
	{ .kind = ARG_TEXT,
		.name = "activation_code",
		.about = "the one-time code (ac_… or act_…); without it the "
			 "one in BOOTSTRAP.md of the agentrux folder is used",
		.secret = true },
	{ .kind = ARG_END },
};

const struct tool tool_activate = {
	.name = "agentrux_activate",
	.title = "Activate AgenTrux",
	.about = "Sets agentrux up on this machine: redeems a one-time "
		 "activation code, keeps the credentials and tells which "
		 "topics may be read or written. Only when the user gives a "
		 "code or asks for it.",
	.args = activate_args,
	.output = "{\"type\":\"object\",\"properties\":{\"outcome\":{\"type\":"
		  "\"string\"},\"grants\":{\"type\":\"array\",\"items\":{"
		  "\"type\":\"object\"}}},\"required\":[\"outcome\","
		  "\"grants\"]}",
	.run = run_activate,
};

/* --- agentrux_redeem_grant --- */

static int run_redeem_grant(struct tool_call *c, struct err *e)
{
	struct json *granted;
	const char *topic, *action;

	if (renew_grant(c->env->home, c->env->base_url, c->arg[0].text,
		    &granted, e) < 0)
		return -1;
	topic = json_text(granted, "topic_id");
	action = json_text(granted, "action");
	tool_member(c, "topic_id", topic);
	if (action)
		tool_member(c, "action", action);
	buf_printf(&c->text, "Granted:\n%s: %s", topic, action ? action : "");
	json_free(granted);
	return 0;
}

static const struct arg redeem_args[] = {
	{ .kind = ARG_TEXT,
		.name = "invite_code",
		.about = "the invite code (inv_…)",
		.required = true,
		.secret = true },
	{ .kind = ARG_END },
};

const struct tool tool_redeem_grant = {
	.name = "agentrux_redeem_grant",
	.title = "Redeem an invite code",
	.about = "Redeems an invite code that the user was given: access to "
		 "a topic of somebody else. Tells the topic and what may be "
		 "done there.",
	.args = redeem_args,
	.output = "{\"type\":\"object\",\"properties\":{\"topic_id\":{\"type\":"
		  "\"string\"},\"action\":{\"type\":\"string\"}},"
		  "\"required\":[\"topic_id\"]}",
	.run = run_redeem_grant,
};

/* --- agentrux_topics --- */

static int run_topics(struct tool_call *c, struct err *e)
{
	struct json *topics = NULL;
	struct api api;
	char *text;
	size_t i;
	int r = tool_api(c, &api, e);

	if (r == 0)
		r = api_topics(&api, &topics, e);
	if (r == 0) {
		text = json_print(topics);
		buf_printf(&c->data, "\"topics\":%s", text);
		free(text);
		buf_printf(&c->text, "%zu topics:", json_count(topics));
		for (i = 0; i < json_count(topics); i++)
			tell_grant(c, json_item(topics, i));
	}
	json_free(topics);
	api_close(&api);
	return r;
}

static const struct arg topics_args[] = { { .kind = ARG_END } };

const struct tool tool_topics = {
	.name = "agentrux_topics",
	.title = "List topics",
	.about = "Lists the AgenTrux topics that this machine may use, and "
		 "whether they may be read or written.",
	.args = topics_args,
	.output = "{\"type\":\"object\",\"properties\":{\"topics\":{\"type\":"
		  "\"array\",\"items\":{\"type\":\"object\"}}},\"required\":["
		  "\"topics\"]}",
	.read_only = true,
	.idempotent = true,
	.run = run_topics,
};
