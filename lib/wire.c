#include "wire.h"

#include "json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECRET_MIN = 16 };

void wire_request_init(struct wire_request *r, const char *what)
{
	memset(r, 0, sizeof *r);
	r->what = what;
	r->method = "GET";
	r->path = (struct buf)BUF_INIT(WIRE_PATH_MAX);
	r->body = (struct buf)BUF_SECRET(WIRE_BODY_MAX);
}

void wire_request_header(struct wire_request *r, const char *fmt, ...)
{
	char text[4608];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	/* What came from outside must not start a header of its own. */
	text[strcspn(text, "\r\n")] = '\0';
	if (r->n_headers < WIRE_HEADERS_MAX)
		r->headers[r->n_headers++] = xstrdup(text);
}

void wire_request_release(struct wire_request *r)
{
	size_t i;

	buf_release(&r->path);
	buf_release(&r->body);
	for (i = 0; i < r->n_headers; i++)
		free(r->headers[i]);
	r->n_headers = 0;
}

int wire_exit_code(int status)
{
	switch (status) {
	case 400:
	case 409:
	case 413:
	case 422:
		return EX_DATAERR;
	case 401:
	case 403:
		return EX_NOPERM;
	case 404:
		return EX_NOINPUT;
	case 429:
		return EX_TEMPFAIL;
	default:
		return status >= 500 || status == 0 ? EX_TEMPFAIL : EX_FAILED;
	}
}

static const char *code_for(int status)
{
	switch (status) {
	case 400:
	case 422:
		return "INVALID";
	case 401:
		return "UNAUTHORIZED";
	case 403:
		return "FORBIDDEN";
	case 404:
		return "NOT_FOUND";
	case 409:
		return "CONFLICT";
	case 429:
		return "RATE_LIMITED";
	default:
		return "";
	}
}

static void put(char *to, size_t size, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	if (text == NULL)
		return;
	/* Cut between two characters. */
	if (len >= size)
		for (len = size - 1; len && (text[len] & 0xc0) == 0x80;)
			len--;
	memcpy(to, text, len);
	to[len] = '\0';
}

/* {"code"|"error", "message", "details": {"reason"}} in an object of the error
 * body. */
static void from_object(const struct json *o, struct wire_error *we)
{
	put(we->code, sizeof we->code, json_text(o, "error"));
	put(we->code, sizeof we->code, json_text(o, "code"));
	put(we->message, sizeof we->message, json_text(o, "message"));
	put(we->reason, sizeof we->reason,
		json_text(json_member(o, "details"), "reason"));
}

/* The shapes that the service has used (PROTOCOL "Errors"). */
void wire_error_read(const struct http_answer *a, struct wire_error *we)
{
	struct json *doc = json_parse(buf_text(&a->body), a->body.len, NULL);
	const struct json *error = json_member(doc, "error");
	const struct json *detail = json_member(doc, "detail");

	we->status = a->status;
	put(we->code, sizeof we->code, code_for(a->status));
	if (json_is_object(error)) {
		from_object(error, we);
	} else if (json_string(error)) {
		put(we->code, sizeof we->code, json_string(error));
		put(we->message, sizeof we->message,
			json_text(doc, "error_description"));
	} else if (json_is_object(detail)) {
		from_object(detail, we);
	} else if (json_string(detail)) {
		put(we->message, sizeof we->message, json_string(detail));
	} else if (json_string(doc)) {
		put(we->message, sizeof we->message, json_string(doc));
	}
	json_free(doc);
}

/* A service may quote in an error what it was sent. Whatever is long enough to
 * be a code, a secret or a token, and stood in what was sent, is blotted out. */
