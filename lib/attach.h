/* service: files as attachments of a payload. */
#ifndef AGENTRUX_ATTACH_H
#define AGENTRUX_ATTACH_H

#include "api.h"
#include "buf.h"
#include "err.h"
#include "slice.h"

/* Uploads the files and puts the payload, which payload_may_attach() let pass,
 * with their lines in its `attachments` into `text`, in place of what is there;
 * `payload` then borrows from it. Nothing is done for no files. */
int attach_files(struct api *api, const char *topic, const char *const *paths,
	size_t n, struct buf *text, struct slice *payload, struct err *e);

#endif
