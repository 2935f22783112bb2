#include "mime.h"

#include "err.h"
#include "stop.h"

#include <errno.h>
#include <fcntl.h>
#include <magic.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TYPE_SIZE = 256, LOOK_MS = 5000 };

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

/* In a process of its own: libmagic goes through all of its database, 8 MiB
 * that then would be ours, and the bytes it looks at may be anybody's. */
static void look(magic_t magic, const void *head, size_t len, int to)
{
	const char *type = magic_buffer(magic, head, len);
	size_t n = type ? strlen(type) : 0;

	_exit(write(to, type, n) == (ssize_t)n ? 0 : 1);
}

/* What the bytes look like; false: nobody knows. Nor does who takes too long:
 * the bytes may be made for that. */
static bool find_out(
	struct mime *m, const void *head, size_t len, char type[TYPE_SIZE])
{
	struct pollfd in = { .events = POLLIN };
	ssize_t n = 0, got = 0;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return false;
	pid = fork();
	if (pid == 0)
		look(m->magic, head, len, fds[1]);
	close(fds[1]);
	in.fd = fds[0];
	while (pid > 0 && n < TYPE_SIZE - 1) {
		if (stop_poll(&in, 1, LOOK_MS) <= 0) {
			kill(pid, SIGKILL);
			break;
		}
		got = read(fds[0], type + n, (size_t)(TYPE_SIZE - 1 - n));
		if (got == 0 || (got < 0 && errno != EINTR))
			break;
		n += got > 0 ? got : 0;
	}
	close(fds[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	type[n] = '\0';
	return strchr(type, '/') != NULL;
}

char *mime_type(struct mime *m, const char *name, const void *head, size_t len)
{
	char type[TYPE_SIZE];
	bool known = false;

	pthread_mutex_lock(&m->mutex);
	if (!m->opened)
		open_magic(m);
	if (m->magic && len)
		known = find_out(m, head, len, type);
	pthread_mutex_unlock(&m->mutex);
	return xstrdup(decide(name, known ? type : unknown));
}
