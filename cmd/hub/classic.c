/* hub: the classic dialect: its addresses, and how its scripts authenticate.
 * Endpoints of NEEDS_NOTHING carry their secrets in the body. */
#include "endpoints.h"
#include "events.h"
#include "refuse.h"
#include "routes.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

enum {
	EVENT_BODY_MAX = EVENT_PAYLOAD_MAX + ROUTE_BODY_MAX,
	TOKENS_AN_HOUR = 10,
	REFRESHES_AN_HOUR = 20,
	FIELDS = 3,
	FIELD_MAX = 1024
};

#define TOKEN_MS (3600 * (int64_t)1000)
#define REFRESH_MS (24 * (int64_t)3600 * 1000)

/* The members of a request body, as texts. */
struct fields {
	char *text[FIELDS];
};

static void fields_free(struct req *r)
{
	struct fields *f = r->own;
	size_t i;

	for (i = 0; i < FIELDS; i++)
		buf_wipe_free(f->text[i]);
	free(f);
}

/* Reads the body into r->own: `names`, all of them, all strings. -1: answered.
 */
static int read_fields(struct req *r, const char *const *names)
{
	struct raw_want want[FIELDS] = { 0 };
	struct err e = { 0 };
	struct fields *f;
	size_t n = 0, i;

	for (; n < FIELDS && names[n]; n++)
		want[n].name = names[n];
	if (raw_object(r->body.data, r->body.len, want, n, &e) < 0) {
		answer_error(r, MHD_HTTP_BAD_REQUEST, "INVALID", "%s", e.text);
		return -1;
	}
	r->own = f = xcalloc(1, sizeof *f);
	r->own_free = fields_free;
	for (i = 0; i < n; i++) {
		struct buf b = BUF_SECRET(FIELD_MAX);

		if (raw_text(want[i].value, &b) < 0 || b.len == 0) {
			buf_release(&b);
			answer_error(r, MHD_HTTP_UNPROCESSABLE_CONTENT,
				"INVALID", "%s has to be a string", names[i]);
			return -1;
		}
		f->text[i] = buf_detach(&b);
	}
	return 0;
}

static void change_with(struct req *r, const char *const *names,
	int (*change)(struct req *, struct db *, struct err *))
{
	if (read_fields(r, names) < 0)
		return;
	r->change = change;
	web_change(r);
}

/* `"access_token":…,"refresh_token":…,"expires_at":…` into the answer. */
static int add_tokens(
	struct req *r, struct db *db, const struct script *s, struct err *e)
{
	int64_t now = db_now();
	int64_t life =
		r->hub->options.token_ms ? r->hub->options.token_ms : TOKEN_MS;
	struct token t = { TOKEN_CLASSIC, s->row, s->generation, now + life,
		0 };
	struct code c = { .script = s->row, .generation = s->generation };
	char access[TOKEN_TEXT], refresh[SIGN_SECRET], when[TIME_TEXT];

	token_make(r->hub->key, &t, access);
	time_text(t.expires_ms, false, when);
	if (code_issue(db, "refresh", &c, now + REFRESH_MS, refresh, e) < 0)
		return -1;
	buf_printf(&r->out,
		"\"access_token\":\"%s\",\"refresh_token\":\"%s\","
		"\"expires_at\":\"%s\"",
		access, refresh, when);
	return 0;
}

static int activate(struct req *r, struct db *db, struct err *e)
{
	const struct fields *f = r->own;
	char secret[SIGN_SECRET];
	struct script s;
	struct code c;
	int no = refuse_code(r, code_look(db, "activation", f->text[0], &c, e));

	if (no)
		return no;
	no = script_by_row(db, c.script, &s, e);
	if (no != 1)
		return no < 0 ? -1 : refuse_code(r, CODE_UNKNOWN);
	if (code_spend(db, f->text[0], e) < 0 ||
		script_renew(db, &s, NULL, secret, e) < 0)
		return -1;
	answer(r, MHD_HTTP_OK,
		"{\"script_id\":\"%s\",\"client_secret\":\"%s\",\"grants\":",
		s.id, secret);
	if (json_grants(&r->out, db, s.row, e) < 0)
		return -1;
	buf_char(&r->out, '}');
	return 0;
}

static void auth_activate(struct req *r)
{
	static const char *const names[] = { "activation_code", NULL };

	change_with(r, names, activate);
}

/* Are these a script's id and its secret? 0 yes, 1 no (answered), -1. */
static int check_secret(struct req *r, struct db *db, const char *id,
	const char *secret, struct script *s, struct err *e)
{
	unsigned char hash[SIGN_KEY];
	int found = script_by_id(db, id, s, e);

	if (found < 0)
		return -1;
	sign_hash(secret, strlen(secret), hash);
	if (found && s->active && s->client[0] == '\0' &&
		sign_equal(hash, s->secret, sizeof hash))
		return 0;
	answer_error(r, MHD_HTTP_UNAUTHORIZED, "UNAUTHORIZED",
		"Unknown script, or not its secret");
	return 1;
}

static int make_token(struct req *r, struct db *db, struct err *e)
{
	const struct fields *f = r->own;
	struct script s;
	int no = check_secret(r, db, f->text[0], f->text[1], &s, e);

	if (no == 0)
		no = refuse_limited(r, db, s.row, "token", TOKENS_AN_HOUR, e);
	if (no)
		return no;
	answer(r, MHD_HTTP_OK, "{");
	no = add_tokens(r, db, &s, e);
	buf_char(&r->out, '}');
	return no;
}

