#include "routes.h"

#include "devices.h"
#include "endpoints.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* What stands behind "Bearer " in the Authorization header, or NULL. */
static const char *bearer(struct req *r)
{
	const char *s = web_header(r, "Authorization");

	if (s == NULL || strncasecmp(s, "Bearer ", 7) != 0)
		return NULL;
	s += 7;
	return s + strspn(s, " ");
}

/* Does `url` have the form of `path`? What its "*" stand for goes to part. */
static bool matches(
	const char *path, const char *url, char part[REQ_PARTS][REQ_PART_MAX])
{
	size_t stars = 0, n;

	while (*path) {
		if (*path != '*') {
			if (*path++ != *url++)
				return false;
			continue;
		}
		n = strcspn(url, "/");
		if (n == 0 || n >= REQ_PART_MAX || stars == REQ_PARTS)
			return false;
		snprintf(part[stars++], REQ_PART_MAX, "%.*s", (int)n, url);
		url += n;
		path++;
	}
	return *url == '\0';
}

/* Looks through a table; what other methods would do goes to r->allow. */
static void look(struct req *r, const struct route *c, const char *method,
	const char *url)
{
	for (; c->method && r->route == NULL; c++) {
		if (!matches(c->path, url, r->part))
			continue;
		if (strcmp(c->method, method) == 0)
			r->route = c;
		else if (strstr(r->allow, c->method) == NULL)
			snprintf(r->allow + strlen(r->allow),
				sizeof r->allow - strlen(r->allow), "%s%s",
				r->allow[0] ? ", " : "", c->method);
	}
}

static void find_route(struct req *r, const char *method, const char *url)
{
	static const struct dialect *const all[] = { &dialect_classic,
		&dialect_oauth, &dialect_grants };
	const struct route *c;
	size_t i;

	look(r, r->dialect->routes, method, url);
	look(r, shared_routes, method, url);
	/* Who has no token yet says by the address what it speaks. */
	for (i = 0; i < sizeof all / sizeof all[0] && r->route == NULL; i++) {
		look(r, all[i]->routes, method, url);
		if (r->route)
			r->dialect = all[i];
	}
	c = r->route;
	if (c) {
		r->allow[0] = '\0';
		r->body_max = r->body.max = c->body_max;
		/* Only these move secrets; wiping costs. */
		r->body.secret = r->out.secret =
			c->needs == NEEDS_NOTHING || c->needs == NEEDS_ADMIN;
		return;
	}
	if (r->allow[0])
		answer_error(r, MHD_HTTP_METHOD_NOT_ALLOWED,
			"METHOD_NOT_ALLOWED", "Allowed here: %s", r->allow);
	else
		answer_error(r, MHD_HTTP_NOT_FOUND, "NOT_FOUND",
			"There is nothing at this address");
}

static void unauthorized(struct req *r, const char *why)
{
	answer_error(r, MHD_HTTP_UNAUTHORIZED, "UNAUTHORIZED", "%s", why);
}

/* Is a token of ours still good? Finds its script. 1, 0, -1. */
static int is_good(
	struct db *db, const struct token *t, struct script *s, struct err *e)
{
	int r = script_by_row(db, t->script, s, e);

	if (r == 1)
		r = s->generation == t->generation;
	if (r == 1 && t->family)
		r = family_is_there(db, t->family, NULL, e);
	return r;
}

static int check_token(struct req *r, struct db *db, struct err *e)
{
	const char *s = bearer(r);
	int good;

	if (s == NULL)
		unauthorized(r, "An access token is needed");
	else if (token_read(r->hub->key, s, &r->token) < 0)
		unauthorized(r, "The access token is not one of ours");
	else if (r->token.expires_ms <= db_now())
		unauthorized(r, "The access token has expired");
	if (r->status)
		return 0;
	good = is_good(db, &r->token, &r->script, e);
	if (good == 0)
		unauthorized(r, "The access token was revoked");
	return good < 0 ? -1 : 0;
}

