#include "attachment.h"

#include "event.h"
#include "json.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 65536 };

/* The first of these members that is there and not null. */
static bool member(
	struct slice o, const char *const names[2], struct slice *value)
{
	int i;

	for (i = 0; i < 2 && names[i]; i++)
		if (slice_member(o, names[i], value) &&
			slice_kind(*value) != 'n')
			return true;
	return false;
}

/* A member that has to be a text, if it is there; NULL if not. */
static int text(
	struct slice o, const char *const names[2], char **to, struct err *e)
{
	struct buf b = BUF_INIT(TEXT_MAX);
	struct slice value;

	if (!member(o, names, &value))
		return 0;
	if (!slice_text(value, &b)) {
		buf_release(&b);
		return err_set(e, EX_DATAERR,
			"its '%s' is not a text that can "
			"be used",
			names[0]);
	}
	*to = buf_detach(&b);
	return 0;
}

static int read_members(struct slice o, struct attachment *a, struct err *e)
{
	static const char *const id[] = { "object_id", "payload_object_id" };
	static const char *const url[] = { "download_url",
		"presigned_get_url" };
	static const char *const name[] = { "name", "filename" };
	static const char *const size[] = { "size", "size_bytes" };
	static const char *const sum[] = { "checksum_sha256", NULL };
	struct slice value;
	char *said = NULL;

	/* A name is not needed: one that is no text is none. */
	text(o, name, &a->name, NULL);
	if (text(o, id, &a->id, e) < 0 || text(o, url, &a->url, e) < 0)
		return -1;
	if (a->id && !event_id_plain(a->id))
		return err_set(
			e, EX_DATAERR, "'%.100s' is no object id", a->id);
	if (a->id == NULL && a->url == NULL)
		return err_set(e, EX_DATAERR, "it names no object (%s or %s)",
			id[0], id[1]);
	if (member(o, size, &value) &&
		(!slice_int(value, &a->size) || a->size < 0))
		return err_set(e, EX_DATAERR, "its '%s' is no size", size[0]);
	if (text(o, sum, &said, e) < 0)
		return -1;
	a->has_sum = said && hash_read(said, a->sum);
	if (said && !a->has_sum)
		err_set(e, EX_DATAERR,
			"its '%s' is no SHA-256 in hex or base64", sum[0]);
	free(said);
	return a->has_sum || said == NULL ? 0 : -1;
}

int attachment_read(const char *line, size_t len, struct attachment *a,
	struct slice *whole, struct err *e)
{
	size_t bad;

	*a = (struct attachment)ATTACHMENT_NONE;
	if (slice_document(line, len, SLICE_ANY_BYTES, whole, &bad) < 0)
		return err_set(e, EX_DATAERR,
			"it is no valid JSON (at byte %zu)", bad + 1);
	if (slice_kind(*whole) != '{')
		return err_set(e, EX_DATAERR, "it is no JSON object");
	return read_members(*whole, a, e);
}

void attachment_release(struct attachment *a)
{
	free(a->id);
	free(a->url);
	free(a->name);
	*a = (struct attachment)ATTACHMENT_NONE;
}

void attachment_with_path(struct slice whole, const char *path, struct buf *out)
{
	const char *at = whole.p, *end = whole.p + whole.len - 1;
	char *quoted = json_quote(path);
	struct slice name, value;
	struct slice_walk w;
	bool comma = false; /* does one have to go in front of ours? */

	slice_walk_start(&w, whole, NULL);
	while (slice_walk_next(&w, &name, &value)) {
		comma = !slice_is(name, "path");
		if (comma)
			continue;
		buf_add(out, at, (size_t)(name.p - at));
		at = value.p + value.len;
		at += strspn(at, " \t\r\n");
		at += *at == ',';
	}
	buf_add(out, at, (size_t)(end - at));
	buf_printf(out, "%s\"path\":%s}", comma ? "," : "", quoted);
	free(quoted);
}
