/* service: the classic dialect (PROTOCOL, left column), the only place with
 * its paths and field names. */
#include "dialect.h"

#include "json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	TOKEN_LIFETIME_MS = 3600000, /* where expires_at tells nothing */
	INLINE_MAX = 10485760,
};

static char *topic_id(const char *topic)
{
	return xstrdup(topic);
}

static void topics_request(struct wire_request *r)
{
	buf_str(&r->path, "/topics");
}

static void path_topic(
	struct wire_request *r, const char *topic, const char *rest)
{
	buf_str(&r->path, "/topics/");
	http_escape(&r->path, topic);
	buf_str(&r->path, rest);
}

/* --- activation and tokens --- */

static void redeem_request(struct wire_request *r, const char *code)
{
	struct json *doc = json_object();

	json_set_text(doc, "activation_code", code);
	buf_str(&r->path, "/auth/activate");
	r->secret = true;
	dialect_body(r, doc);
}

/* What was granted, without whatever else may come along. */
static struct json *grants_of(const struct json *list)
{
	static const char *const names[] = { "grant_id", "topic_id", "action" };
	struct json *grants = json_array(), *grant;
	size_t i, k;

	for (i = 0; i < json_count(list); i++) {
		grant = json_object();
		for (k = 0; k < sizeof names / sizeof *names; k++)
			json_set_text(grant, names[k],
				json_text(json_item(list, i), names[k]));
		json_add(grants, grant);
	}
	return grants;
}

static int redeem_answer(const struct json *a, struct cred *c,
	struct json **grants, struct err *e)
{
	const struct json *list = json_member(a, "grants");

	if (dialect_need(a, "script_id", &c->script_id, e) < 0 ||
		dialect_need(a, "client_secret", &c->secret, e) < 0)
		return -1;
	*grants = json_is_array(list) ? grants_of(list) : NULL;
	return 0;
}

static void with_credentials(struct json *doc, const struct cred *c)
{
	json_set_text(doc, "script_id", c->script_id);
	json_set_text(doc, "client_secret", c->secret);
}

static void token_request(struct wire_request *r, const struct cred *c)
{
	struct json *doc = json_object();

	with_credentials(doc, c);
	buf_str(&r->path, "/auth/token");
	r->secret = true;
	dialect_body(r, doc);
}

static void refresh_request(struct wire_request *r, const char *refresh_token)
{
	struct json *doc = json_object();

	json_set_text(doc, "refresh_token", refresh_token);
	buf_str(&r->path, "/auth/refresh");
	r->secret = true;
	dialect_body(r, doc);
}

