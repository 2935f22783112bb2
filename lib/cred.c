#include "cred.h"

#include "home.h"
#include "io.h"
#include "json.h"
#include "slice.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char *copy(const struct json *o, const char *name)
{
	const char *s = json_text(o, name);

	return s && *s ? xstrdup(s) : NULL;
}

char *cred_trim_url(const char *url)
{
	size_t len = strlen(url);

	while (len && url[len - 1] == '/')
		len--;
	return xstrndup(url, len);
}

/* A device login has no secret, not even an empty one. */
static bool is_login(const struct json *doc, const struct cred *c)
{
	return c->client_id && json_member(doc, "client_secret") == NULL &&
	       json_member(doc, "clientSecret") == NULL;
}

/* Fields of a parsed file. -1: something required is missing. */
static int take(const struct json *doc, struct cred *c)
{
	const char *url = json_text(doc, "base_url");

	c->base_url = url && *url ? cred_trim_url(url) : NULL;
	c->script_id = copy(doc, "script_id");
	c->client_id = copy(doc, "client_id");
	c->secret = copy(doc, "client_secret");
	if (c->secret == NULL)
		c->secret = copy(doc, "clientSecret");
	if (c->secret == NULL)
		return is_login(doc, c) ? 0 : -1;
	return cred_id(c) ? 0 : -1;
}

/* -1 with what is wrong in `why`, which never is a piece of the text. */
static int parse(const struct buf *text, struct cred *c, struct err *why)
{
	struct json *doc = json_parse(buf_text(text), text->len, why);
	int r = -1;

	memset(c, 0, sizeof *c);
	if (doc) {
		r = take(doc, c);
		if (r < 0)
			err_set(why, EX_DATAERR,
				"an id or the secret is missing");
	}
	if (r < 0)
		cred_release(c);
	json_free(doc);
	return r;
}

static int damaged(const struct statedir *home, const char *why, struct err *e)
{
	char *what = xasprintf("it is damaged: %s; restore it from a backup, "
			       "or activate again after",
		why);

	statefile_refuse(home, HOME_CREDENTIALS, what, "mv @ @.damaged", e);
	free(what);
	return -1;
}

int cred_load(const struct statedir *home, struct cred *c, struct err *e)
{
	struct buf text = BUF_SECRET(CRED_FILE_MAX);
	struct err why = { 0 };
	int r;

	memset(c, 0, sizeof *c);
	r = statefile_load(home, HOME_CREDENTIALS, &text, e);
	if (r > 0 && parse(&text, c, &why) < 0)
		r = damaged(home, why.text, e);
	buf_release(&text);
	return r;
}

char *cred_document(const struct cred *c)
{
	struct json *doc = json_object();
	char *text;

	json_set_text(doc, "base_url", c->base_url);
	if (c->client_id)
		json_set_text(doc, "client_id", c->client_id);
	if (c->script_id)
		json_set_text(doc, "script_id", c->script_id);
	if (c->secret)
		json_set_text(doc, "client_secret", c->secret);
	text = json_print(doc);
	json_free(doc);
	return text;
}

/* Where the secret stands in a document; the last of double names counts. */
static bool find_secret(struct slice doc, struct slice *secret)
{
	struct slice v;

	if (slice_member(doc, "client_secret", &v) && slice_kind(v) == '"' &&
		v.len > 2) {
		*secret = v;
		return true;
	}
	return slice_member(doc, "clientSecret", secret);
}

char *cred_document_with(
	const struct statedir *home, const char *secret, struct err *e)
{
	struct buf text = BUF_SECRET(CRED_FILE_MAX);
	struct buf out = BUF_SECRET(CRED_FILE_MAX);
	char *quoted = json_quote(secret), *document = NULL;
	struct slice doc, old;
	size_t bad, head;

	if (statefile_load(home, HOME_CREDENTIALS, &text, e) < 0)
		goto out;
	if (slice_document(buf_text(&text), text.len, SLICE_UTF8, &doc, &bad) <
			0 ||
		!find_secret(doc, &old)) {
		damaged(home, "there is no secret in it", e);
		goto out;
	}
	head = (size_t)(old.p - text.data);
	buf_add(&out, text.data, head);
	buf_str(&out, quoted);
	buf_add(&out, old.p + old.len, text.len - head - old.len);
	if (out.full)
		err_set(e, EX_DATAERR,
			"the credentials do not fit into %d "
			"bytes",
			CRED_FILE_MAX);
	else
		document = buf_detach(&out);
out:
	buf_wipe_free(quoted);
	buf_release(&out);
	buf_release(&text);
	return document;
}

