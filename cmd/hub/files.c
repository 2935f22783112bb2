/* hub: payload objects over HTTP: announced, put to a signed URL, shown, got
 * from a signed URL. */
#include "endpoints.h"
#include "io.h"
#include "objects.h"
#include "raw.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILENAME_MAX_BYTES = 255, URL_MAX = 1024 };

static void failed(struct req *r, const struct err *e)
{
	say("%s", e->text);
	answer_failure(r, e);
}

static void invalid(struct req *r, const char *why)
{
	answer_error(r, MHD_HTTP_UNPROCESSABLE_CONTENT, "INVALID", "%s", why);
}

/* What is signed: the verb, the object and the time. */
static void sign(struct req *r, const char *verb, const char *id,
	const char *expires, char hex[SIGN_HEX])
{
	char *text = xasprintf("%s\n%s\n%s", verb, id, expires);

	sign_text(r->hub->key, "url", text, hex);
	free(text);
}

/* Adds `,"name":"https://…","expiration":"…"` to the answer. */
static void add_url(
	struct req *r, const char *name, const char *verb, const char *id)
{
	int64_t until = db_now() + r->hub->options.presign_ms;
	char *expires = xasprintf("%lld", (long long)until);
	char hex[SIGN_HEX], when[TIME_TEXT];
	struct buf url = BUF_INIT(URL_MAX);

	sign(r, verb, id, expires, hex);
	web_origin(r, &url);
	buf_printf(
		&url, "/objects/%s?expires=%s&signature=%s", id, expires, hex);
	time_text(until, false, when);
	buf_printf(&r->out, ",\"%s\":", name);
	json_text(&r->out, buf_text(&url));
	buf_printf(&r->out, ",\"expiration\":\"%s\"", when);
	buf_release(&url);
	free(expires);
}

struct announce {
	struct object object;
	char *filename;
};

static void announce_free(struct req *r)
{
	struct announce *a = r->own;

	free(a->filename);
	free(a);
}

static int announce(struct req *r, struct db *db, struct err *e)
{
	struct announce *a = r->own;

	if (object_add(db, &a->object, a->filename, e) < 0)
		return -1;
	answer(r, MHD_HTTP_CREATED, "{\"object_id\":\"%s\"", a->object.id);
	add_url(r, "upload_url", "put", a->object.id);
	buf_char(&r->out, '}');
	return 0;
}

/* A text without control characters, for it will be a header's value. */
static bool is_plain(const char *s, bool ascii)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7F ||
			(ascii && (unsigned char)*s > 0x7E))
			return false;
	return true;
}

/* An optional string; false: answered. */
static bool take_text(struct req *r, const struct raw_want *w, size_t max,
	bool ascii, char **text)
{
	struct buf b = BUF_INIT(max);

	if (raw_is_null(w->value))
		return true;
	if (raw_text(w->value, &b) == 0 && b.len &&
		is_plain(buf_text(&b), ascii)) {
		*text = buf_detach(&b);
		return true;
	}
	buf_release(&b);
	answer_error(r, MHD_HTTP_UNPROCESSABLE_CONTENT, "INVALID",
		"%s is not one, or is too long", w->name);
	return false;
}

void payloads_announce(struct req *r)
{
	enum { TYPE, NAME, SIZE, WANTS };
	struct raw_want w[WANTS] = { [TYPE] = { .name = "content_type" },
		[NAME] = { .name = "filename" },
		[SIZE] = { .name = "size" } };
	struct announce *a;
	struct err e = { 0 };
	char *type = NULL;

	if (raw_object(r->body.data, r->body.len, w, WANTS, &e) < 0) {
		answer_error(r, MHD_HTTP_BAD_REQUEST, "INVALID", "%s", e.text);
		return;
	}
	r->own = a = xcalloc(1, sizeof *a);
	r->own_free = announce_free;
	if (!take_text(r, &w[TYPE], OBJECT_TYPE_MAX - 1, true, &type) ||
		!take_text(
			r, &w[NAME], FILENAME_MAX_BYTES, false, &a->filename)) {
		free(type);
		return;
	}
	snprintf(a->object.content_type, sizeof a->object.content_type, "%s",
		type ? type : "application/octet-stream");
	free(type);
	a->object.topic = r->topic.row;
	a->object.size = raw_number(w[SIZE].value);
	if (a->object.size < 0) {
		invalid(r, "size has to be a whole number of bytes");
	} else if (a->object.size > OBJECT_SIZE_MAX) {
		answer_error(r, MHD_HTTP_CONTENT_TOO_LARGE, "TOO_LARGE",
			"An object has at most %lld bytes",
			(long long)OBJECT_SIZE_MAX);
	} else {
		r->change = announce;
		web_change(r);
	}
}

/* Looks an object up; false: answered. */
static bool find(struct req *r, const char *id, struct object *ob)
{
	struct err e = { 0 };
	struct db *db = db_take(r->hub->pool, &e);
	int found = db ? object_find(db, id, ob, &e) : -1;

	db_give(r->hub->pool, db);
	if (found < 0)
		failed(r, &e);
	else if (found == 0)
		answer_error(r, MHD_HTTP_NOT_FOUND, "NOT_FOUND",
			"There is no such object");
	return found == 1;
}

void payloads_show(struct req *r)
{
	struct object ob;

	if (!find(r, r->part[1], &ob))
		return;
	if (ob.topic != r->topic.row || !ob.stored) {
		answer_error(r, MHD_HTTP_NOT_FOUND, "NOT_FOUND",
			ob.topic != r->topic.row
				? "There is no such object"
				: "The object was not uploaded yet");
		return;
	}
	answer(r, MHD_HTTP_OK,
		"{\"object_id\":\"%s\",\"content_type\":", ob.id);
	json_text(&r->out, ob.content_type);
	buf_printf(&r->out, ",\"size\":%lld", (long long)ob.size);
	add_url(r, "download_url", "get", ob.id);
	buf_char(&r->out, '}');
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
	return find(r, r->part[0], ob);
}

struct upload {
	struct object object;
	char part[OBJECT_PART]; /* "" once it is the object */
	int fd;
};

static void upload_free(struct req *r)
{
	struct upload *u = r->own;

	close(u->fd);
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
		failed(r, &e);
	}
	return 0;
}

/* The announced length and type, in a way that can be checked before a byte
 * was taken; false: answered. */
static bool check_headers(struct req *r, const struct object *ob)
{
	const char *length = web_header(r, "Content-Length");
	const char *type = web_header(r, "Content-Type");
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
	return r->status == 0;
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
			return;
		}
		err_errno(&e, "making a file for an object");
		failed(r, &e);
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
