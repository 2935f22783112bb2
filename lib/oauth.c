/* service: the oauth dialect (PROTOCOL, right column), the only place with its
 * paths and field names. */
#include "dialect.h"

#include "json.h"

#include <stdlib.h>
#include <string.h>

enum {
	TOKEN_LIFETIME_S = 600,	    /* where expires_in tells nothing */
	TOKEN_LIFETIME_MAX = 86400, /* no token is trusted for longer */
	INLINE_MAX = 262144,
	DEVICE_LIFETIME_S = 900, /* as above */
	DEVICE_LIFETIME_MAX = 86400,
	DEVICE_INTERVAL_S = 5,
	DEVICE_INTERVAL_MAX = 300,
};

#define DEVICE_GRANT "urn:ietf:params:oauth:grant-type:device_code"

/* Is this a UUID, and so a topic without its prefix? */
static bool is_bare(const char *topic)
{
	static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	size_t i;

	if (strlen(topic) != sizeof shape - 1)
		return false;
	for (i = 0; shape[i]; i++)
		if (shape[i] == '-' ? topic[i] != '-'
				    : strchr("0123456789abcdefABCDEF",
					      topic[i]) == NULL)
			return false;
	return true;
}

static char *topic_id(const char *topic)
{
	return is_bare(topic) ? xasprintf("top_%s", topic) : xstrdup(topic);
}

static void path_topic(
	struct wire_request *r, const char *topic, const char *rest)
{
	char *id = topic_id(topic);

	buf_str(&r->path, "/topics/");
	http_escape(&r->path, id);
	buf_str(&r->path, rest);
	free(id);
}

/* --- activation and tokens --- */

static void redeem_request(struct wire_request *r, const char *code)
{
	struct json *doc = json_object();

	json_set_text(doc, "code", code);
	buf_str(&r->path, "/auth/redeem-activation-code");
	r->secret = true;
	dialect_body(r, doc);
}

static int redeem_answer(const struct json *a, struct cred *c,
	struct json **grants, struct err *e)
{
	*grants = NULL; /* they are in the token's scope */
	if (dialect_need(a, "client_id", &c->client_id, e) < 0 ||
		dialect_need(a, "client_secret", &c->secret, e) < 0)
		return -1;
	c->script_id = dialect_optional(a, "script_id");
	return 0;
}

/* Appends a field to a form. */
static void form(struct wire_request *r, const char *name, const char *value)
{
	buf_printf(&r->body, "%s%s=", r->body.len ? "&" : "", name);
	http_escape(&r->body, value);
}

static void form_to(struct wire_request *r, const char *path)
{
	r->method = "POST";
	r->content_type = "application/x-www-form-urlencoded";
	r->secret = true;
	buf_str(&r->path, path);
}

/* A request for a token. */
static void grant(
	struct wire_request *r, const char *type, const char *client_id)
{
	form_to(r, "/oauth/token");
	form(r, "grant_type", type);
	form(r, "client_id", client_id);
}

static void token_request(struct wire_request *r, const struct cred *c)
{
	grant(r, "client_credentials", c->client_id);
	r->hidden = c->secret;
	form(r, "client_secret", c->secret);
}

/* A number of seconds that an answer tells, or the usual one. */
static int64_t seconds(
	const struct json *a, const char *field, int64_t usual, int64_t max)
{
	int64_t s;

	if (!json_int(a, field, &s) || s <= 0)
		return usual;
	return s < max ? s : max;
}

static int token_answer(const struct json *a, time_t date,
	struct dialect_token *t, struct err *e)
{
	int64_t s;

	(void)date;
	if (dialect_need(a, "access_token", &t->access, e) < 0)
		return -1;
	t->refresh = dialect_optional(a, "refresh_token");
	t->script_id = dialect_optional(a, "script_id");
	s = seconds(a, "expires_in", TOKEN_LIFETIME_S, TOKEN_LIFETIME_MAX);
	t->lifetime_ms = s * 1000;
	return 0;
}

/* --- joining without a code --- */

static void register_request(struct wire_request *r)
{
	static const char types[] = "[\"" DEVICE_GRANT "\",\"refresh_token\"]";
	struct json *doc = json_object();

	json_set_text(doc, "client_name", "agentrux");
	json_set(doc, "grant_types", json_parse(types, sizeof types - 1, NULL));
	json_set_text(doc, "token_endpoint_auth_method", "none");
	buf_str(&r->path, "/oauth/register");
	r->secret = true; /* an answer may bring a secret unasked */
	dialect_body(r, doc);
}

static int register_answer(
	const struct json *a, char **client_id, struct err *e)
{
	return dialect_need(a, "client_id", client_id, e);
}

static bool is_unregistered(const struct wire_error *we)
{
	return strcmp(we->code, "invalid_client") == 0;
}

static void device_request(struct wire_request *r, const char *client_id)
{
	form_to(r, "/oauth/device/authorize");
	form(r, "client_id", client_id);
}

