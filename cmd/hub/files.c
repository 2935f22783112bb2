/* The signed URLs of files.h, put to and got from. */
#include "files.h"

#include "endpoints.h"
#include "io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is signed: the verb, the object and the time. */
static void sign(struct req *r, const char *verb, const char *id,
	const char *expires, char hex[SIGN_HEX])
{
	char *text = xasprintf("%s\n%s\n%s", verb, id, expires);

	sign_text(r->hub->key, "url", text, hex);
	free(text);
}

void file_url(struct req *r, const char *verb, const char *id, struct buf *url,
	char when[TIME_TEXT])
{
	int64_t until = db_now() + r->hub->options.presign_ms;
	char *expires = xasprintf("%lld", (long long)until);
	char hex[SIGN_HEX];

	sign(r, verb, id, expires, hex);
	web_origin(r, url);
	buf_printf(
		url, "/objects/%s?expires=%s&signature=%s", id, expires, hex);
	time_text(until, false, when);
	free(expires);
}

bool file_find(struct req *r, const char *id, struct object *ob)
{
	struct err e = { 0 };
	struct db *db = db_take(r->hub->pool, &e);
	int found = db ? object_find(db, id, ob, &e) : -1;

	db_give(r->hub->pool, db);
	if (found < 0)
		answer_trouble(r, &e);
	else if (found == 0)
		answer_error(r, MHD_HTTP_NOT_FOUND, "NOT_FOUND",
			"There is no such object");
	return found == 1;
}

/* Is the URL signed, for this verb, and not too old? Finds its object. false:
 * answered. */
static bool check_url(struct req *r, const char *verb, struct object *ob)
{
	const char *given = web_query(r, "signature");
	const char *expires = web_query(r, "expires");
	char want[SIGN_HEX];
	int64_t until = 0;

	if (expires == NULL || strlen(expires) > 18)
		expires = "";
	sign(r, verb, r->part[0], expires, want);
	if (given == NULL || !sign_equal_text(given, want)) {
		answer_error(r, MHD_HTTP_FORBIDDEN, "FORBIDDEN",
			"The signature is wrong");
		return false;
	}
	if (web_query_number(r, "expires", &until) != 1 || until <= db_now()) {
		answer_error(r, MHD_HTTP_FORBIDDEN, "FORBIDDEN",
			"The URL has expired");
		return false;
	}
	return file_find(r, r->part[0], ob);
}

struct upload {
	struct object object;
	char part[OBJECT_PART]; /* "" once it is the object */
	struct sign_sum *sum;	/* of what came, if one was announced */
	int fd;
};

static void upload_free(struct req *r)
{
	struct upload *u = r->own;

	close(u->fd);
	sign_sum_free(u->sum, NULL);
	if (u->part[0])
		objects_drop(r->hub->objects, u->part);
	free(u);
}

static int upload_sink(struct req *r, const char *p, size_t n)
{
	struct upload *u = r->own;
	struct err e = { 0 };

	if (io_write(u->fd, p, n) < 0) {
		err_errno(&e, "writing an object");
		answer_trouble(r, &e);
	}
	if (u->sum)
		sign_sum_add(u->sum, p, n);
	return 0;
}

/* The headers that were announced, which can be checked before a byte was
 * taken; false: answered. */
static bool check_headers(struct req *r, const struct object *ob)
{
	const char *length = web_header(r, "Content-Length");
	const char *type = web_header(r, "Content-Type");
	const char *sum = web_header(r, FILE_CHECKSUM_HEADER);
	char *want;
	bool same;

	if (length == NULL || web_header(r, "Transfer-Encoding")) {
		answer_error(r, MHD_HTTP_LENGTH_REQUIRED, "INVALID",
			"Content-Length is needed, and no chunks");
		return false;
	}
	want = xasprintf("%lld", (long long)ob->size);
	same = strcmp(length, want) == 0;
	free(want);
	if (!same)
		answer_error(r, MHD_HTTP_BAD_REQUEST, "INVALID",
			"The size is not the announced %lld bytes",
			(long long)ob->size);
	else if (type == NULL || strcasecmp(type, ob->content_type) != 0)
		answer_error(r, MHD_HTTP_BAD_REQUEST, "INVALID",
			"The Content-Type is not the announced %s",
			ob->content_type);
	else if (ob->checksum[0] && (!sum || strcmp(sum, ob->checksum) != 0))
		answer_error(r, MHD_HTTP_BAD_REQUEST, "INVALID",
			"The announced " FILE_CHECKSUM_HEADER " is needed");
	return r->status == 0;
}

