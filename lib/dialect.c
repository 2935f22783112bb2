#include "dialect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct dialect *const all[] = { &dialect_classic, &dialect_oauth };

enum { CODE_MIN = 20, CODE_MAX = 200 };

const struct dialect *dialect_of_code(const char *code)
{
	size_t i;

	for (i = 0; i < sizeof all / sizeof *all; i++)
		if (strncmp(code, all[i]->code_prefix,
			    strlen(all[i]->code_prefix)) == 0)
			return all[i];
	return NULL;
}

const struct dialect *dialect_of_cred(const struct cred *c)
{
	return c->client_id ? &dialect_oauth : &dialect_classic;
}

bool dialect_code_shape(const char *code, const char *prefix)
{
	size_t len = strlen(prefix);

	if (strncmp(code, prefix, len))
		return false;
	code += len;
	len = strlen(code);
	return len >= CODE_MIN && len <= CODE_MAX &&
	       strspn(code,
		       "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		       "0123456789_-") == len;
}

bool dialect_code_ok(const char *code)
{
	const struct dialect *d = dialect_of_code(code);

	return d && dialect_code_shape(code, d->code_prefix);
}

void dialect_body(struct wire_request *r, struct json *doc)
{
	char *text = json_print(doc);

	r->method = "POST";
	buf_str(&r->body, text);
	buf_wipe_free(text);
	json_free(doc);
}

int dialect_incomplete(struct err *e, const char *field)
{
	return err_set(e, EX_TEMPFAIL,
		"the service's answer has no usable '%s'", field);
}

char *dialect_optional(const struct json *a, const char *field)
{
	const char *s = json_text(a, field);

	return s && *s ? xstrdup(s) : NULL;
}

int dialect_need(
	const struct json *a, const char *field, char **to, struct err *e)
{
	*to = dialect_optional(a, field);
	return *to ? 0 : dialect_incomplete(e, field);
}

static void read_error(const struct sse_frame *frame, struct wire_error *we)
{
	static const struct {
		const char *code;
		int status;
	} known[] = {
		{ "UNAUTHORIZED", 401 },
		{ "FORBIDDEN", 403 },
		{ "SUSPENDED", 403 },
		{ "NOT_FOUND", 404 },
		{ "RATE_LIMITED", 429 },
	};
	struct json *doc = json_parse(frame->data, frame->data_len, NULL);
	const char *code = json_text(doc, "code");
	const char *reason = json_text(doc, "reason");
	size_t i;

	/* One that is not known may pass. */
	*we = (struct wire_error){ .status = 503 };
	for (i = 0; code && i < sizeof known / sizeof *known; i++)
		if (strcmp(code, known[i].code) == 0)
			we->status = known[i].status;
	snprintf(we->code, sizeof we->code, "%s", code ? code : "");
	snprintf(we->message, sizeof we->message, "%s", reason ? reason : "");
	json_free(doc);
}

static struct json *topic_of(const struct json *item)
{
	const struct json *actions = json_member(item, "actions");
	const char *name = json_text(item, "display_name");
	struct json *topic = json_object();

	if (name == NULL || *name == '\0')
		name = json_text(item, "name");
	json_set_text(topic, "topic_id", json_text(item, "topic_id"));
	if (name && *name)
		json_set_text(topic, "name", name);
	json_set(topic, "actions",
		json_is_array(actions) ? json_copy(actions) : json_array());
	return topic;
}

int dialect_topics(const struct json *a, struct json **topics, struct err *e)
{
	const struct json *items = json_member(a, "items");
	size_t i;

	if (!json_is_array(items))
		return dialect_incomplete(e, "items");
	*topics = json_array();
	for (i = 0; i < json_count(items); i++)
		if (json_text(json_item(items, i), "topic_id"))
			json_add(*topics, topic_of(json_item(items, i)));
	return 0;
}

enum dialect_hint dialect_hint_kind(
	const struct sse_frame *frame, struct wire_error *we)
{
	if (strcmp(frame->event, "resync_required") == 0)
		return DIALECT_RESYNC;
	if (strcmp(frame->event, "error") == 0) {
		read_error(frame, we);
		return DIALECT_REFUSED;
	}
	return frame->event[0] && strcmp(frame->event, "message") &&
			       strcmp(frame->event, "hint")
		       ? DIALECT_ALIVE
		       : DIALECT_EVENT;
}

void dialect_token_release(struct dialect_token *t)
{
	buf_wipe_free(t->access);
	buf_wipe_free(t->refresh);
	free(t->script_id);
	memset(t, 0, sizeof *t);
}

void dialect_device_release(struct dialect_device *d)
{
	buf_wipe_free(d->code);
	free(d->user_code);
	free(d->address);
	free(d->complete);
	memset(d, 0, sizeof *d);
}

int dialect_object_header(
	struct dialect_object *o, const char *name, const char *value)
{
	const char *p;
	size_t n = 0;

	for (p = name; *p; p++)
		if (*p <= ' ' || *p > '~' || *p == ':')
			return -1;
	for (p = value; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 127)
			return -1;
	while (o->put_headers[n])
		n++;
	if (*name == '\0' || n == DIALECT_HEADERS_MAX)
		return -1;
	o->put_headers[n] = xasprintf("%s: %s", name, value);
	return 0;
}

void dialect_object_release(struct dialect_object *o)
{
	size_t i;

	free(o->id);
	free(o->put_url);
	for (i = 0; o->put_headers[i]; i++)
		free(o->put_headers[i]);
	free(o->get_url);
	free(o->checksum);
	free(o->content_type);
	memset(o, 0, sizeof *o);
}
