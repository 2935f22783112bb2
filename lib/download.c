#include "download.h"

#include "io.h"
#include "presigned.h"

#include <stdlib.h>
#include <string.h>

/* One object on its way. */
struct fetch {
	const struct download *d;
	const struct attachment *a;
	char *what; /* for messages */
	char *url;
	int64_t size; /* that it has to have; -1: nobody knows */
	/* Where the bytes go. */
	int (*put)(int fd, const void *p, size_t n, struct err *e);
	int fd;
	int64_t written;   /* so many went there, in all attempts */
	int64_t at;	   /* of this attempt's bytes so many have come */
	struct hash *hash; /* of those written; NULL: not needed */
	struct err err;	   /* what the sink has to say */
};

static int put_file(int fd, const void *p, size_t n, struct err *e)
{
	return io_write(fd, p, n) < 0 ? err_errno(e, "writing the file") : 0;
}

/* Takes what comes. What an earlier attempt has written already is passed
 * over: an object does not change, and its sum is checked at the end. */
static int sink(void *ctx, const char *p, size_t n)
{
	struct fetch *f = ctx;
	int64_t skip = f->written - f->at;

	f->at += (int64_t)n;
	if (f->size >= 0 && f->at > f->size)
		return err_set(&f->err, EX_DATAERR,
			"more than the announced %lld bytes came",
			(long long)f->size);
	if (f->at > f->d->max_size)
		return err_set(&f->err, EX_DATAERR,
			"it is larger than %lld bytes; --max-size says how "
			"large it may be",
			(long long)f->d->max_size);
	if (skip >= (int64_t)n)
		return 0;
	if (skip > 0) {
		p += skip;
		n -= (size_t)skip;
	}
	if (f->put(f->fd, p, n, &f->err) < 0)
		return -1;
	f->written += (int64_t)n;
	if (f->hash)
		hash_add(f->hash, p, n);
	return 0;
}

/* The size that an object has to have, from all who tell it. */
static int expect(struct fetch *f, int64_t told, struct err *e)
{
	f->size = f->a->size >= 0 ? f->a->size : told;
	if (told >= 0 && told != f->size)
		return err_set(e, EX_DATAERR,
			"it has %lld bytes, and not the %lld that the "
			"attachment says",
			(long long)told, (long long)f->size);
	if (f->size > f->d->max_size)
		return err_set(e, EX_DATAERR,
			"it has %lld bytes, which is more than --max-size "
			"allows",
			(long long)f->size);
	return 0;
}

/* For presigned.h: the URL. */
static int ask(void *ctx, struct err *e)
{
	struct fetch *f = ctx;
	struct dialect_object o;
	int r;

	free(f->url);
	f->url = NULL;
	if (f->a->id == NULL) {
		f->url = xstrdup(f->a->url);
		return expect(f, -1, e);
	}
	if (api_object(f->d->api, f->d->topic, f->a->id, &o, e) < 0)
		return -1;
	r = expect(f, o.size, e);
	f->url = o.get_url;
	o.get_url = NULL;
	dialect_object_release(&o);
	return r;
}

/* For presigned.h: one attempt. */
static int get(void *ctx, struct err *e)
{
	struct fetch *f = ctx;
	bool foreign = f->a->id == NULL;
	struct http_answer a;
	int r;

	f->at = 0;
	r = http_do(f->d->api->http,
		&(struct http_request){
			.method = "GET",
			.url = f->url,
			.sink = sink,
			.ctx = f,
			.total_ms = -1,
			.secret = true,
			.bare = true,
			.redirects = DOWNLOAD_REDIRECTS,
			.foreign = foreign,
		},
		&a, e);
	if (f->err.code)
		*e = f->err;
	else if (r == 0 && (a.status < 200 || a.status >= 300))
		r = presigned_refusal(&a, e);
	else if (r == 0 &&
		 (f->at < f->written || (f->size >= 0 && f->at != f->size)))
		r = err_set(e, EX_DATAERR, "only %lld bytes came",
			(long long)f->at);
	else if (r == 0)
		r = 1;
	http_answer_release(&a);
	/* There is no other URL to ask for. */
	return r == 0 && foreign ? -1 : r;
}

static int check_sum(struct fetch *f, struct err *e)
{
	unsigned char sum[HASH_LEN];
	struct hash *h = f->hash;

	f->hash = NULL;
	if (h == NULL)
		return 0;
	hash_end(h, sum);
	if (memcmp(sum, f->a->sum, sizeof sum) == 0)
		return 0;
	return err_set(e, EX_DATAERR,
		"%s: its SHA-256 is not the one that the attachment says",
		f->what);
}

static int fetch(struct fetch *f, struct err *e)
{
	struct presigned p = {
		.api = f->d->api, .ask = ask, .attempt = get, .ctx = f
	};
	unsigned char unused[HASH_LEN];
	int r;

	if (f->a->id == NULL && !f->d->allow_url)
		return err_set(e, EX_NOPERM,
			"downloading: the attachment names a URL and no "
			"object; such a URL is fetched with --allow-url only");
	f->what = xasprintf("downloading %s", f->a->id ? f->a->id : "a URL");
	f->hash = f->a->has_sum ? hash_new() : NULL;
	p.what = f->what;
	r = presigned_run(&p, e);
	if (r == 0)
		r = check_sum(f, e);
	if (f->hash)
		hash_end(f->hash, unused);
	free(f->url);
	free(f->what);
	return r;
}

int download_to(const struct download *d, const struct attachment *a, int fd,
	struct err *e)
{
	struct fetch f = { .d = d, .a = a, .put = io_put, .fd = fd };

	return fetch(&f, e);
}

/* The safe name for an attachment. */
static void name_of(const struct attachment *a, char name[FILENAME_SIZE])
{
	const char *const from[] = { a->name, a->id, "attachment" };
	size_t i;

	name[0] = '\0';
	for (i = 0; name[0] == '\0'; i++)
		if (from[i])
			filename_safe(from[i], strlen(from[i]), name);
}

int download_into(const struct download *d, const struct attachment *a,
	const struct folder *folder, char **path, struct err *e)
{
	struct fetch f = { .d = d, .a = a, .put = put_file };
	char name[FILENAME_SIZE];
	struct newfile file;
	int r;

	name_of(a, name);
	r = newfile_open(&file, folder, name, e);
	f.fd = file.fd;
	if (r == 0)
		r = fetch(&f, e);
	if (r == 0)
		r = newfile_keep(&file, e);
	if (r == 0)
		*path = strcmp(folder->path, ".") == 0
				? xstrdup(file.name)
				: xasprintf("%s/%s", folder->path, file.name);
	newfile_drop(&file);
	return r;
}
