#include "auth.h"

#include "backoff.h"
#include "json.h"
#include "login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	BLOCKED_MS = 60000,	  /* a 429 that does not say for how long */
	BLOCKED_MAX_MS = 3600000, /* backoff.h allows no more */
};

void auth_open(struct auth *a)
{
	memset(&a->token, 0, sizeof a->token);
	token_cache_open(&a->cache, a->base_url, a->cred);
}

void auth_close(struct auth *a)
{
	token_release(&a->token);
	token_cache_close(&a->cache);
}

/* Takes what the cache has, if there is one to be taken. */
static void reload(struct auth *a)
{
	int64_t now;

	if (a->cache.off)
		return;
	token_release(&a->token);
	token_load(&a->cache, &a->token);
	now = backoff_clock_ms();
	/* Times that cannot be must not hold up everyone for ever. */
	if (a->token.blocked_ms > now + BLOCKED_MAX_MS)
		a->token.blocked_ms = 0;
	if (a->token.failed_ms > now)
		a->token.failed_ms = 0;
}

bool auth_is_blocked(const struct auth *a)
{
	return a->token.blocked_ms > backoff_clock_ms();
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
	if (e)
		e->retry_ms = (long)left;
	return -1;
}

/* Visible ASCII: it goes into a header, and into a file of ours. */
static bool token_ok(const char *s)
{
	size_t len = strlen(s);

	if (len > TOKEN_MAX)
		return false;
	for (; *s; s++)
		if (*s <= ' ' || *s > '~')
			return false;
	return true;
}

/* A success without JSON, as a web server or a proxy sends. */
static int no_service(const char *base_url, struct err *e)
{
	return err_set(e, EX_TEMPFAIL,
		"the answer is no JSON; is %s the service's address?",
		base_url);
}

/* Takes an answer over. */
static int grant(struct auth *a, struct token *t, const char *what,
	const struct http_answer *answer, struct err *e)
{
	struct dialect_token got = { 0 };
	struct json *doc;
	int r;

	doc = json_parse(buf_text(&answer->body), answer->body.len, NULL);
	r = doc ? a->dialect->token_answer(doc, answer->date, &got, e)
		: no_service(a->base_url, e);
	if (r == 0 && !token_ok(got.access))
		r = err_set(e, EX_TEMPFAIL, "the service's token is unusable");
	if (r < 0)
		err_prefix(e, "%s", what);
	else
		/* One that nothing is done with is not kept. */
		token_set(t, got.access,
			a->dialect->refresh_request || !a->cred->secret
				? got.refresh
				: NULL,
			answer->asked_ms, got.lifetime_ms);
	dialect_token_release(&got);
	json_free(doc);
	return r;
}

/* The next refresh token of a device login, before anyone uses what came with
 * it. Should the disk not take it, the access token is still good. */
static void keep_login(struct auth *a)
{
	struct err why = { 0 };

	if (a->cred->secret || a->token.refresh == NULL)
		return;
	if (login_keep(a->home, a->cred->client_id, a->token.refresh, &why) < 0)
		say("%s; this login ends with its present token", why.text);
	buf_wipe_free(a->token.refresh);
	a->token.refresh = NULL;
}

/* One request for a token; on success it is in the cache and in `a`. `unsent`
 * tells whether the service can have seen anything of it. */
static int ask(struct auth *a, const struct wire_request *r, bool *unsent,
	struct err *e)
{
	struct http_answer answer;
	struct err why = { 0 };
	int status;

	status = wire_exchange(a->http, a->base_url, r, NULL, &answer, NULL, e);
	if (status < 0 && answer.status == 429) {
		long wait = answer.retry_after_ms > 0 ? answer.retry_after_ms
						      : BLOCKED_MS;

		a->token.blocked_ms = backoff_clock_ms() + wait;
		e->retry_ms = wait;
	}
	if (status == 0)
		status = grant(a, &a->token, r->what, &answer, e);
	*unsent = answer.unsent;
	http_answer_release(&answer);
	if (status == 0)
		keep_login(a);
	if (status == 0 && token_save(&a->cache, &a->token, &why) < 0) {
		/* The token is good all the same, for this process. */
		say("sharing the access token: %s", why.text);
		a->cache.off = true;
	}
	return status;
}

