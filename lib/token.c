#include "token.h"

#include "hash.h"
#include "home.h"
#include "json.h"

#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

/* The file's name: whoever has other credentials must not find this token. */
static void name_for(
	struct token_cache *t, const char *base_url, const struct cred *c)
{
	unsigned char sum[HASH_LEN];
	char hex[HASH_HEX_MAX];
	struct buf key = BUF_SECRET(CRED_FILE_MAX * 4);

	buf_printf(&key, "%s\n%s\n", base_url, cred_id(c));
	hash_sha256(c->secret, strlen(c->secret), sum);
	buf_add(&key, sum, sizeof sum);
	hash_sha256(key.data, key.len, sum);
	hash_hex(sum, hex);
	buf_release(&key);
	snprintf(t->name, sizeof t->name, "token-%.32s", hex);
	snprintf(t->lock_name, sizeof t->lock_name, "%s.lock", t->name);
}

static bool in_memory(const struct statedir *d)
{
	struct statfs fs;

	return fstatfs(d->fd, &fs) == 0 &&
	       (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

int token_cache_open(struct token_cache *t, const char *base_url,
	const struct cred *c, struct err *e)
{
	char *path = home_runtime_dir();
	struct err why = { 0 };
	int r;

	memset(t, 0, sizeof *t);
	t->dir = (struct statedir)STATEDIR_NONE;
	name_for(t, base_url, c);
	r = statedir_open(&t->dir, path, STATEDIR_CREATE, &why);
	if (r < 0 && why.code == EX_CONFIG) {
		*e = why;
		free(path);
		return -1;
	}
	if (r < 0 || !in_memory(&t->dir)) {
		say("sharing the access token: %s is not in memory%s%s; "
		    "it stays in this process, and the service allows few of "
		    "them an hour; set AGENTRUX_RUNTIME_DIR to a folder on a "
		    "tmpfs",
			path, r < 0 ? ": " : "", r < 0 ? why.text : "");
		token_cache_close(t);
		t->off = true;
	}
	free(path);
	return 0;
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

int token_lock(const struct token_cache *c, struct lock *l, struct err *e)
{
	*l = (struct lock)LOCK_NONE;
	if (c->off)
		return 0;
	return lock_take(l, &c->dir, c->lock_name, -1, e) < 0 ? -1 : 0;
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
	memset(t, 0, sizeof *t);
}
