#include "outbox.h"

#include "event.h"
#include "hash.h"
#include "home.h"
#include "io.h"
#include "json.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TIME_MAX = 40, HALF_WRITTEN_S = 3600 };

static const char suffix[] = ".json", fresh_suffix[] = ".json.new";

int outbox_open(struct outbox *o, const struct statedir *home, struct err *e)
{
	int found;

	*o = (struct outbox){ .home = home, .dir = STATEDIR_NONE };
	found = statedir_sub(home, HOME_OUTBOX, STATEDIR_FIND, &o->dir, e);
	if (found)
		return found < 0 ? -1 : 0;
	statedir_close(&o->dir);
	if (statedir_sub(home, HOME_OUTBOX, STATEDIR_CREATE, &o->dir, e) < 0)
		return -1;
	return statedir_sync(home, e);
}

void outbox_close(struct outbox *o)
{
	statedir_close(&o->dir);
}

/* Later than all names of this process before, whatever the clock does. */
static void new_name(struct outbox *o, char name[OUTBOX_NAME_MAX])
{
	struct timespec now;
	struct tm tm;
	char when[TIME_MAX], id[37];
	int64_t us;

	clock_gettime(CLOCK_REALTIME, &now);
	us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
	if (us <= o->last_us)
		us = o->last_us + 1;
	o->last_us = us;
	now.tv_sec = (time_t)(us / 1000000);
	gmtime_r(&now.tv_sec, &tm);
	strftime(when, sizeof when, "%Y%m%dT%H%M%S", &tm);
	hash_uuid(id);
	snprintf(name, OUTBOX_NAME_MAX, "%.20s.%06dZ-%.8s%s", when,
		(int)(us % 1000000), id, suffix);
}

static void add_text(struct buf *out, const char *name, const char *text)
{
	char *quoted;

	if (text == NULL)
		return;
	quoted = json_quote(text);
	buf_printf(out, "\"%s\":%s,", name, quoted);
	free(quoted);
}

/* The entry's contents up to its last member. */
static void build(const struct outbox_event *ev, struct buf *out)
{
	buf_char(out, '{');
	add_text(out, "topic", ev->topic);
	add_text(out, "type", ev->type);
	add_text(out, "correlation_id", ev->correlation_id);
	add_text(out, "reply_topic", ev->reply_topic);
	add_text(out, "idempotency_key", ev->idempotency_key);
	add_text(out, "payload_object_id", ev->payload_object_id);
	if (ev->metadata.p) {
		buf_str(out, "\"metadata\":");
		buf_add(out, ev->metadata.p, ev->metadata.len);
		buf_char(out, ',');
	}
	buf_str(out, "\"payload\":");
	buf_add(out, ev->payload.p, ev->payload.len);
}

static int put_in_place(const struct outbox *o, const char *fresh,
	const struct outbox_entry *entry)
{
	return entry->fd < 0
		       ? statefile_move(&o->dir, fresh, entry->name)
		       : renameat(o->dir.fd, fresh, o->dir.fd, entry->name);
}

/* As statefile_replace, but that the file is locked before it has its name: a
 * new one, or that of the entry's file, which is ours until then. */
static int write_locked(const struct outbox *o, const struct buf *text,
	struct outbox_entry *entry, struct err *e)
{
	char *fresh = xasprintf("%s.new", entry->name);
	int fd = statefile_create(&o->dir, fresh, e);
	bool renewed;
	int r = -1;

	if (fd < 0)
		goto out;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 ||
		io_write(fd, text->data, text->len) < 0 || fsync(fd) < 0 ||
		put_in_place(o, fresh, entry) < 0) {
		err_errno(e, "writing %s/%s", o->dir.path, entry->name);
		unlinkat(o->dir.fd, fresh, 0);
		close(fd);
		goto out;
	}
	renewed = entry->fd >= 0;
	outbox_leave(entry);
	entry->fd = fd;
	r = statedir_sync(&o->dir, e);
	if (r < 0 && !renewed) {
		/* The caller is told that it was not kept. */
		unlinkat(o->dir.fd, entry->name, 0);
		outbox_leave(entry);
	}
out:
	free(fresh);
	return r;
}

