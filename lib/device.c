#include "device.h"

#include "api.h"
#include "auth.h"
#include "backoff.h"
#include "dialect.h"
#include "home.h"
#include "http.h"
#include "login.h"
#include "stop.h"

#include <stdlib.h>
#include <string.h>

enum {
	SLOWER_S = 5, /* at each slow_down, as RFC 8628 has it */
	TROUBLE_MS = 1000,
	TROUBLE_MAX_MS = 60000,
};

struct device {
	struct bootstrap *b;
	const struct dialect *dialect;
	const char *url;
	struct http *http;
	char *client_id;
	struct dialect_device asked;
	struct dialect_token token;
	int64_t got_ms; /* when the token was asked for */
	bool again;	/* after a login that has ended */
};

/* One request, answered with JSON, which is the caller's to free. */
static int ask(struct device *d, const struct wire_request *r,
	struct json **doc, struct err *e)
{
	struct wire_error *we = &d->b->result.service;
	struct http_answer answer;
	int status;

	*doc = NULL;
	*we = (struct wire_error){ 0 };
	status = wire_exchange(d->http, d->url, r, NULL, &answer, we, e);
	d->got_ms = answer.asked_ms;
	if (status == 0) {
		we->status = answer.status;
		*doc = json_parse(
			buf_text(&answer.body), answer.body.len, NULL);
	}
	if (status == 0 && *doc == NULL)
		status = err_set(e, EX_TEMPFAIL,
			"%s: the answer is no JSON; is %s the service's "
			"address?",
			r->what, d->url);
	http_answer_release(&answer);
	return status;
}

/* A refusal that will always be met? */
static bool is_final(int status)
{
	return status >= 400 && status < 500 && status != 429;
}

/* The outcome of what brought nothing. */
static int no_login(struct device *d, struct err *e)
{
	struct outcome *o = &d->b->result;
	int status = o->service.status;

	if (e->code == ERR_STOPPED || e->code == EX_IOERR ||
		e->code == EX_CONFIG || e->code == EX_CANTCREAT) {
		o->service = (struct wire_error){ 0 };
		return bootstrap_refused(d->b, e);
	}
	if (status == 404 || status == 405)
		err_set(e, EX_NOPERM,
			"joining: %s lets nobody join this way; get an "
			"activation code",
			d->url);
	e->code = is_final(status) ? EX_NOPERM : EX_TEMPFAIL;
	o->kind = is_final(status) ? OUTCOME_PERMANENT : OUTCOME_TRANSIENT;
	return -1;
}

static int register_client(struct device *d, struct err *e)
{
	struct wire_request r;
	struct json *doc;
	int status;

	wire_request_init(&r, "registering this program");
	r.by_code = true;
	d->dialect->register_request(&r);
	status = ask(d, &r, &doc, e);
	if (status == 0)
		status = d->dialect->register_answer(doc, &d->client_id, e);
	if (status == 0)
		status = login_set_client(&d->b->dir, d->url, d->client_id, e);
	json_free(doc);
	wire_request_release(&r);
	return status;
}

static int authorize(struct device *d, struct err *e)
{
	struct wire_request r;
	struct json *doc;
	int status;

	wire_request_init(&r, "asking to be let in");
	r.by_code = true;
	d->dialect->device_request(&r, d->client_id);
	status = ask(d, &r, &doc, e);
	if (status == 0) {
		status = d->dialect->device_answer(doc, &d->asked, e);
		if (status < 0)
			err_prefix(e, "%s", r.what);
	}
	json_free(doc);
	wire_request_release(&r);
	return status;
}

/* Asks to be let in, as the client that was registered once; the service may
 * have forgotten it. */
static int begin(struct device *d, struct err *e)
{
	int known = login_client(&d->b->dir, d->url, &d->client_id, e);

	if (known < 0 || (known == 0 && register_client(d, e) < 0))
		return -1;
	if (authorize(d, e) == 0)
		return 0;
	if (!known || !d->dialect->is_unregistered(&d->b->result.service))
		return -1;
	free(d->client_id);
	d->client_id = NULL;
	return register_client(d, e) < 0 ? -1 : authorize(d, e);
}

static void show(const struct device *d)
{
	/* Whatever is asked for, they have to see it. */
	say("to let this device in, open %.700s and enter the code %.200s",
		d->asked.address, d->asked.user_code);
	if (d->asked.complete)
		say("or open %.900s", d->asked.complete);
	say_info("waiting for that, at most %ld minutes",
		(d->asked.lifetime_s + 59) / 60);
}

/* 1: let in. 0: not yet, with what was wrong, if anything, in `e`. -1: no. */
static int poll_once(struct device *d, long *interval_s, struct err *e)
{
	const struct wire_error *we = &d->b->result.service;
	struct wire_request r;
	struct json *doc;
	int status;

	e->code = 0;
	e->retry_ms = 0;
	wire_request_init(&r, "waiting to be let in");
	r.once = r.by_code = true;
	d->dialect->wait_request(&r, d->client_id, d->asked.code);
	status = ask(d, &r, &doc, e);
	wire_request_release(&r);
	if (status == 0) {
		status = d->dialect->token_answer(doc, 0, &d->token, e);
		json_free(doc);
		if (status == 0)
			return 1;
		dialect_token_release(&d->token);
		return 0;
	}
	if (e->code == ERR_STOPPED || e->code == EX_CONFIG)
		return -1;
	switch (d->dialect->wait_refused(we)) {
	case DIALECT_SLOW_DOWN:
		*interval_s += SLOWER_S;
		/* fall through */
	case DIALECT_PENDING:
		e->code = 0;
		return 0;
	case DIALECT_DENIED:
		return err_set(e, EX_NOPERM, "%s: it was denied", r.what);
	case DIALECT_EXPIRED:
		return err_set(e, EX_NOPERM, "%s: nobody did so in time; %s",
			r.what, LOGIN_REMEDY);
	default:
		return is_final(we->status) ? -1 : 0;
	}
}

