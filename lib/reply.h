/* service: the reply to an event that we publish. reply_prepare() before it is
 * published, reply_wait() after. */
#ifndef AGENTRUX_REPLY_H
#define AGENTRUX_REPLY_H

#include "api.h"
#include "buf.h"
#include "err.h"

struct reply {
	struct api *api; /* borrowed */
	const char *topic;
	struct buf position; /* what is behind it may be the reply */
};

/* How a reply is known: by our correlation id (the event's own, or in its
 * metadata), or by our request_id in its payload. Never our own event. */
struct reply_want {
	const char *event_id;
	const char *correlation_id;
	struct slice request_id; /* p NULL: none */
};

/* Finds where the topic ends now. */
int reply_prepare(
	struct reply *r, struct api *api, const char *topic, struct err *e);

/* Waits for the first reply: hints wake it, and it looks every two seconds.
 * 1: `line` has it as an event line. 0: none within wait_ms. -1: it cannot be
 * waited for any longer. Home and base URL as for api_open, for the hints. */
int reply_wait(struct reply *r, const char *home, const char *base_url,
	const struct reply_want *want, long wait_ms, struct buf *line,
	struct err *e);
void reply_release(struct reply *r);

#endif
