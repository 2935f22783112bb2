/* service: what type of file this is: by its first bytes, and by its name where
 * the bytes do not tell enough. The only user of libmagic, which looks at them in
 * a process of its own. */
#ifndef AGENTRUX_MIME_H
#define AGENTRUX_MIME_H

#include <stddef.h>

enum { MIME_HEAD = 65536 /* bytes that are worth looking at */ };

struct mime;

/* Works without libmagic's database as well, by the name alone. Thread-safe. */
struct mime *mime_new(void);
void mime_free(struct mime *m);

/* "text/plain" and the like, the caller's to free. */
char *mime_type(struct mime *m, const char *name, const void *head, size_t len);

#endif
