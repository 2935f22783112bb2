/* hub: what the endpoints of both dialects refuse alike. Each says so in the
 * words of the request's dialect. */
#ifndef AGENTRUX_HUB_REFUSE_H
#define AGENTRUX_HUB_REFUSE_H

#include "codes.h"
#include "raw.h"
#include "web.h"

/* 422. */
void refuse_invalid(struct req *r, const char *why);

/* A code that is no good. 0 it is good, 1 answered, -1 an error. */
int refuse_code(struct req *r, enum code_state state);

/* One more use of `kind`, of which a script may have `limit` an hour (script 0:
 * all comers together). 0 it may, 1 answered, -1 an error. */
int refuse_limited(struct req *r, struct db *db, int64_t script,
	const char *kind, int limit, struct err *e);

/* 429, for so many seconds. */
void refuse_for(struct req *r, long seconds);

/* The type of an event, the member `name`, to `type`. false: answered. */
bool refuse_no_type(struct req *r, const struct raw_want *w, struct buf *type);

#endif
