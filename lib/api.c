#include "api.h"

#include "backoff.h"
#include "hash.h"
#include "home.h"
#include "json.h"
#include "stop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	BACKOFF_BASE_MS = 500,
	BACKOFF_CAP_MS = 30000,
	GUESS_BYTES = 4096, /* at the end of a page, where its position is */
	EVENTS_MAX = 10000, /* of a page, however many were asked for */
};

char *api_base_url(const char *option, const struct cred *c, struct err *e)
{
	const char *said = home_base_url(option);
	const char *kept = c && c->base_url ? c->base_url : CRED_DEFAULT_URL;
	char *url = cred_trim_url(said ? said : kept);

	if (http_check_url(url, home_allow_http(), e) < 0) {
		if (said) {
			err_prefix(e, "%s '%s'", home_base_url_source(option),
				said);
			e->code = EX_USAGE;
		} else {
			err_prefix(e, "base_url of the credentials");
		}
		free(url);
		return NULL;
	}
	return url;
}

/* 1: with credentials. 0: without. */
static int open_home(struct api *a, const char *home, struct err *e)
{
	int found;

	memset(a, 0, sizeof *a);
	a->retry_ms = API_RETRY_MS;
	a->auth.cache.dir = (struct statedir)STATEDIR_NONE;
	found = home_open(&a->home, home, STATEDIR_FIND, e);
	if (found > 0)
		found = cred_load(&a->home, &a->cred, e);
	return found;
}

int api_open_home(struct api *a, const char *home, struct err *e)
{
	int found = open_home(a, home, e);

	if (found == 0 && a->home.fd < 0)
		return err_set(e, EX_NOINPUT, "opening %s: it is not there",
			a->home.path);
	a->dialect = found > 0 ? dialect_of_cred(&a->cred) : &dialect_classic;
	return found < 0 ? -1 : 0;
}

int api_open(
	struct api *a, const char *home, const char *base_url, struct err *e)
{
	int found = open_home(a, home, e);

	if (found < 0)
		return -1;
	if (found == 0)
		return err_set(e, EX_CONFIG,
			"reading the credentials: there are none in %s; get an "
			"activation code and run agentrux-activate",
			a->home.path);
	a->base_url = api_base_url(base_url, &a->cred, e);
	if (a->base_url == NULL)
		return -1;
	a->dialect = dialect_of_cred(&a->cred);
	a->http = http_new(home_allow_http());
	a->auth.http = a->http;
	a->auth.base_url = a->base_url;
	a->auth.cred = &a->cred;
	a->auth.dialect = a->dialect;
	a->auth.home = &a->home;
	auth_open(&a->auth);
	return 0;
}

void api_close(struct api *a)
{
	free(a->ahead);
	auth_close(&a->auth);
	http_free(a->http);
	cred_release(&a->cred);
	free(a->base_url);
	statedir_close(&a->home);
	memset(a, 0, sizeof *a);
	a->home = (struct statedir)STATEDIR_NONE;
	a->auth.cache.dir = (struct statedir)STATEDIR_NONE;
}

int api_check_topic(const char *topic, struct err *e)
{
	if (event_id_plain(topic))
		return 0;
	return err_set(e, EX_USAGE,
		"'%.100s' is not a topic id; its id is what agentrux-activate "
		"--json told with the grants, or the console shows",
		topic);
}

char *api_topic(const struct api *a, const char *topic)
{
	return a->dialect->topic_id(topic);
}

/* One attempt; a 401 is answered with one new token and one repeat. */
static int attempt(struct api *a, const struct wire_request *r,
	struct http_answer *answer, struct err *e)
{
	const char *token;
	int tries;

