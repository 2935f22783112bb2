/* hub: the oauth dialect: its addresses, and how its scripts join. */
#include "endpoints.h"
#include "events.h"
#include "refuse.h"
#include "routes.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

enum {
	CODE_MAX = 256,
	EVENT_BODY_MAX = (256 << 10) + EVENT_METADATA_MAX + ROUTE_BODY_MAX
};

static void code_free(struct req *r)
{
	buf_wipe_free(r->own);
}

static int redeem(struct req *r, struct db *db, struct err *e)
{
	unsigned char raw[16];
	char uuid[SIGN_UUID], client[ID_MAX], when[TIME_TEXT];
	char secret[SIGN_SECRET];
	struct script s;
	struct code c;
	enum code_state state =
		code_look(db, "oauth-activation", r->own, &c, e);
	int found;

	if (state != CODE_GOOD)
		return refuse_code(r, state);
	found = script_by_row(db, c.script, &s, e);
	if (found != 1)
		return refuse_code(r, found < 0 ? CODE_ERROR : CODE_UNKNOWN);
	sign_uuid4(raw);
	sign_uuid_text(raw, uuid);
	snprintf(client, sizeof client, "crd_%s", uuid);
	if (code_spend(db, r->own, e) < 0 ||
		script_renew(db, &s, client, secret, e) < 0)
		return -1;
	time_text(db_now(), false, when);
	answer(r, MHD_HTTP_OK,
		"{\"client_id\":\"%s\",\"client_secret\":\"%s\","
		"\"script_id\":\"%s\",\"issued_at\":\"%s\"}",
		client, secret, s.id, when);
	explicit_bzero(secret, sizeof secret);
	return 0;
}

static void redeem_code(struct req *r)
{
	struct raw_want want = { .name = "code" };
	struct buf code = BUF_SECRET(CODE_MAX);
	struct err e = { 0 };

	if (raw_object(r->body.data, r->body.len, &want, 1, &e) < 0) {
		answer_error(r, MHD_HTTP_BAD_REQUEST, "INVALID", "%s", e.text);
		return;
	}
	if (raw_text(want.value, &code) < 0 || code.len == 0) {
		buf_release(&code);
		refuse_invalid(r, "code has to be a string");
		return;
	}
	r->own = buf_detach(&code);
	r->own_free = code_free;
	r->change = redeem;
	web_change(r);
}

static void error(struct buf *out, const char *code, const char *text)
{
	buf_str(out, "{\"detail\":{\"error\":");
	json_text(out, code);
	buf_str(out, ",\"message\":");
	json_text(out, text);
	buf_str(out, "}}");
}

static const struct route routes[] = {
	{ "POST", "/auth/redeem-activation-code", NEEDS_NOTHING,
		ROUTE_STRANGER_MAX, redeem_code, NULL },
	{ "GET", "/topics", NEEDS_TOKEN, 0, oauth_topics, NULL },
	{ "GET", "/topics/*/events", NEEDS_READ, 0, oauth_events, NULL },
	{ "POST", "/topics/*/events", NEEDS_WRITE, EVENT_BODY_MAX,
		oauth_publish, NULL },
	{ "GET", "/topics/*/events/stream", NEEDS_READ, 0, events_stream,
		NULL },
	{ "GET", "/topics/*/events/*", NEEDS_READ, 0, oauth_event, NULL },
	{ "POST", "/topics/*/payloads", NEEDS_WRITE, ROUTE_BODY_MAX,
		oauth_announce, NULL },
	{ "GET", "/topics/*/payloads/*", NEEDS_READ, 0, oauth_object, NULL },
	{ NULL, NULL, NEEDS_NOTHING, 0, NULL, NULL }
};

const struct dialect dialect_oauth = { routes, error };