/* 1: refreshed. 0: no refresh token, or a dead one. -1: must not go on. */
static int refresh(struct auth *a, struct err *e)
{
	struct wire_request r;
	char *token = a->token.refresh;
	bool unsent;
	int status;

	if (token == NULL || a->dialect->refresh_request == NULL)
		return 0;
	/* Forgotten before it is sent: it works once, and nobody can tell
	 * afterwards whether a lost answer meant that it had. */
	a->token.refresh = NULL;
	if (token_save(&a->cache, &a->token, NULL) < 0 &&
		token_forget(&a->cache, NULL) < 0) {
		buf_wipe_free(token);
		return 0;
	}
	wire_request_init(&r, "refreshing the token");
	a->dialect->refresh_request(&r, token);
	buf_wipe_free(token);
	status = ask(a, &r, &unsent, e);
	wire_request_release(&r);
	if (status == 0)
		return 1;
	if (e->code == ERR_STOPPED || auth_is_blocked(a))
		return -1;
	say_detail(1, "%s; asking for a new token instead", e->text);
	e->code = 0;
	return 0;
}

static int by_secret(struct auth *a, struct err *e)
{
	struct wire_request r;
	bool unsent;
	int status;

	wire_request_init(&r, "getting a token");
	a->dialect->token_request(&r, a->cred);
	status = ask(a, &r, &unsent, e);
	if (status < 0)
		err_later(e);
	wire_request_release(&r);
	return status;
}

/* With the refresh token that stands for a device login. Its lock is held until
 * the next one is kept: not all who need one may share a cache. */
static int by_login(struct auth *a, struct err *e)
{
	const char *id = a->cred->client_id;
	struct lock lock = LOCK_NONE;
	struct wire_request r;
	struct err why = { 0 };
	bool unsent = true;
	char *token;
	int status;

	if (login_lock(a->home, &lock, e) < 0)
		return -1;
	status = login_spend(a->home, id, &token, e);
	if (status == 0) {
		wire_request_init(&r, "refreshing the token");
		r.once = r.by_code = true;
		a->dialect->login_request(&r, id, token);
		status = ask(a, &r, &unsent, e);
		wire_request_release(&r);
		if (status < 0 && unsent &&
			login_keep(a->home, id, token, &why) < 0)
			say("%s", why.text);
		buf_wipe_free(token);
	}
	lock_release(&lock);
	if (status < 0 && !unsent && e->code != ERR_STOPPED) {
		/* It was spent, whatever became of it. */
		snprintf(why.text, sizeof why.text, "%s", e->text);
		status = err_set(
			e, EX_NOPERM, "%.800s; %s", why.text, LOGIN_REMEDY);
		e->retry_ms = 0;
	}
	return status;
}

static int fetch(struct auth *a, struct err *e)
{
	int status = refresh(a, e);

	if (status == 0)
		status = a->cred->secret ? by_secret(a, e) : by_login(a, e);
	if (status < 0 && e->code != ERR_STOPPED) {
		a->token.failed_ms = backoff_clock_ms();
		a->token.failed_code = e->code;
		free(a->token.failed);
		a->token.failed = xstrdup(e->text);
		token_save(&a->cache, &a->token, NULL);
	}
	return status < 0 ? -1 : 0;
}

/* Whoever waited for another's request shares its failure as well: a hundred
 * that start while the service is down ask it once. */
static int check_failed(const struct auth *a, int64_t since_ms, struct err *e)
{
	if (a->token.failed == NULL || a->token.failed_ms < since_ms ||
		a->cache.off)
		return 0;
	return err_set(e, (int)a->token.failed_code, "%s", a->token.failed);
}

