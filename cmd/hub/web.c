#include "web.h"

#include "routes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/* A body of a refused request is read up to SWALLOW_MAX; IDLE_S without a byte
 * ends a connection that does not sleep. */
enum { SWALLOW_MAX = 64 << 20, IDLE_S = 60, OUT_MAX = 20 << 20 };
#define HELD_MAX ((size_t)512 << 20)

struct web {
	struct MHD_Daemon *daemon;
	int listening; /* -1 once we no longer do */
};

const char *web_header(struct req *r, const char *name)
{
	return MHD_lookup_connection_value(r->conn, MHD_HEADER_KIND, name);
}

const char *web_query(struct req *r, const char *name)
{
	return MHD_lookup_connection_value(
		r->conn, MHD_GET_ARGUMENT_KIND, name);
}

/* Plain digits, up to 10^18; else -1. */
static int64_t number(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > 18 || strspn(s, "0123456789") != n)
		return -1;
	return strtoll(s, NULL, 10);
}

int web_query_number(struct req *r, const char *name, int64_t *v)
{
	const char *s = web_query(r, name);

	if (s == NULL)
		return 0;
	*v = number(s);
	if (*v >= 0)
		return 1;
	answer_error(r, MHD_HTTP_BAD_REQUEST, "INVALID",
		"%s is not a whole number", name);
	return -1;
}

bool web_query_flag(struct req *r, const char *name)
{
	const char *s = web_query(r, name);

	return s && (strcasecmp(s, "true") == 0 || strcmp(s, "1") == 0);
}

void web_origin(struct req *r, struct buf *out)
{
	const char *host = web_header(r, "Host");

	/* As the client calls us: we may be behind a name or a proxy. */
	if (host && *host && strlen(host) < 256 &&
		strspn(host, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			     "abcdefghijklmnopqrstuvwxyz0123456789.:-[]") ==
			strlen(host))
		buf_printf(
			out, "%s://%s", r->hub->cert ? "https" : "http", host);
	else
		buf_str(out, r->hub->origin);
}

bool web_hold(struct req *r, size_t n)
{
	if (atomic_fetch_add(&r->hub->held, n) + n <= HELD_MAX) {
		r->held += n;
		return true;
	}
	atomic_fetch_sub(&r->hub->held, n);
	answer_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "TEMPORARY",
		"Too much at once, try again");
	r->retry_after = 1;
	return false;
}

struct db *web_reader(struct req *r)
{
	struct err e = { 0 };
	struct db *db = db_take(r->hub->pool, &e);

	if (db == NULL)
		answer_trouble(r, &e);
	return db;
}

static struct req *req_new(struct hub *hub, struct MHD_Connection *conn)
{
	struct req *r = xcalloc(1, sizeof *r);

	r->hub = hub;
	r->conn = conn;
	r->out = (struct buf)BUF_INIT(OUT_MAX);
	atomic_fetch_add(&hub->under_way, 1);
	return r;
}

static void req_free(struct req *r)
{
	if (r->own_free)
		r->own_free(r);
	answer_none(r);
	buf_release(&r->body);
	buf_release(&r->out);
	atomic_fetch_sub(&r->hub->held, r->held);
	atomic_fetch_sub(&r->hub->under_way, 1);
	free(r);
}

/* A body is coming: how long, and is that fine? */
static void expect_body(struct req *r)
{
	const char *length = web_header(r, "Content-Length");
	bool chunked = web_header(r, "Transfer-Encoding") != NULL;
	bool asks = web_header(r, "Expect") != NULL;
	int64_t n = length && !chunked ? number(length) : -1;

	r->length = n;
	r->too_long_to_swallow = n > SWALLOW_MAX || asks;
	if (r->status || r->sink || r->body_max == 0)
		return;
	if (n > (int64_t)r->body_max)
		answer_error(r, MHD_HTTP_CONTENT_TOO_LARGE, "TOO_LARGE",
			"The body is over %zu bytes", r->body_max);
	else if (n > 0 && web_hold(r, (size_t)n))
		buf_room(&r->body, (size_t)n);
}

/* Has the client gone in the middle of its body? libmicrohttpd, which waits for
 * edges, does not see it if the end came along with the last bytes, and would
 * keep the connection, and a part of an upload, until it times out. */
