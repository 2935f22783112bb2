#include "http.h"

#include "backoff.h"
#include "home.h"
#include "stop.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { WAIT_FDS = 16, SHOWN_BODY = 2048 };

struct http {
	CURLM *multi;
	CURL *spare; /* of the last http_do, to be used again */
	struct http_call *calls;
	bool allow_http;
};

struct http_call {
	struct http *http;
	struct http_call *next;
	CURL *easy;
	struct curl_slist *headers;
	char *shown; /* METHOD and URL for people */
	struct http_request req;
	struct http_answer answer;
	char curl_error[CURL_ERROR_SIZE];
	struct err err; /* of our own making, wins over curl's */
	curl_off_t moved;
	off_t sent;
	int64_t started_ms, active_ms;
	bool connected, done, in_multi;
	CURLcode code;
};

static void init_once(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct http *http_new(bool allow_http)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct http *h = xcalloc(1, sizeof *h);

	pthread_once(&once, init_once);
	h->multi = curl_multi_init();
	if (h->multi == NULL)
		xrealloc(NULL, (size_t)-1); /* as any memory not to be had */
	h->allow_http = allow_http;
	return h;
}

void http_free(struct http *h)
{
	if (h == NULL)
		return;
	while (h->calls)
		http_close(h->calls);
	if (h->spare)
		curl_easy_cleanup(h->spare);
	curl_multi_cleanup(h->multi);
	free(h);
}

static bool is_loopback(const char *host)
{
	return strcasecmp(host, "localhost") == 0 ||
	       strcmp(host, "[::1]") == 0 ||
	       (strncmp(host, "127.", 4) == 0 &&
		       strspn(host, "0123456789.") == strlen(host));
}

/* 1: plain http to loopback, 0: anything else that is fine, -1: forbidden. */
static int judge_url(const char *url, bool allow_http, struct err *e)
{
	char *scheme = NULL, *host = NULL, *user = NULL;
	CURLU *u = curl_url();
	int r = -1;

	if (curl_url_set(u, CURLUPART_URL, url, 0) ||
		curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) ||
		curl_url_get(u, CURLUPART_HOST, &host, 0)) {
		err_set(e, EX_CONFIG,
			"it is not a URL such as "
			"https://api.agentrux.com");
		goto out;
	}
	if (curl_url_get(u, CURLUPART_USER, &user, 0) == 0) {
		err_set(e, EX_CONFIG, "a URL must not hold credentials");
		goto out;
	}
	if (strcmp(scheme, "https") == 0)
		r = 0;
	else if (strcmp(scheme, "http"))
		err_set(e, EX_CONFIG, "only https is spoken, not %s", scheme);
	else if (is_loopback(host))
		r = 1;
	else if (allow_http)
		r = 0;
	else
		err_set(e, EX_CONFIG,
			"plain http would show the secret to the network; use "
			"https, or set AGENTRUX_ALLOW_HTTP=1 if you must");
out:
	curl_free(scheme);
	curl_free(host);
	curl_free(user);
	curl_url_cleanup(u);
	return r;
}

int http_check_url(const char *url, bool allow_http, struct err *e)
{
	return judge_url(url, allow_http, e) < 0 ? -1 : 0;
}

void http_escape(struct buf *out, const char *text)
{
	char *s = curl_easy_escape(NULL, text, (int)strlen(text));

	if (s == NULL)
		xrealloc(NULL, (size_t)-1);
	buf_str(out, s);
	curl_free(s);
}

static void alive(struct http_call *c)
{
	c->active_ms = backoff_clock_ms();
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
	struct http_call *c = ctx;
	long status = 0;

	(void)size;
	alive(c);
	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	if (c->req.sink && status >= 200 && status < 300) {
		if (c->req.sink(c->req.ctx, p, n) == 0)
			return n;
		if (c->err.code == 0)
			err_set(&c->err, EX_FAILED, "given up");
		return 0;
	}
	if (buf_add(&c->answer.body, p, n) == 0)
		return n;
	err_set(&c->err, EX_TEMPFAIL, "the answer is larger than %zu bytes",
		c->answer.body.max);
	return 0;
}

/* The value of header `name` in the line, or NULL. */
static char *header_value(const char *line, size_t n, const char *name)
{
	size_t len = strlen(name);

	if (n <= len || line[len] != ':' || strncasecmp(line, name, len))
		return NULL;
	for (line += len + 1, n -= len + 1; n && (*line == ' ');)
		line++, n--;
	while (n && (line[n - 1] == '\r' || line[n - 1] == '\n'))
		n--;
	return xstrndup(line, n);
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
	struct http_call *c = ctx;
	char *v;

	(void)size;
	alive(c);
	if ((v = header_value(p, n, "Date")))
		c->answer.date = backoff_http_date(v);
	else if ((v = header_value(p, n, "Retry-After")))
		c->answer.retry_after_ms =
			backoff_retry_after(v, c->answer.date);
	else if ((v = header_value(p, n, "Idempotent-Replayed")))
		c->answer.replayed = strcasecmp(v, "true") == 0;
	free(v);
	return n;
}

