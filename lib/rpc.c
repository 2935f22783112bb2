#include "rpc.h"

#include <string.h>

static bool is_id(struct slice id)
{
	char kind = slice_kind(id);

	return (kind == '"' || kind == '0') && id.len <= RPC_ID_MAX;
}

void rpc_read(struct slice value, struct rpc_message *m)
{
	struct slice version, params, method, other;
	bool has_id, fits;
	char kind;

	*m = (struct rpc_message){ .kind = RPC_INVALID };
	has_id = slice_member(value, "id", &m->id);
	fits = !has_id || is_id(m->id);
	if (has_id && !fits)
		m->id = (struct slice){ 0 };
	if (!slice_member(value, "jsonrpc", &version) ||
		!slice_is(version, "2.0"))
		return;
	if (!slice_member(value, "method", &method)) {
		if (slice_member(value, "result", &other) ||
			slice_member(value, "error", &other))
			m->kind = RPC_RESPONSE;
		return;
	}
	kind = 0;
	if (slice_member(value, "params", &params)) {
		kind = slice_kind(params);
		if (kind != '{' && kind != '[')
			return;
		m->params = params;
	}
	if (slice_kind(method) != '"' || !fits)
		return;
	m->method = method;
	m->kind = has_id ? RPC_REQUEST : RPC_NOTIFICATION;
}

bool rpc_same_id(struct slice a, struct slice b)
{
	struct buf text = BUF_INIT(RPC_ID_MAX * 4);
	bool same = a.len == b.len && memcmp(a.p, b.p, a.len) == 0;

	if (!same && slice_kind(a) == '"' && slice_text(a, &text))
		same = slice_is(b, buf_text(&text));
	buf_release(&text);
	return same;
}

void rpc_answer(struct buf *out, struct slice id)
{
	buf_str(out, "{\"jsonrpc\":\"2.0\",\"id\":");
	if (id.p)
		buf_add(out, id.p, id.len);
	else
		buf_str(out, "null");
	buf_char(out, ',');
}

void rpc_error(struct buf *out, enum rpc_code code, const char *message)
{
	buf_printf(out, "\"error\":{\"code\":%d,\"message\":", code);
	rpc_text(out, message, strlen(message));
	buf_char(out, '}');
}

/* How many bytes can be taken as they are. */
static size_t plain(const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if ((unsigned char)p[i] < ' ' || p[i] == '"' || p[i] == '\\')
			break;
	return slice_utf8(p, i);
}

static void escape(struct buf *out, char c)
{
	static const char short_form[] = "\b\f\n\r\t", letter[] = "bfnrt";
	const char *at = c ? strchr(short_form, c) : NULL;

	if (c == '"' || c == '\\')
		buf_printf(out, "\\%c", c);
	else if (at)
		buf_printf(out, "\\%c", letter[at - short_form]);
	else if ((unsigned char)c < ' ')
		buf_printf(out, "\\u%04x", (unsigned)c);
	else
		buf_str(out, "\xef\xbf\xbd");
}

void rpc_text(struct buf *out, const char *p, size_t n)
{
	size_t i = 0, whole;

	buf_char(out, '"');
	while (i < n) {
		whole = plain(p + i, n - i);
		buf_add(out, p + i, whole);
		i += whole;
		if (i < n)
			escape(out, p[i++]);
	}
	buf_char(out, '"');
}
