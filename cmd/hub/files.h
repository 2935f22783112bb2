/* hub: signed URLs of payload objects: whoever has one may put or get what it
 * names until it expires, and needs no token. */
#ifndef AGENTRUX_HUB_FILES_H
#define AGENTRUX_HUB_FILES_H

#include "objects.h"
#include "text.h"
#include "web.h"

/* An upload brings back here the checksum that was announced. */
#define FILE_CHECKSUM_HEADER "X-Checksum-Sha256"

enum { FILE_URL_MAX = 1024 };

/* Appends a URL, and tells when it expires. `verb` is "put" or "get". */
void file_url(struct req *r, const char *verb, const char *id, struct buf *url,
	char when[TIME_TEXT]);

/* Looks an object up; false: answered. */
bool file_find(struct req *r, const char *id, struct object *ob);

#endif