static void auth_token(struct req *r)
{
	static const char *const names[] = { "script_id", "client_secret",
		NULL };

	change_with(r, names, make_token);
}

static int refresh(struct req *r, struct db *db, struct err *e)
{
	const struct fields *f = r->own;
	struct script s;
	struct code c;
	enum code_state state = code_look(db, "refresh", f->text[0], &c, e);
	int no = 0;

	if (state == CODE_ERROR)
		return -1;
	if (state == CODE_GOOD)
		no = script_by_row(db, c.script, &s, e);
	if (no < 0)
		return -1;
	if (no == 0 || s.generation != c.generation) {
		answer_error(r, MHD_HTTP_UNAUTHORIZED, "UNAUTHORIZED",
			"The refresh token is unknown, used or expired");
		return 1;
	}
	no = refuse_limited(r, db, s.row, "refresh", REFRESHES_AN_HOUR, e);
	if (no)
		return no;
	if (code_spend(db, f->text[0], e) < 0)
		return -1;
	answer(r, MHD_HTTP_OK, "{");
	no = add_tokens(r, db, &s, e);
	buf_char(&r->out, '}');
	return no;
}

static void auth_refresh(struct req *r)
{
	static const char *const names[] = { "refresh_token", NULL };

	change_with(r, names, refresh);
}

static int rotate(struct req *r, struct db *db, struct err *e)
{
	const struct fields *f = r->own;
	char secret[SIGN_SECRET];
	struct script s;
	int no = check_secret(r, db, f->text[0], f->text[1], &s, e);

	if (no)
		return no;
	if (script_renew(db, &s, NULL, secret, e) < 0)
		return -1;
	answer(r, MHD_HTTP_OK, "{\"client_secret\":\"%s\",", secret);
	no = add_tokens(r, db, &s, e);
	buf_char(&r->out, '}');
	return no;
}

static void auth_rotate(struct req *r)
{
	static const char *const names[] = { "script_id", "client_secret",
		NULL };

	change_with(r, names, rotate);
}

static int redeem_invite(struct req *r, struct db *db, struct err *e)
{
	const struct fields *f = r->own;
	struct script s;
	struct code c;
	struct query *q;
	int no = check_secret(r, db, f->text[1], f->text[2], &s, e);

	if (no == 0)
		no = refuse_code(r, code_look(db, "invite", f->text[0], &c, e));
	if (no)
		return no;
	if (code_spend(db, f->text[0], e) < 0 ||
		grant_add(db, s.row, c.topic, c.action, e) < 0)
		return -1;
	q = db_query(
		db, e, "SELECT id FROM topics WHERE row = ?", "i", c.topic);
	no = db_step(q, e);
	if (no == 1)
		answer(r, MHD_HTTP_OK,
			"{\"topic_id\":\"%s\",\"action\":\"%s\"}",
			db_text(q, 0), action_text(c.action));
	db_done(q);
	return no < 0 ? -1 : no == 0 ? refuse_code(r, CODE_UNKNOWN) : 0;
}

static void auth_redeem(struct req *r)
{
	static const char *const names[] = { "invite_code", "script_id",
		"client_secret", NULL };

	change_with(r, names, redeem_invite);
}

static const struct route routes[] = {
	{ "POST", "/auth/activate", NEEDS_NOTHING, ROUTE_STRANGER_MAX,
		auth_activate, NULL },
	{ "POST", "/auth/token", NEEDS_NOTHING, ROUTE_STRANGER_MAX, auth_token,
		NULL },
	{ "POST", "/auth/refresh", NEEDS_NOTHING, ROUTE_STRANGER_MAX,
		auth_refresh, NULL },
	{ "POST", "/auth/rotate-key", NEEDS_NOTHING, ROUTE_STRANGER_MAX,
		auth_rotate, NULL },
	{ "POST", "/auth/redeem-invite-code", NEEDS_NOTHING, ROUTE_STRANGER_MAX,
		auth_redeem, NULL },
	{ "GET", "/topics", NEEDS_TOKEN, 0, classic_topics, NULL },
	{ "GET", "/topics/*/events", NEEDS_READ, 0, classic_events, NULL },
	{ "POST", "/topics/*/events", NEEDS_WRITE, EVENT_BODY_MAX,
		classic_publish, NULL },
	{ "GET", "/topics/*/events/by-sequence", NEEDS_READ, 0,
		classic_by_sequence, NULL },
	{ "GET", "/topics/*/events/stream", NEEDS_READ, 0, events_stream,
		NULL },
	{ "GET", "/topics/*/events/*", NEEDS_READ, 0, classic_event, NULL },
	{ "POST", "/topics/*/payloads", NEEDS_WRITE, ROUTE_BODY_MAX,
		classic_announce, NULL },
	{ "GET", "/topics/*/payloads/*", NEEDS_READ, 0, classic_object, NULL },
	{ NULL, NULL, NEEDS_NOTHING, 0, NULL, NULL }
};

static void error(struct buf *out, const char *code, const char *text)
{
	buf_str(out, "{\"error\":{\"code\":");
	json_text(out, code);
	buf_str(out, ",\"message\":");
	json_text(out, text);
	buf_str(out, "}}");
}

const struct dialect dialect_classic = { routes, error };