	for (tries = 0;; tries++) {
		*answer = (struct http_answer){ 0 };
		a->said = (struct wire_error){ 0 };
		if (auth_token(&a->auth, &token, e) < 0) {
			a->refused |= e->code == EX_NOPERM;
			return -1;
		}
		if (wire_exchange(a->http, a->base_url, r, token, answer,
			    &a->said, e) == 0)
			return 0;
		a->refused |= answer->status == 401 && tries > 0;
		if (answer->status != 401 || tries > 0)
			return -1;
		say_detail(1, "%s; with a new token once more", e->text);
		http_answer_release(answer);
		if (auth_rejected(&a->auth, token, e) < 0)
			return -1;
	}
}

/* Reads a success into `to`; -1 with EX_TEMPFAIL if it is not what it must be,
 * which is tried again like any other temporary trouble. */
typedef int take_fn(
	struct api *a, struct http_answer *answer, void *to, struct err *e);

/* After a failure: waits, and may be tried again. false: it is not temporary,
 * time is up, no token is to be had for now (nor would waiting here be what
 * other processes do), or we were told to end. */
static bool may_try_again(
	struct api *a, struct backoff *pause, int64_t end, struct err *e)
{
	long wait;

	if (e->code != EX_TEMPFAIL || e->too_large || auth_is_blocked(&a->auth))
		return false;
	wait = backoff_next(pause, e->retry_ms);
	if (backoff_clock_ms() + wait > end)
		return false;
	say_again(1, e->text, wait);
	if (stop_sleep(wait))
		return true;
	err_stopped(e);
	return false;
}

/* Attempts until one succeeds, fails for good, or time is up. */
static int call(struct api *a, const struct wire_request *r, take_fn *take,
	void *to, struct err *e)
{
	struct backoff pause = { .base_ms = BACKOFF_BASE_MS,
		.cap_ms = BACKOFF_CAP_MS };
	int64_t end = backoff_clock_ms() + a->retry_ms;
	struct http_answer answer;
	int status;

	if (r->path.full || r->body.full)
		return err_set(e, EX_DATAERR,
			"%s: what is to be sent is too large", r->what);
	do {
		status = attempt(a, r, &answer, e);
		if (status == 0) {
			status = take(a, &answer, to, e);
			if (status < 0)
				err_prefix(e, "%s", r->what);
		}
		if (status < 0)
			err_later(e);
		http_answer_release(&answer);
	} while (status < 0 && may_try_again(a, &pause, end, e));
	if (status == 0)
		*e = (struct err){ 0 }; /* of an earlier attempt */
	return status;
}

int api_token(struct api *a, const char **token, struct err *e)
{
	struct backoff pause = { .base_ms = BACKOFF_BASE_MS,
		.cap_ms = BACKOFF_CAP_MS };
	int64_t end = backoff_clock_ms() + a->retry_ms;

	while (auth_token(&a->auth, token, e) < 0)
		if (!may_try_again(a, &pause, end, e))
			return -1;
	*e = (struct err){ 0 }; /* of an earlier attempt */
	return 0;
}

static struct json *parse(const struct http_answer *answer, struct err *e)
{
	struct json *doc =
		json_parse(buf_text(&answer->body), answer->body.len, e);

	if (doc == NULL) {
		err_prefix(e, "the service's answer");
		e->code = EX_TEMPFAIL;
	}
	return doc;
}

/* A position as text; NULL if it is none, or not fit to be kept. */
static char *position_text(struct slice s)
{
	struct buf text = BUF_INIT(EVENT_POSITION_MAX);

	if (slice_text(s, &text) && text.len)
		return buf_detach(&text);
	buf_release(&text);
	return NULL;
}

/* Where the next page starts: where the service says so, or behind the last
 * event; once nothing is newer, where the topic ends, for a position that stays
 * behind would age out. */
static void find_next(struct api_page *page, const struct dialect_listing *l)
{
	char kind = slice_kind(l->has_more);

	page->has_more = kind == 't' || (kind != 'f' && page->n);
	if (page->n == 0 && !page->has_more)
		page->next = position_text(l->frontier);
	if (page->next == NULL)
		page->next = position_text(l->next);
	if (page->next == NULL)
		page->next = position_text(page->last);
}

