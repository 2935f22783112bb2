/* hub: HTTP requests and their answers; what of libmicrohttpd the endpoints
 * get to see.
 *
 * A request passes through here: it is made when its headers are there, routed
 * (routes.h), its body is taken in under a ceiling, and then its endpoint is
 * called once, on a thread of the server. The endpoint either answers at once
 * (one of the answer functions), or hands a change to web_change and returns;
 * the connection then sleeps until the change is on disk. A request that was
 * refused early still has its body swallowed, up to a limit, since closing
 * with bytes unread may cost the client our answer.
 *
 * A struct req and all that hangs on it belong to the server and live until
 * the answer was sent or the connection ended, but never end while a change is
 * under way. */
#ifndef AGENTRUX_HUB_WEB_H
#define AGENTRUX_HUB_WEB_H

#include "buf.h"
#include "hub.h"
#include "registry.h"

#include <microhttpd.h>

struct req;
struct route;
struct dialect;

enum { REQ_PARTS = 2, REQ_PART_MAX = 64 };

/* How a request is going. */
enum req_phase { REQ_READING, REQ_CHANGING };

struct req {
	struct hub *hub;
	struct MHD_Connection *conn;
	const struct route *route;
	const struct dialect *dialect;	    /* what it speaks; never NULL */
	char part[REQ_PARTS][REQ_PART_MAX]; /* what "*" in its path stood for */

	/* Who and where: filled in by the route's checks. */
	struct token token;
	struct script script;
	struct topic topic;

	struct buf body;
	size_t body_max; /* beyond it: 413 */
	size_t held;	 /* counted in hub->held */
	int64_t length;	 /* of the body, -1: not said */
	int64_t taken;	 /* of it so far */
	bool too_long_to_swallow;

	/* Instead of `body`: takes the body as it comes. -1: answered. */
	int (*sink)(struct req *r, const char *p, size_t n);

	/* The answer: status 0 means that there is none yet. */
	unsigned status;
	struct buf out;		       /* JSON */
	struct MHD_Response *response; /* instead of `out` */
	char allow[32];		       /* 405: what would be fine */
	long retry_after;	       /* seconds, 0: none */
	bool replayed;		       /* Idempotent-Replayed: true */

	enum req_phase phase;
	struct job job;
	int (*change)(struct req *r, struct db *db, struct err *e);
	int (*prepare)(struct req *r, struct err *e); /* see work.h */
	void (*changed)(struct req *r);		      /* after the commit */

	/* What an endpoint keeps for itself, and how it goes away. */
	void *own;
	void (*own_free)(struct req *r);
};

/* Answers; to be called once, before or inside `change`. */
void answer(struct req *r, unsigned status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void answer_error(struct req *r, unsigned status, const char *code,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void answer_failure(struct req *r, const struct err *e); /* 503 */
void answer_trouble(struct req *r, const struct err *e); /* and on stderr */
void answer_response(struct req *r, unsigned status, struct MHD_Response *m);

/* Takes an answer back: a change that was undone by the disk, say. */
void answer_none(struct req *r);

/* Runs r->change (and r->prepare) in the order of work.h, then r->changed, and
 * sends the answer that they made. The endpoint returns right after. */
void web_change(struct req *r);

/* A header or a query argument, or NULL. */
const char *web_header(struct req *r, const char *name);
const char *web_query(struct req *r, const char *name);

/* A query argument that is a whole number >= 0. 1, 0 it is not there, -1 it is
 * not a number (answered). */
int web_query_number(struct req *r, const char *name, int64_t *v);

/* Is a query argument there and true? */
bool web_query_flag(struct req *r, const char *name);

/* Where the client sees us, for absolute URLs: "http://host:port". */
void web_origin(struct req *r, struct buf *out);

/* A handle for reading, to be given back to hub->pool. NULL: answered. */
struct db *web_reader(struct req *r);

/* Counts bytes in memory; false (answered 503) if there are too many. */
bool web_hold(struct req *r, size_t n);

/* Listens on `fd` (taken over) with `threads`. */
struct web *web_start(struct hub *hub, int fd, unsigned threads,
	unsigned connections, struct err *e);

/* No new connections from here on. */
void web_quiesce(struct web *w);

/* Ends what is left. Streams and changes have to be over. NULL is fine. */
void web_stop(struct web *w);

#endif