static size_t on_read(char *p, size_t size, size_t n, void *ctx)
{
	struct http_call *c = ctx;
	size_t left = c->req.body_len - (size_t)c->sent;
	ssize_t got;

	n *= size;
	if (n > left)
		n = left;
	if (n == 0)
		return 0;
	do {
		got = pread(c->req.body_fd, p, n, c->req.body_at + c->sent);
	} while (got < 0 && errno == EINTR);
	if (got <= 0) {
		if (got < 0)
			err_errno(&c->err, "reading the file");
		else
			err_set(&c->err, EX_DATAERR,
				"the file became shorter while it was sent");
		return CURL_READFUNC_ABORT;
	}
	c->sent += got;
	return (size_t)got;
}

static int on_progress(void *ctx, curl_off_t dltotal, curl_off_t dlnow,
	curl_off_t ultotal, curl_off_t ulnow)
{
	struct http_call *c = ctx;

	(void)dltotal;
	(void)ultotal;
	if (dlnow + ulnow != c->moved) {
		c->moved = dlnow + ulnow;
		alive(c);
	}
	return 0;
}

static int on_connected(void *ctx, char *ip, char *local, int port, int lport)
{
	struct http_call *c = ctx;

	(void)ip;
	(void)local;
	(void)port;
	(void)lport;
	c->connected = true;
	alive(c);
	return CURL_PREREQFUNC_OK;
}

static void show_headers(char mark, const struct curl_slist *l)
{
	for (; l; l = l->next)
		if (strncasecmp(l->data, "Authorization:", 14) == 0)
			say_detail(2, "%c Authorization: Bearer ***", mark);
		else
			say_detail(2, "%c %s", mark, l->data);
}

static void show_body(
	const struct http_call *c, char mark, const void *p, size_t n)
{
	if (p == NULL || n == 0)
		return;
	if (c->req.secret)
		say_detail(2, "%c (%zu bytes, not shown)", mark, n);
	else
		say_detail(2, "%c %.*s%s", mark,
			(int)(n > SHOWN_BODY ? SHOWN_BODY : n), (const char *)p,
			n > SHOWN_BODY ? " …" : "");
}

static void add_header(struct http_call *c, const char *line)
{
	struct curl_slist *l = curl_slist_append(c->headers, line);

	if (l)
		c->headers = l;
	else
		xrealloc(NULL, (size_t)-1);
}

static void set_headers(struct http_call *c, const struct http_request *r)
{
	char *auth;
	size_t i;

	for (i = 0; r->headers && r->headers[i]; i++)
		add_header(c, r->headers[i]);
	/* A name with nothing behind it keeps libcurl's own header out. */
	add_header(c, "Expect:");
	if (r->bare) {
		add_header(c, "Accept:");
	}
	if (r->bearer && !r->bare) {
		auth = xasprintf("Authorization: Bearer %s", r->bearer);
		add_header(c, auth);
		buf_wipe_free(auth);
	}
	curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers);
}