/* Checks a page. Bytes that are no UTF-8 cost only the event that they are in,
 * so they are looked for once it is known that there are some. */
static int check(struct api_page *page, struct slice *doc, struct err *e)
{
	const char *text = buf_text(&page->text);
	size_t bad, len = page->text.len;

	page->utf8 = slice_document_ends(text, len, SLICE_UTF8, doc,
			     &page->ends, &bad) == 0;
	if (page->utf8)
		return 0;
	slice_ends_release(&page->ends);
	if (slice_document_ends(
		    text, len, SLICE_ANY_BYTES, doc, &page->ends, &bad) == 0)
		return 0;
	return err_set(e, EX_TEMPFAIL,
		"the service's answer is no JSON (at byte %zu)", bad);
}

void api_page_read(const struct api *a, struct api_page *page)
{
	size_t i;

	page->events = xrealloc(NULL, page->n * sizeof *page->events);
	for (i = 0; i < page->n; i++) {
		struct event *ev = &page->events[i];
		struct slice raw = page->raw[i];

		event_read(raw, &page->ends, &a->dialect->names, ev);
		ev->utf8 = page->utf8 || slice_utf8(raw.p, raw.len) == raw.len;
		ev->one_line = !page->ends.lines;
	}
	free(page->raw);
	page->raw = NULL;
	slice_ends_release(&page->ends);
}

/* Finds the events of a page that was checked. */
static int split(
	struct api *a, struct slice doc, struct api_page *page, struct err *e)
{
	struct dialect_listing l = { 0 };
	struct event last;
	struct slice raw;
	struct slice_walk w;
	size_t cap = 0;

	slice_walk_start(&w, doc, &page->ends);
	if (a->dialect->page_answer(&w, &l, e) < 0)
		return -1;
	slice_walk_start(&w, l.events, &page->ends);
	while (slice_walk_next(&w, NULL, &raw)) {
		if (page->n == EVENTS_MAX)
			return err_set(e, EX_TEMPFAIL,
				"the service's answer has more than %d events",
				EVENTS_MAX);
		if (slice_kind(raw) != '{')
			return err_set(e, EX_TEMPFAIL,
				"the service's answer has an event that is no "
				"object");
		if (page->n == cap) {
			cap = cap ? cap * 2 : API_PAGE_LIMIT;
			page->raw =
				xrealloc(page->raw, cap * sizeof *page->raw);
		}
		page->raw[page->n++] = raw;
	}
	if (page->n) {
		event_read(page->raw[page->n - 1], &page->ends,
			&a->dialect->names, &last);
		page->last = last.position;
	}
	find_next(page, &l);
	return 0;
}

/* Where the page behind this one starts, most likely: to look for it properly
 * takes as long as the service takes to answer. */
static bool guess_next(
	const struct dialect *d, const struct buf *page, struct buf *after)
{
	size_t tail = page->len < GUESS_BYTES ? page->len : GUESS_BYTES, len;
	const char *at = NULL, *p = buf_text(page) + page->len - tail;

	while ((p = strstr(p, d->next_mark)))
		at = p += strlen(d->next_mark);
	if (at == NULL)
		return false;
	len = d->numeric ? strspn(at, "0123456789") : strcspn(at, "\"\\");
	return len && buf_add(after, at, len) == 0;
}

/* Asks for what lies behind a page that has come and was not looked at. */
static void send_ahead(
	struct api *a, const struct dialect_page *p, const struct buf *page)
{
	struct buf after = BUF_INIT(EVENT_POSITION_MAX);
	struct dialect_page next = *p;
	struct wire_request r;

	if (p->ahead_from && page->len >= p->ahead_from && !a->guessed_wrong &&
		token_fresh(&a->auth.token, backoff_clock_ms()) &&
		guess_next(a->dialect, page, &after)) {
		next.after = buf_text(&after);
		wire_request_init(&r, "reading ahead");
		a->dialect->page_request(&r, &next);
		wire_ahead(a->http, a->base_url, &r, a->auth.token.access);
		wire_request_release(&r);
		a->ahead = buf_detach(&after);
	}
	buf_release(&after);
}