int auth_token(struct auth *a, const char **token, struct err *e)
{
	int64_t start = backoff_clock_ms();
	struct lock lock = LOCK_NONE;
	int status = -1;

	if (!token_fresh(&a->token, start))
		reload(a);
	if (!token_fresh(&a->token, start)) {
		if (check_blocked(a, e) < 0 ||
			token_lock(&a->cache, &lock, e) < 0)
			return -1;
		/* Whoever held the lock may have brought one. */
		reload(a);
		if (!token_fresh(&a->token, backoff_clock_ms()) &&
			(check_blocked(a, e) < 0 ||
				check_failed(a, start, e) < 0 ||
				fetch(a, e) < 0))
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

int auth_forget(struct auth *a, struct err *e)
{
	struct lock lock = LOCK_NONE;
	struct token kept = { 0 };
	int status;

	if (token_lock(&a->cache, &lock, e) < 0)
		return -1;
	reload(a);
	/* That the service allows no more for now stays true. */
	if (auth_is_blocked(a))
		kept.blocked_ms = a->token.blocked_ms;
	token_release(&a->token);
	a->token = kept;
	status = kept.blocked_ms ? token_save(&a->cache, &kept, e)
				 : token_forget(&a->cache, e);
	lock_release(&lock);
	return status;
}

void auth_share(const char *base_url, const struct cred *cred,
	const struct token *token)
{
	struct lock lock = LOCK_NONE;
	struct token_cache cache;

	if (token->access == NULL || !token_ok(token->access))
		return;
	token_cache_open(&cache, base_url, cred);
	if (token_lock(&cache, &lock, NULL) == 0)
		token_save(&cache, token, NULL);
	lock_release(&lock);
	token_cache_close(&cache);
}

void auth_look(struct auth *a)
{
	reload(a);
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
	r.once = r.by_code = true;
	d->redeem_request(&r, code);
	status = wire_exchange(http, base_url, &r, NULL, &answer, we, e);
	if (status == 0) {
		we->status = answer.status;
		doc = json_parse(buf_text(&answer.body), answer.body.len, NULL);
		status = doc ? d->redeem_answer(doc, cred, grants, e)
			     : no_service(base_url, e);
		if (status < 0)
			err_prefix(e, "activating");
	}
	json_free(doc);
	http_answer_release(&answer);
	wire_request_release(&r);
	return status;
}

/* One request of a kind that not every dialect has, answered with JSON. */
static int once(struct auth *a, struct wire_request *r, struct json **doc,
	struct http_answer *answer, struct wire_error *we, struct err *e)
{
	int status;

	r->once = true;
	status = wire_exchange(a->http, a->base_url, r, NULL, answer, we, e);
	*doc = NULL;
	if (status == 0)
		*doc = json_parse(
			buf_text(&answer->body), answer->body.len, NULL);
	return status;
}

int auth_invite(struct auth *a, const char *code, char **topic_id,
	char **action, struct err *e)
{
	struct http_answer answer;
	struct wire_request r;
	struct json *doc;
	int status;

	*topic_id = *action = NULL;
	wire_request_init(&r, "redeeming the invite code");
	a->dialect->invite_request(&r, a->cred, code);
	status = once(a, &r, &doc, &answer, NULL, e);
	if (status == 0) {
		status = a->dialect->invite_answer(doc, topic_id, action, e);
		if (status < 0)
			err_prefix(e, "%s", r.what);
	}
	json_free(doc);
	http_answer_release(&answer);
	wire_request_release(&r);
	return status;
}

int auth_rotate(struct auth *a, char **secret, struct token *token,
	struct wire_error *we, struct err *e)
{
	struct dialect_token got = { 0 };
	struct http_answer answer;
	struct wire_request r;
	struct json *doc;
	int status;

	*secret = NULL;
	memset(token, 0, sizeof *token);
	wire_request_init(&r, "rotating the secret");
	a->dialect->rotate_request(&r, a->cred);
	status = once(a, &r, &doc, &answer, we, e);
	if (status == 0) {
		status = a->dialect->rotate_answer(
			doc, answer.date, secret, &got, e);
		if (status < 0)
			err_prefix(e, "%s", r.what);
	}
	if (got.access && token_ok(got.access))
		token_set(token, got.access, got.refresh, answer.asked_ms,
			got.lifetime_ms);
	dialect_token_release(&got);
	json_free(doc);
	http_answer_release(&answer);
	wire_request_release(&r);
	return status;
}
