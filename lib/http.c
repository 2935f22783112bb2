#include "http.h"

#include "address.h"
#include "backoff.h"
#include "home.h"
#include "stop.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
	POLL_MAX = 14,	 /* descriptors of a caller */
	EVENTS_MAX = 64, /* taken from the kernel at a time */
	/* poll(2)'s clock stands still while the machine sleeps: what takes
	 * longer than the first of these is left to a timer on our own. */
	POLL_MAX_MS = 3000,
	WAIT_MAX_MS = 3600000,
	/* Rounds of reading before anything is declared overdue. */
	CATCH_UP = 1000,
	SHOWN_BODY = 2048,
	STREAM_BUFFER = 2048,	/* hints are short, streams are many */
	LARGE_BUFFER = 262144,	/* files are long, and pages of events */
	RESERVED_MAX = 1048576, /* taken at once for a body, if it says so */
	STREAMS_MAX = 10000,	/* on one connection, if the server likes */
};

/* Connections that calls share and later calls use again. A pool in which a
 * connection fell silent is retired: its calls may go on, but no new one gets
 * to a connection that may be dead (HTTP/2 would never let go of it). */
struct pool {
	struct pool *next;
	struct http *http;
	CURLM *multi;
	uint32_t id;
	unsigned calls;
	int64_t timer_ms; /* when curl wants to act; -1: not at all */
};

struct http {
	int epoll_fd;
	int timer_fd;	    /* in epoll_fd, as if of a pool 0 */
	int broken;	    /* errno of what makes going on impossible */
	struct pool *pool;  /* for new calls; NULL: to be made */
	struct pool *pools; /* all of them */
	uint32_t last_id;
	CURL *spare;	/* of the last call, to be used again */
	int spare_kind; /* of request, that it is set up for; 0: none */
	struct http_call *calls;
	struct http_call *ahead; /* one of them, sent before its http_do() */
	char *ahead_url;
	int64_t due_ms; /* no bound of any call is reached before */
	bool allow_http;
};

struct http_call {
	struct http *http;
	struct pool *pool; /* NULL: no longer in one */
	struct http_call *next;
	CURL *easy;
	int kind; /* likewise, of `easy` */
	struct curl_slist *headers;
	char *shown; /* METHOD and URL for people */
	struct http_request req;
	struct http_answer answer;
	char curl_error[CURL_ERROR_SIZE];
	struct err *err; /* of our own making, wins over curl's; or NULL */
	curl_off_t moved;
	off_t sent;
	int64_t started_ms, active_ms;
	char *retry_after; /* the header, as it came */
	bool tls, connected, head, done;
	bool kept_out; /* from an address that is not public */
	CURLcode code;
};

