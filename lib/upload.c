#include "upload.h"

#include "backoff.h"
#include "hash.h"
#include "json.h"
#include "stop.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 262144, PUT_BASE_MS = 500, PUT_CAP_MS = 10000 };

bool upload_type_ok(const char *type)
{
	const char *p, *slash = strchr(type, '/');

	for (p = type; *p; p++)
		if (*p < ' ' || *p > '~')
			return false;
	return slash && slash > type && slash[1] > ' ' && p - type < 200;
}

/* --- its checksum, worked out beside the transfer --- */

struct sum {
	const struct source *f;
	pthread_t thread;
	bool started;
	atomic_bool given_up;
	unsigned char sum[HASH_LEN];
	struct err err;
};

static void *hash_file(void *ctx)
{
	struct sum *s = ctx;
	struct hash *h = hash_new();
	char *block = xcalloc(1, BLOCK);
	off_t at = 0;
	ssize_t n = 0;

	while (at < s->f->st.st_size && !stop_asked() &&
		!atomic_load(&s->given_up)) {
		n = pread(s->f->fd, block, BLOCK, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		hash_add(h, block, (size_t)n);
		at += n;
	}
	if (n < 0)
		err_errno(&s->err, "reading %s", s->f->name);
	hash_end(h, s->sum);
	free(block);
	return NULL;
}

static int sum_start(struct sum *s, const struct source *f, struct err *e)
{
	s->f = f;
	errno = pthread_create(&s->thread, NULL, hash_file, s);
	if (errno)
		return err_errno(e, "starting to work");
	s->started = true;
	return 0;
}

static int sum_finish(struct sum *s, struct err *e)
{
	if (s->started)
		pthread_join(s->thread, NULL);
	s->started = false;
	if (s->err.code == 0)
		return 0;
	*e = s->err;
	return -1;
}

/* --- the transfer --- */

/* What S3 and its like say: <Code>SignatureDoesNotMatch</Code>. */
static void storage_code(const struct http_answer *a, struct wire_error *we)
{
	static const char tag[] = "<Code>";
	const char *at = strstr(buf_text(&a->body), tag);
	size_t n;

	if (at == NULL)
		return;
	at += sizeof tag - 1;
	n = strcspn(at, "<");
	if (n < sizeof we->code)
		snprintf(we->code, sizeof we->code, "%.*s", (int)n, at);
}

/* One attempt. 1: the bytes are there. 0: the URL no longer serves. -1. */
static int put_once(const struct upload *u, const struct source *f,
	const struct dialect_object *o, struct err *e)
{
	struct wire_error we = { 0 };
	struct http_answer a;
	bool expired;
	int r;

	r = http_do(u->api->http,
		&(struct http_request){
			.method = "PUT",
			.url = o->put_url,
			.headers = (const char *const *)o->put_headers,
			.from_fd = true,
			.body_fd = f->fd,
			.body_len = (size_t)f->st.st_size,
			.sent = u->sent,
			.total_ms = -1,
			.secret = true,
			.bare = true,
		},
		&a, e);
	if (r == 0 && a.status >= 200 && a.status < 300) {
		r = 1;
	} else if (r == 0) {
		/* Storage says 403 to an expired URL, some say 400. */
		expired = memmem(buf_text(&a.body), a.body.len, "xpired", 6);
		wire_error_read(&a, &we);
		storage_code(&a, &we);
		err_set(e, expired ? EX_TEMPFAIL : wire_exit_code(a.status),
			"the storage answered %d %s%s", a.status, we.code,
			expired ? " (the URL has expired)" : "");
		if (a.retry_after_ms > 0)
			e->retry_ms = a.retry_after_ms;
		r = expired || a.status == 401 || a.status == 403 ||
				    a.status == 404 || a.status == 410
			    ? 0
			    : -1;
	}
	http_answer_release(&a);
	return r;
}

/* As put_once, with further attempts in temporary trouble. */
static int put(const struct upload *u, const struct source *f,
	const struct dialect_object *o, struct err *e)
{
	struct backoff pause = { .base_ms = PUT_BASE_MS, .cap_ms = PUT_CAP_MS };
	int64_t end = 0;
	long wait;
	int r;

	for (;;) {
		r = put_once(u, f, o, e);
		if (r >= 0 || e->code != EX_TEMPFAIL)
			return r;
		/* An hour may have passed: what counts is from now on. */
		if (end == 0)
			end = backoff_clock_ms() + u->api->retry_ms;
		wait = backoff_next(&pause, e->retry_ms);
		if (backoff_clock_ms() + wait > end)
			return -1;
		say_detail(1, "uploading %s: %s; again in %ld ms", f->name,
			e->text, wait);
		if (!stop_sleep(wait))
			return err_stopped(e);
		if (source_unchanged(f, e) < 0)
			return -1;
	}
}

static int transfer(const struct upload *u, const struct source *f,
	struct dialect_object *o, struct err *e)
{
	struct dialect_reservation want = { .topic = u->topic,
		.name = f->name,
		.content_type = f->content_type,
		.size = f->st.st_size };
	int tries, r = 0;

	for (tries = 0; r == 0 && tries < UPLOAD_RESERVATIONS; tries++) {
		if (tries)
			say_detail(1, "uploading %s: %s; reserving anew",
				f->name, e->text);
		dialect_object_release(o);
		if (api_reserve(u->api, &want, o, e) < 0)
			return err_prefix(e, "uploading %s", f->name);
		r = put(u, f, o, e);
	}
	if (r == 1) {
		*e = (struct err){ 0 }; /* of an earlier attempt */
		return 0;
	}
	return e->code == EX_DATAERR && !f->copied && source_unchanged(f, e) < 0
		       ? -1
		       : err_prefix(e, "uploading %s", f->name);
}

static char *make_line(const struct upload *u, const struct source *f,
	struct dialect_object *o, const struct sum *sum)
{
	const struct dialect *d = u->api->dialect;
	char hex[HASH_HEX_MAX];
	struct json *line;
	char *text;

	free(o->content_type);
	o->content_type = xstrdup(f->content_type);
	o->size = f->st.st_size;
	if (o->get_url == NULL && d->object_url)
		o->get_url = d->object_url(u->api->base_url, u->topic, o->id);
	if (u->checksum) {
		hash_hex(sum->sum, hex);
		o->checksum = xstrdup(hex);
	}
	line = d->attachment(f->name, o);
	text = json_print(line);
	json_free(line);
	return text;
}

int upload_run(const struct upload *u, const struct source *f, char **line,
	struct err *e)
{
	struct dialect_object o = { 0 };
	struct sum sum = { 0 };
	struct err why = { 0 };
	int r = -1;

	if (u->checksum && sum_start(&sum, f, e) < 0)
		return -1;
	r = transfer(u, f, &o, e);
	atomic_store(&sum.given_up, r < 0);
	if (sum_finish(&sum, &why) < 0 && r == 0) {
		*e = why;
		r = -1;
	}
	if (r == 0)
		r = source_unchanged(f, e);
	if (r == 0)
		*line = make_line(u, f, &o, &sum);
	dialect_object_release(&o);
	return r;
}