int outbox_put(struct outbox *o, const struct outbox_event *ev,
	struct outbox_entry *entry, struct err *e)
{
	new_name(o, entry->name);
	entry->fd = -1;
	return outbox_change(o, entry, ev, e);
}

int outbox_change(const struct outbox *o, struct outbox_entry *entry,
	const struct outbox_event *ev, struct err *e)
{
	struct buf text = BUF_INIT(OUTBOX_ENTRY_MAX);
	int r;

	build(ev, &text);
	buf_str(&text, "}\n");
	if (text.full)
		r = err_set(
			e, EX_DATAERR, "keeping the event: it is too large");
	else
		r = write_locked(o, &text, entry, e);
	buf_release(&text);
	return r;
}

void outbox_leave(struct outbox_entry *entry)
{
	if (entry->fd >= 0)
		close(entry->fd);
	entry->fd = -1;
}

int outbox_remove(
	const struct outbox *o, struct outbox_entry *entry, struct err *e)
{
	/* Unlocked only when it is gone, so that nobody sends it again. */
	int r = statefile_remove(&o->dir, entry->name, e);

	outbox_leave(entry);
	return r;
}

/* Opens dead/outbox/. */
static int open_dead(const struct outbox *o, struct statedir *to, struct err *e)
{
	struct statedir dead = STATEDIR_NONE;
	int r = -1;

	*to = (struct statedir)STATEDIR_NONE;
	if (statedir_sub(o->home, HOME_DEAD, STATEDIR_CREATE, &dead, e) > 0 &&
		statedir_sub(&dead, HOME_OUTBOX, STATEDIR_CREATE, to, e) > 0)
		r = statedir_sync(&dead, e);
	if (r < 0)
		statedir_close(to);
	statedir_close(&dead);
	return r;
}

int outbox_refuse(const struct outbox *o, struct outbox_entry *entry,
	const struct outbox_event *ev, const char *reason, struct err *e)
{
	struct buf text = BUF_INIT(OUTBOX_ENTRY_MAX + 65536);
	struct statedir to;
	time_t t = time(NULL);
	char now[TIME_MAX];
	struct tm tm;
	int r = open_dead(o, &to, e);

	if (r < 0)
		goto out;
	gmtime_r(&t, &tm);
	strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &tm);
	build(ev, &text);
	buf_char(&text, ',');
	add_text(&text, "reason", reason);
	buf_printf(&text, "\"failed_at\":\"%s\"}\n", now);
	r = statefile_replace(&to, entry->name, text.data, text.len, e);
	if (r == 0)
		r = outbox_remove(o, entry, e);
out:
	outbox_leave(entry);
	statedir_close(&to);
	buf_release(&text);
	return r;
}

