#include "mime.h"

#include "err.h"

#include <magic.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char unknown[] = "application/octet-stream";

/* What a name says more exactly than the bytes do. `over` is what the bytes may
 * look like for the name to be believed: "" for any text. */
static const struct {
	const char *extension, *type, *over;
} hints[] = {
	{ "css", "text/css", "" },
	{ "csv", "text/csv", "" },
	{ "docx",
		"application/vnd.openxmlformats-officedocument."
		"wordprocessingml.document",
		"application/zip" },
	{ "htm", "text/html", "" },
	{ "html", "text/html", "" },
	{ "js", "text/javascript", "" },
	{ "json", "application/json", "" },
	{ "jsonl", "application/x-ndjson", "" },
	{ "md", "text/markdown", "" },
	{ "mjs", "text/javascript", "" },
	{ "odt", "application/vnd.oasis.opendocument.text", "application/zip" },
	{ "pptx",
		"application/vnd.openxmlformats-officedocument."
		"presentationml.presentation",
		"application/zip" },
	{ "svg", "image/svg+xml", "" },
	{ "ts", "text/typescript", "" },
	{ "tsv", "text/tab-separated-values", "" },
	{ "txt", "text/plain", "" },
	{ "xlsx",
		"application/vnd.openxmlformats-officedocument."
		"spreadsheetml.sheet",
		"application/zip" },
	{ "xml", "text/xml", "" },
};

struct mime {
	pthread_mutex_t mutex;
	magic_t magic; /* NULL: not open yet, or no database */
	bool opened;
};

struct mime *mime_new(void)
{
	struct mime *m = xcalloc(1, sizeof *m);

	pthread_mutex_init(&m->mutex, NULL);
	return m;
}

void mime_free(struct mime *m)
{
	if (m->magic)
		magic_close(m->magic);
	pthread_mutex_destroy(&m->mutex);
	free(m);
}

/* It takes a while, and is not always needed. */
static void open_magic(struct mime *m)
{
	m->opened = true;
	m->magic = magic_open(
		MAGIC_MIME_TYPE | MAGIC_NO_CHECK_COMPRESS | MAGIC_NO_CHECK_TAR);
	if (m->magic && magic_load(m->magic, NULL) < 0) {
		magic_close(m->magic);
		m->magic = NULL;
	}
}

/* Is this a type for "some text", or for what says nothing at all? */
static bool is_vague(const char *type)
{
	return strncmp(type, "text/", 5) == 0 ||
	       strncmp(type, "inode/", 6) == 0 || strcmp(type, unknown) == 0 ||
	       strcmp(type, "application/json") == 0 ||
	       strcmp(type, "application/javascript") == 0 ||
	       strcmp(type, "application/x-ndjson") == 0;
}

/* The name's word, if the bytes look like it; else what they look like. */
static const char *decide(const char *name, const char *type)
{
	const char *dot = strrchr(name, '.');
	size_t i;

	for (i = 0; dot && i < sizeof hints / sizeof *hints; i++)
		if (strcasecmp(dot + 1, hints[i].extension) == 0 &&
			(hints[i].over[0] ? strcmp(type, hints[i].over) == 0
					  : is_vague(type)))
			return hints[i].type;
	return strncmp(type, "inode/", 6) ? type : unknown;
}

char *mime_type(struct mime *m, const char *name, const void *head, size_t len)
{
	const char *type = NULL;
	char *copy;

	pthread_mutex_lock(&m->mutex);
	if (!m->opened)
		open_magic(m);
	if (m->magic && len)
		type = magic_buffer(m->magic, head, len);
	if (type == NULL || strchr(type, '/') == NULL)
		type = unknown;
	copy = xstrdup(decide(name, type));
	pthread_mutex_unlock(&m->mutex);
	return copy;
}
