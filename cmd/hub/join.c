/* hub: how programs ask to be let in without a code (RFC 7591, 8628). */
#include "devices.h"
#include "endpoints.h"
#include "form.h"
#include "refuse.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

/* Nobody has to be known for these, so the limits are all comers' together. */
enum {
	REGISTER_AN_HOUR = 60,
	AUTHORIZE_AN_HOUR = 120,
	INTERVAL_S = 5,
	INTERVAL_FREE_S = 1, /* with --no-rate-limits */
	BUSY_S = 60
};

static void free_own(struct req *r)
{
	free(r->own);
}

static int add_client(struct req *r, struct db *db, struct err *e)
{
	char id[ID_MAX];
	int ok = refuse_limited(r, db, 0, "register", REGISTER_AN_HOUR, e);

	if (ok)
		return ok;
	ok = client_add(db, r->own, id, e);
	if (ok == 0)
		refuse_for(r, BUSY_S);
	if (ok != 1)
		return ok < 0 ? -1 : 1;
	answer(r, MHD_HTTP_CREATED,
		"{\"client_id\":\"%s\",\"client_id_issued_at\":%lld,"
		"\"token_endpoint_auth_method\":\"none\",\"grant_types\":"
		"[\"urn:ietf:params:oauth:grant-type:device_code\","
		"\"refresh_token\"],\"client_name\":",
		id, (long long)(db_now() / 1000));
	json_text(&r->out, r->own);
	buf_char(&r->out, '}');
	return 0;
}

/* What a client may want beyond that (RFC 7591 lets a server answer with what
 * it grants instead) is not looked at. */
void join_register(struct req *r)
{
	struct raw_want name = { .name = "client_name" };
	struct buf b = BUF_INIT(CLIENT_NAME_MAX);
	struct err e = { 0 };

	if (raw_object(r->body.data, r->body.len, &name, 1, &e) < 0) {
		answer_error(r, MHD_HTTP_BAD_REQUEST, "invalid_client_metadata",
			"%s", e.text);
		return;
	}
	if (!raw_is_null(name.value) && raw_text(name.value, &b) < 0) {
		buf_release(&b);
		answer_error(r, MHD_HTTP_BAD_REQUEST, "invalid_client_metadata",
			"client_name has to be a string of at most %d bytes",
			CLIENT_NAME_MAX);
		return;
	}
	r->own = xstrdup(buf_text(&b));
	r->own_free = free_own;
	buf_release(&b);
	r->change = add_client;
	web_change(r);
}

static int add_device(struct req *r, struct db *db, struct err *e)
{
	const char *client = r->own;
	struct buf origin = BUF_INIT(512);
	struct device d = { .interval_s = INTERVAL_S };
	int ok = client_is_there(db, client, e);

	if (ok == 0)
		answer_error(r, MHD_HTTP_UNAUTHORIZED, "invalid_client",
			"There is no such client; register first");
	if (ok != 1)
		return ok < 0 ? -1 : 1;
	ok = refuse_limited(r, db, 0, "device", AUTHORIZE_AN_HOUR, e);
	if (ok)
		return ok;
	if (r->hub->options.no_rate_limits)
		d.interval_s = INTERVAL_FREE_S;
	ok = device_add(db, client, &d, e);
	if (ok == 0)
		refuse_for(r, BUSY_S);
	if (ok != 1)
		return ok < 0 ? -1 : 1;
	web_origin(r, &origin);
	answer(r, MHD_HTTP_OK,
		"{\"device_code\":\"%s\",\"user_code\":\"%s\","
		"\"verification_uri\":\"%s/device\",\"expires_in\":%ld,"
		"\"interval\":%ld}",
		d.code, d.user_code, buf_text(&origin), d.life_s, d.interval_s);
	buf_release(&origin);
	explicit_bzero(&d, sizeof d);
	return 0;
}

void join_authorize(struct req *r)
{
	struct form_want client = { .name = "client_id" };
	struct err e = { 0 };

	if (form_read(r->body.data, r->body.len, &client, 1, &e) < 0 ||
		client.value == NULL) {
		form_release(&client, 1);
		answer_error(r, MHD_HTTP_BAD_REQUEST, "invalid_request", "%s",
			e.code ? e.text : "client_id is needed");
		return;
	}
	r->own = client.value;
	r->own_free = free_own;
	r->change = add_device;
	web_change(r);
}

void device_page(struct req *r)
{
	static char text[] =
		"A program shows you a code and wants to join this hub.\n"
		"Whoever runs the hub lets it in as a script, or does not:\n\n"
		"  agentrux-hub --db FILE device approve CODE SCRIPT\n"
		"  agentrux-hub --db FILE device deny CODE\n\n"
		"Do not approve a code that nobody has told you of.\n";
	struct MHD_Response *m = MHD_create_response_from_buffer(
		sizeof text - 1, text, MHD_RESPMEM_PERSISTENT);

	if (m) {
		MHD_add_response_header(
			m, "Content-Type", "text/plain; charset=utf-8");
		answer_response(r, MHD_HTTP_OK, m);
	} else {
		answer_failure(r, &(struct err){ .code = EX_IOERR });
	}
}