void api_ahead_drop(struct api *a)
{
	if (a->ahead == NULL)
		return;
	http_ahead_drop(a->http);
	free(a->ahead);
	a->ahead = NULL;
}

struct page_call {
	const struct dialect_page *p;
	struct api_page *page;
};

static int take_page(
	struct api *a, struct http_answer *answer, void *to, struct err *e)
{
	const struct page_call *c = to;
	struct api_page *page = c->page;
	struct slice doc;
	int status = -1;

	page->text = answer->body;
	memset(&answer->body, 0, sizeof answer->body);
	page->text.secret = false; /* it holds events, and no token */
	send_ahead(a, c->p, &page->text);
	if (check(page, &doc, e) == 0)
		status = split(a, doc, page, e);
	if (status == 0 && !c->p->later)
		api_page_read(a, page);
	if (status < 0) {
		api_page_release(page);
		api_ahead_drop(a);
	}
	return status;
}

static int take_topics(
	struct api *a, struct http_answer *answer, void *to, struct err *e)
{
	struct json *doc = parse(answer, e);
	int status = -1;

	if (doc)
		status = a->dialect->topics_answer(doc, to, e);
	json_free(doc);
	return status;
}

int api_topics(struct api *a, struct json **topics, struct err *e)
{
	struct wire_request r;
	int status;

	*topics = NULL;
	wire_request_init(&r, "listing the topics");
	a->dialect->topics_request(&r);
	status = call(a, &r, take_topics, topics, e);
	wire_request_release(&r);
	return status;
}

static int one_page(struct api *a, const struct dialect_page *p,
	struct api_page *page, struct err *e)
{
	char *what = xasprintf("reading %s", p->topic);
	struct page_call c = { p, page };
	struct wire_request r;
	int status;

	memset(page, 0, sizeof *page);
	wire_request_init(&r, what);
	a->dialect->page_request(&r, p);
	status = call(a, &r, take_page, &c, e);
	wire_request_release(&r);
	free(what);
	return status;
}

/* Nor is it any use to ask again. */
static int too_large(const struct dialect_page *p, struct err *e)
{
	return err_set(e, EX_DATAERR,
		"reading %s: the event behind '%s' takes more than %d MiB; "
		"move the position past it with agentrux-waterline",
		p->topic, p->after ? p->after : "", DIALECT_EVENT_MAX >> 20);
}

/* A page of a size that can be had. */
static int some_page(struct api *a, const struct dialect_page *p,
	struct api_page *page, struct err *e)
{
	struct dialect_page smaller = *p;

	while (one_page(a, &smaller, page, e) < 0) {
		if (!e->too_large)
			return -1;
		if (smaller.limit == 1)
			return too_large(p, e);
		smaller.limit /= 2;
		*e = (struct err){ 0 };
	}
	page->limit = smaller.limit;
	return 0;
}

int api_page(struct api *a, const struct dialect_page *p, struct api_page *page,
	struct err *e)
{
	const struct dialect *d = a->dialect;
	struct dialect_page oldest = *p;
	int status;

	/* Another page than the one that was asked for ahead is wanted. */
	a->guessed_wrong |=
		a->ahead && (p->after == NULL || strcmp(p->after, a->ahead));
	free(a->ahead);
	a->ahead = NULL;
	status = some_page(a, p, page, e);

	if (status == 0 || d->is_lost == NULL || !d->is_lost(&a->said) ||
		p->after == NULL || strcmp(p->after, d->oldest) == 0)
		return status;
	*e = (struct err){ 0 };
	oldest.after = d->oldest;
	status = some_page(a, &oldest, page, e);
	page->lost = status == 0;
	return status;
}

void api_page_release(struct api_page *page)
{
	buf_release(&page->text);
	slice_ends_release(&page->ends);
	free(page->raw);
	free(page->events);
	free(page->next);
	memset(page, 0, sizeof *page);
}

