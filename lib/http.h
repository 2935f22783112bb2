/* net: HTTP requests, bounded in time and size. The only user of libcurl.
 *
 * `struct http` holds connections that are kept open between requests; it
 * belongs to one thread. http_do() makes one request and waits for its answer.
 * http_open() starts one that goes on beside others (a stream), driven by
 * http_poll(). All waiting ends at once when stop.h says so (ERR_STOPPED).
 *
 * Policy, for every request: a User-Agent (the service answers 403 without
 * one), TLS 1.2 or newer with verification, plain http only to a loopback host
 * or where the caller allows it, curl's proxy and CA variables honoured (a proxy
 * never for loopback). A redirect is followed by http_do() for a `bare` GET that
 * says so, by the same rules and never from https to http, and for no other. Bounds are measured on the
 * clock of backoff.h: connecting HTTP_CONNECT_MS, HTTP_IDLE_MS without a byte
 * either way, `total_ms` in all. Whatever prevents a whole answer is
 * EX_TEMPFAIL; a URL that policy forbids is EX_CONFIG, but EX_NOPERM where it is
 * a stranger's (`foreign`).
 *
 * With -vv requests and answers are shown on stderr: never the bearer token,
 * never a body of a `secret` request, never the query of one. */
#ifndef AGENTRUX_HTTP_H
#define AGENTRUX_HTTP_H

#include "buf.h"
#include "err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

enum {
	HTTP_CONNECT_MS = 10000,
	HTTP_IDLE_MS = 30000,
	HTTP_TOTAL_MS = 120000,
	HTTP_LINGER_MS = 700,	/* with less than a second to end in */
	HTTP_ERROR_MAX = 65536, /* of an error's body this much is read */
};

struct http;

/* `allow_http`: plain http to any host. */
struct http *http_new(bool allow_http);
void http_free(struct http *h);

/* May this URL be asked at all? Absolute, http(s), with a host and without
 * credentials in it, and allowed by the policy above. */
int http_check_url(const char *url, bool allow_http, struct err *e);

/* Takes bytes as they come; nonzero ends the request as failed (the sink has
 * filled the `struct err` it knows of). */
typedef int http_sink(void *ctx, const char *bytes, size_t n);

struct http_request {
	const char *method;
	const char *url;
	const char *bearer; /* the access token, or NULL */
	/* "Name: value", NULL-terminated, or NULL. */
	const char *const *headers;
	const void *body; /* NULL: none, or body_fd */
	size_t body_len;
	/* A body from a descriptor: body_len bytes from offset body_at on. */
	bool from_fd;
	int body_fd;
	off_t body_at;
	atomic_llong *sent; /* gets how many of them; may be NULL */
	/* Is shown each block of them; from an earlier offset on again where
	 * they have to be sent again. May be NULL; `ctx` as below. */
	void (*body_read)(void *ctx, const void *block, size_t n, off_t at);
	/* Where a 2xx body goes; NULL: into the answer, answer_max at most. */
	http_sink *sink;
	/* Streams: called from within http_poll when the answer's head has come
	 * and when the call has ended; must not open or close calls. */
	void (*changed)(void *ctx);
	void *ctx; /* of both */
	size_t answer_max;
	long idle_ms;	/* 0: HTTP_IDLE_MS */
	long total_ms;	/* 0: HTTP_TOTAL_MS, -1: none (streams, file bodies) */
	long linger_ms; /* http_do: told to end, wait so long for the answer */
	bool stream;	/* one of many that are long and hold little */
	bool secret;	/* bodies and query are not for -vv */
	bool bare;	/* a presigned URL: no header of ours but those given,
			  Host, User-Agent and Content-Length */
	bool foreign;	/* a stranger wrote the URL: only public addresses
			  (address.h) are connected to, whatever a name stands
			  for, directly and on a connection of its own */
	int redirects;	/* so many are followed; 0: they are answers */
};

struct http_answer {
	int status;	     /* 0: none came */
	struct buf body;     /* wiped when released */
	long retry_after_ms; /* -1: not said */
	time_t date;	     /* the server's Date, 0: not said */
	int64_t asked_ms;    /* on our clock, when the request was started */
	int64_t body_sent;   /* so much of the request's body had left */
	bool unsent;	     /* none came, for nothing of the request left */
	bool replayed;	     /* Idempotent-Replayed: true */
};

/* One request. 0: an answer of any status; -1: none. `a` is filled in either
 * case and is the caller's to release. */
int http_do(struct http *h, const struct http_request *r, struct http_answer *a,
	struct err *e);
void http_answer_release(struct http_answer *a);

/* Sends a request without a body before its http_do(). The next http_do() gets
 * this one's answer, and whatever went wrong with it, if it asks for the same
 * with the same token; if not, or by http_ahead_drop(), this one is given up. */
void http_ahead(struct http *h, const struct http_request *r);
void http_ahead_drop(struct http *h);

/* Streams. A call is open until http_done() says it has ended, then
 * http_result() tells how. http_close() ends it in either state. The strings
 * of the request are copied; a body is not, it has to stay. */
struct http_call;
struct http_call *http_open(
	struct http *h, const struct http_request *r, struct err *e);
bool http_done(const struct http_call *c);
int http_result(
	const struct http_call *c, const struct http_answer **a, struct err *e);
/* The status, 0 until the answer's head has come. */
int http_status(const struct http_call *c);
/* Is the answer of this media type, or of none that it names? */
bool http_is_type(const struct http_call *c, const char *type);
void http_set_idle(struct http_call *c, long idle_ms);
void http_close(struct http_call *c);

/* Appends `text` percent-encoded, as a path segment or a query value. */
void http_escape(struct buf *out, const char *text);

struct pollfd;
/* Moves all open calls on and waits until one of them or of `fds` has
 * something, or timeout_ms. 0, or -1: told to end or broken. */
int http_poll(struct http *h, struct pollfd *fds, unsigned n, long timeout_ms,
	struct err *e);

#endif
