/* hub: what an administrator does over HTTP. */
#include "codes.h"
#include "endpoints.h"
#include "raw.h"
#include "text.h"

static int issue(struct req *r, struct db *db, struct err *e)
{
	const int64_t *ttl_ms = r->own;
	char code[SIGN_SECRET], when[TIME_TEXT];
	int64_t expires = db_now() + *ttl_ms;
	struct script s;
	struct code c = { 0 };
	int found = script_find(db, r->part[0], &s, e);

	if (found < 0)
		return -1;
	if (found == 0) {
		answer_error(r, MHD_HTTP_NOT_FOUND, "NOT_FOUND",
			"There is no such script");
		return 1;
	}
	c.script = s.row;
	if (code_issue(db, "activation", &c, expires, code, e) < 0)
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
	static int64_t ttl[] = { 3600000, 6 * 3600000, 24 * 3600000 };
	struct raw_want want = { .name = "ttl_hours" };
	struct err e = { 0 };
	int64_t hours;

	if (raw_object(r->body.data, r->body.len, &want, 1, &e) < 0) {
		answer_error(r, MHD_HTTP_BAD_REQUEST, "INVALID", "%s", e.text);
		return;
	}
	hours = raw_number(want.value);
	if (hours != 1 && hours != 6 && hours != 24) {
		answer_error(r, MHD_HTTP_UNPROCESSABLE_CONTENT, "INVALID",
			"ttl_hours has to be 1, 6 or 24");
		return;
	}
	r->own = &ttl[hours == 1 ? 0 : hours == 6 ? 1 : 2];
	r->change = issue;
	web_change(r);
}
