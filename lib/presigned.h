/* service: what is done at a presigned URL, with further attempts.
 *
 * Temporary trouble is retried for api->retry_ms from when it began. A URL that
 * no longer serves is replaced by a new one, PRESIGNED_URLS in all. */
#ifndef AGENTRUX_PRESIGNED_H
#define AGENTRUX_PRESIGNED_H

#include "api.h"
#include "err.h"

enum { PRESIGNED_URLS = 3 };

struct presigned {
	struct api *api;
	const char *what; /* for messages: "uploading x.txt" */
	/* Gets a URL, a new one each time. */
	int (*ask)(void *ctx, struct err *e);
	/* One attempt. 1: done. 0: the URL no longer serves. -1: failed. */
	int (*attempt)(void *ctx, struct err *e);
	void *ctx;
};

int presigned_run(const struct presigned *p, struct err *e);

/* What an attempt comes to whose answer, `a`, is no success: 0 or -1, as above,
 * with the error. */
int presigned_refusal(const struct http_answer *a, struct err *e);

#endif
