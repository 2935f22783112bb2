/* hub: access tokens of the oauth dialect, by RFC 6749. */
#include "codes.h"
#include "form.h"
#include "routes.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The service's limit is not known: one token lives ten minutes, so that this
 * leaves room for several machines and some restarts. */
enum { SMALL = 64 << 10, TOKENS_AN_HOUR = 60, TOKEN_S = 600 };

enum { GRANT_TYPE, CLIENT_ID, CLIENT_SECRET, FIELDS };

struct grant {
	struct form_want field[FIELDS];
};

static void grant_free(struct req *r)
{
	struct grant *g = r->own;

	form_release(g->field, FIELDS);
	free(g);
}

static void bad(struct req *r, const char *code, const char *why)
{
	answer_error(r, MHD_HTTP_BAD_REQUEST, code, "%s", why);
}

static int limited(
	struct req *r, struct db *db, const struct script *s, struct err *e)
{
	long wait = 0;

	if (!r->hub->options.no_rate_limits)
		wait = code_limit(db, s->row, "token", TOKENS_AN_HOUR, e);
	if (wait <= 0)
		return (int)wait;
	answer_error(r, MHD_HTTP_TOO_MANY_REQUESTS, "rate_limited",
		"At most %d an hour for a script; next in %ld s",
		TOKENS_AN_HOUR, wait);
	r->retry_after = wait;
	return 1;
}

static void add_token(struct req *r, const struct script *s)
{
	long life = r->hub->options.token_ms ? r->hub->options.token_ms
					     : TOKEN_S * 1000L;
	struct token t = { TOKEN_OAUTH, s->row, s->generation,
		db_now() + life };
	char access[TOKEN_TEXT];

	token_make(r->hub->key, &t, access);
	buf_printf(&r->out,
		"\"access_token\":\"%s\",\"token_type\":\"Bearer\","
		"\"expires_in\":%ld",
		access, life / 1000);
}

static int client_token(struct req *r, struct db *db, struct err *e)
{
	const struct grant *g = r->own;
	const char *secret = g->field[CLIENT_SECRET].value;
	unsigned char hash[SIGN_KEY];
	struct script s;
	int no = script_by_client(db, g->field[CLIENT_ID].value, &s, e);

	if (no < 0)
		return -1;
	sign_hash(secret, strlen(secret), hash);
	if (no == 0 || !s.active || !sign_equal(hash, s.secret, sizeof hash)) {
		answer_error(r, MHD_HTTP_UNAUTHORIZED, "invalid_client",
			"Unknown client, or not its secret");
		return 1;
	}
	no = limited(r, db, &s, e);
	if (no)
		return no;
	answer(r, MHD_HTTP_OK, "{");
	add_token(r, &s);
	buf_char(&r->out, '}');
	return 0;
}

static void by_secret(struct req *r, const struct grant *g)
{
	if (g->field[CLIENT_ID].value == NULL ||
		g->field[CLIENT_SECRET].value == NULL) {
		bad(r, "invalid_request",
			"client_id and client_secret are needed");
		return;
	}
	r->change = client_token;
	web_change(r);
}

static bool is_form(struct req *r)
{
	static const char form[] = "application/x-www-form-urlencoded";
	const char *type = web_header(r, "Content-Type");

	return type && strncasecmp(type, form, sizeof form - 1) == 0;
}

static void token(struct req *r)
{
	static const struct grant names = { {
		[GRANT_TYPE] = { .name = "grant_type" },
		[CLIENT_ID] = { .name = "client_id" },
		[CLIENT_SECRET] = { .name = "client_secret" },
	} };
	struct grant *g = xcalloc(1, sizeof *g);
	struct err e = { 0 };
	const char *type;

	*g = names;
	r->own = g;
	r->own_free = grant_free;
	if (!is_form(r)) {
		bad(r, "invalid_request",
			"The body has to be application/x-www-form-urlencoded");
		return;
	}
	if (form_read(r->body.data, r->body.len, g->field, FIELDS, &e) < 0) {
		bad(r, "invalid_request", e.text);
		return;
	}
	type = g->field[GRANT_TYPE].value;
	if (type == NULL)
		bad(r, "invalid_request", "grant_type is missing");
	else if (strcmp(type, "client_credentials") == 0)
		by_secret(r, g);
	else
		bad(r, "unsupported_grant_type", "There is no such grant type");
}

/* The codes of RFC 6749 are small words; ours have to become such. */
static void error(struct buf *out, const char *code, const char *text)
{
	static const char *const words[][2] = { { "INVALID",
							"invalid_request" },
		{ "TOO_LARGE", "invalid_request" },
		{ "METHOD_NOT_ALLOWED", "invalid_request" },
		{ "TEMPORARY", "temporarily_unavailable" },
		{ "INTERNAL", "server_error" } };
	size_t i;

	for (i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcmp(code, words[i][0]) == 0)
			code = words[i][1];
	buf_str(out, "{\"error\":");
	json_text(out, code);
	buf_str(out, ",\"error_description\":");
	json_text(out, text);
	buf_char(out, '}');
}

static const struct route routes[] = { { "POST", "/oauth/token", NEEDS_NOTHING,
					       SMALL, token, NULL },
	{ NULL, NULL, NEEDS_NOTHING, 0, NULL, NULL } };

const struct dialect dialect_grants = { routes, error };
