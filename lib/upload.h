/* service: a file becomes a payload object: reserved, then put to the presigned
 * URL, from one open descriptor and with constant memory.
 *
 * Size, type and checksum are those of the descriptor when it was opened; a file
 * that grows, shrinks or is written to meanwhile, or another put in its place,
 * is EX_DATAERR. Temporary trouble is retried, and a URL that has expired leads
 * to a new reservation, as presigned.h says. */
#ifndef AGENTRUX_UPLOAD_H
#define AGENTRUX_UPLOAD_H

#include "api.h"
#include "err.h"
#include "source.h"

#include <stdatomic.h>
#include <stdbool.h>

struct upload {
	struct api *api;
	const char *topic;
	bool checksum;	    /* have the line hold it, in any case */
	bool pending;	    /* no event of ours makes it visible for others */
	atomic_llong *sent; /* counts bytes, for a progress bar; or NULL */
};

/* On 0 `o` is the object, the caller's to release, and pending where the dialect
 * knows that. */
int upload_object(const struct upload *u, const struct source *f,
	struct dialect_object *o, struct err *e);

/* The same, and the event that makes it visible. On 0 `line` is the attachment
 * line (JSON), the caller's to free. */
int upload_run(const struct upload *u, const struct source *f, char **line,
	struct err *e);

/* Is this fit to be a Content-Type? */
bool upload_type_ok(const char *content_type);

#endif
