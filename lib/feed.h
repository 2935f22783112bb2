/* service: a stream of payloads, one a line, published with several requests in
 * flight and answered in the order of the lines.
 *
 * Answers go to a descriptor of the caller's, one line each:
 * {"event_id":"…"}; {"spooled":"…"} for what waits in the outbox; with
 * `keep_going` {"event_id":null,"error":"…"} for what was not published. */
#ifndef AGENTRUX_FEED_H
#define AGENTRUX_FEED_H

#include "dialect.h"
#include "err.h"

#include <stdbool.h>

enum {
	/* Of a document that is read: room for white space around it. */
	FEED_DOCUMENT_MAX = 10485760 + 65536,
};

struct feed {
	const char *home, *base_url; /* as for api_open */
	long retry_ms;
	long jobs;
	struct dialect_publication event; /* all but the payload */
	bool spool;			  /* by way of the outbox */
	bool keep_going;		  /* past bad lines and refusals */
	int in_fd, out_fd;
};

/* Until the input ends. A bad line, a refusal and temporary trouble end it with
 * their code; with `keep_going` only what concerns all lines does, and else the
 * code is that of the first line that was not published. */
int feed_lines(const struct feed *f, struct err *e);

/* Puts the answer {"NAME":"VALUE"}. */
int feed_answer(int fd, const char *name, const char *value, struct err *e);

#endif
