#include "auth.h"

#include "backoff.h"
#include "json.h"

#include <string.h>

enum { BLOCKED_MS = 60000 /* a 429 that does not say for how long */ };

int auth_open(struct auth *a, struct err *e)
{
	memset(&a->token, 0, sizeof a->token);
	return token_cache_open(&a->cache, a->base_url, a->cred, e);
}

void auth_close(struct auth *a)
{
	token_release(&a->token);
	token_cache_close(&a->cache);
}

/* Takes what the cache has, if there is one to be taken. */
static void reload(struct auth *a)
{
	if (a->cache.off)
		return;
	token_release(&a->token);
	token_load(&a->cache, &a->token);
}

static int check_blocked(const struct auth *a, struct err *e)
{
	int64_t left = a->token.blocked_ms - backoff_clock_ms();

	if (left <= 0)
		return 0;
	err_set(e, EX_TEMPFAIL,
		"getting a token: the service allows no more for now; try "
		"again in %ld s",
		(long)(left + 999) / 1000);
	e->retry_ms = (long)left;
	return -1;
}

/* One request for a token; on success it is in the cache and in `a`. */
static int ask(struct auth *a, const struct wire_request *r, struct err *e)
{
	struct dialect_token got = { 0 };
	struct http_answer answer;
	struct json *doc = NULL;
	int status;

	status = wire_exchange(a->http, a->base_url, r, NULL, &answer, NULL, e);
	if (status < 0 && answer.status == 429) {
		long wait = answer.retry_after_ms > 0 ? answer.retry_after_ms
						      : BLOCKED_MS;

		a->token.blocked_ms = backoff_clock_ms() + wait;
		e->retry_ms = wait;
		token_save(&a->cache, &a->token, NULL);
	}
	if (status < 0)
		goto out;
	doc = json_parse(buf_text(&answer.body), answer.body.len, NULL);
	status = a->dialect->token_answer(doc, answer.date, &got, e);
	if (status < 0) {
		err_prefix(e, "%s", r->what);
		goto out;
	}
	token_set(&a->token, got.access, got.refresh, answer.asked_ms,
		got.lifetime_ms);
	if (token_save(&a->cache, &a->token, e) < 0) {
		/* The token is good all the same, for this process. */
		say("sharing the access token: %s", e->text);
		a->cache.off = true;
		e->code = 0;
	}
out:
	json_free(doc);
	dialect_token_release(&got);
	http_answer_release(&answer);
	return status;
}

/* 1: refreshed. 0: no refresh token, or a dead one. -1: must not go on. */
static int refresh(struct auth *a, struct err *e)
{
	struct wire_request r;
	char *token = a->token.refresh;
	int status;

	if (token == NULL || a->dialect->refresh_request == NULL)
		return 0;
	/* Forgotten before it is sent: it works once, and nobody can tell
	 * afterwards whether a lost answer meant that it had. */
	a->token.refresh = NULL;
	if (token_save(&a->cache, &a->token, e) < 0) {
		buf_wipe_free(token);
		return -1;
	}
	wire_request_init(&r, "refreshing the token");
	a->dialect->refresh_request(&r, token);
	buf_wipe_free(token);
	status = ask(a, &r, e);
	wire_request_release(&r);
	if (status == 0)
		return 1;
	if (e->code == ERR_STOPPED || a->token.blocked_ms)
		return -1;
	say_detail(1, "%s; asking for a new token instead", e->text);
	return 0;
}

static int fetch(struct auth *a, struct err *e)
{
	struct wire_request r;
	int status = refresh(a, e);

	if (status)
		return status < 0 ? -1 : 0;
	wire_request_init(&r, "getting a token");
	a->dialect->token_request(&r, a->cred);
	status = ask(a, &r, e);
	wire_request_release(&r);
	return status;
}

int auth_token(struct auth *a, const char **token, struct err *e)
{
	struct lock lock = LOCK_NONE;
	int status = -1;

	if (!token_fresh(&a->token, backoff_clock_ms()))
		reload(a);
	if (!token_fresh(&a->token, backoff_clock_ms())) {
		if (check_blocked(a, e) < 0 ||
			token_lock(&a->cache, &lock, e) < 0)
			return -1;
		/* Whoever held the lock may have brought one. */
		reload(a);
		if (!token_fresh(&a->token, backoff_clock_ms()) &&
			(check_blocked(a, e) < 0 || fetch(a, e) < 0))
			goto out;
	}
	*token = a->token.access;
	status = 0;
out:
	lock_release(&lock);
	return status;
}

int auth_rejected(struct auth *a, const char *token, struct err *e)
{
	struct lock lock = LOCK_NONE;
	char *refused = xstrdup(token); /* it may be a->token's own */
	int status = -1;

	if (token_lock(&a->cache, &lock, e) < 0)
		goto out;
	reload(a);
	status = 0;
	if (a->token.access && strcmp(a->token.access, refused) == 0) {
		buf_wipe_free(a->token.access);
		a->token.access = NULL;
		status = token_save(&a->cache, &a->token, e);
	}
out:
	lock_release(&lock);
	buf_wipe_free(refused);
	return status;
}

int auth_redeem(struct http *http, const char *base_url, const char *code,
	struct cred *cred, struct json **grants, struct wire_error *we,
	struct err *e)
{
	const struct dialect *d = dialect_of_code(code);
	struct wire_error own = { 0 };
	struct http_answer answer;
	struct json *doc = NULL;
	struct wire_request r;
	int status;

	*grants = NULL;
	if (we == NULL)
		we = &own;
	wire_request_init(&r, "activating");
	d->redeem_request(&r, code);
	status = wire_exchange(http, base_url, &r, NULL, &answer, we, e);
	if (status == 0) {
		we->status = answer.status;
		doc = json_parse(buf_text(&answer.body), answer.body.len, NULL);
		status = d->redeem_answer(doc, cred, grants, e);
		if (status < 0)
			err_prefix(e, "activating");
	}
	json_free(doc);
	http_answer_release(&answer);
	wire_request_release(&r);
	return status;
}
