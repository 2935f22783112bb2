/* service: a payload object comes back: looked up by its id, then fetched from
 * the presigned URL that the service gives for it.
 *
 * What arrives is what was stored or an error: the size that the service and the
 * attachment tell and the attachment's checksum are compared, and reading ends
 * at `max_size` (all EX_DATAERR). Temporary trouble is retried for
 * api->retry_ms, and goes on with the bytes that are still missing; a URL that
 * no longer serves is replaced (presigned.h). At most DOWNLOAD_REDIRECTS
 * redirects are followed, never to a URL that http.h forbids; the token goes to
 * the service only.
 *
 * An attachment that names a URL but no object is EX_NOPERM. With `allow_url` it
 * is fetched, but from public addresses only (http.h, `foreign`). */
#ifndef AGENTRUX_DOWNLOAD_H
#define AGENTRUX_DOWNLOAD_H

#include "api.h"
#include "attachment.h"
#include "err.h"
#include "newfile.h"

#include <stdbool.h>
#include <stdint.h>

enum { DOWNLOAD_MAX = 1073741824, DOWNLOAD_REDIRECTS = 3 };

struct download {
	struct api *api;
	const char *topic;
	int64_t max_size; /* DOWNLOAD_MAX, unless the user says otherwise */
	bool allow_url;
};

/* The bytes go to a descriptor that the caller handed in. When this fails some
 * may have been written; a reader that has closed is ERR_STOPPED. */
int download_to(const struct download *d, const struct attachment *a, int fd,
	struct err *e);

/* They become a new file in the folder, whole or not at all, under a safe name
 * made from a->name, or else from the id, which nobody has. `path` gets the
 * folder's path and that name, the caller's to free. */
int download_into(const struct download *d, const struct attachment *a,
	const struct folder *folder, char **path, struct err *e);

#endif