static int check_grant(struct req *r, struct db *db, struct err *e)
{
	int need = r->route->needs == NEEDS_READ ? ACTION_READ : ACTION_WRITE;
	int found = topic_by_id(db, r->part[0], &r->topic, e), bits;

	if (found < 0)
		return -1;
	if (found == 0) {
		answer_error(r, MHD_HTTP_NOT_FOUND, "NOT_FOUND",
			"There is no such topic");
		return 0;
	}
	bits = grant_bits(db, r->script.row, r->topic.row, e);
	if (bits < 0)
		return -1;
	if (!(bits & need))
		answer_error(r, MHD_HTTP_FORBIDDEN, "FORBIDDEN",
			"This script has no '%s' grant for the topic",
			action_text(need));
	return 0;
}

static void check_script(struct req *r)
{
	struct err e = { 0 };
	struct db *db = db_take(r->hub->pool, &e);
	int ok = db ? check_token(r, db, &e) : -1;

	if (ok == 0 && r->status == 0 && r->route->needs != NEEDS_TOKEN)
		ok = check_grant(r, db, &e);
	db_give(r->hub->pool, db);
	if (ok < 0)
		answer_trouble(r, &e);
}

static void check_admin(struct req *r)
{
	const char *s = bearer(r);

	if (r->hub->admin_token == NULL)
		answer_error(r, MHD_HTTP_NOT_FOUND, "NOT_FOUND",
			"The console is off: serve needs --admin-token-file");
	else if (s == NULL || !sign_equal_text(s, r->hub->admin_token))
		unauthorized(r, "The admin token is needed");
}

const struct route shared_routes[] = { { "PUT", "/objects/*", NEEDS_SIGNATURE,
					       0, object_put,
					       object_put_begin },
	{ "GET", "/objects/*", NEEDS_SIGNATURE, 0, object_get, NULL },
	{ "POST", "/console/scripts/*/activation-codes", NEEDS_ADMIN,
		ROUTE_BODY_MAX, console_issue_code, NULL },
	{ "POST", "/console/devices/*/approval", NEEDS_ADMIN, ROUTE_BODY_MAX,
		console_approve, NULL },
	{ "POST", "/console/devices/*/denial", NEEDS_ADMIN, ROUTE_BODY_MAX,
		console_deny, NULL },
	{ "GET", "/device", NEEDS_NOTHING, 0, device_page, NULL },
	{ NULL, NULL, NEEDS_NOTHING, 0, NULL, NULL } };

void route_request(struct req *r, const char *method, const char *url)
{
	const char *agent = web_header(r, "User-Agent"), *token = bearer(r);

	r->dialect = token && token_kind(token) == TOKEN_OAUTH
			     ? &dialect_oauth
			     : &dialect_classic;

	if (r->hub->options.require_user_agent && !(agent && *agent)) {
		answer_error(r, MHD_HTTP_FORBIDDEN, "FORBIDDEN",
			"A User-Agent is needed");
		return;
	}
	find_route(r, method, url);
	if (r->status)
		return;
	switch (r->route->needs) {
	case NEEDS_NOTHING:
		break;
	case NEEDS_TOKEN:
	case NEEDS_READ:
	case NEEDS_WRITE:
		check_script(r);
		break;
	case NEEDS_ADMIN:
		check_admin(r);
		break;
	case NEEDS_SIGNATURE:
		if (web_header(r, "Authorization"))
			answer_error(r, MHD_HTTP_BAD_REQUEST, "INVALID",
				"A signed URL carries its own authority; no "
				"Authorization header may be sent to it");
		break;
	}
}

enum route_right route_may(struct hub *hub, const struct token *t,
	int64_t topic, int action, struct err *e)
{
	struct db *db = db_take(hub->pool, e);
	struct script s;
	enum route_right right = RIGHT_NO_TOKEN;
	int r = db ? is_good(db, t, &s, e) : -1;

	if (r == 1 && t->expires_ms > db_now()) {
		r = grant_bits(db, t->script, topic, e);
		right = r > 0 && (r & action) ? RIGHT_YES : RIGHT_NO_GRANT;
	}
	db_give(hub->pool, db);
	return r < 0 ? RIGHT_ERROR : right;
}