static void blot(char *text, const char *sent)
{
	static const char word[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "abcdefghijklmnopqrstuvwxyz0123456789"
				   "_-+/=.~";
	size_t all = strlen(sent), len;

	for (; *text; text++) {
		size_t run = strspn(text, word);

		len = 0;
		while (len < run && memmem(sent, all, text, len + 1))
			len++;
		if (len >= SECRET_MIN) {
			memset(text, '*', len);
			text += len - 1;
		}
	}
}

static void hide(struct wire_error *we, const char *sent)
{
	if (sent == NULL)
		return;
	blot(we->code, sent);
	blot(we->reason, sent);
	blot(we->message, sent);
}

static const char *remedy(int status)
{
	switch (status) {
	case 401:
		return "; the secret was rotated or revoked: activate again";
	case 403:
		return "; ask for a grant";
	case 404:
		return "; look at the id, and at the base URL";
	case 429:
		return "; wait, the service allows no more for now";
	default:
		if (status / 100 == 3)
			return "; is the base URL the service's own?";
		return status >= 500 ? "; try again later" : "";
	}
}

static int report(const char *what, const struct wire_error *we, bool by_code,
	struct err *e)
{
	/* RFC 6749 allows 400 for it as well. */
	int status = strcmp(we->code, "invalid_client") ? we->status : 401;
	const char *then =
		by_code && status >= 401 && status <= 404 ? "" : remedy(status);

	return err_set(e, wire_exit_code(status),
		"%s: the service answered %d%s%s%s%s%s", what, we->status,
		we->code[0] ? " " : "", we->code, we->message[0] ? ": " : "",
		we->message, then);
}

int wire_error_report(
	const char *what, const struct wire_error *we, struct err *e)
{
	return report(what, we, false, e);
}

static int refuse(const struct wire_request *r, const char *bearer,
	const struct http_answer *a, struct wire_error *we, struct err *e)
{
	const char *sent = r->secret ? buf_text(&r->body) : bearer;
	struct wire_error own = { 0 };

	if (we == NULL)
		we = &own;
	wire_error_read(a, we);
	hide(we, sent);
	hide(we, r->hidden);
	report(r->what, we, r->by_code, e);
	if (a->retry_after_ms > 0 && e)
		e->retry_ms = a->retry_after_ms;
	return -1;
}

struct http_call *wire_open(struct http *h, const char *base_url,
	const struct wire_request *r, struct http_request q, struct err *e)
{
	const char *headers[WIRE_HEADERS_MAX + 1];
	char *url = xasprintf("%s%s", base_url, buf_text(&r->path));
	struct http_call *call;
	size_t n;

	for (n = 0; n < r->n_headers; n++)
		headers[n] = r->headers[n];
	headers[n] = NULL;
	q.method = r->method;
	q.url = url;
	q.headers = headers;
	call = http_open(h, &q, e);
	free(url);
	return call;
}

/* A request as it goes out, with what it points to. */
struct outgoing {
	struct http_request q;
	const char *headers[WIRE_HEADERS_MAX + 3];
	char type[128];
	char *url; /* to be freed */
};

static void put_together(struct outgoing *o, const char *base_url,
	const struct wire_request *r, const char *bearer)
{
	size_t n = 0;

	for (; n < r->n_headers; n++)
		o->headers[n] = r->headers[n];
	if (r->body.len) {
		snprintf(o->type, sizeof o->type, "Content-Type: %s",
			r->content_type ? r->content_type : "application/json");
		o->headers[n++] = o->type;
	}
	o->headers[n++] = "Accept: application/json";
	o->headers[n] = NULL;
	o->url = xasprintf("%s%s", base_url, buf_text(&r->path));
	o->q = (struct http_request){
		.method = r->method,
		.url = o->url,
		.bearer = bearer,
		.headers = o->headers,
		.body = r->body.len ? r->body.data : NULL,
		.body_len = r->body.len,
		.answer_max = r->answer_max ? r->answer_max : WIRE_ANSWER_MAX,
		.linger_ms = r->once ? HTTP_LINGER_MS : 0,
		.secret = r->secret,
	};
}

void wire_ahead(struct http *h, const char *base_url,
	const struct wire_request *r, const char *bearer)
{
	struct outgoing o;

	put_together(&o, base_url, r, bearer);
	http_ahead(h, &o.q);
	free(o.url);
}

int wire_exchange(struct http *h, const char *base_url,
	const struct wire_request *r, const char *bearer, struct http_answer *a,
	struct wire_error *we, struct err *e)
{
	struct outgoing o;
	int status;

	put_together(&o, base_url, r, bearer);
	status = http_do(h, &o.q, a, e);
	free(o.url);
	if (status < 0)
		return err_prefix(e, "%s", r->what);
	if (a->status >= 200 && a->status < 300)
		return 0;
	return refuse(r, bearer, a, we, e);
}