static int take_event_id(
	struct api *a, struct http_answer *answer, void *to, struct err *e)
{
	struct json *doc = parse(answer, e);
	int status = -1;

	if (doc)
		status = a->dialect->publish_answer(doc, to, e);
	if (status == 0 && answer->replayed)
		say_detail(1, "the service had this event already: "
			      "Idempotent-Replayed");
	json_free(doc);
	return status;
}

void api_key(char key[API_KEY_MAX])
{
	char id[37];

	hash_uuid(id);
	snprintf(key, API_KEY_MAX, "idk_%s", id);
}

int api_may_publish(
	const struct api *a, const struct dialect_publication *p, struct err *e)
{
	const struct dialect *d = a->dialect;

	if (p->metadata.p && !d->takes_metadata)
		return err_set(e, EX_USAGE,
			"publishing to %s: the %s dialect has no metadata",
			p->topic, d->name);
	if (p->idempotency_key && !d->takes_idempotency_key)
		return err_set(e, EX_USAGE,
			"publishing to %s: the %s dialect has no idempotency "
			"keys",
			p->topic, d->name);
	if (p->payload_object_id == NULL && !d->takes_objects &&
		p->payload.len > d->inline_max)
		return err_set(e, EX_DATAERR,
			"publishing to %s: the payload is larger than %zu "
			"bytes",
			p->topic, d->inline_max);
	return 0;
}

int api_publish(struct api *a, const struct dialect_publication *p,
	char **event_id, struct err *e)
{
	struct dialect_publication keyed = *p;
	struct wire_request r;
	char *what, key[API_KEY_MAX];
	int status;

	if (api_may_publish(a, p, e) < 0)
		return -1;
	if (a->dialect->takes_idempotency_key && p->idempotency_key == NULL) {
		api_key(key);
		keyed.idempotency_key = key;
	}
	what = xasprintf("publishing to %s", p->topic);
	wire_request_init(&r, what);
	a->dialect->publish_request(&r, &keyed);
	/* Told to end, the acknowledgement is worth a moment. */
	r.once = true;
	status = call(a, &r, take_event_id, event_id, e);
	wire_request_release(&r);
	free(what);
	return status;
}

struct reservation {
	const struct dialect_reservation *want;
	struct dialect_object *o;
};

static int take_reservation(
	struct api *a, struct http_answer *answer, void *to, struct err *e)
{
	struct json *doc = parse(answer, e);
	struct reservation *r = to;
	int status = -1;

	if (doc)
		status = a->dialect->reserve_answer(doc, r->want, r->o, e);
	json_free(doc);
	if (status < 0)
		dialect_object_release(r->o);
	return status;
}

int api_reserve(struct api *a, const struct dialect_reservation *want,
	struct dialect_object *o, struct err *e)
{
	char *what = xasprintf("reserving a payload object in %s", want->topic);
	struct reservation to = { want, o };
	struct wire_request r;
	int status;

	memset(o, 0, sizeof *o);
	wire_request_init(&r, what);
	a->dialect->reserve_request(&r, want);
	status = call(a, &r, take_reservation, &to, e);
	wire_request_release(&r);
	free(what);
	return status;
}

static int take_object(
	struct api *a, struct http_answer *answer, void *to, struct err *e)
{
	struct json *doc = parse(answer, e);
	int status = -1;

	if (doc)
		status = a->dialect->object_answer(doc, to, e);
	json_free(doc);
	if (status < 0)
		dialect_object_release(to);
	return status;
}

int api_object(struct api *a, const char *topic, const char *id,
	struct dialect_object *o, struct err *e)
{
	char *what = xasprintf("looking up a payload object in %s", topic);
	struct wire_request r;
	int status;

	memset(o, 0, sizeof *o);
	wire_request_init(&r, what);
	a->dialect->object_request(&r, topic, id);
	status = call(a, &r, take_object, o, e);
	wire_request_release(&r);
	free(what);
	return status;
}
