#include "upload.h"

#include "hash.h"
#include "json.h"
#include "presigned.h"
#include "stop.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 262144 };

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

struct transfer {
	const struct upload *u;
	const struct source *f;
	const char *checksum; /* base64; NULL: not known yet */
	struct dialect_object *o;
};

/* For presigned.h: the URL. */
static int reserve(void *ctx, struct err *e)
{
	struct transfer *t = ctx;
	struct dialect_reservation want = { .topic = t->u->topic,
		.name = t->f->name,
		.content_type = t->f->content_type,
		.size = t->f->st.st_size,
		.checksum = t->checksum };

	dialect_object_release(t->o);
	return api_reserve(t->u->api, &want, t->o, e);
}

/* For presigned.h: one attempt. */
static int put(void *ctx, struct err *e)
{
	const struct transfer *t = ctx;
	const struct source *f = t->f;
	struct http_answer a;
	int r;

	r = http_do(t->u->api->http,
		&(struct http_request){
			.method = "PUT",
			.url = t->o->put_url,
			.headers = (const char *const *)t->o->put_headers,
			.from_fd = true,
			.body_fd = f->fd,
			.body_len = (size_t)f->st.st_size,
			.sent = t->u->sent,
			.total_ms = -1,
			.secret = true,
			.bare = true,
		},
		&a, e);
	if (r == 0)
		r = a.status >= 200 && a.status < 300
			    ? 1
			    : presigned_refusal(&a, e);
	http_answer_release(&a);
	/* Nor would another attempt bring what was to be sent. */
	if (r < 1 && e->code != ERR_STOPPED && source_unchanged(f, e) < 0)
		r = -1;
	return r;
}

static int transfer(const struct upload *u, const struct source *f,
	const char *checksum, struct dialect_object *o, struct err *e)
{
	char *what = xasprintf("uploading %s", f->name);
	struct transfer t = { .u = u, .f = f, .checksum = checksum, .o = o };
	struct presigned p = { .api = u->api,
		.what = what,
		.ask = reserve,
		.attempt = put,
		.ctx = &t };
	int r = presigned_run(&p, e);

	free(what);
	return r;
}

/* Where the reservation has to say it, the checksum comes first. */
static int sum_before(struct sum *sum, char base64[HASH_BASE64_MAX],
	const struct source *f, struct err *e)
{
	sum->f = f;
	hash_file(sum);
	if (stop_asked())
		return err_stopped(e);
	hash_base64(sum->sum, base64);
	return sum_finish(sum, e);
}

int upload_object(const struct upload *u, const struct source *f,
	struct dialect_object *o, struct err *e)
{
	bool before = u->api->dialect->wants_checksum;
	char base64[HASH_BASE64_MAX], hex[HASH_HEX_MAX];
	struct sum sum = { 0 };
	struct err why = { 0 };
	int r;

	memset(o, 0, sizeof *o);
	r = before	  ? sum_before(&sum, base64, f, e)
	    : u->checksum ? sum_start(&sum, f, e)
			  : 0;
	if (r < 0)
		return -1;
	r = transfer(u, f, before ? base64 : NULL, o, e);
	atomic_store(&sum.given_up, r < 0);
	if (sum_finish(&sum, &why) < 0 && r == 0) {
		*e = why;
		r = -1;
	}
	if (r == 0 && source_unchanged(f, e) < 0)
		r = err_prefix(e, "uploading %s", f->name);
	if (r < 0) {
		dialect_object_release(o);
		return -1;
	}
	free(o->content_type);
	o->content_type = xstrdup(f->content_type);
	o->size = f->st.st_size;
	if (before || u->checksum) {
		hash_hex(sum.sum, hex);
		o->checksum = xstrdup(hex);
	}
	return 0;
}

/* The event by which others get to see the object. */
static int commit(const struct upload *u, const struct source *f,
	const struct dialect_object *o, struct err *e)
{
	const struct dialect *d = u->api->dialect;
	struct dialect_publication p = { .topic = u->topic,
		.type = d->commit_type,
		.payload_object_id = o->id };
	char *metadata, *event_id = NULL;
	int r;

	if (d->commit_type == NULL || u->pending)
		return 0;
	metadata = d->commit_metadata(f->name, o);
	p.metadata = (struct slice){ metadata, strlen(metadata) };
	r = api_publish(u->api, &p, &event_id, e);
	if (r < 0)
		err_prefix(e, "uploading %s", f->name);
	free(event_id);
	free(metadata);
	return r;
}

static char *make_line(const struct upload *u, const struct source *f,
	struct dialect_object *o)
{
	const struct dialect *d = u->api->dialect;
	struct json *line;
	char *text;

	if (o->get_url == NULL && d->object_url)
		o->get_url = d->object_url(u->api->base_url, u->topic, o->id);
	line = d->attachment(f->name, o);
	text = json_print(line);
	json_free(line);
	return text;
}

int upload_run(const struct upload *u, const struct source *f, char **line,
	struct err *e)
{
	struct dialect_object o;
	int r;

	if (upload_object(u, f, &o, e) < 0)
		return -1;
	r = commit(u, f, &o, e);
	if (r == 0)
		*line = make_line(u, f, &o);
	dialect_object_release(&o);
	return r;
}