static void init_once(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

static int on_socket(
	CURL *easy, curl_socket_t fd, int what, void *ctx, void *known)
{
	struct pool *p = ctx;
	struct epoll_event ev = {
		.data.u64 = (uint64_t)p->id << 32 | (uint32_t)fd,
	};

	(void)easy;
	(void)known;
	if (what == CURL_POLL_REMOVE) {
		/* A closed descriptor has left already. */
		epoll_ctl(p->http->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	if (what & CURL_POLL_IN)
		ev.events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		ev.events |= EPOLLOUT;
	if (epoll_ctl(p->http->epoll_fd, EPOLL_CTL_MOD, fd, &ev) == 0 ||
		epoll_ctl(p->http->epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0)
		return 0;
	p->http->broken = errno;
	return -1;
}

static int on_timer(CURLM *multi, long ms, void *ctx)
{
	struct pool *p = ctx;

	(void)multi;
	p->timer_ms = ms < 0 ? -1 : backoff_clock_ms() + ms;
	return 0;
}

/* The pool for a new call. */
static struct pool *pool_get(struct http *h)
{
	struct pool *p;

	if (h->pool)
		return h->pool;
	p = xcalloc(1, sizeof *p);
	p->http = h;
	p->id = ++h->last_id;
	p->timer_ms = -1;
	p->multi = curl_multi_init();
	if (p->multi == NULL)
		xrealloc(NULL, (size_t)-1); /* as any memory not to be had */
	curl_multi_setopt(p->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(p->multi, CURLMOPT_SOCKETDATA, p);
	curl_multi_setopt(p->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(p->multi, CURLMOPT_TIMERDATA, p);
	curl_multi_setopt(
		p->multi, CURLMOPT_MAX_CONCURRENT_STREAMS, (long)STREAMS_MAX);
	p->next = h->pools;
	h->pools = p;
	h->pool = p;
	return p;
}

/* Frees the retired pools that no call is in any more. */
static void pools_prune(struct http *h)
{
	struct pool **at = &h->pools, *p;

	while ((p = *at)) {
		if (p == h->pool || p->calls) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		curl_multi_cleanup(p->multi);
		free(p);
	}
}

struct http *http_new(bool allow_http)
{
	struct http *h = xcalloc(1, sizeof *h);
	struct epoll_event edge = { .events = EPOLLIN | EPOLLET };

	h->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	h->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC);
	if (h->epoll_fd < 0 || h->timer_fd < 0 ||
		epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, h->timer_fd, &edge) < 0)
		h->broken = errno;
	h->due_ms = INT64_MAX;
	h->allow_http = allow_http;
	return h;
}

void http_free(struct http *h)
{
	if (h == NULL)
		return;
	http_ahead_drop(h);
	while (h->calls)
		http_close(h->calls);
	if (h->spare)
		curl_easy_cleanup(h->spare);
	h->pool = NULL;
	pools_prune(h);
	if (h->epoll_fd >= 0)
		close(h->epoll_fd);
	if (h->timer_fd >= 0)
		close(h->timer_fd);
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
	char *scheme = NULL, *host = NULL, *user = NULL, *password = NULL;
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
	if (curl_url_get(u, CURLUPART_USER, &user, 0) == 0 ||
		curl_url_get(u, CURLUPART_PASSWORD, &password, 0) == 0) {
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
	curl_free(password);
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

/* No bound may be looked for later than this. */
static void expect(struct http *h, int64_t due_ms)
{
	if (due_ms < h->due_ms)
		h->due_ms = due_ms;
}

static void tell(struct http_call *c)
{
	if (c->req.changed)
		c->req.changed(c->req.ctx);
}

static struct err *own_error(struct http_call *c)
{
	if (c->err == NULL)
		c->err = xcalloc(1, sizeof *c->err);
	return c->err;
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
	struct http_call *c = ctx;

	(void)size;
	alive(c);
	if (c->req.sink && c->answer.status / 100 == 2) {
		if (c->req.sink(c->req.ctx, p, n) == 0)
			return n;
		err_set(own_error(c), EX_FAILED, "given up");
		return 0;
	}
	if (buf_add(&c->answer.body, p, n) == 0)
		return n;
	err_set(own_error(c), EX_TEMPFAIL,
		"the answer is larger than %zu bytes", c->answer.body.max);
	c->err->too_large = true;
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

/* A body that says how long it is need not be copied as it grows. */
static void reserve(struct http_call *c)
{
	struct buf *body = &c->answer.body;
	curl_off_t len = 0;

	if (c->req.sink || body->len ||
		curl_easy_getinfo(c->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T,
			&len) != CURLE_OK)
		return;
	if (len > 0 && len <= RESERVED_MAX && (size_t)len <= body->max)
		*buf_room(body, (size_t)len) = '\0';
}

/* The answer's head is whole. */
static void on_head(struct http_call *c)
{
	long status = 0;

	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200)
		return;
	c->head = true;
	c->answer.status = (int)status;
	/* Only now: a date in it is relative to Date, which may come later. */
	if (c->retry_after)
		c->answer.retry_after_ms =
			backoff_retry_after(c->retry_after, c->answer.date);
	reserve(c);
	say_detail(2, "< %ld after %ld ms", status,
		(long)(backoff_clock_ms() - c->started_ms));
	tell(c);
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
	struct http_call *c = ctx;
	char *v;

	(void)size;
	alive(c);
	if (c->head) /* a trailer */
		return n;
	if (*p == '\r' || *p == '\n') {
		on_head(c);
	} else if ((v = header_value(p, n, "Date"))) {
		c->answer.date = backoff_http_date(v);
		free(v);
	} else if ((v = header_value(p, n, "Retry-After"))) {
		free(c->retry_after);
		c->retry_after = v;
	} else if ((v = header_value(p, n, "Idempotent-Replayed"))) {
		c->answer.replayed = strcasecmp(v, "true") == 0;
		free(v);
	}
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
			err_errno(own_error(c), "reading the file");
		else
			err_set(own_error(c), EX_DATAERR,
				"the file became shorter while it was sent");
		return CURL_READFUNC_ABORT;
	}
	if (c->req.body_read)
		c->req.body_read(
			c->req.ctx, p, (size_t)got, c->req.body_at + c->sent);
	c->sent += got;
	if (c->req.sent)
		atomic_store(c->req.sent, c->sent);
	return (size_t)got;
}

/* A kept connection that turns out to be closed: from the start again. */
static int on_seek(void *ctx, curl_off_t offset, int origin)
{
	struct http_call *c = ctx;

	if (origin != SEEK_SET)
		return CURL_SEEKFUNC_FAIL;
	c->sent = offset;
	return CURL_SEEKFUNC_OK;
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
	expect(c->http, c->active_ms + c->req.idle_ms);
	return CURL_PREREQFUNC_OK;
}

/* For a foreign URL: the socket to an address that was resolved. */
static curl_socket_t on_open(
	void *ctx, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct http_call *c = ctx;

	(void)purpose;
	if (address_is_public(&to->addr))
		return socket(
			to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
	c->kept_out = true;
	return CURL_SOCKET_BAD;
}

static const char authorization[] = "Authorization: Bearer ";

/* The token among what is sent; NULL if there is none. */
static const char *token_of(const struct curl_slist *l)
{
	for (; l; l = l->next)
		if (strncmp(l->data, authorization, sizeof authorization - 1) ==
			0)
			return l->data + sizeof authorization - 1;
	return NULL;
}

/* A service may quote in its answer what it was sent. */
static void hide(char *text, const char *token)
{
	size_t len = token ? strlen(token) : 0;

	for (; len && (text = strstr(text, token)); text += len)
		memset(text, '*', len);
}

static void show_headers(char mark, const struct curl_slist *l)
{
	for (; l; l = l->next)
		if (strncmp(l->data, authorization, sizeof authorization - 1) ==
			0)
			say_detail(2, "%c %s***", mark, authorization);
		else
			say_detail(2, "%c %s", mark, l->data);
}

static void show_body(
	const struct http_call *c, char mark, const void *p, size_t n)
{
	char *text;

	if (p == NULL || n == 0 || say_level() < 2)
		return;
	if (c->req.secret) {
		say_detail(2, "%c (%zu bytes, not shown)", mark, n);
		return;
	}
	text = xstrndup(p, n);
	hide(text, token_of(c->headers));
	say_detail(2, "%c %.*s%s", mark, SHOWN_BODY, text,
		n > SHOWN_BODY ? " …" : "");
	buf_wipe_free(text);
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
		auth = xasprintf("%s%s", authorization, r->bearer);
		add_header(c, auth);
		buf_wipe_free(auth);
	}
	curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers);
}

static void set_body(struct http_call *c, const struct http_request *r)
{
	CURL *q = c->easy;

	if (r->from_fd) {
		curl_easy_setopt(
			q, CURLOPT_UPLOAD_BUFFERSIZE, (long)LARGE_BUFFER);
		curl_easy_setopt(q, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(q, CURLOPT_READFUNCTION, on_read);
		curl_easy_setopt(q, CURLOPT_READDATA, c);
		curl_easy_setopt(q, CURLOPT_SEEKFUNCTION, on_seek);
		curl_easy_setopt(q, CURLOPT_SEEKDATA, c);
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

static bool same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static void set_trust(CURL *q)
{
	const curl_version_info_data *own = curl_version_info(CURLVERSION_NOW);
	const char *ca_file = home_ca_file();
	const char *ca_dir = home_ca_dir();

	/* Many a system sets the variables to what it trusts anyway. */
	if (same(ca_file, own->cainfo))
		ca_file = NULL;
	if (same(ca_dir, own->capath))
		ca_dir = NULL;
	if (ca_file)
		curl_easy_setopt(q, CURLOPT_CAINFO, ca_file);
	if (ca_dir)
		curl_easy_setopt(q, CURLOPT_CAPATH, ca_dir);
	/* With nothing but the system's one file, curl reads it once and not
	 * for every connection. */
	if (!ca_file && !ca_dir && own->cainfo &&
		access(own->cainfo, R_OK) == 0)
		curl_easy_setopt(q, CURLOPT_CAPATH, NULL);
}

/* Requests of one kind differ in their URL and headers alone, so that a handle
 * need not be set up anew. 0: it is of no kind. */
static int kind_of(const struct http_call *c, bool loopback)
{
	const struct http_request *r = &c->req;

	if (r->body || r->from_fd || r->sink || r->stream || r->foreign ||
		strcmp(r->method, "GET"))
		return 0;
	return 1 | c->tls << 1 | loopback << 2 |
	       (r->answer_max > LARGE_BUFFER) << 3;
}

/* The last call's handle, if there is one, or a new one. true: it is set up for
 * this kind already. */
static bool take_handle(struct http *h, struct http_call *c)
{
	bool ready = h->spare && c->kind && c->kind == h->spare_kind;

	c->easy = h->spare ? h->spare : curl_easy_init();
	if (c->easy == NULL)
		xrealloc(NULL, (size_t)-1);
	if (h->spare && !ready)
		curl_easy_reset(c->easy);
	h->spare = NULL;
	return ready;
}

/* What a call has lent to its handle must not be used any more. A handle that
 * opened a connection is not kept as it is, for libcurl counts over all its
 * requests how often a kept connection was found dead, and gives up at five. */
static void leave_handle(struct http *h, struct http_call *c)
{
	long opened = 1;

	if (h->spare) {
		curl_easy_cleanup(c->easy);
		return;
	}
	curl_easy_getinfo(c->easy, CURLINFO_NUM_CONNECTS, &opened);
	if (opened)
		c->kind = 0;
	if (c->kind)
		curl_easy_setopt(c->easy, CURLOPT_ERRORBUFFER, NULL);
	else
		curl_easy_reset(c->easy);
	h->spare = c->easy;
	h->spare_kind = c->kind;
}

/* Security and the bounds that curl has to know of itself. */
static void set_policy(struct http_call *c, bool loopback)
{
	CURL *q = c->easy;

	curl_easy_setopt(q, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(q, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(q, CURLOPT_USERAGENT, "agentrux/" AGENTRUX_VERSION);
	curl_easy_setopt(q, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(q, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(q, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(q, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(q, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(q, CURLOPT_TCP_KEEPALIVE, 1L);
	/* Whether many requests fit on one connection is known once TLS is up;
	 * without TLS it would take a whole answer, and they never do. */
	if (c->tls)
		curl_easy_setopt(q, CURLOPT_PIPEWAIT, 1L);
	else
		curl_easy_setopt(
			q, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	if (c->req.stream) {
		curl_easy_setopt(q, CURLOPT_BUFFERSIZE, (long)STREAM_BUFFER);
		curl_easy_setopt(q, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
	} else if (c->req.sink || c->req.answer_max > LARGE_BUFFER) {
		curl_easy_setopt(q, CURLOPT_BUFFERSIZE, (long)LARGE_BUFFER);
	}
	/* A server that forgot a kept connection must cost no attempt:
	 * shorter than what front ends keep. */
	curl_easy_setopt(q, CURLOPT_MAXAGE_CONN, 50L);
	/* The same bound as ours, which ends the wait if this one is late. */
	curl_easy_setopt(q, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_MS);
	if (c->tls)
		set_trust(q);
	if (loopback || c->req.foreign)
		curl_easy_setopt(q, CURLOPT_PROXY, "");
}

/* A connection that is not shared, for what others opened was not looked at. */
static void set_foreign(struct http_call *c)
{
	curl_easy_setopt(c->easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(c->easy, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(c->easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
	curl_easy_setopt(c->easy, CURLOPT_OPENSOCKETDATA, c);
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
	/* Not before: many a program finds that it has nothing to ask. */
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct http_call *c;
	int loopback;

	pthread_once(&once, init_once);
	loopback = judge_url(r->url, h->allow_http, e);
	if (loopback < 0) {
		err_prefix(e, "asking %.*s", (int)strcspn(r->url, "?"), r->url);
		if (e && r->foreign)
			e->code = EX_NOPERM;
		return NULL;
	}
	c = xcalloc(1, sizeof *c);
	c->http = h;
	c->req = *r;
	c->shown = shown_url(r);
	c->tls = strncasecmp(r->url, "https:", 6) == 0;
	if (c->req.idle_ms == 0)
		c->req.idle_ms = HTTP_IDLE_MS;
	if (c->req.total_ms == 0)
		c->req.total_ms = HTTP_TOTAL_MS;
	c->answer = (struct http_answer){ .retry_after_ms = -1 };
	c->answer.body = (struct buf)BUF_SECRET(
		r->answer_max ? r->answer_max : HTTP_ERROR_MAX);
	c->started_ms = c->answer.asked_ms = backoff_clock_ms();
	alive(c);
	expect(h, c->started_ms + HTTP_CONNECT_MS);
	if (c->req.total_ms > 0)
		expect(h, c->started_ms + c->req.total_ms);
	c->kind = kind_of(c, loopback == 1);
	if (!take_handle(h, c))
		set_policy(c, loopback == 1);
	curl_easy_setopt(c->easy, CURLOPT_URL, r->url);
	if (r->foreign)
		set_foreign(c);
	set_callbacks(c);
	set_headers(c, r);
	set_body(c, r);
	say_detail(2, "> %s", c->shown);
	show_headers('>', c->headers);
	if (!r->from_fd)
		show_body(c, '>', r->body, r->body_len);
	c->pool = pool_get(h);
	c->pool->calls++;
	curl_multi_add_handle(c->pool->multi, c->easy);
	c->next = h->calls;
	h->calls = c;
	return c;
}

static void leave_pool(struct http_call *c)
{
	if (c->pool == NULL)
		return;
	curl_multi_remove_handle(c->pool->multi, c->easy);
	c->pool->calls--;
	c->pool = NULL;
}

static void finish(struct http_call *c)
{
	leave_pool(c);
	curl_easy_getinfo(
		c->easy, CURLINFO_SIZE_UPLOAD_T, &c->answer.body_sent);
	c->done = true;
	show_body(c, '<', c->answer.body.data, c->answer.body.len);
	tell(c);
}

/* When this call is over one of its bounds; `what` and `limit` name it. */
static int64_t bound_of(
	const struct http_call *c, const char **what, long *limit)
{
	int64_t due = c->started_ms + HTTP_CONNECT_MS;

	*what = "no connection";
	*limit = HTTP_CONNECT_MS;
	if (c->connected) {
		due = c->active_ms + c->req.idle_ms;
		*what = "no byte came";
		*limit = c->req.idle_ms;
	}
	if (c->req.total_ms > 0 && c->started_ms + c->req.total_ms < due) {
		due = c->started_ms + c->req.total_ms;
		*what = "not done";
		*limit = c->req.total_ms;
	}
	return due;
}

/* Lets curl act: on timers, then on what sockets have. How much there was. */
static int drive(struct http *h)
{
	int64_t now = backoff_clock_ms();
	struct epoll_event ev[EVENTS_MAX];
	int n, i, running, did = 0;
	struct pool *p;

	for (p = h->pools; p; p = p->next) {
		if (p->timer_ms < 0 || p->timer_ms > now)
			continue;
		p->timer_ms = -1;
		curl_multi_socket_action(
			p->multi, CURL_SOCKET_TIMEOUT, 0, &running);
		did++;
	}
	n = epoll_wait(h->epoll_fd, ev, EVENTS_MAX, 0);
	for (i = 0; i < n; i++) {
		int fd = (int)(uint32_t)ev[i].data.u64;
		int what = 0; /* an error only: curl looks for itself */

		if (ev[i].events & EPOLLIN)
			what |= CURL_CSELECT_IN;
		if (ev[i].events & EPOLLOUT)
			what |= CURL_CSELECT_OUT;
		for (p = h->pools; p; p = p->next)
			if (p->id == ev[i].data.u64 >> 32)
				curl_multi_socket_action(
					p->multi, fd, what, &running);
		did++;
	}
	return did;
}

/* Takes out what curl has done with. */
static void collect(struct http *h)
{
	struct http_call *c;
	struct pool *p;
	CURLMsg *m;
	int n;

	for (p = h->pools; p; p = p->next)
		while ((m = curl_multi_info_read(p->multi, &n))) {
			if (m->msg != CURLMSG_DONE)
				continue;
			curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &c);
			c->code = m->data.result;
			finish(c);
		}
}

/* Ends what was over its bounds at `now`. */
static void enforce(struct http *h, int64_t now)
{
	struct http_call *c;
	const char *what;
	int64_t due;
	long limit;

	h->due_ms = INT64_MAX;
	for (c = h->calls; c; c = c->next) {
		if (c->done)
			continue;
		due = bound_of(c, &what, &limit);
		if (now < due) {
			expect(h, due);
			continue;
		}
		err_set(own_error(c), EX_TEMPFAIL, "%s within %g s", what,
			(double)limit / 1000);
		c->code = CURLE_OPERATION_TIMEDOUT;
		if (c->tls && c->connected && c->pool == h->pool)
			h->pool = NULL;
		finish(c);
	}
}

/* Moves everything on without waiting. */
static void move(struct http *h)
{
	/* Bounds are judged by a time before the sockets were read: whatever
	 * arrived while this process was stopped counts first. */
	int64_t now = backoff_clock_ms();
	int rounds = now < h->due_ms ? 1 : CATCH_UP;

	while (rounds-- > 0 && drive(h) > 0)
		;
	collect(h);
	if (now >= h->due_ms)
		enforce(h, now);
	pools_prune(h);
}

/* How long poll(2) may wait, -1: until the timer says so. */
static int wait_ms(const struct http *h, long timeout_ms)
{
	int64_t now = backoff_clock_ms(), wait = WAIT_MAX_MS;
	struct itimerspec timer = { 0 };
	const struct pool *p;

	if (timeout_ms >= 0 && timeout_ms < wait)
		wait = timeout_ms;
	if (h->due_ms - now < wait)
		wait = h->due_ms - now;
	for (p = h->pools; p; p = p->next)
		if (p->timer_ms >= 0 && p->timer_ms - now < wait)
			wait = p->timer_ms - now;
	if (h->broken || wait <= 0)
		return 0;
	if (wait <= POLL_MAX_MS)
		return (int)wait;
	timer.it_value.tv_sec = wait / 1000;
	timer.it_value.tv_nsec = wait % 1000 * 1000000;
	return timerfd_settime(h->timer_fd, 0, &timer, NULL) == 0 ? -1
								  : POLL_MAX_MS;
}

int http_poll(struct http *h, struct pollfd *fds, unsigned n, long timeout_ms,
	struct err *e)
{
	struct pollfd all[1 + STOP_FDS + POLL_MAX];
	unsigned i;

	if (n > POLL_MAX)
		return err_set(e, EX_FAILED, "too many descriptors to poll");
	all[0] = (struct pollfd){ .fd = h->epoll_fd, .events = POLLIN };
	stop_fds(all + 1);
	if (n)
		memcpy(all + 1 + STOP_FDS, fds, n * sizeof *fds);
	if (poll(all, 1 + STOP_FDS + n, wait_ms(h, timeout_ms)) < 0) {
		if (errno != EINTR)
			return err_errno(e, "polling");
		for (i = 0; i < 1 + STOP_FDS + n; i++)
			all[i].revents = 0;
	}
	if (stop_asked())
		return err_stopped(e);
	for (i = 0; i < n; i++)
		fds[i].revents = all[1 + STOP_FDS + i].revents;
	move(h);
	if (h->broken) {
		errno = h->broken;
		return err_errno(e, "watching connections");
	}
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
	if (c->err) {
		err_set(e, c->err->code, "%s: %s", c->shown, c->err->text);
		if (e)
			e->too_large = c->err->too_large;
		return -1;
	}
	if (c->kept_out && c->code != CURLE_OK)
		return err_set(e, EX_NOPERM,
			"%s: its address is not public, and a URL that came "
			"with data must not lead there",
			c->shown);
	if (c->code == CURLE_SSL_CACERT_BADFILE)
		return err_set(e, EX_CONFIG,
			"%s: %s; look at CURL_CA_BUNDLE and SSL_CERT_FILE",
			c->shown, reason(c));
	if (c->code == CURLE_PEER_FAILED_VERIFICATION)
		return err_set(e, EX_TEMPFAIL,
			"%s: %s; look at the clock, the address and "
			"CURL_CA_BUNDLE",
			c->shown, reason(c));
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
	return c->head ? c->answer.status : 0;
}

bool http_is_type(const struct http_call *c, const char *type)
{
	size_t len = strlen(type);
	char *v = NULL;

	curl_easy_getinfo(c->easy, CURLINFO_CONTENT_TYPE, &v);
	return v == NULL || (strncasecmp(v, type, len) == 0 &&
				    strchr(" \t;", v[len]) != NULL);
}

void http_set_idle(struct http_call *c, long idle_ms)
{
	c->req.idle_ms = idle_ms;
	expect(c->http, c->active_ms + idle_ms);
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
	leave_pool(c);
	pools_prune(h);
	leave_handle(h, c);
	if (c->req.bearer)
		for (struct curl_slist *l = c->headers; l; l = l->next)
			explicit_bzero(l->data, strlen(l->data));
	curl_slist_free_all(c->headers);
	http_answer_release(&c->answer);
	free(c->retry_after);
	free(c->err);
	free(c->shown);
	free(c);
}

/* Told to end: an answer that cannot be had twice may still arrive. */
static bool linger(struct http_call *c)
{
	struct pollfd in = { .fd = c->http->epoll_fd, .events = POLLIN };
	int64_t end = backoff_clock_ms() + c->req.linger_ms;

	while (!c->done && backoff_clock_ms() < end) {
		poll(&in, 1, wait_ms(c->http, HTTP_LINGER_MS / 10));
		move(c->http);
	}
	return c->done;
}

/* Did it end before a byte of the request had left? */
static bool is_unsent(const struct http_call *c)
{
	long bytes = 0;

	return curl_easy_getinfo(c->easy, CURLINFO_REQUEST_SIZE, &bytes) ==
		       CURLE_OK &&
	       bytes == 0;
}

/* Where the answer sends us, the caller's to free; NULL: nowhere. */
static char *redirect_of(const struct http_call *c)
{
	char *url = NULL;

	if (c->answer.status / 100 == 3)
		curl_easy_getinfo(c->easy, CURLINFO_REDIRECT_URL, &url);
	return url ? xstrdup(url) : NULL;
}

void http_ahead_drop(struct http *h)
{
	http_close(h->ahead);
	free(h->ahead_url);
	h->ahead = NULL;
	h->ahead_url = NULL;
}

void http_ahead(struct http *h, const struct http_request *r)
{
	http_ahead_drop(h);
	h->ahead = start(h, r, NULL);
	h->ahead_url = xstrdup(r->url);
	if (h->ahead)
		move(h);
}

/* What was sent ahead, if it is this request; else it is given up. */
static struct http_call *take_ahead(
	struct http *h, const struct http_request *r)
{
	struct http_call *c = h->ahead;

	if (c && same(h->ahead_url, r->url) && same(c->req.method, r->method) &&
		same(token_of(c->headers), r->bearer))
		h->ahead = NULL;
	else
		c = NULL;
	http_ahead_drop(h);
	return c;
}

/* One request and its answer; `next` gets where that redirects to. */
static int ask(struct http *h, const struct http_request *r,
	struct http_answer *a, char **next, struct err *e)
{
	struct http_call *c = take_ahead(h, r);
	int status = -1;

	if (c == NULL)
		c = start(h, r, e);
	*a = (struct http_answer){ .retry_after_ms = -1, .unsent = c == NULL };
	*next = NULL;
	if (c == NULL)
		return -1;
	if (!stop_asked())
		move(h); /* sent at once, before anything is waited for */
	while (!c->done && (status = http_poll(h, NULL, 0, -1, e)) == 0)
		;
	if (!c->done && !linger(c)) {
		a->unsent = is_unsent(c);
		goto out;
	}
	status = http_result(c, NULL, e);
	*next = redirect_of(c);
	*a = c->answer;
	memset(&c->answer, 0, sizeof c->answer);
	a->unsent = status < 0 && is_unsent(c);
	if (status < 0)
		a->status = 0;
	else if (e)
		e->code = 0; /* told to end, yet it came */
out:
	http_close(c);
	return status;
}

/* May a redirect be followed from `url` to `next`? What http_check_url says is
 * said when it is. */
static int check_redirect(const struct http_request *r, int left,
	const char *url, const char *next, struct err *e)
{
	size_t shown = strcspn(url, "?");

	if (left == 0)
		return err_set(e, EX_FAILED,
			"asking %.*s: it redirects more than %d times",
			(int)shown, url, r->redirects);
	if (strncasecmp(url, "https:", 6) == 0 &&
		strncasecmp(next, "https:", 6))
		return err_set(e, r->foreign ? EX_NOPERM : EX_FAILED,
			"asking %.*s: it redirects from https to another "
			"protocol",
			(int)shown, url);
	return 0;
}

int http_do(struct http *h, const struct http_request *r, struct http_answer *a,
	struct err *e)
{
	struct http_request q = *r;
	char *url = NULL, *next;
	int left = r->redirects, status;

	while ((status = ask(h, &q, a, &next, e)) == 0 && next &&
		r->redirects) {
		http_answer_release(a);
		a->status = 0;
		status = check_redirect(r, left--, q.url, next, e);
		if (status < 0)
			break;
		free(url);
		q.url = url = next;
	}
	free(next);
	free(url);
	return status;
}

void http_answer_release(struct http_answer *a)
{
	buf_release(&a->body);
}