/* The time that the service gave has passed: as if it said so. */
static int too_late(struct device *d, struct err *e)
{
	d->b->result.service = (struct wire_error){ 0 };
	d->b->result.kind = OUTCOME_PERMANENT;
	return err_set(e, EX_NOPERM,
		"waiting to be let in: nobody did so in time; %s",
		LOGIN_REMEDY);
}

static int wait_for(struct device *d, struct err *e)
{
	struct backoff trouble = { .base_ms = TROUBLE_MS,
		.cap_ms = TROUBLE_MAX_MS };
	long interval_s = d->asked.interval_s, pause;
	int64_t now = backoff_clock_ms();
	int64_t end = now + d->asked.lifetime_s * 1000;
	int r;

	for (pause = interval_s * 1000; now < end; now = backoff_clock_ms()) {
		if (!stop_sleep(
			    pause < end - now ? pause : (long)(end - now))) {
			err_stopped(e);
			return no_login(d, e);
		}
		r = poll_once(d, &interval_s, e);
		if (r < 0)
			return no_login(d, e);
		if (r > 0)
			return 0;
		pause = interval_s * 1000;
		if (e->code) {
			say_detail(1, "%s; it goes on", e->text);
			pause = backoff_next(&trouble,
				e->retry_ms > pause ? e->retry_ms : pause);
			e->code = 0;
		} else {
			backoff_reset(&trouble);
		}
	}
	return too_late(d, e);
}

/* Let in: the login first, for without it credentials are worth nothing. */
static int arrive(struct device *d, struct cred_slot *slot, struct err *e)
{
	struct outcome *o = &d->b->result;
	struct lock lock = LOCK_NONE;
	struct token token = { 0 };
	int r;

	if (d->token.refresh == NULL) {
		err_set(e, EX_TEMPFAIL,
			"joining: the service gave no refresh "
			"token, so it would end at once");
		return no_login(d, e);
	}
	r = login_lock(&d->b->dir, &lock, e);
	if (r == 0)
		r = login_keep(&d->b->dir, d->client_id, d->token.refresh, e);
	lock_release(&lock);
	if (r < 0) {
		err_prefix(e, "the login came and could not be kept");
		return bootstrap_refused(d->b, e);
	}
	cred_release(&o->cred);
	o->cred.base_url = xstrdup(d->url);
	o->cred.client_id = xstrdup(d->client_id);
	if (d->token.script_id)
		o->cred.script_id = xstrdup(d->token.script_id);
	r = bootstrap_keep(d->b, slot, !d->again, e);
	if (r == 0) {
		token_set(&token, d->token.access, NULL, d->got_ms,
			d->token.lifetime_ms);
		auth_share(d->url, &o->cred, &token);
		token_release(&token);
	}
	return r;
}

static int join(struct device *d, struct err *e)
{
	struct cred_slot slot;
	int r;

	if (cred_reserve(&d->b->dir, &slot, e) < 0)
		return bootstrap_refused(d->b, e);
	r = begin(d, e);
	if (r < 0) {
		r = no_login(d, e);
	} else {
		show(d);
		r = wait_for(d, e);
	}
	if (r == 0)
		r = arrive(d, &slot, e);
	cred_unreserve(&d->b->dir, &slot);
	return r;
}

/* May the home get a login? 1, or 0: it has what it needs. */
static int is_free(struct device *d, struct err *e)
{
	const struct cred *c = &d->b->result.cred;
	int r;

	if (cred_id(c) == NULL)
		return 1;
	if (c->secret)
		return 0;
	r = login_look(&d->b->dir, c->client_id, e);
	d->again = r == 0;
	return r < 0 ? -1 : d->again;
}

int device_activate(struct bootstrap *b, struct err *e)
{
	struct device d = { .b = b, .dialect = &dialect_oauth };
	char *url = api_base_url(b->base_url, NULL, e);
	int r = -1;

	if (url && home_open(&b->dir, b->home, STATEDIR_CREATE, e) > 0 &&
		bootstrap_begin(b, e) == 0)
		r = is_free(&d, e);
	if (r > 0 && d.again) {
		free(url);
		url = api_base_url(b->base_url, &b->result.cred, e);
		r = url ? 1 : -1;
	}
	if (r < 0) {
		r = bootstrap_refused(b, e);
	} else if (r == 0) {
		r = bootstrap_present(b, e);
	} else {
		d.url = url;
		d.http = http_new(home_allow_http());
		r = join(&d, e);
		http_free(d.http);
	}
	dialect_token_release(&d.token);
	dialect_device_release(&d.asked);
	free(d.client_id);
	free(url);
	return r;
}
