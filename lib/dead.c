#include "dead.h"

#include "event.h"
#include "hash.h"
#include "home.h"
#include "json.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char *file_name(const struct dead_letter *letter)
{
	unsigned char sum[HASH_LEN];
	char hex[HASH_HEX_MAX];

	if (letter->event_id && event_id_plain(letter->event_id))
		return xasprintf("%s.json", letter->event_id);
	if (letter->event_id)
		hash_sha256(letter->event_id, strlen(letter->event_id), sum);
	else
		hash_sha256(letter->event.p, letter->event.len, sum);
	hash_hex(sum, hex);
	return xasprintf("%s.json", hex);
}

/* A handler's words as a JSON string. They may hold any bytes, and their start
 * was cut off somewhere: what is not UTF-8 then shows as '?'. */
static char *quote_any(const char *text)
{
	char *quoted, *plain, *p;
	struct slice value;
	size_t bad;

	while (((unsigned char)*text & 0xc0) == 0x80)
		text++;
	quoted = json_quote(text);
	if (slice_document(quoted, strlen(quoted), SLICE_UTF8, &value, &bad) ==
		0)
		return quoted;
	free(quoted);
	plain = xstrdup(text);
	for (p = plain; *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	quoted = json_quote(plain);
	free(plain);
	return quoted;
}

static void build(const struct dead_letter *letter, struct buf *out)
{
	char now[32];
	time_t t = time(NULL);
	struct tm tm;
	char *stderr_end =
		letter->stderr_end ? quote_any(letter->stderr_end) : NULL;
	char *status = json_quote(letter->status);

	gmtime_r(&t, &tm);
	strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &tm);
	buf_str(out, "{\"event\":");
	slice_one_line(letter->event, out);
	buf_printf(out,
		",\"attempts\":%d,\"status\":%s,\"stderr\":%s,"
		"\"failed_at\":\"%s\"}\n",
		letter->attempts, status, stderr_end ? stderr_end : "null",
		now);
	free(status);
	free(stderr_end);
}

int dead_write(const struct statedir *home, const struct dead_letter *letter,
	struct err *e)
{
	struct statedir dead = STATEDIR_NONE, topic = STATEDIR_NONE;
	struct buf text = BUF_INIT(DEAD_LETTER_MAX);
	char *name = file_name(letter);
	int r = -1;

	build(letter, &text);
	if (statedir_sub(home, HOME_DEAD, STATEDIR_CREATE, &dead, e) > 0 &&
		statedir_sub(&dead, letter->topic, STATEDIR_CREATE, &topic, e) >
			0)
		r = statefile_replace(&topic, name, text.data, text.len, e);
	if (r == 0)
		r = statedir_sync(&dead, e);
	if (r == 0)
		r = statedir_sync(home, e);
	statedir_close(&topic);
	statedir_close(&dead);
	buf_release(&text);
	free(name);
	return r;
}

/* --- reading them again --- */

/* 1: open. 0: there is none. -1: error. */
static int open_folder(const struct statedir *home, const char *topic,
	struct statedir *folder, struct err *e)
{
	struct statedir dead = STATEDIR_NONE;
	int r = statedir_sub(home, HOME_DEAD, STATEDIR_FIND, &dead, e);

	if (r > 0)
		r = statedir_sub(&dead, topic, STATEDIR_FIND, folder, e);
	statedir_close(&dead);
	return r;
}

struct found {
	struct timespec written;
	char *name;
};

static int older_first(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->written.tv_sec != y->written.tv_sec)
		return x->written.tv_sec < y->written.tv_sec ? -1 : 1;
	if (x->written.tv_nsec != y->written.tv_nsec)
		return x->written.tv_nsec < y->written.tv_nsec ? -1 : 1;
	return strcmp(x->name, y->name);
}

static bool is_letter(const char *name)
{
	size_t len = strlen(name);

	return len > 5 && name[0] != '.' &&
	       strcmp(name + len - 5, ".json") == 0;
}

int dead_list(const struct statedir *home, const char *topic,
	struct dead_list *list, struct err *e)
{
	struct statedir folder = STATEDIR_NONE;
	struct found *all = NULL;
	struct dirent *d;
	struct stat st;
	DIR *dir = NULL;
	size_t n = 0, i;
	int fd, r = open_folder(home, topic, &folder, e);

	if (r <= 0) {
		statedir_close(&folder);
		return r;
	}
	fd = openat(folder.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		dir = fdopendir(fd);
	if (dir == NULL)
		r = err_errno(e, "reading %s", folder.path);
	while (dir && (d = readdir(dir))) {
		if (!is_letter(d->d_name) || fstatat(folder.fd, d->d_name, &st,
						     AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		all = xrealloc(all, (n + 1) * sizeof *all);
		all[n++] = (struct found){ st.st_mtim, xstrdup(d->d_name) };
	}
	if (dir)
		closedir(dir);
	if (n)
		qsort(all, n, sizeof *all, older_first);
	list->names = xcalloc(n + 1, sizeof *list->names);
	for (i = 0; i < n; i++)
		list->names[i] = all[i].name;
	list->n = n;
	free(all);
	statedir_close(&folder);
	return r < 0 ? -1 : 0;
}

void dead_list_release(struct dead_list *list)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		free(list->names[i]);
	free(list->names);
	*list = (struct dead_list){ 0 };
}

int dead_read(const struct statedir *home, const char *topic, const char *name,
	struct buf *text, struct dead_letter *letter, struct err *e)
{
	struct statedir folder = STATEDIR_NONE;
	struct slice doc, attempts;
	int64_t v = 0;
	size_t bad;
	int r = open_folder(home, topic, &folder, e);

	if (r > 0)
		r = statefile_load(&folder, name, text, e);
	if (r > 0 && (slice_document(buf_text(text), text->len, SLICE_ANY_BYTES,
			      &doc, &bad) < 0 ||
			     !slice_member(doc, "event", &letter->event) ||
			     slice_kind(letter->event) != '{')) {
		say("reading %s/%s: it is no letter; it stays as it is",
			folder.path, name);
		r = 0;
	}
	if (r > 0 && slice_member(doc, "attempts", &attempts) &&
		slice_int(attempts, &v) && v > 0 && v < 1000000)
		letter->attempts = (int)v;
	statedir_close(&folder);
	return r;
}

int dead_remove(const struct statedir *home, const char *topic,
	const char *name, struct err *e)
{
	struct statedir folder = STATEDIR_NONE;
	int r = open_folder(home, topic, &folder, e);

	if (r > 0)
		r = statefile_remove(&folder, name, e);
	statedir_close(&folder);
	return r < 0 ? -1 : 0;
}
