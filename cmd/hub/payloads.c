/* hub: payload objects, announced and shown, in either dialect. */
#include "endpoints.h"
#include "files.h"
#include "refuse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILENAME_MAX_BYTES = 255 };

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

static struct announce *announce_new(struct req *r)
{
	struct announce *a = xcalloc(1, sizeof *a);

	r->own = a;
	r->own_free = announce_free;
	a->object.topic = r->topic.row;
	return a;
}

/* Adds `,"name":"https://…"` to the answer, and `,"until":"…"`. */
static void add_url(struct req *r, const char *name, const char *verb,
	const char *id, const char *until)
{
	struct buf url = BUF_INIT(FILE_URL_MAX);
	char when[TIME_TEXT];

	file_url(r, verb, id, &url, when);
	buf_printf(&r->out, ",\"%s\":", name);
	json_text(&r->out, buf_text(&url));
	buf_printf(&r->out, ",\"%s\":\"%s\"", until, when);
	buf_release(&url);
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

static bool take_type(
	struct req *r, const struct raw_want *w, struct object *ob)
{
	char *type = NULL;
	bool ok = take_text(r, w, OBJECT_TYPE_MAX - 1, true, &type);

	snprintf(ob->content_type, sizeof ob->content_type, "%s",
		type ? type : "application/octet-stream");
	free(type);
	return ok;
}

static bool take_size(
	struct req *r, const struct raw_want *w, struct object *ob)
{
	ob->size = raw_number(w->value);
	if (ob->size < 0)
		answer_error(r, MHD_HTTP_UNPROCESSABLE_CONTENT, "INVALID",
			"%s has to be a whole number of bytes", w->name);
	else if (ob->size > OBJECT_SIZE_MAX)
		answer_error(r, MHD_HTTP_CONTENT_TOO_LARGE, "TOO_LARGE",
			"An object has at most %lld bytes",
			(long long)OBJECT_SIZE_MAX);
	return r->status == 0;
}

static int classic_add(struct req *r, struct db *db, struct err *e)
{
	struct announce *a = r->own;

	a->object.committed = true;
	if (object_add(db, &a->object, a->filename, e) < 0)
		return -1;
	answer(r, MHD_HTTP_CREATED, "{\"object_id\":\"%s\"", a->object.id);
	add_url(r, "upload_url", "put", a->object.id, "expiration");
	buf_char(&r->out, '}');
	return 0;
}

void classic_announce(struct req *r)
{
	enum { TYPE, NAME, SIZE, WANTS };
	struct raw_want w[WANTS] = { [TYPE] = { .name = "content_type" },
		[NAME] = { .name = "filename" },
		[SIZE] = { .name = "size" } };
	struct announce *a;
	struct err e = { 0 };

	if (raw_object(r->body.data, r->body.len, w, WANTS, &e) < 0) {
		answer_error(r, MHD_HTTP_BAD_REQUEST, "INVALID", "%s", e.text);
		return;
	}
	a = announce_new(r);
	if (!take_type(r, &w[TYPE], &a->object) ||
		!take_text(
			r, &w[NAME], FILENAME_MAX_BYTES, false, &a->filename) ||
		!take_size(r, &w[SIZE], &a->object))
		return;
	r->change = classic_add;
	web_change(r);
}

static int oauth_add(struct req *r, struct db *db, struct err *e)
{
	struct announce *a = r->own;
	const struct object *ob = &a->object;

	if (object_add(db, &a->object, NULL, e) < 0)
		return -1;
	answer(r, MHD_HTTP_CREATED, "{\"payload_object_id\":\"pob_%s\"",
		ob->id + 4);
	add_url(r, "presigned_put_url", "put", ob->id, "expires_at");
	buf_str(&r->out, ",\"required_headers\":{\"Content-Type\":");
	json_text(&r->out, ob->content_type);
	if (ob->checksum[0]) {
		buf_str(&r->out, ",\"" FILE_CHECKSUM_HEADER "\":");
		json_text(&r->out, ob->checksum);
	}
	buf_str(&r->out, "}}");
	return 0;
}

void oauth_announce(struct req *r)
{
	enum { TYPE, SUM, SIZE, WANTS };
	struct raw_want w[WANTS] = { [TYPE] = { .name = "content_type" },
		[SUM] = { .name = "checksum_sha256" },
		[SIZE] = { .name = "size_bytes" } };
	unsigned char hash[SIGN_KEY];
	struct announce *a;
	struct err e = { 0 };
	char *sum = NULL;

	if (raw_object(r->body.data, r->body.len, w, WANTS, &e) < 0) {
		answer_error(r, MHD_HTTP_BAD_REQUEST, "INVALID", "%s", e.text);
		return;
	}
	a = announce_new(r);
	if (!take_type(r, &w[TYPE], &a->object) ||
		!take_text(r, &w[SUM], OBJECT_SUM - 1, true, &sum) ||
		!take_size(r, &w[SIZE], &a->object)) {
		free(sum);
		return;
	}
	snprintf(a->object.checksum, OBJECT_SUM, "%s", sum ? sum : "");
	free(sum);
	if (a->object.checksum[0] &&
		sign_hash_read(a->object.checksum, hash) < 0) {
		refuse_invalid(r,
			"checksum_sha256 has to be a SHA-256 in hex or "
			"base64");
		return;
	}
	r->change = oauth_add;
	web_change(r);
}

/* The object that the path names, if it may be shown; false: answered. */
static bool find_shown(struct req *r, struct object *ob)
{
	char id[ID_MAX];
	const char *why = NULL;

	if (!object_id_read(r->part[1], id)) {
		why = "There is no such object";
	} else {
		if (!file_find(r, id, ob))
			return false;
		if (ob->topic != r->topic.row)
			why = "There is no such object";
		else if (!ob->stored)
			why = "The object was not uploaded yet";
		else if (!ob->committed)
			why = "The object is pending until an event names it";
	}
	if (why)
		answer_error(r, MHD_HTTP_NOT_FOUND, "NOT_FOUND", "%s", why);
	return why == NULL;
}

void classic_object(struct req *r)
{
	struct object ob;

	if (!find_shown(r, &ob))
		return;
	answer(r, MHD_HTTP_OK,
		"{\"object_id\":\"%s\",\"content_type\":", ob.id);
	json_text(&r->out, ob.content_type);
	buf_printf(&r->out, ",\"size\":%lld", (long long)ob.size);
	add_url(r, "download_url", "get", ob.id, "expiration");
	buf_char(&r->out, '}');
}

void oauth_object(struct req *r)
{
	struct object ob;

	if (!find_shown(r, &ob))
		return;
	answer(r, MHD_HTTP_OK,
		"{\"payload_object_id\":\"pob_%s\",\"content_type\":",
		ob.id + 4);
	json_text(&r->out, ob.content_type);
	buf_printf(&r->out, ",\"size_bytes\":%lld", (long long)ob.size);
	add_url(r, "presigned_get_url", "get", ob.id, "expires_at");
	if (ob.checksum[0]) {
		buf_str(&r->out, ",\"checksum_sha256\":");
		json_text(&r->out, ob.checksum);
	}
	buf_char(&r->out, '}');
}
