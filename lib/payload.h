/* format: the payload of an event to be published: checked, but never changed,
 * so that what was said arrives. Pure code, no I/O. */
#ifndef AGENTRUX_PAYLOAD_H
#define AGENTRUX_PAYLOAD_H

#include "buf.h"
#include "err.h"
#include "slice.h"

#include <stdbool.h>
#include <stddef.h>

/* The one JSON document that `text` has to be, without the white space around
 * it. EX_DATAERR, naming line and column: `what` names the text, `line` is the
 * number of its first line. */
int payload_read(const char *text, size_t len, const char *what, size_t line,
	struct slice *payload, struct err *e);

/* Appends {"message": TEXT}. EX_DATAERR if it is not UTF-8. */
int payload_message(const char *text, struct buf *out, struct err *e);

/* Can attachments be added? EX_DATAERR unless it is an object, and its member
 * `attachments`, if it has one, a list (or null, which stands for none). */
int payload_may_attach(struct slice payload, struct err *e);

/* Appends the payload with `n` more attachments (JSON texts); what is there
 * keeps its bytes. For a payload that payload_may_attach() let pass. */
void payload_attach(struct slice payload, const char *const *lines, size_t n,
	struct buf *out);

/* Is this text UTF-8, so that it can be said in JSON without loss? */
bool payload_is_utf8(const char *text);

#endif