static int device_answer(
	const struct json *a, struct dialect_device *d, struct err *e)
{
	if (dialect_need(a, "device_code", &d->code, e) < 0 ||
		dialect_need(a, "user_code", &d->user_code, e) < 0 ||
		dialect_need(a, "verification_uri", &d->address, e) < 0)
		return -1;
	d->complete = dialect_optional(a, "verification_uri_complete");
	d->lifetime_s = (long)seconds(
		a, "expires_in", DEVICE_LIFETIME_S, DEVICE_LIFETIME_MAX);
	d->interval_s = (long)seconds(
		a, "interval", DEVICE_INTERVAL_S, DEVICE_INTERVAL_MAX);
	return 0;
}

static void wait_request(
	struct wire_request *r, const char *client_id, const char *device_code)
{
	grant(r, DEVICE_GRANT, client_id);
	form(r, "device_code", device_code);
	r->hidden = device_code;
}

static enum dialect_wait wait_refused(const struct wire_error *we)
{
	static const char *const words[] = {
		[DIALECT_PENDING] = "authorization_pending",
		[DIALECT_SLOW_DOWN] = "slow_down",
		[DIALECT_DENIED] = "access_denied",
		[DIALECT_EXPIRED] = "expired_token",
	};
	unsigned i;

	for (i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(we->code, words[i]) == 0)
			return (enum dialect_wait)i;
	return DIALECT_NO_WORD;
}

static void login_request(struct wire_request *r, const char *client_id,
	const char *refresh_token)
{
	grant(r, "refresh_token", client_id);
	form(r, "refresh_token", refresh_token);
	r->hidden = refresh_token;
}

static void topics_request(struct wire_request *r)
{
	buf_str(&r->path, "/topics");
}

/* --- events --- */

static void page_request(struct wire_request *r, const struct dialect_page *p)
{
	path_topic(r, p->topic, "/events");
	buf_printf(&r->path, "?order=%s&limit=%ld", p->after ? "asc" : "desc",
		p->limit);
	if (p->after && *p->after) {
		buf_str(&r->path, "&after=");
		http_escape(&r->path, p->after);
	}
	if (p->exclude_self)
		buf_str(&r->path, "&exclude_self=true");
	if (p->type) {
		buf_str(&r->path, "&type=");
		http_escape(&r->path, p->type);
	}
	r->answer_max = p->limit > 1 ? DIALECT_PAGE_MAX : DIALECT_EVENT_MAX;
}

static int page_answer(
	struct slice_walk *members, struct dialect_listing *l, struct err *e)
{
	struct slice name, value, next = { NULL, 0 };

	while (slice_walk_next(members, &name, &value))
		if (slice_is(name, "events"))
			l->events = value;
		else if (slice_is(name, "next"))
			next = value;
	if (slice_kind(l->events) != '[')
		return dialect_incomplete(e, "events");
	slice_member(next, "after", &l->next);
	slice_member(next, "has_more", &l->has_more);
	slice_member(next, "frontier_cursor", &l->frontier);
	return 0;
}

static bool is_lost(const struct wire_error *we)
{
	return (we->status == 404 || we->status == 410) &&
	       (strcmp(we->code, "RETENTION_MISS") == 0 ||
		       strcmp(we->reason, "ttl_expired") == 0);
}

static void add_text(struct buf *out, const char *name, const char *text)
{
	char *quoted;

	if (text == NULL)
		return;
	quoted = json_quote(text);
	buf_printf(out, ",\"%s\":%s", name, quoted);
	free(quoted);
}

/* Appends the user's metadata, but for what has an option of its own. */
static void add_members(struct buf *out, const struct dialect_publication *p)
{
	struct slice name, value;
	struct slice_walk w;

	if (p->metadata.p == NULL)
		return;
	slice_walk_start(&w, p->metadata, NULL);
	while (slice_walk_next(&w, &name, &value)) {
		if ((p->correlation_id && slice_is(name, "correlation_id")) ||
			(p->reply_topic && slice_is(name, "reply_topic")))
			continue;
		buf_char(out, ',');
		buf_add(out, name.p, name.len);
		buf_char(out, ':');
		buf_add(out, value.p, value.len);
	}
}

static void add_metadata(struct buf *out, const struct dialect_publication *p)
{
	struct buf members = BUF_INIT(WIRE_BODY_MAX);

	add_members(&members, p);
	add_text(&members, "correlation_id", p->correlation_id);
	add_text(&members, "reply_topic", p->reply_topic);
	if (members.len) {
		buf_str(out, ",\"metadata\":{");
		buf_add(out, members.data + 1, members.len - 1);
		buf_char(out, '}');
	}
	buf_release(&members);
}

static void publish_request(
	struct wire_request *r, const struct dialect_publication *p)
{
	char *quoted = json_quote(p->type);

	r->method = "POST";
	path_topic(r, p->topic, "/events");
	buf_printf(&r->body, "{\"event_type\":%s", quoted);
	free(quoted);
	if (p->payload_object_id) {
		add_text(&r->body, "payload_object_id", p->payload_object_id);
	} else {
		buf_str(&r->body, ",\"payload\":");
		buf_add(&r->body, p->payload.p, p->payload.len);
	}
	add_metadata(&r->body, p);
	buf_char(&r->body, '}');
	if (p->idempotency_key)
		wire_request_header(
			r, "Idempotency-Key: %s", p->idempotency_key);
}

