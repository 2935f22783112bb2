#include "token.h"

#include "hash.h"
#include "home.h"
#include "json.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* The file's name: whoever has other credentials must not find this token. */
static void name_for(
	struct token_cache *t, const char *base_url, const struct cred *c)
{
	const char *secret = c->secret ? c->secret : "";
	unsigned char sum[HASH_LEN];
	char hex[HASH_HEX_MAX];
	struct buf key = BUF_SECRET(CRED_FILE_MAX * 4);

	buf_printf(&key, "%s\n%s\n", base_url, cred_id(c));
	hash_sha256(secret, strlen(secret), sum);
	buf_add(&key, sum, sizeof sum);
	hash_sha256(key.data, key.len, sum);
	hash_hex(sum, hex);
	buf_release(&key);
	snprintf(t->name, sizeof t->name, "token-%.32s", hex);
	snprintf(t->lock_name, sizeof t->lock_name, "%s.lock", t->name);
}

/* NULL, or what is wrong with the directory. */
static const char *unfit(const struct statedir *d)
{
	struct statfs fs;
	struct stat st;

	/* Others may put a link into /dev/shm, to wherever we have a folder. */
	if (fstatat(AT_FDCWD, d->path, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		S_ISLNK(st.st_mode))
		return "it is a symbolic link";
	if (fstat(d->fd, &st) < 0 || (st.st_mode & (S_IRWXG | S_IRWXO)))
		return "others may look into it";
	if (fstatfs(d->fd, &fs) < 0 ||
		(fs.f_type != TMPFS_MAGIC && fs.f_type != RAMFS_MAGIC))
		return "it is not in memory";
	return NULL;
}

static void open_dir(struct token_cache *t)
{
	char *path = home_runtime_dir();
	const char *why = NULL;
	struct err e = { 0 };

	if (statedir_open(&t->dir, path, STATEDIR_CREATE, &e) < 0)
		why = e.text;
	else
		why = unfit(&t->dir);
	if (why) {
		say("sharing the access token in %s: %s; it stays in this "
		    "process, and the service allows few of them an hour; set "
		    "AGENTRUX_RUNTIME_DIR to a folder of yours on a tmpfs, "
		    "with mode 700",
			path, why);
		token_cache_close(t);
		t->off = true;
	}
	free(path);
}

void token_cache_open(
	struct token_cache *t, const char *base_url, const struct cred *c)
{
	memset(t, 0, sizeof *t);
	t->dir = (struct statedir)STATEDIR_NONE;
	name_for(t, base_url, c);
	open_dir(t);
}

void token_cache_close(struct token_cache *t)
{
	statedir_close(&t->dir);
}

void token_load(const struct token_cache *c, struct token *t)
{
	struct buf text = BUF_SECRET(TOKEN_MAX * 3);
	struct json *doc = NULL;
	const char *s;

	memset(t, 0, sizeof *t);
	/* A file that others could have written counts as none, too: it is
	 * replaced by the next save. */
	if (c->off || statefile_load(&c->dir, c->name, &text, NULL) <= 0)
		goto out;
	doc = json_parse(buf_text(&text), text.len, NULL);
	if (doc == NULL)
		goto out;
	s = json_text(doc, "access_token");
	if (s && *s && json_int(doc, "expires_ms", &t->expires_ms) &&
		json_int(doc, "stale_ms", &t->stale_ms))
		t->access = xstrdup(s);
	s = json_text(doc, "refresh_token");
	if (s && *s)
		t->refresh = xstrdup(s);
	if (!json_int(doc, "blocked_ms", &t->blocked_ms))
		t->blocked_ms = 0;
	s = json_text(doc, "failed");
	if (s && json_int(doc, "failed_ms", &t->failed_ms) &&
		json_int(doc, "failed_code", &t->failed_code))
		t->failed = xstrdup(s);
out:
	json_free(doc);
	buf_release(&text);
}

int token_save(
	const struct token_cache *c, const struct token *t, struct err *e)
{
	struct json *doc;
	char *text;
	int r;

	if (c->off)
		return 0;
	doc = json_object();
	if (t->access) {
		json_set_text(doc, "access_token", t->access);
		json_set_int(doc, "expires_ms", t->expires_ms);
		json_set_int(doc, "stale_ms", t->stale_ms);
	}
	if (t->refresh)
		json_set_text(doc, "refresh_token", t->refresh);
	if (t->blocked_ms)
		json_set_int(doc, "blocked_ms", t->blocked_ms);
	if (t->failed) {
		json_set_text(doc, "failed", t->failed);
		json_set_int(doc, "failed_ms", t->failed_ms);
		json_set_int(doc, "failed_code", t->failed_code);
	}
	text = json_print(doc);
	r = statefile_replace(&c->dir, c->name, text, strlen(text), e);
	buf_wipe_free(text);
	json_free(doc);
	return r;
}

int token_forget(const struct token_cache *c, struct err *e)
{
	return c->off ? 0 : statefile_remove(&c->dir, c->name, e);
}

int token_lock(struct token_cache *c, struct lock *l, struct err *e)
{
	struct stat st;
	int r;

	if (!c->off && fstat(c->dir.fd, &st) == 0 && st.st_nlink == 0) {
		token_cache_close(c);
		open_dir(c);
	}
	*l = (struct lock)LOCK_NONE;
	if (c->off)
		return 0;
	r = lock_take(l, &c->dir, c->lock_name, TOKEN_LOCK_MS, e);
	if (r == 0)
		return err_set(e, EX_TEMPFAIL,
			"getting a token: another process has been at it for "
			"%d s",
			TOKEN_LOCK_MS / 1000);
	return r < 0 ? -1 : 0;
}

bool token_fresh(const struct token *t, int64_t now_ms)
{
	return t->access && now_ms < t->stale_ms;
}

void token_set(struct token *t, const char *access, const char *refresh,
	int64_t asked_ms, int64_t lifetime_ms)
{
	int64_t early = TOKEN_STALE_MS;

	token_release(t);
	if (early > lifetime_ms / 2)
		early = lifetime_ms / 2;
	t->access = xstrdup(access);
	t->refresh = refresh ? xstrdup(refresh) : NULL;
	t->expires_ms = asked_ms + lifetime_ms;
	t->stale_ms = t->expires_ms - early;
}

void token_release(struct token *t)
{
	buf_wipe_free(t->access);
	buf_wipe_free(t->refresh);
	free(t->failed);
	memset(t, 0, sizeof *t);
}
