/* hub: access tokens of the oauth dialect, by RFC 6749 and 8628. */
#include "devices.h"
#include "endpoints.h"
#include "form.h"
#include "refuse.h"
#include "routes.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The service's limit is not known: one token lives ten minutes, so that this
 * leaves room for several machines and some restarts. */
enum { TOKENS_AN_HOUR = 60, TOKEN_S = 600 };

enum {
	GRANT_TYPE,
	CLIENT_ID,
	CLIENT_SECRET,
	DEVICE_CODE,
	REFRESH_TOKEN,
	FIELDS
};

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

static const char *field(struct req *r, int which)
{
	return ((const struct grant *)r->own)->field[which].value;
}

static void add_token(struct req *r, const struct script *s, int64_t family)
{
	long life = r->hub->options.token_ms ? r->hub->options.token_ms
					     : TOKEN_S * 1000L;
	struct token t = { TOKEN_OAUTH, s->row, s->generation, db_now() + life,
		family };
	char access[TOKEN_TEXT];

	token_make(r->hub->key, &t, access);
	buf_printf(&r->out,
		"\"access_token\":\"%s\",\"token_type\":\"Bearer\","
		"\"expires_in\":%ld",
		access, life / 1000);
}

static int by_secret(struct req *r, struct db *db, struct err *e)
{
	const char *secret = field(r, CLIENT_SECRET);
	unsigned char hash[SIGN_KEY];
	struct script s;
	int no = script_by_client(db, field(r, CLIENT_ID), &s, e);

	if (no < 0)
		return -1;
	sign_hash(secret, strlen(secret), hash);
	if (no == 0 || !s.active || !sign_equal(hash, s.secret, sizeof hash)) {
		answer_error(r, MHD_HTTP_UNAUTHORIZED, "invalid_client",
			"Unknown client, or not its secret");
		return 1;
	}
	no = refuse_limited(r, db, s.row, "token", TOKENS_AN_HOUR, e);
	if (no)
		return no;
	answer(r, MHD_HTTP_OK, "{");
	add_token(r, &s, 0);
	buf_char(&r->out, '}');
	return 0;
}

/* A token and a refresh token of a family. */
static int answer_family(struct req *r, struct db *db, const struct script *s,
	int64_t family, struct err *e)
{
	struct code c = { .script = s->row, .generation = family };
	char refresh[SIGN_SECRET];

	if (code_issue(db, "oauth-refresh", &c, db_now() + FAMILY_MS, refresh,
		    e) < 0)
		return -1;
	answer(r, MHD_HTTP_OK, "{");
	add_token(r, s, family);
	buf_printf(&r->out, ",\"refresh_token\":\"%s\",\"script_id\":\"%s\"}",
		refresh, s->id);
	explicit_bzero(refresh, sizeof refresh);
	return 0;
}

static int no_grant(struct req *r, const char *code, const char *why)
{
	bad(r, code, why);
	return 1;
}

static int by_device(struct req *r, struct db *db, struct err *e)
{
	const char *client = field(r, CLIENT_ID);
	struct script s;
	int64_t script = 0, family = 0;
	int found;

	switch (device_poll(db, client, field(r, DEVICE_CODE), &script, e)) {
	case DEVICE_APPROVED:
		break;
	case DEVICE_PENDING:
		bad(r, "authorization_pending", "Not approved yet");
		return 0; /* when it asked is to be kept */
	case DEVICE_TOO_FAST:
		bad(r, "slow_down", "Ask less often: 5 s more in between");
		return 0;
	case DEVICE_DENIED:
		return no_grant(r, "access_denied", "It was denied");
	case DEVICE_EXPIRED:
		return no_grant(r, "expired_token", "Nobody approved in time");
	case DEVICE_UNKNOWN:
		return no_grant(r, "invalid_grant",
			"The device code is unknown or used");
	case DEVICE_ERROR:
		return -1;
	}
	found = script_by_row(db, script, &s, e);
	if (found == 0)
		return no_grant(r, "access_denied", "The script is gone");
	if (found < 0 || family_add(db, client, script, &family, e) < 0)
		return -1;
	return answer_family(r, db, &s, family, e);
}