void cred_describe(const struct cred *c, struct json *o)
{
	if (c->script_id)
		json_set_text(o, "script_id", c->script_id);
	if (c->client_id)
		json_set_text(o, "client_id", c->client_id);
	if (cred_id(c))
		json_set_text(o, "base_url",
			c->base_url ? c->base_url : CRED_DEFAULT_URL);
}

const char *cred_id(const struct cred *c)
{
	return c->client_id ? c->client_id : c->script_id;
}

void cred_release(struct cred *c)
{
	free(c->base_url);
	free(c->script_id);
	free(c->client_id);
	buf_wipe_free(c->secret);
	memset(c, 0, sizeof *c);
}

/* --- new credentials --- */

int cred_lock(const struct statedir *home, struct lock *l, long wait_ms,
	struct err *e)
{
	return lock_take(l, home, HOME_CREDENTIALS_LOCK, wait_ms, e);
}

bool cred_locked(const struct statedir *home)
{
	return home->fd >= 0 && lock_held(home, HOME_CREDENTIALS_LOCK);
}

/* What is left, without the padding. Returns as statefile_load. */
static int load_left(
	const struct statedir *home, struct buf *text, struct err *e)
{
	int r = statefile_load(home, HOME_RESERVED, text, e);

	while (text->len && text->data[text->len - 1] == '\0')
		text->len--;
	return r;
}

int cred_left(const struct statedir *home, enum cred_left *left, struct err *e)
{
	struct buf text = BUF_SECRET(2 * CRED_FILE_MAX);
	int r = load_left(home, &text, e);

	*left = r == 0		? CRED_LEFT_NOTHING
		: text.len == 0 ? CRED_LEFT_PADDING
				: CRED_LEFT_SECRET;
	buf_release(&text);
	return r < 0 ? -1 : 0;
}

void cred_tidy(const struct statedir *home)
{
	enum cred_left left;

	if (cred_left(home, &left, NULL) == 0 && left == CRED_LEFT_PADDING)
		statefile_remove(home, HOME_RESERVED, NULL);
}

static void slot_close(struct cred_slot *s)
{
	if (s->map)
		munmap(s->map, CRED_FILE_MAX);
	close(s->fd);
	s->map = NULL;
	s->fd = -1;
}

int cred_reserve(
	const struct statedir *home, struct cred_slot *s, struct err *e)
{
	enum cred_left left;
	void *map;

	*s = (struct cred_slot)CRED_SLOT_NONE;
	if (cred_left(home, &left, e) < 0)
		return -1;
	if (left == CRED_LEFT_SECRET)
		return err_set(e, EX_CANTCREAT,
			"%s/%s holds a secret that was not put in place yet; "
			"do that first, with: agentrux-activate --recover",
			home->path, HOME_RESERVED);
	s->fd = statefile_create(home, HOME_RESERVED, e);
	if (s->fd < 0)
		return -1;
	errno = posix_fallocate(s->fd, 0, CRED_FILE_MAX);
	if (errno || fsync(s->fd) < 0)
		err_errno(e, "making room for %s/%s", home->path,
			HOME_CREDENTIALS);
	else if (statedir_sync(home, e) == 0) {
		map = mmap(NULL, CRED_FILE_MAX, PROT_READ | PROT_WRITE,
			MAP_SHARED, s->fd, 0);
		s->map = map == MAP_FAILED ? NULL : map;
		return 0;
	}
	cred_unreserve(home, s);
	return -1;
}