bool outbox_has(const struct outbox *o, const char *name)
{
	return faccessat(o->dir.fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

char *outbox_path(const struct outbox *o, const char *name)
{
	return xasprintf("%s/%s", o->dir.path, name);
}

static bool ends_in(const char *name, const char *end)
{
	size_t len = strlen(name), n = strlen(end);

	return len > n && strcmp(name + len - n, end) == 0;
}

/* A writer that lives renames its file within moments. */
static void sweep(const struct outbox *o, const char *name)
{
	struct stat st;

	if (fstatat(o->dir.fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		st.st_mtime + HALF_WRITTEN_S < time(NULL))
		unlinkat(o->dir.fd, name, 0);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int outbox_names(
	const struct outbox *o, char ***names, size_t *n, struct err *e)
{
	int fd = openat(o->dir.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	size_t cap = 0;

	*names = NULL;
	*n = 0;
	if (d == NULL) {
		err_errno(e, "listing %s", o->dir.path);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while ((errno = 0, entry = readdir(d))) {
		const char *name = entry->d_name;

		if (ends_in(name, fresh_suffix))
			sweep(o, name);
		if (!ends_in(name, suffix) || !event_id_plain(name) ||
			strlen(name) >= OUTBOX_NAME_MAX)
			continue;
		if (*n == cap) {
			cap = cap ? cap * 2 : 64;
			*names = xrealloc(*names, cap * sizeof **names);
		}
		(*names)[(*n)++] = xstrdup(name);
	}
	if (errno) {
		err_errno(e, "listing %s", o->dir.path);
		closedir(d);
		outbox_names_free(*names, *n);
		return -1;
	}
	closedir(d);
	if (*n)
		qsort(*names, *n, sizeof **names, by_name);
	return 0;
}

void outbox_names_free(char **names, size_t n)
{
	while (n)
		free(names[--n]);
	free(names);
}

/* 1: locked. 0: another's, or gone. */
static int lock(
	const struct outbox *o, struct outbox_entry *entry, struct err *e)
{
	struct stat st;

	entry->fd = io_open(o->dir.fd, entry->name, O_RDONLY | O_NONBLOCK, 0);
	if (entry->fd < 0 && errno == ENOENT)
		return 0;
	if (entry->fd < 0)
		return statefile_unopened(&o->dir, entry->name, e);
	/* Whoever held it may have sent and removed it just now. */
	if (flock(entry->fd, LOCK_EX | LOCK_NB) == 0 &&
		fstat(entry->fd, &st) == 0 && st.st_nlink > 0)
		return 1;
	outbox_leave(entry);
	return 0;
}

/* A required (or optional) text; *to stays NULL where there is none. */
static bool take_text(
	struct slice entry, const char *name, bool required, char **to)
{
	struct buf text = BUF_INIT(65536);
	struct slice value;

	if (!slice_member(entry, name, &value))
		return !required;
	if (!slice_text(value, &text)) {
		buf_release(&text);
		return false;
	}
	*to = buf_detach(&text);
	return true;
}

static bool parse(struct outbox_kept *k)
{
	struct slice entry;
	size_t bad;

	if (slice_document(buf_text(&k->text), k->text.len, SLICE_UTF8, &entry,
		    &bad) < 0 ||
		!slice_member(entry, "payload", &k->ev.payload) ||
		!take_text(entry, "topic", true, &k->texts[0]) ||
		!take_text(entry, "type", true, &k->texts[1]) ||
		!take_text(entry, "correlation_id", false, &k->texts[2]) ||
		!take_text(entry, "reply_topic", false, &k->texts[3]) ||
		!take_text(entry, "idempotency_key", false, &k->texts[4]) ||
		!take_text(entry, "payload_object_id", false, &k->texts[5]) ||
		(slice_member(entry, "metadata", &k->ev.metadata) &&
			slice_kind(k->ev.metadata) != '{') ||
		!event_id_plain(k->texts[0]))
		return false;
	k->ev.topic = k->texts[0];
	k->ev.type = k->texts[1];
	k->ev.correlation_id = k->texts[2];
	k->ev.reply_topic = k->texts[3];
	k->ev.idempotency_key = k->texts[4];
	k->ev.payload_object_id = k->texts[5];
	return true;
}

/* Out of the way, as it is. */
static int move_damaged(const struct outbox *o, const char *name, struct err *e)
{
	struct statedir to;
	int r = open_dead(o, &to, e);

	if (r == 0 && renameat(o->dir.fd, name, to.fd, name) < 0)
		r = err_errno(e, "moving %s/%s", o->dir.path, name);
	if (r == 0 && statedir_sync(&to, e) == 0 &&
		statedir_sync(&o->dir, e) == 0)
		err_set(e, EX_DATAERR,
			"reading %s/%s: it is damaged; it was moved to %s",
			o->dir.path, name, to.path);
	statedir_close(&to);
	return -1;
}

int outbox_take(const struct outbox *o, const char *name,
	struct outbox_entry *entry, struct outbox_kept *kept, struct err *e)
{
	int r;

	*kept = (struct outbox_kept){ .text = BUF_INIT(OUTBOX_ENTRY_MAX) };
	snprintf(entry->name, sizeof entry->name, "%s", name);
	r = lock(o, entry, e);
	if (r <= 0)
		return r;
	r = statefile_load(&o->dir, name, &kept->text, e);
	if (r == 1 && !parse(kept))
		r = move_damaged(o, name, e);
	if (r < 1) {
		outbox_leave(entry);
		outbox_kept_release(kept);
	}
	return r;
}

void outbox_kept_release(struct outbox_kept *kept)
{
	size_t i;

	buf_release(&kept->text);
	for (i = 0; i < sizeof kept->texts / sizeof *kept->texts; i++)
		free(kept->texts[i]);
	memset(kept, 0, sizeof *kept);
}