/* Is what came what was announced? */
static bool is_whole(struct upload *u)
{
	unsigned char want[SIGN_KEY], got[SIGN_KEY];

	if (u->sum == NULL)
		return true;
	sign_sum_free(u->sum, got);
	u->sum = NULL;
	return sign_hash_read(u->object.checksum, want) == 0 &&
	       sign_equal(want, got, sizeof got);
}

void object_put_begin(struct req *r)
{
	struct upload *u = xcalloc(1, sizeof *u);
	struct err e = { 0 };

	if (check_url(r, "put", &u->object) && check_headers(r, &u->object)) {
		u->fd = objects_part(r->hub->objects, u->part);
		if (u->fd >= 0) {
			r->own = u;
			r->own_free = upload_free;
			r->sink = upload_sink;
			if (u->object.checksum[0])
				u->sum = sign_sum_new();
			return;
		}
		err_errno(&e, "making a file for an object");
		answer_trouble(r, &e);
	}
	free(u);
}

static int store(struct req *r, struct err *e)
{
	struct upload *u = r->own;

	if (objects_keep(r->hub->objects, u->fd, u->part, u->object.id, e) < 0)
		return -1;
	u->part[0] = '\0';
	return 0;
}

static int stored(struct req *r, struct db *db, struct err *e)
{
	struct upload *u = r->own;
	int n = object_stored(db, u->object.id, e);

	if (n < 0)
		return -1;
	if (n == 0) {
		/* It aged out while it was coming in. */
		objects_drop(r->hub->objects, u->object.id);
		answer_error(r, MHD_HTTP_NOT_FOUND, "NOT_FOUND",
			"There is no such object");
		return 1;
	}
	r->status = MHD_HTTP_OK;
	return 0;
}

void object_put(struct req *r)
{
	struct upload *u = r->own;
	struct stat st;

	if (fstat(u->fd, &st) < 0 || st.st_size != u->object.size) {
		answer_error(r, MHD_HTTP_BAD_REQUEST, "INVALID",
			"The size is not the announced %lld bytes",
			(long long)u->object.size);
		return;
	}
	if (!is_whole(u)) {
		answer_error(r, MHD_HTTP_BAD_REQUEST, "INVALID",
			"The bytes do not have the announced checksum");
		return;
	}
	r->prepare = store;
	r->change = stored;
	web_change(r);
}

void object_get(struct req *r)
{
	struct object ob;
	struct MHD_Response *m = NULL;
	struct stat st;
	int fd;

	if (!check_url(r, "get", &ob))
		return;
	fd = ob.stored ? objects_read(r->hub->objects, ob.id) : -1;
	if (fd >= 0 && fstat(fd, &st) == 0)
		m = MHD_create_response_from_fd64((uint64_t)st.st_size, fd);
	if (m == NULL) {
		if (fd >= 0)
			close(fd);
		answer_error(r, MHD_HTTP_NOT_FOUND, "NOT_FOUND",
			"There is no such object");
		return;
	}
	MHD_add_response_header(m, "Content-Type", ob.content_type);
	/* Whoever opens the URL in a browser gets a file, not a page. */
	MHD_add_response_header(m, "Content-Disposition", "attachment");
	MHD_add_response_header(m, "Cache-Control", "private");
	answer_response(r, MHD_HTTP_OK, m);
}
