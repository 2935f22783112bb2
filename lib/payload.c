#include "payload.h"

#include "json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bool payload_is_utf8(const char *text)
{
	struct buf quoted = BUF_INIT(SIZE_MAX / 2);
	struct slice value;
	size_t bad;
	bool ok;

	/* As a JSON string, with nothing in it that needs an escape. */
	buf_char(&quoted, '"');
	for (; *text; text++)
		buf_char(&quoted,
			strchr("\"\\", *text) || (unsigned char)*text < ' '
				? ' '
				: *text);
	buf_char(&quoted, '"');
	ok = slice_document(
		     quoted.data, quoted.len, SLICE_UTF8, &value, &bad) == 0;
	buf_release(&quoted);
	return ok;
}

int payload_read(const char *text, size_t len, const char *what, size_t line,
	struct slice *payload, struct err *e)
{
	size_t bad, at, column, blank;

	if (slice_document(text, len, SLICE_UTF8, payload, &bad) == 0)
		return 0;
	for (blank = 0; blank < len && strchr(" \t\r\n", text[blank]);)
		blank++;
	if (blank == len)
		return err_set(e, EX_DATAERR,
			"reading %s: there is no JSON document", what);
	slice_line_column(text, bad, &at, &column);
	return err_set(e, EX_DATAERR,
		"reading %s: no valid JSON at line %zu, column %zu", what,
		line + at - 1, column);
}

int payload_message(const char *text, struct buf *out, struct err *e)
{
	char *quoted;

	if (!payload_is_utf8(text))
		return err_set(e, EX_DATAERR, "the message is not valid UTF-8");
	quoted = json_quote(text);
	buf_printf(out, "{\"message\":%s}", quoted);
	free(quoted);
	return 0;
}

int payload_may_attach(struct slice payload, struct err *e)
{
	struct slice list;

	if (slice_kind(payload) != '{')
		return err_set(
			e, EX_DATAERR, "attaching: the payload is no object");
	if (!slice_member(payload, "attachments", &list) ||
		slice_kind(list) == '[' || slice_kind(list) == 'n')
		return 0;
	return err_set(e, EX_DATAERR,
		"attaching: the payload's 'attachments' is no list");
}

static bool is_empty(struct slice container)
{
	struct slice_walk w;
	struct slice value;

	slice_walk_start(&w, container, NULL);
	return !slice_walk_next(&w, NULL, &value);
}

static void join(const char *const *lines, size_t n, struct buf *out)
{
	size_t i;

	for (i = 0; i < n; i++) {
		buf_str(out, i ? "," : "");
		buf_str(out, lines[i]);
	}
}

void payload_attach(struct slice payload, const char *const *lines, size_t n,
	struct buf *out)
{
	struct slice list;
	const char *end = payload.p + payload.len;
	const char *cut; /* what is new goes in front of this byte */

	if (!slice_member(payload, "attachments", &list)) {
		cut = end - 1;
		buf_add(out, payload.p, (size_t)(cut - payload.p));
		buf_str(out, is_empty(payload) ? "" : ",");
		buf_str(out, "\"attachments\":[");
		join(lines, n, out);
		buf_char(out, ']');
	} else if (slice_kind(list) == '[') {
		cut = list.p + list.len - 1;
		buf_add(out, payload.p, (size_t)(cut - payload.p));
		buf_str(out, is_empty(list) || n == 0 ? "" : ",");
		join(lines, n, out);
	} else {
		cut = list.p + list.len;
		buf_add(out, payload.p, (size_t)(list.p - payload.p));
		buf_char(out, '[');
		join(lines, n, out);
		buf_char(out, ']');
	}
	buf_add(out, cut, (size_t)(end - cut));
}