/* A refresh token that comes a second time may have been stolen: whoever has
 * one of its family has to ask a person again. */
static int by_refresh(struct req *r, struct db *db, struct err *e)
{
	const char *token = field(r, REFRESH_TOKEN);
	struct script s;
	struct code c = { 0 };
	enum code_state state = code_look(db, "oauth-refresh", token, &c, e);
	int no = 0;

	if (state == CODE_GOOD || state == CODE_SPENT)
		no = family_is_there(db, c.generation, field(r, CLIENT_ID), e);
	if (state == CODE_ERROR || no < 0)
		return -1;
	if (no == 0)
		return no_grant(r, "invalid_grant",
			"The refresh token is unknown or ended");
	if (state == CODE_SPENT) {
		bad(r, "invalid_grant", "The refresh token was used before");
		return family_end(db, c.generation, e);
	}
	no = script_by_row(db, c.script, &s, e);
	if (no != 1)
		return no < 0 ? -1
			      : no_grant(r, "invalid_grant",
					"The script is gone");
	no = refuse_limited(r, db, s.row, "token", TOKENS_AN_HOUR, e);
	if (no)
		return no;
	if (code_spend(db, token, e) < 0 ||
		family_used(db, c.generation, e) < 0)
		return -1;
	return answer_family(r, db, &s, c.generation, e);
}

/* What a grant type needs, and what it does. */
static const struct grant_type {
	const char *name;
	int needs[3]; /* fields, 0 at the end */
	int (*change)(struct req *r, struct db *db, struct err *e);
} grant_types[] = {
	{ "client_credentials", { CLIENT_ID, CLIENT_SECRET, 0 }, by_secret },
	{ "urn:ietf:params:oauth:grant-type:device_code",
		{ CLIENT_ID, DEVICE_CODE, 0 }, by_device },
	{ "refresh_token", { CLIENT_ID, REFRESH_TOKEN, 0 }, by_refresh },
};

static void exchange(struct req *r, const struct grant_type *t)
{
	const struct grant *g = r->own;
	const int *need;

	for (need = t->needs; *need; need++) {
		if (g->field[*need].value)
			continue;
		answer_error(r, MHD_HTTP_BAD_REQUEST, "invalid_request",
			"%s is missing", g->field[*need].name);
		return;
	}
	r->change = t->change;
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
		[DEVICE_CODE] = { .name = "device_code" },
		[REFRESH_TOKEN] = { .name = "refresh_token" },
	} };
	struct grant *g = xcalloc(1, sizeof *g);
	struct err e = { 0 };
	const char *type;
	size_t i;

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
	if (type == NULL) {
		bad(r, "invalid_request", "grant_type is missing");
		return;
	}
	for (i = 0; i < sizeof grant_types / sizeof grant_types[0]; i++)
		if (strcmp(type, grant_types[i].name) == 0) {
			exchange(r, &grant_types[i]);
			return;
		}
	bad(r, "unsupported_grant_type", "There is no such grant type");
}

/* The codes of RFC 6749 are small words; ours have to become such. */
static void error(struct buf *out, const char *code, const char *text)
{
	static const char *const words[][2] = { { "INVALID",
							"invalid_request" },
		{ "TOO_LARGE", "invalid_request" },
		{ "METHOD_NOT_ALLOWED", "invalid_request" },
		{ "RATE_LIMITED", "rate_limited" },
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

static const struct route routes[] = {
	{ "POST", "/oauth/register", NEEDS_NOTHING, ROUTE_STRANGER_MAX,
		join_register, NULL },
	{ "POST", "/oauth/device/authorize", NEEDS_NOTHING, ROUTE_STRANGER_MAX,
		join_authorize, NULL },
	{ "POST", "/oauth/token", NEEDS_NOTHING, ROUTE_STRANGER_MAX, token,
		NULL },
	{ NULL, NULL, NEEDS_NOTHING, 0, NULL, NULL }
};

const struct dialect dialect_grants = { routes, error };
