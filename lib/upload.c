#include "upload.h"

#include "hash.h"
#include "hashing.h"
#include "json.h"
#include "presigned.h"
#include "stop.h"

#include <errno.h>
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

/* What is known of the file so far. */
struct sum {
	struct hashing *hash; /* NULL: it is not wanted, or taken */
	off_t at;	      /* so many bytes were read, and are in it */
	unsigned char sum[HASH_LEN];
};

/* For http.h as well. What is read once more is in it already. */
static void sum_add(void *ctx, const void *block, size_t n, off_t at)
{
	struct sum *s = ctx;
	off_t end = at + (off_t)n;

	if (end <= s->at)
		return;
	if (s->hash)
		hashing_add(s->hash, (const char *)block + (s->at - at),
			(size_t)(end - s->at));
	s->at = end;
}

static void sum_take(struct sum *s)
{
	if (s->hash)
		hashing_end(s->hash, s->sum);
	s->hash = NULL;
}

/* The sum of a file that is not sent yet. */
static int sum_file(struct sum *s, const struct source *f, struct err *e)
{
	char *block = xcalloc(1, BLOCK);
	ssize_t n = 0;

	while (s->at < f->st.st_size && !stop_asked()) {
		n = pread(f->fd, block, BLOCK, s->at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		sum_add(s, block, (size_t)n, s->at);
	}
	free(block);
	if (s->at == f->st.st_size) {
		sum_take(s);
		return 0;
	}
	if (stop_asked())
		return err_stopped(e);
	if (n < 0)
		return err_errno(e, "reading %s", f->name);
	return err_set(
		e, EX_DATAERR, "%s became shorter while it was read", f->name);
}

struct transfer {
	const struct upload *u;
	const struct source *f;
	const char *checksum; /* base64; NULL: not known yet */
	struct sum *sum;
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
			.body_read = sum_add,
			.ctx = t->sum,
			.total_ms = -1,
			.secret = true,
			.bare = true,
		},
		&a, e);
	if (r == 0 && (a.status < 200 || a.status >= 300))
		r = presigned_refusal(&a, e);
	else if (r == 0 && a.body_sent < f->st.st_size)
		r = err_set(e, EX_TEMPFAIL,
			"the storage answered %d before it had all; try again "
			"later",
			a.status);
	else if (r == 0)
		r = 1;
	http_answer_release(&a);
	/* Nor would another attempt bring what was to be sent. */
	if (r < 1 && e->code != ERR_STOPPED && source_unchanged(f, e) < 0)
		r = -1;
	return r;
}

static int transfer(struct transfer *t, struct err *e)
{
	char *what = xasprintf("uploading %s", t->f->name);
	struct presigned p = { .api = t->u->api,
		.what = what,
		.ask = reserve,
		.attempt = put,
		.ctx = t };
	int r = presigned_run(&p, e);

	if (r == 0 && source_unchanged(t->f, e) < 0)
		r = err_prefix(e, "%s", what);
	free(what);
	return r;
}

int upload_object(const struct upload *u, const struct source *f,
	struct dialect_object *o, struct err *e)
{
	/* Where the reservation has to say it, the checksum comes first, else
	 * it is taken on the way. */
	bool before = u->api->dialect->wants_checksum;
	bool wanted = before || u->checksum;
	struct sum sum = { .hash = wanted ? hashing_start() : NULL };
	struct transfer t = { .u = u, .f = f, .sum = &sum, .o = o };
	char base64[HASH_BASE64_MAX];
	int r = before ? sum_file(&sum, f, e) : 0;

	memset(o, 0, sizeof *o);
	if (before) {
		hash_base64(sum.sum, base64);
		t.checksum = base64;
	}
	if (r == 0)
		r = transfer(&t, e);
	sum_take(&sum);
	if (r < 0) {
		dialect_object_release(o);
		return -1;
	}
	free(o->content_type);
	o->content_type = xstrdup(f->content_type);
	o->size = f->st.st_size;
	if (wanted) {
		free(o->checksum);
		o->checksum = xcalloc(1, HASH_HEX_MAX);
		hash_hex(sum.sum, o->checksum);
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
