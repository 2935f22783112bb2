/* service: a file that is to be uploaded, as it was when it was opened. */
#ifndef AGENTRUX_SOURCE_H
#define AGENTRUX_SOURCE_H

#include "err.h"
#include "mime.h"

#include <stdbool.h>
#include <sys/stat.h>

struct source {
	const char *path; /* NULL: standard input, or memory */
	char *name;
	char *content_type;
	int fd;
	struct stat st; /* when it was opened */
	bool copied;	/* fd is a private copy */
};

/* Opens a file, or takes standard input over for "-" (copied to an unnamed
 * file, as is anything else that is not a regular file). `name` NULL: the
 * path's last part; `content_type` NULL: found out. EX_NOINPUT if it cannot be
 * read. source_close in any case. */
int source_open(struct source *f, const char *path, const char *name,
	const char *content_type, struct mime *mime, struct err *e);
/* The same of bytes in memory. */
int source_memory(struct source *f, const char *name, const char *content_type,
	const void *bytes, size_t n, struct err *e);
void source_close(struct source *f);

/* Is it still what was opened? EX_DATAERR if it was written to, or if another
 * file has taken its place. */
int source_unchanged(const struct source *f, struct err *e);

#endif
