#include "renew.h"

#include "api.h"
#include "auth.h"
#include "code.h"
#include "dialect.h"
#include "home.h"
#include "stop.h"
#include "token.h"

#include <stdlib.h>
#include <string.h>

enum { LOCK_WAIT_MS = 180000 };

static int not_here(const struct api *a, const char *what, struct err *e)
{
	return err_set(e, EX_USAGE, "the %s dialect has no %s",
		a->dialect->name, what);
}

/* The answer is there: whatever it takes, keep the secret. */
static int keep(const struct api *a, struct cred_slot *slot, const char *secret,
	struct err *e)
{
	struct cred now = a->cred;
	char *document = cred_document_with(&a->home, secret, e);
	int r;

	if (document == NULL) {
		/* The file went away meanwhile: what is known of it will do. */
		now.secret = (char *)secret;
		now.base_url = a->base_url;
		document = cred_document(&now);
	}
	r = cred_commit(&a->home, slot, document, false, e);
	if (r < 0)
		err_prefix(e,
			slot->written
				? "the new secret is in %s/%s and nowhere "
				  "else; mend what is wrong, then run "
				  "agentrux-activate --recover"
				: "the secret was changed, and the new one "
				  "could not be kept in %s/%s; activate again",
			a->home.path, HOME_RESERVED);
	buf_wipe_free(document);
	return r;
}

static int exchange(struct api *a, struct err *e)
{
	struct token token = { 0 };
	struct cred_slot slot;
	char *secret = NULL;
	struct wire_error we = { 0 };
	int r;

	if (cred_reserve(&a->home, &slot, e) < 0)
		return -1;
	r = stop_asked() ? err_stopped(e)
			 : auth_rotate(&a->auth, &secret, &token, &we, e);
	if (r == 0)
		r = keep(a, &slot, secret, e);
	else if (e->code == ERR_STOPPED || we.status == 0 || we.status >= 500)
		err_set(e, EX_TEMPFAIL,
			"rotating the secret: no usable answer came; if the "
			"service "
			"refuses the present secret from now on, activate "
			"again");
	cred_unreserve(&a->home, &slot);
	if (r == 0) {
		auth_forget(&a->auth, NULL);
		buf_wipe_free(a->cred.secret);
		a->cred.secret = secret;
		secret = NULL;
		auth_share(a->base_url, &a->cred, &token);
	}
	token_release(&token);
	buf_wipe_free(secret);
	return r;
}

int renew_secret(
	const char *home, const char *base_url, struct cred *now, struct err *e)
{
	struct statedir dir = STATEDIR_NONE;
	struct lock lock = LOCK_NONE;
	struct api a;
	int r;

	memset(now, 0, sizeof *now);
	memset(&a, 0, sizeof a);
	a.home = a.auth.cache.dir = (struct statedir)STATEDIR_NONE;
	/* Only then the credentials: another rotation may be under way. */
	r = home_open(&dir, home, STATEDIR_FIND, e);
	if (r > 0) {
		r = cred_lock(&dir, &lock, LOCK_WAIT_MS, e);
		if (r == 0)
			r = err_set(e, EX_TEMPFAIL,
				"waiting for what is under way in %s: it takes "
				"too long",
				dir.path);
	}
	if (r >= 0)
		r = api_open(&a, home, base_url, e);
	if (r == 0)
		r = a.dialect->rotate_request
			    ? exchange(&a, e)
			    : not_here(&a, "rotation of secrets", e);
	if (r == 0) {
		*now = a.cred;
		memset(&a.cred, 0, sizeof a.cred);
	}
	api_close(&a);
	lock_release(&lock);
	statedir_close(&dir);
	return r;
}

int renew_grant(const char *home, const char *base_url, const char *text,
	struct json **granted, struct err *e)
{
	const char *prefixes[] = { NULL, NULL };
	char *topic = NULL, *action = NULL, *code = NULL;
	struct api a;
	int r;

	*granted = NULL;
	r = api_open(&a, home, base_url, e);
	if (r < 0)
		goto out;
	if (a.dialect->invite_request == NULL) {
		r = not_here(&a, "invite codes", e);
		goto out;
	}
	prefixes[0] = a.dialect->invite_prefix;
	code = code_find(text, strlen(text), prefixes);
	if (code == NULL || !dialect_code_shape(code, prefixes[0])) {
		r = err_set(e, EX_DATAERR,
			"looking for the invite code: no line of standard "
			"input is one (%s and letters, digits, - and _)",
			prefixes[0]);
		goto out;
	}
	r = auth_invite(&a.auth, code, &topic, &action, e);
	if (r < 0 && e->code == ERR_STOPPED)
		err_set(e, EX_TEMPFAIL,
			"redeeming the invite code: told to end before the "
			"service answered; whether it took the code is not "
			"known");
	if (r < 0)
		goto out;
	if (auth_forget(&a.auth, e) < 0) {
		say("dropping the cached token: %s", e->text);
		e->code = 0;
	}
	*granted = json_object();
	json_set_text(*granted, "topic_id", topic);
	json_set_text(*granted, "action", action);
out:
	buf_wipe_free(code);
	free(topic);
	free(action);
	api_close(&a);
	return r;
}
