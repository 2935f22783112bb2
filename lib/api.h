/* service: the data endpoints, one function each, with everything that goes
 * with a request: a token, one new token after a 401, and for temporary trouble
 * further attempts with backoff and full jitter, never before Retry-After, for
 * at most `retry_ms` in all.
 *
 * api_open() reads the home and the credentials. A `struct api` belongs to one
 * thread; a second thread opens its own (they share the token all the same). */
#ifndef AGENTRUX_API_H
#define AGENTRUX_API_H

#include "auth.h"
#include "cred.h"
#include "dialect.h"
#include "err.h"
#include "event.h"
#include "http.h"
#include "statefile.h"

#include <stdbool.h>

enum { API_RETRY_MS = 60000, API_PAGE_LIMIT = 100, API_KEY_MAX = 48 };

struct api {
	struct statedir home;
	struct cred cred;
	char *base_url;
	const struct dialect *dialect;
	struct http *http;
	struct auth auth;
	long retry_ms; /* API_RETRY_MS; 0: one attempt */
	/* The service refuses these credentials, or the newest token that they
	 * bring: no other request will fare better. */
	bool refused;
	struct wire_error said; /* by the service, to the last that failed */
	char *ahead;		/* position of the page that was asked for */
	bool guessed_wrong;	/* so this is not done again */
};

/* `home` and `base_url` as the options have them, or NULL. EX_CONFIG without
 * credentials. api_close in any case. */
int api_open(
	struct api *a, const char *home, const char *base_url, struct err *e);
void api_close(struct api *a);

/* The home alone, for what needs no service; with the dialect of the credentials
 * if there are any. api_close in any case. */
int api_open_home(struct api *a, const char *home, struct err *e);

/* A base URL from an option, the environment or the credentials, checked
 * (EX_USAGE if it was said, EX_CONFIG if it stands in a file). `c` may be NULL.
 * The caller's to free; NULL on error. */
char *api_base_url(const char *option, const struct cred *c, struct err *e);

/* A valid access token, for programs that make requests of their own; borrowed
 * until the next call here. Never waits for the end of a 429. */
int api_token(struct api *a, const char **token, struct err *e);

/* A topic id as an operand: EX_USAGE unless it is a plain id. */
int api_check_topic(const char *topic, struct err *e);

/* The same id as the service has it, under which positions and locks are kept;
 * the caller's to free. */
char *api_topic(const struct api *a, const char *topic);

/* The topics that these credentials know: a list of {"topic_id", "name" where
 * it has one, "actions"}, the caller's to free. */
int api_topics(struct api *a, struct json **topics, struct err *e);

/* A page of events. Slices borrow from `text`. */
struct api_page {
	struct buf text;
	struct event *events;
	size_t n;
	struct slice last; /* position of the last event */
	/* Until the events are read: each as it stands, and what is known of the
	 * text. */
	struct slice *raw;
	struct slice_ends ends;
	bool utf8;
	long limit; /* that was asked for: fewer where so many were too large */
	/* Where the next page starts, if that is another place than the page's
	 * own start; NULL also where positions are numbers, and the greatest of
	 * the page is what counts. For pages behind a position only. */
	char *next;
	bool has_more; /* there may be a next one with something in it */
	bool lost; /* the position had aged out: this is what is left, from the
		      oldest on */
};

/* Fewer events than asked for where so many were too large, down to one; if that
 * one is, EX_DATAERR. */
int api_page(struct api *a, const struct dialect_page *p, struct api_page *page,
	struct err *e);
void api_page_release(struct api_page *page);

/* Reads the events of a page that was asked for with `later`, which has none
 * before; in any thread. */
void api_page_read(const struct api *a, struct api_page *page);

/* No further page is wanted now: what was asked for ahead is given up. */
void api_ahead_drop(struct api *a);

/* `event_id` is the caller's to free. EX_USAGE for what the dialect has not
 * (api_may_publish finds that out beforehand), EX_DATAERR for a payload that is
 * too large and cannot be stored instead (refer.h). Where the dialect knows repetitions by a key, one is made
 * unless it is given: the same for all attempts. */
void api_key(char key[API_KEY_MAX]); /* a new one */
int api_may_publish(const struct api *a, const struct dialect_publication *p,
	struct err *e);
int api_publish(struct api *a, const struct dialect_publication *p,
	char **event_id, struct err *e);

/* Files: reserve an object and get its presigned URL; what is known of one. */
int api_reserve(struct api *a, const struct dialect_reservation *want,
	struct dialect_object *o, struct err *e);
int api_object(struct api *a, const char *topic, const char *id,
	struct dialect_object *o, struct err *e);

#endif
