/* hub: what an administrator does over HTTP. */
#include "codes.h"
#include "devices.h"
#include "endpoints.h"
#include "raw.h"
#include "text.h"

#include <stdlib.h>

#define HOUR_MS (3600 * (int64_t)1000)

/* A code that is wanted. */
struct order {
	int64_t ttl_ms;
	const char *kind;
};

static void free_own(struct req *r)
{
	free(r->own);
}

/* The script that is meant, by id or name. 1, 0 answered, -1. */
static int find(struct req *r, struct db *db, const char *name,
	struct script *s, struct err *e)
{
	int found = script_find(db, name, s, e);

	if (found == 0)
		answer_error(r, MHD_HTTP_NOT_FOUND, "NOT_FOUND",
			"There is no such script");
	return found;
}

static int issue(struct req *r, struct db *db, struct err *e)
{
	const struct order *o = r->own;
	char code[SIGN_SECRET], when[TIME_TEXT];
	int64_t expires = db_now() + o->ttl_ms;
	struct script s;
	struct code c = { 0 };
	int found = find(r, db, r->part[0], &s, e);

	if (found != 1)
		return found < 0 ? -1 : 1;
	c.script = s.row;
	if (code_issue(db, o->kind, &c, expires, code, e) < 0)
		return -1;
	time_text(expires, false, when);
	answer(r, MHD_HTTP_CREATED,
		"{\"activation_code\":\"%s\",\"script_id\":\"%s\","
		"\"expires_at\":\"%s\"}",
		code, s.id, when);
	return 0;
}

void console_issue_code(struct req *r)
{
	struct raw_want w[] = { { .name = "ttl_hours" }, { .name = "oauth" } };
	struct err e = { 0 };
	struct order *o;
	int64_t hours;

	if (raw_object(r->body.data, r->body.len, w, 2, &e) < 0) {
		answer_error(r, MHD_HTTP_BAD_REQUEST, "INVALID", "%s", e.text);
		return;
	}
	hours = raw_number(w[0].value);
	if (hours != 1 && hours != 6 && hours != 24) {
		answer_error(r, MHD_HTTP_UNPROCESSABLE_CONTENT, "INVALID",
			"ttl_hours has to be 1, 6 or 24");
		return;
	}
	r->own = o = xcalloc(1, sizeof *o);
	r->own_free = free_own;
	o->ttl_ms = hours * HOUR_MS;
	o->kind = raw_is_true(w[1].value) ? "oauth-activation" : "activation";
	r->change = issue;
	web_change(r);
}

/* Lets a program in as `s`, or denies it with NULL. 0, 1 answered, -1. */
static int answer_device(
	struct req *r, struct db *db, const struct script *s, struct err *e)
{
	int n = device_answer(db, r->part[0], s ? s->row : 0, e);

	if (n == 0)
		answer_error(r, MHD_HTTP_NOT_FOUND, "NOT_FOUND",
			"Nobody waits with this code");
	if (n != 1)
		return n < 0 ? -1 : 1;
	answer(r, MHD_HTTP_OK, s ? "{\"script_id\":\"%s\"}" : "{}",
		s ? s->id : "");
	return 0;
}

static int approve(struct req *r, struct db *db, struct err *e)
{
	struct script s;
	int found = find(r, db, r->own, &s, e);

	return found == 1 ? answer_device(r, db, &s, e) : found < 0 ? -1 : 1;
}

void console_approve(struct req *r)
{
	struct raw_want want = { .name = "script" };
	struct buf name = BUF_INIT(NAME_LEN_MAX);
	struct err e = { 0 };

	if (raw_object(r->body.data, r->body.len, &want, 1, &e) < 0) {
		answer_error(r, MHD_HTTP_BAD_REQUEST, "INVALID", "%s", e.text);
	} else if (raw_text(want.value, &name) < 0 || name.len == 0) {
		answer_error(r, MHD_HTTP_UNPROCESSABLE_CONTENT, "INVALID",
			"script has to be a script's id or name");
	} else {
		r->own = xstrdup(buf_text(&name));
		r->own_free = free_own;
		r->change = approve;
		web_change(r);
	}
	buf_release(&name);
}

static int deny(struct req *r, struct db *db, struct err *e)
{
	return answer_device(r, db, NULL, e);
}

void console_deny(struct req *r)
{
	r->change = deny;
	web_change(r);
}
