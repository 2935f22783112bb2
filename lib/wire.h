/* service: one exchange with the service: a request built by a dialect goes
 * out, an answer comes in, and its status and error body become a `struct err`
 * (PROTOCOL "Errors"). Nothing is repeated here; that is api.h's business.
 *
 * What a status means to a program: 401, 403 EX_NOPERM; 404 EX_NOINPUT; 400,
 * 409, 413, 422 EX_DATAERR; 429, 5xx, no or unreadable answer EX_TEMPFAIL; any
 * other EX_FAILED. */
#ifndef AGENTRUX_WIRE_H
#define AGENTRUX_WIRE_H

#include "err.h"
#include "http.h"

#include <stdbool.h>

enum {
	WIRE_HEADERS_MAX = 6,
	WIRE_PATH_MAX = 32768,
	WIRE_BODY_MAX = 16777216,
	WIRE_ANSWER_MAX = 1048576,
};

/* Filled by a dialect; wire_request_release in any case. */
struct wire_request {
	const char *what; /* for messages: "publishing to <topic>" */
	const char *method;
	struct buf path;	  /* from the base URL on, with its query */
	struct buf body;	  /* wiped when released */
	const char *content_type; /* of the body; NULL: application/json */
	char *headers[WIRE_HEADERS_MAX]; /* "Name: value", ours to free */
	size_t n_headers;
	size_t answer_max; /* 0: WIRE_ANSWER_MAX */
	bool secret;	   /* holds, or is answered with, a secret */
	/* A secret that stands in the body in another spelling, borrowed; no
	 * message quotes it, as none quotes what is sent. */
	const char *hidden;
	bool once; /* its answer cannot be had a second time */
	/* A code is what a refusal is about, not credentials or grants. */
	bool by_code;
};

void wire_request_init(struct wire_request *r, const char *what);
void wire_request_header(struct wire_request *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void wire_request_release(struct wire_request *r);

/* What an answer that is no success says, with the texts cut to fit. */
struct wire_error {
	int status; /* 0: no answer */
	char code[64];
	char reason[64]; /* a finer code, where one is given */
	char message[256];
};

/* 0: a 2xx answer, in `a` (the caller's to release in either case). -1: any
 * other; `we` may be NULL. */
int wire_exchange(struct http *h, const char *base_url,
	const struct wire_request *r, const char *bearer, struct http_answer *a,
	struct wire_error *we, struct err *e);

/* Sends it before its wire_exchange(), which has to be the next one and the same
 * to get this one's answer (http_ahead). No body. */
void wire_ahead(struct http *h, const char *base_url,
	const struct wire_request *r, const char *bearer);

/* A request whose answer is a stream. `q` says all but method, URL and headers,
 * which are the request's; http.h has the rest. */
struct http_call *wire_open(struct http *h, const char *base_url,
	const struct wire_request *r, struct http_request q, struct err *e);

/* What an answer that is no success says, and that as an error of ours, which
 * returns -1. */
void wire_error_read(const struct http_answer *a, struct wire_error *we);
int wire_error_report(
	const char *what, const struct wire_error *we, struct err *e);

/* The exit code for a status that is no success. */
int wire_exit_code(int status);

#endif