static bool is_cut_off(struct req *r)
{
	const union MHD_ConnectionInfo *info;
	char next;

	/* What TLS has buffered cannot be seen from here. */
	if (r->taken >= r->length || r->hub->cert)
		return false;
	info = MHD_get_connection_info(
		r->conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	return info &&
	       recv(info->connect_fd, &next, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* Takes in a part of the body. Parts of a chunked one are counted as they
 * come; those of a refused request, or of one that wants none, are dropped. */
static int take_body(struct req *r, const char *p, size_t n)
{
	r->taken += (int64_t)n;
	if (is_cut_off(r))
		return -1;
	if (r->status == 0 && r->sink)
		return r->sink(r, p, n);
	if (r->status || r->body_max == 0)
		return r->taken > 2 * (int64_t)SWALLOW_MAX ? -1 : 0;
	if (n > r->body_max - r->body.len) {
		answer_error(r, MHD_HTTP_CONTENT_TOO_LARGE, "TOO_LARGE",
			"The body is over %zu bytes", r->body_max);
		return 0;
	}
	if (r->body.len + n > r->held && !web_hold(r, n))
		return 0;
	buf_add(&r->body, p, n);
	return 0;
}

static void wipe_free(void *p)
{
	buf_wipe_free(p);
}

static struct MHD_Response *make_response(struct req *r)
{
	struct MHD_Response *m = r->response;
	size_t n = r->out.len;

	r->response = NULL;
	if (m == NULL) {
		bool secret = r->out.secret;
		char *text = buf_detach(&r->out);

		m = MHD_create_response_from_buffer_with_free_callback(
			n, text, secret ? wipe_free : free);
		if (m == NULL) {
			buf_wipe_free(text);
			return NULL;
		}
		if (n)
			MHD_add_response_header(m, "Content-Type",
				"application/json; charset=utf-8");
		MHD_add_response_header(m, "Cache-Control", "no-store");
	}
	MHD_add_response_header(m, "X-Content-Type-Options", "nosniff");
	if (r->status == MHD_HTTP_UNAUTHORIZED)
		MHD_add_response_header(m, "WWW-Authenticate", "Bearer");
	if (r->allow[0])
		MHD_add_response_header(m, "Allow", r->allow);
	if (r->replayed)
		MHD_add_response_header(m, "Idempotent-Replayed", "true");
	if (r->retry_after) {
		char s[32];

		snprintf(s, sizeof s, "%ld", r->retry_after);
		MHD_add_response_header(m, "Retry-After", s);
	}
	return m;
}

static enum MHD_Result send_answer(struct req *r)
{
	struct MHD_Response *m;
	enum MHD_Result ok;

	if (r->out.full)
		answer_error(r, MHD_HTTP_INTERNAL_SERVER_ERROR, "INTERNAL",
			"The answer is too large");
	m = make_response(r);
	if (m == NULL)
		return MHD_NO;
	ok = MHD_queue_response(r->conn, r->status, m);
	MHD_destroy_response(m);
	return ok;
}

static struct req *req_of(struct job *j)
{
	return (void *)((char *)j - offsetof(struct req, job));
}

static int job_prepare(struct job *j, struct err *e)
{
	return req_of(j)->prepare(req_of(j), e);
}

static int job_run(struct job *j, struct db *db, struct err *e)
{
	return req_of(j)->change(req_of(j), db, e);
}

static void job_done(struct job *j, const struct err *e)
{
	struct req *r = req_of(j);

	if (e->code)
		answer_failure(r, e);
	else if (j->outcome == 0 && r->changed)
		r->changed(r);
	MHD_resume_connection(r->conn); /* r is no longer ours after */
}

void web_change(struct req *r)
{
	r->phase = REQ_CHANGING;
	r->job.prepare = r->prepare ? job_prepare : NULL;
	r->job.run = job_run;
	r->job.done = job_done;
	r->job.weight = r->body.len;
	/* Asleep before anybody can wake it. */
	MHD_suspend_connection(r->conn);
	if (work_submit(r->hub->work, &r->job) < 0) {
		struct err e = { .code = ERR_STOPPED };

		job_done(&r->job, &e);
	}
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *conn,
	const char *url, const char *method, const char *version,
	const char *data, size_t *size, void **context)
{
	struct req *r = *context;

	(void)version;
	if (r == NULL) {
		*context = r = req_new(cls, conn);
		route_request(r, method, url);
		if (r->status == 0 && r->route->begin)
			r->route->begin(r);
		expect_body(r);
		return r->status && r->too_long_to_swallow ? send_answer(r)
							   : MHD_YES;
	}
	if (r->phase == REQ_CHANGING) {
		say_detail(1, "%s %s: %u", method, url, r->status);
		return send_answer(r);
	}
	if (*size) {
		size_t n = *size;

		*size = 0;
		return take_body(r, data, n) == 0 ? MHD_YES : MHD_NO;
	}
	if (r->status == 0)
		r->route->handle(r);
	if (r->phase == REQ_CHANGING)
		return MHD_YES;
	say_detail(1, "%s %s: %u", method, url, r->status);
	return send_answer(r);
}

static void on_completed(void *cls, struct MHD_Connection *conn, void **context,
	enum MHD_RequestTerminationCode how)
{
	(void)cls;
	(void)conn;
	(void)how;
	if (*context)
		req_free(*context);
	*context = NULL;
}

__attribute__((format(printf, 2, 0))) static void on_log(
	void *cls, const char *fmt, va_list ap)
{
	char text[512];

	(void)cls;
	vsnprintf(text, sizeof text, fmt, ap);
	text[strcspn(text, "\n")] = '\0';
	say_detail(1, "http: %s", text);
}

struct web *web_start(struct hub *hub, int fd, unsigned threads,
	unsigned connections, struct err *e)
{
	struct web *w = xcalloc(1, sizeof *w);
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD |
			 MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
			 (hub->cert ? MHD_USE_TLS : 0);
	struct MHD_OptionItem tls[] = { { MHD_OPTION_HTTPS_MEM_CERT, 0,
						hub->cert },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, hub->tls_key },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0,
			(void *)(uintptr_t) "NORMAL:-VERS-ALL:+VERS-TLS1.3:"
					    "+VERS-TLS1.2" },
		{ MHD_OPTION_END, 0, NULL } };

	if (hub->cert == NULL)
		tls[0] = tls[3];
	w->listening = fd;
	w->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, hub,
		MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE,
		threads, MHD_OPTION_CONNECTION_LIMIT, connections,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
		MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
	if (w->daemon)
		return w;
	free(w);
	err_set(e, hub->cert ? EX_CONFIG : EX_IOERR,
		"the HTTP server does not start%s",
		hub->cert ? ": are certificate and key a pair, in PEM?" : "");
	return NULL;
}

void web_quiesce(struct web *w)
{
	if (w->listening >= 0 && MHD_quiesce_daemon(w->daemon) >= 0)
		close(w->listening);
	w->listening = -1;
}

void web_stop(struct web *w)
{
	if (w == NULL)
		return;
	MHD_stop_daemon(w->daemon);
	free(w);
}