static int publish_answer(const struct json *a, char **event_id, struct err *e)
{
	return dialect_need(a, "event_id", event_id, e);
}

static void stream_request(
	struct wire_request *r, const struct dialect_stream *s)
{
	path_topic(r, s->topic, "/events/stream");
	if (s->exclude_self)
		buf_str(&r->path, "?exclude_self=true");
	wire_request_header(r, "Accept: text/event-stream");
	wire_request_header(r, "Cache-Control: no-cache");
	if (s->position)
		wire_request_header(r, "Last-Event-ID: %s", s->position);
}

static enum dialect_hint hint(
	const struct sse_frame *frame, struct dialect_news *news)
{
	return dialect_hint_kind(frame, &news->error);
}

/* --- files --- */

static void reserve_request(
	struct wire_request *r, const struct dialect_reservation *want)
{
	struct json *doc = json_object();

	json_set_int(doc, "size_bytes", want->size);
	json_set_text(doc, "content_type", want->content_type);
	if (want->checksum)
		json_set_text(doc, "checksum_sha256", want->checksum);
	path_topic(r, want->topic, "/payloads");
	r->secret = true; /* a presigned URL is a key in itself */
	dialect_body(r, doc);
}

static int take_headers(
	const struct json *headers, struct dialect_object *o, struct err *e)
{
	size_t i;

	if (headers && !json_is_object(headers))
		return dialect_incomplete(e, "required_headers");
	for (i = 0; i < json_count(headers); i++) {
		const char *value = json_string(json_item(headers, i));

		if (value == NULL ||
			dialect_object_header(
				o, json_item_name(headers, i), value) < 0)
			return dialect_incomplete(e, "required_headers");
	}
	return 0;
}

static int reserve_answer(const struct json *a,
	const struct dialect_reservation *want, struct dialect_object *o,
	struct err *e)
{
	(void)want;
	if (dialect_need(a, "payload_object_id", &o->id, e) < 0 ||
		dialect_need(a, "presigned_put_url", &o->put_url, e) < 0 ||
		take_headers(json_member(a, "required_headers"), o, e) < 0)
		return -1;
	o->size = -1;
	return 0;
}

static void object_request(
	struct wire_request *r, const char *topic, const char *id)
{
	path_topic(r, topic, "/payloads/");
	http_escape(&r->path, id);
	r->secret = true;
}

static int object_answer(
	const struct json *a, struct dialect_object *o, struct err *e)
{
	if (dialect_need(a, "presigned_get_url", &o->get_url, e) < 0)
		return -1;
	o->id = dialect_optional(a, "payload_object_id");
	o->content_type = dialect_optional(a, "content_type");
	if (!json_int(a, "size_bytes", &o->size))
		o->size = -1;
	return 0;
}

static char *commit_metadata(const char *name, const struct dialect_object *o)
{
	struct json *doc = json_object();
	char *text;

	json_set_text(doc, "filename", name);
	json_set_text(doc, "content_type", o->content_type);
	json_set_int(doc, "size_bytes", o->size);
	text = json_print(doc);
	json_free(doc);
	return text;
}

static struct json *attachment(const char *name, const struct dialect_object *o)
{
	struct json *line = json_object();

	json_set_text(line, "name", name);
	json_set_text(line, "payload_object_id", o->id);
	json_set_text(line, "content_type", o->content_type);
	json_set_int(line, "size", o->size);
	if (o->checksum)
		json_set_text(line, "checksum_sha256", o->checksum);
	return line;
}

const struct dialect dialect_oauth = {
	.name = "oauth",
	.code_prefix = "act_",
	.oldest = "",
	.next_mark = "\"after\":\"",
	.names = { .type = "event_type",
		.position = "cursor",
		.id_is_position = true },
	.topic_id = topic_id,
	.topics_request = topics_request,
	.topics_answer = dialect_topics,
	.redeem_request = redeem_request,
	.redeem_answer = redeem_answer,
	.token_request = token_request,
	.token_answer = token_answer,
	.register_request = register_request,
	.register_answer = register_answer,
	.is_unregistered = is_unregistered,
	.device_request = device_request,
	.device_answer = device_answer,
	.wait_request = wait_request,
	.wait_refused = wait_refused,
	.login_request = login_request,
	.page_request = page_request,
	.page_answer = page_answer,
	.is_lost = is_lost,
	.inline_max = INLINE_MAX,
	.takes_objects = true,
	.takes_metadata = true,
	.takes_idempotency_key = true,
	.publish_request = publish_request,
	.publish_answer = publish_answer,
	.stream_request = stream_request,
	.stream_excludes_self = true,
	.hint = hint,
	.wants_checksum = true,
	.reserve_request = reserve_request,
	.reserve_answer = reserve_answer,
	.commit_type = "composer.upload",
	.commit_metadata = commit_metadata,
	.object_request = object_request,
	.object_answer = object_answer,
	.attachment = attachment,
};
