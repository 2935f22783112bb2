/* hub: which endpoint a request is for, and whether it may.
 *
 * Every endpoint is one line of a table, which also says what has to be right
 * before it is called: a token, a grant in the topic that the path names. So
 * no endpoint can forget to look. Each dialect has a table of its own; which of
 * them a request speaks is told by its token, or by the address where that is
 * in one table only. */
#ifndef AGENTRUX_HUB_ROUTES_H
#define AGENTRUX_HUB_ROUTES_H

#include "web.h"

enum route_needs {
	NEEDS_NOTHING,
	NEEDS_TOKEN,
	NEEDS_READ, /* a token and this grant in the topic part[0] */
	NEEDS_WRITE,
	NEEDS_ADMIN,
	NEEDS_SIGNATURE /* the endpoint checks; a token must not be sent */
};

/* Ceilings of bodies. Of strangers there may be as many as connections, so
 * together theirs have to stay below what web.h lets be in memory. */
enum { ROUTE_STRANGER_MAX = 8 << 10, ROUTE_BODY_MAX = 64 << 10 };

struct route {
	const char *method, *path; /* "*" is any one part */
	enum route_needs needs;
	size_t body_max;
	void (*handle)(struct req *r);
	/* Once the headers are there, after the checks; may answer. */
	void (*begin)(struct req *r);
};

struct dialect {
	const struct route *routes; /* to an entry whose method is NULL */
	void (*error)(struct buf *out, const char *code, const char *text);
};

extern const struct dialect dialect_classic, dialect_oauth;
extern const struct dialect dialect_grants; /* RFC 6749 and what goes by it */

/* Addresses that all have in common. */
extern const struct route shared_routes[];

/* Fills in r->route and the rest, or answers: 403 without a User-Agent if that
 * is asked for, 404, 405, 401, 403, 503. */
void route_request(struct req *r, const char *method, const char *url);

/* Is the token still good for `action` in the topic? */
enum route_right {
	RIGHT_ERROR = -1,
	RIGHT_YES,
	RIGHT_NO_TOKEN,
	RIGHT_NO_GRANT
};
enum route_right route_may(struct hub *hub, const struct token *t,
	int64_t topic, int action, struct err *e);

#endif
