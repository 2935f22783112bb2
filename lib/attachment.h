/* format: an attachment line: where its bytes are and what is known of them.
 * Pure code, no I/O.
 *
 * Lines come from the wire and from other programs; both dialects' names of
 * members are read. */
#ifndef AGENTRUX_ATTACHMENT_H
#define AGENTRUX_ATTACHMENT_H

#include "buf.h"
#include "err.h"
#include "hash.h"
#include "slice.h"

#include <stdbool.h>
#include <stdint.h>

/* Texts are the caller's to free (attachment_release); NULL: not said. */
struct attachment {
	char *id;     /* the payload object; a plain id */
	char *url;    /* what the line says, to be trusted as little as it */
	char *name;   /* any text */
	int64_t size; /* -1: not said */
	bool has_sum;
	unsigned char sum[HASH_LEN]; /* SHA-256 */
};

#define ATTACHMENT_NONE                                                        \
	{                                                                      \
		.size = -1                                                     \
	}

/* Reads a line. 0, with `whole` the object in it; -1 with EX_DATAERR if it is no
 * JSON object, names neither an object nor a URL, or says something that cannot
 * be: an id, a size or a checksum that is none. `a` may be released either way. */
int attachment_read(const char *line, size_t len, struct attachment *a,
	struct slice *whole, struct err *e);
void attachment_release(struct attachment *a);

/* Appends the line with `path` as its member of that name, in place of any it
 * had; all else keeps its bytes. */
void attachment_with_path(
	struct slice whole, const char *path, struct buf *out);

#endif