void cred_unreserve(const struct statedir *home, struct cred_slot *s)
{
	if (s->fd < 0)
		return;
	unlinkat(home->fd, HOME_RESERVED, 0);
	slot_close(s);
}

/* The document into the reservation; `written` once every byte is there. */
static int fill(struct cred_slot *s, const char *text, size_t len)
{
	int tries;

	for (tries = 0; tries < 2; tries++) {
		if (lseek(s->fd, 0, SEEK_SET) == 0 &&
			io_write(s->fd, text, len) == 0)
			s->written = true;
		/* No call that could fail, where two did. */
		else if (tries > 0 && s->map) {
			memcpy(s->map, text, len);
			s->written = true;
		}
		if (s->written && ftruncate(s->fd, (off_t)len) == 0 &&
			fsync(s->fd) == 0)
			return 0;
	}
	return -1;
}

static int put_in_place(const struct statedir *home, bool fresh)
{
	if (fresh)
		return statefile_move(home, HOME_RESERVED, HOME_CREDENTIALS);
	if (renameat(home->fd, HOME_RESERVED, home->fd, HOME_CREDENTIALS) < 0)
		return -1;
	/* Were both names one file, renaming did nothing. */
	unlinkat(home->fd, HOME_RESERVED, 0);
	return 0;
}

/* From a filled and synced reservation to credentials. */
static int promote(const struct statedir *home, bool fresh, struct err *e)
{
	struct err why = { 0 };

	if (put_in_place(home, fresh) < 0 &&
		(errno == EEXIST || put_in_place(home, fresh) < 0))
		return err_errno(e, "putting %s/%s in place", home->path,
			HOME_CREDENTIALS);
	/* They are there and whole; only a power cut now could still undo the
	 * renaming, and then the reservation holds them. */
	if (statedir_sync(home, NULL) < 0 && statedir_sync(home, &why) < 0)
		say("%s", why.text);
	return 0;
}

int cred_commit(const struct statedir *home, struct cred_slot *s,
	const char *document, bool fresh, struct err *e)
{
	int r = fill(s, document, strlen(document));

	if (r < 0)
		err_errno(e, "writing %s/%s", home->path, HOME_RESERVED);
	else
		r = promote(home, fresh, e);
	if (s->written)
		slot_close(s);
	return r;
}

/* Is it ours to put over what is there? */
static int check_present(
	const struct statedir *home, const struct cred *left, struct err *e)
{
	struct cred c;
	int r = cred_load(home, &c, e);

	if (r > 0 && strcmp(cred_id(&c), cred_id(left)))
		r = err_set(e, EX_CANTCREAT,
			"%s/%s and %s/%s belong to different scripts; keep the "
			"one you need and move the other away",
			home->path, HOME_CREDENTIALS, home->path,
			HOME_RESERVED);
	cred_release(&c);
	return r;
}

int cred_recover(const struct statedir *home, struct cred *c, struct err *e)
{
	struct buf text = BUF_SECRET(2 * CRED_FILE_MAX);
	struct err why = { 0 };
	int fd = -1, r;

	memset(c, 0, sizeof *c);
	r = load_left(home, &text, e);
	if (r <= 0)
		goto out;
	if (text.len == 0) {
		r = statefile_remove(home, HOME_RESERVED, e);
		goto out;
	}
	if (parse(&text, c, &why) < 0) {
		r = statefile_refuse(home, HOME_RESERVED,
			"it is not whole; look at it, then move it away with",
			"mv @ @.damaged", e);
		goto out;
	}
	r = check_present(home, c, e);
	if (r < 0)
		goto out;
	/* Cut and synced where it lies: no second copy that could be torn. */
	fd = io_open(home->fd, HOME_RESERVED, O_RDWR, 0);
	if (fd < 0 || ftruncate(fd, (off_t)text.len) < 0 || fsync(fd) < 0)
		r = err_errno(e, "finishing %s/%s", home->path, HOME_RESERVED);
	else
		r = promote(home, r == 0, e) < 0 ? -1 : 1;
out:
	if (fd >= 0)
		close(fd);
	if (r <= 0)
		cred_release(c);
	buf_release(&text);
	return r;
}