/* Two digits as a number, or -1. */
static long two_digits(const char *s)
{
	if (s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9')
		return -1;
	return (s[0] - '0') * 10 + (s[1] - '0');
}

/* "+09:00", "+0900", "+09" in seconds; 0 for Z or nothing. -1: neither. */
static int offset_seconds(const char *s, long *seconds)
{
	char sign = *s;
	long h, m = 0;

	*seconds = 0;
	if (*s == '\0' || strcmp(s, "Z") == 0 || strcmp(s, "z") == 0)
		return 0;
	if (sign != '+' && sign != '-')
		return -1;
	h = two_digits(++s);
	if (h < 0)
		return -1;
	s += 2;
	if (*s == ':')
		s++;
	if (*s) {
		m = two_digits(s);
		if (m < 0 || s[2])
			return -1;
	}
	*seconds = (sign == '-' ? -1 : 1) * (h * 3600 + m * 60);
	return 0;
}

/* An ISO 8601 time with a T, in ms since the epoch; -1 if it is none. */
static int64_t iso_ms(const char *s)
{
	struct tm tm = { 0 };
	const char *rest;
	long offset;

	if (*s < '0' || *s > '9')
		return -1;
	rest = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
	if (rest == NULL)
		return -1;
	if (*rest == '.' || *rest == ',')
		rest += 1 + strspn(rest + 1, "0123456789");
	if (offset_seconds(rest, &offset) < 0)
		return -1;
	return ((int64_t)timegm(&tm) - offset) * 1000;
}

static int64_t lifetime(const struct json *a, time_t date)
{
	const char *text = json_text(a, "expires_at");
	int64_t end = -1, now;

	if (text)
		end = iso_ms(text);
	else if (!json_int(a, "expires_at", &end))
		end = -1;
	if (end <= 0)
		return TOKEN_LIFETIME_MS;
	/* Both times are the server's: our own clock may be wrong. */
	now = (int64_t)(date ? date : time(NULL)) * 1000;
	end -= now;
	/* A token that is granted expired tells nothing; nor does, without
	 * the server's Date, a clock of ours that may be a year off. Asking
	 * again and again would cost all tokens that there are. */
	if (end <= 0 || (!date && end > TOKEN_LIFETIME_MS))
		return TOKEN_LIFETIME_MS;
	return end;
}

static int token_answer(const struct json *a, time_t date,
	struct dialect_token *t, struct err *e)
{
	const char *refresh = json_text(a, "refresh_token");

	if (dialect_need(a, "access_token", &t->access, e) < 0)
		return -1;
	t->refresh = refresh && *refresh ? xstrdup(refresh) : NULL;
	t->lifetime_ms = lifetime(a, date);
	return 0;
}

static void invite_request(
	struct wire_request *r, const struct cred *c, const char *code)
{
	struct json *doc = json_object();

	json_set_text(doc, "invite_code", code);
	with_credentials(doc, c);
	buf_str(&r->path, "/auth/redeem-invite-code");
	r->secret = true;
	dialect_body(r, doc);
}

static int invite_answer(
	const struct json *a, char **topic_id, char **action, struct err *e)
{
	const char *s = json_text(a, "action");

	if (dialect_need(a, "topic_id", topic_id, e) < 0)
		return -1;
	*action = s && *s ? xstrdup(s) : NULL;
	return 0;
}

static void rotate_request(struct wire_request *r, const struct cred *c)
{
	struct json *doc = json_object();

	with_credentials(doc, c);
	buf_str(&r->path, "/auth/rotate-key");
	r->secret = true;
	dialect_body(r, doc);
}

static int rotate_answer(const struct json *a, time_t date, char **secret,
	struct dialect_token *t, struct err *e)
{
	if (dialect_need(a, "client_secret", secret, e) < 0)
		return -1;
	/* A token comes along; one that does not can be asked for. */
	if (token_answer(a, date, t, NULL) < 0)
		dialect_token_release(t);
	return 0;
}

/* --- events --- */

static void page_request(struct wire_request *r, const struct dialect_page *p)
{
	path_topic(r, p->topic, "/events");
	buf_printf(&r->path, "?limit=%ld", p->limit);
	if (p->after) {
		buf_str(&r->path, "&after_sequence_no=");
		http_escape(&r->path, p->after);
	}
	if (p->type) {
		buf_str(&r->path, "&type=");
		http_escape(&r->path, p->type);
	}
	r->answer_max = p->limit > 1 ? DIALECT_PAGE_MAX : DIALECT_EVENT_MAX;
}

static int page_answer(
	struct slice_walk *members, struct dialect_listing *l, struct err *e)
{
	struct slice name, value;

	while (slice_walk_next(members, &name, &value))
		if (slice_is(name, "items"))
			l->events = value;
	if (slice_kind(l->events) != '[')
		return dialect_incomplete(e, "items");
	return 0;
}

static void publish_request(
	struct wire_request *r, const struct dialect_publication *p)
{
	char *quoted = json_quote(p->type);

	r->method = "POST";
	path_topic(r, p->topic, "/events");
	buf_printf(&r->body, "{\"type\":%s,\"payload\":", quoted);
	buf_add(&r->body, p->payload.p, p->payload.len);
	free(quoted);
	if (p->correlation_id) {
		quoted = json_quote(p->correlation_id);
		buf_printf(&r->body, ",\"correlation_id\":%s", quoted);
		free(quoted);
	}
	if (p->reply_topic) {
		quoted = json_quote(p->reply_topic);
		buf_printf(&r->body, ",\"reply_topic\":%s", quoted);
		free(quoted);
	}
	buf_char(&r->body, '}');
}

static int publish_answer(const struct json *a, char **event_id, struct err *e)
{
	return dialect_need(a, "event_id", event_id, e);
}

static void stream_request(
	struct wire_request *r, const struct dialect_stream *s)
{
	path_topic(r, s->topic, "/events/stream");
	wire_request_header(r, "Accept: text/event-stream");
	wire_request_header(r, "Cache-Control: no-cache");
	if (s->position) {
		buf_str(&r->path, "?after_sequence_no=");
		http_escape(&r->path, s->position);
		wire_request_header(r, "Last-Event-ID: %s", s->position);
	}
}

static enum dialect_hint hint(
	const struct sse_frame *frame, struct dialect_news *news)
{
	enum dialect_hint kind = dialect_hint_kind(frame, &news->error);
	struct json *doc;

	if (kind == DIALECT_EVENT) {
		doc = json_parse(frame->data, frame->data_len, NULL);
		json_int(doc, "latest_sequence_no", &news->latest);
		json_free(doc);
	}
	return kind;
}

/* --- files --- */

static void reserve_request(
	struct wire_request *r, const struct dialect_reservation *want)
{
	struct json *doc = json_object();

	json_set_text(doc, "content_type", want->content_type);
	json_set_text(doc, "filename", want->name);
	json_set_int(doc, "size", want->size);
	path_topic(r, want->topic, "/payloads");
	r->secret = true; /* a presigned URL is a key in itself */
	dialect_body(r, doc);
}

static int reserve_answer(const struct json *a,
	const struct dialect_reservation *want, struct dialect_object *o,
	struct err *e)
{
	if (dialect_need(a, "object_id", &o->id, e) < 0 ||
		dialect_need(a, "upload_url", &o->put_url, e) < 0)
		return -1;
	/* As announced: upload.h lets no other type pass. */
	dialect_object_header(o, "Content-Type", want->content_type);
	o->get_url = dialect_optional(a, "download_url");
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
	if (dialect_need(a, "download_url", &o->get_url, e) < 0)
		return -1;
	o->id = dialect_optional(a, "object_id");
	o->content_type = dialect_optional(a, "content_type");
	if (!json_int(a, "size", &o->size))
		o->size = -1;
	return 0;
}

static char *object_url(const char *base_url, const char *topic, const char *id)
{
	return xasprintf("%s/topics/%s/payloads/%s", base_url, topic, id);
}

static struct json *attachment(const char *name, const struct dialect_object *o)
{
	struct json *line = json_object();

	json_set_text(line, "name", name);
	json_set_text(line, "object_id", o->id);
	json_set_text(line, "content_type", o->content_type);
	json_set_int(line, "size", o->size);
	json_set_text(line, "download_url", o->get_url);
	if (o->checksum)
		json_set_text(line, "checksum_sha256", o->checksum);
	return line;
}

const struct dialect dialect_classic = {
	.name = "classic",
	.code_prefix = "ac_",
	.oldest = "0",
	.numeric = true,
	.names = { .type = "type", .position = "sequence_no" },
	.next_mark = "\"sequence_no\":",
	.topic_id = topic_id,
	.topics_request = topics_request,
	.topics_answer = dialect_topics,
	.redeem_request = redeem_request,
	.redeem_answer = redeem_answer,
	.token_request = token_request,
	.refresh_request = refresh_request,
	.token_answer = token_answer,
	.invite_prefix = "inv_",
	.invite_request = invite_request,
	.invite_answer = invite_answer,
	.rotate_request = rotate_request,
	.rotate_answer = rotate_answer,
	.page_request = page_request,
	.page_answer = page_answer,
	.inline_max = INLINE_MAX,
	.publish_request = publish_request,
	.publish_answer = publish_answer,
	.stream_request = stream_request,
	.hint = hint,
	.reserve_request = reserve_request,
	.reserve_answer = reserve_answer,
	.object_request = object_request,
	.object_answer = object_answer,
	.object_url = object_url,
	.attachment = attachment,
};