static void set_body(struct http_call *c, const struct http_request *r)
{
	CURL *q = c->easy;

	if (r->from_fd) {
		curl_easy_setopt(q, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(q, CURLOPT_READFUNCTION, on_read);
		curl_easy_setopt(q, CURLOPT_READDATA, c);
		curl_easy_setopt(
			q, CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->body_len);
	} else if (r->body) {
		curl_easy_setopt(q, CURLOPT_POSTFIELDSIZE_LARGE,
			(curl_off_t)r->body_len);
		curl_easy_setopt(q, CURLOPT_POSTFIELDS, r->body);
	}
	if (strcmp(r->method, "GET"))
		curl_easy_setopt(q, CURLOPT_CUSTOMREQUEST, r->method);
}

/* Security and the bounds that curl has to know of itself. */
static void set_policy(struct http_call *c, bool loopback)
{
	const char *ca_file = home_ca_file();
	const char *ca_dir = home_ca_dir();
	CURL *q = c->easy;

	curl_easy_setopt(q, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(q, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(q, CURLOPT_USERAGENT, "agentrux/" AGENTRUX_VERSION);
	curl_easy_setopt(q, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(q, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(q, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(q, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(q, CURLOPT_PIPEWAIT, 1L);
	curl_easy_setopt(q, CURLOPT_TCP_KEEPALIVE, 1L);
	/* A server that forgot a kept connection must cost no attempt:
	 * shorter than what front ends keep. */
	curl_easy_setopt(q, CURLOPT_MAXAGE_CONN, 50L);
	/* The same bound as ours, which ends the wait if this one is late. */
	curl_easy_setopt(q, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_MS);
	if (ca_file)
		curl_easy_setopt(q, CURLOPT_CAINFO, ca_file);
	if (ca_dir)
		curl_easy_setopt(q, CURLOPT_CAPATH, ca_dir);
	if (loopback)
		curl_easy_setopt(q, CURLOPT_PROXY, "");
}

static void set_callbacks(struct http_call *c)
{
	CURL *q = c->easy;

	curl_easy_setopt(q, CURLOPT_PRIVATE, c);
	curl_easy_setopt(q, CURLOPT_ERRORBUFFER, c->curl_error);
	curl_easy_setopt(q, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(q, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(q, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(q, CURLOPT_HEADERDATA, c);
	curl_easy_setopt(q, CURLOPT_PREREQFUNCTION, on_connected);
	curl_easy_setopt(q, CURLOPT_PREREQDATA, c);
	curl_easy_setopt(q, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(q, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(q, CURLOPT_XFERINFODATA, c);
}

/* What people may see of a URL: a presigned one is a key in itself. */
static char *shown_url(const struct http_request *r)
{
	size_t len = strcspn(r->url, "?");
	bool cut = r->url[len] && (r->secret || r->bare);

	if (!cut)
		len = strlen(r->url);
	return xasprintf(
		"%s %.*s%s", r->method, (int)len, r->url, cut ? "?…" : "");
}

/* Puts the call among the open ones and starts it. NULL if the URL is not
 * allowed. */
static struct http_call *start(
	struct http *h, const struct http_request *r, struct err *e)
{
	struct http_call *c;
	int loopback = judge_url(r->url, h->allow_http, e);

	if (loopback < 0) {
		err_prefix(e, "asking %.*s", (int)strcspn(r->url, "?"), r->url);
		return NULL;
	}
	c = xcalloc(1, sizeof *c);
	c->http = h;
	c->req = *r;
	c->shown = shown_url(r);
	if (c->req.idle_ms == 0)
		c->req.idle_ms = HTTP_IDLE_MS;
	if (c->req.total_ms == 0)
		c->req.total_ms = HTTP_TOTAL_MS;
	c->answer = (struct http_answer){ .retry_after_ms = -1 };
	c->answer.body = (struct buf)BUF_SECRET(
		r->answer_max ? r->answer_max : HTTP_ERROR_MAX);
	c->started_ms = c->answer.asked_ms = backoff_clock_ms();
	alive(c);
	c->easy = h->spare ? h->spare : curl_easy_init();
	h->spare = NULL;
	if (c->easy == NULL)
		xrealloc(NULL, (size_t)-1);
	curl_easy_setopt(c->easy, CURLOPT_URL, r->url);
	set_policy(c, loopback == 1);
	set_callbacks(c);
	set_headers(c, r);
	set_body(c, r);
	say_detail(2, "> %s", c->shown);
	show_headers('>', c->headers);
	if (!r->from_fd)
		show_body(c, '>', r->body, r->body_len);
	curl_multi_add_handle(h->multi, c->easy);
	c->in_multi = true;
	c->next = h->calls;
	h->calls = c;
	return c;
}

static void finish(struct http_call *c)
{
	long status = 0;

	if (c->in_multi)
		curl_multi_remove_handle(c->http->multi, c->easy);
	c->in_multi = false;
	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	c->answer.status = (int)status;
	c->done = true;
	say_detail(2, "< %ld after %ld ms", status,
		(long)(backoff_clock_ms() - c->started_ms));
	show_body(c, '<', c->answer.body.data, c->answer.body.len);
}

/* Ends a call that is over one of its bounds; else the ms until the next. */
static long check_bounds(struct http_call *c, int64_t now)
{
	int64_t due = c->connected ? c->active_ms + c->req.idle_ms
				   : c->started_ms + HTTP_CONNECT_MS;
	const char *what = "no connection";
	long limit = HTTP_CONNECT_MS;

	if (c->connected) {
		what = "no byte came";
		limit = c->req.idle_ms;
	}
	if (c->req.total_ms > 0 && c->started_ms + c->req.total_ms < due) {
		due = c->started_ms + c->req.total_ms;
		what = "not done";
		limit = c->req.total_ms;
	}
	if (now < due)
		return (long)(due - now);
	err_set(&c->err, EX_TEMPFAIL, "%s within %g s", what,
		(double)limit / 1000);
	c->code = CURLE_OPERATION_TIMEDOUT;
	finish(c);
	return 0;
}

/* Collects what has ended and enforces the bounds. Returns how long a wait may
 * last, and whether anything ended. */
static long settle(struct http *h, bool *ended)
{
	int64_t now = backoff_clock_ms();
	struct http_call *c;
	long wait = 60000, left;
	CURLMsg *m;
	int n;

	while ((m = curl_multi_info_read(h->multi, &n))) {
		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &c);
		c->code = m->data.result;
		finish(c);
		*ended = true;
	}
	for (c = h->calls; c; c = c->next) {
		if (c->done)
			continue;
		left = check_bounds(c, now);
		if (c->done)
			*ended = true;
		else if (left < wait)
			wait = left;
	}
	return wait;
}

int http_poll(struct http *h, struct pollfd *fds, unsigned n, long timeout_ms,
	struct err *e)
{
	struct curl_waitfd wait[WAIT_FDS];
	struct pollfd stop[STOP_FDS];
	bool ended = false;
	int running;
	long bound;
	unsigned i;

	if (n > WAIT_FDS - STOP_FDS)
		return err_set(e, EX_FAILED, "too many descriptors to poll");
	curl_multi_perform(h->multi, &running);
	bound = settle(h, &ended);
	if (timeout_ms < 0 || timeout_ms > bound)
		timeout_ms = bound;
	if (ended)
		timeout_ms = 0;
	stop_fds(stop);
	for (i = 0; i < n + STOP_FDS; i++) {
		const struct pollfd *p = i < n ? &fds[i] : &stop[i - n];

		wait[i] = (struct curl_waitfd){ .fd = p->fd };
		if (p->events & POLLIN)
			wait[i].events |= CURL_WAIT_POLLIN;
		if (p->events & POLLOUT)
			wait[i].events |= CURL_WAIT_POLLOUT;
	}
	/* curl drops negative descriptors only by failing: leave them out. */
	for (i = n; i < n + STOP_FDS; i++)
		if (wait[i].fd < 0)
			wait[i] = wait[n];
	if (wait[n].fd >= 0)
		curl_multi_poll(
			h->multi, wait, n + STOP_FDS, (int)timeout_ms, NULL);
	else
		curl_multi_poll(h->multi, wait, n, (int)timeout_ms, NULL);
	if (stop_asked())
		return err_stopped(e);
	/* What the descriptors have is asked afresh: curl's own list of
	 * events lacks POLLHUP. */
	if (n && poll(fds, n, 0) < 0 && errno != EINTR)
		return err_errno(e, "polling");
	curl_multi_perform(h->multi, &running);
	settle(h, &ended);
	return 0;
}

static const char *reason(const struct http_call *c)
{
	return c->curl_error[0] ? c->curl_error : curl_easy_strerror(c->code);
}

int http_result(
	const struct http_call *c, const struct http_answer **a, struct err *e)
{
	if (a)
		*a = &c->answer;
	if (c->err.code)
		return err_set(e, c->err.code, "%s: %s", c->shown, c->err.text);
	if (c->code != CURLE_OK)
		return err_set(e, EX_TEMPFAIL, "%s: %s", c->shown, reason(c));
	return 0;
}

bool http_done(const struct http_call *c)
{
	return c->done;
}

int http_status(const struct http_call *c)
{
	long status = 0;

	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	return (int)status;
}

void http_set_idle(struct http_call *c, long idle_ms)
{
	c->req.idle_ms = idle_ms;
}

struct http_call *http_open(
	struct http *h, const struct http_request *r, struct err *e)
{
	return start(h, r, e);
}

static void unlist(struct http_call *c)
{
	struct http_call **p = &c->http->calls;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
}

void http_close(struct http_call *c)
{
	struct http *h;

	if (c == NULL)
		return;
	h = c->http;
	unlist(c);
	if (c->in_multi)
		curl_multi_remove_handle(h->multi, c->easy);
	if (h->spare == NULL) {
		curl_easy_reset(c->easy);
		h->spare = c->easy;
	} else {
		curl_easy_cleanup(c->easy);
	}
	if (c->req.bearer)
		for (struct curl_slist *l = c->headers; l; l = l->next)
			explicit_bzero(l->data, strlen(l->data));
	curl_slist_free_all(c->headers);
	http_answer_release(&c->answer);
	free(c->shown);
	free(c);
}

int http_do(struct http *h, const struct http_request *r, struct http_answer *a,
	struct err *e)
{
	struct http_call *c = start(h, r, e);
	int status = -1;

	*a = (struct http_answer){ .retry_after_ms = -1 };
	if (c == NULL)
		return -1;
	while (!c->done)
		if (http_poll(h, NULL, 0, -1, e) < 0)
			goto out;
	status = http_result(c, NULL, e);
	*a = c->answer;
	memset(&c->answer, 0, sizeof c->answer);
	if (status < 0)
		a->status = 0;
out:
	http_close(c);
	return status;
}

void http_answer_release(struct http_answer *a)
{
	buf_release(&a->body);
}
