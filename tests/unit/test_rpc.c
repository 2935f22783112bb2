/* JSON-RPC messages, and texts as JSON strings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "rpc.h"

#include <stdlib.h>
#include <string.h>

static struct slice document(const char *text)
{
	struct slice value = { 0 };
	size_t bad;

	if (slice_document(text, strlen(text), SLICE_UTF8, &value, &bad) < 0)
		fail_msg("not JSON: %s", text);
	return value;
}

static void expect(const char *text, enum rpc_kind kind, const char *id)
{
	struct rpc_message m;

	rpc_read(document(text), &m);
	if (m.kind != kind)
		fail_msg("%s: kind %d", text, (int)m.kind);
	if ((m.id.p == NULL) != (id == NULL) ||
		(id && (m.id.len != strlen(id) ||
			       memcmp(m.id.p, id, m.id.len) != 0)))
		fail_msg("%s: another id than %s", text, id ? id : "none");
	if (kind == RPC_REQUEST || kind == RPC_NOTIFICATION)
		assert_non_null(m.method.p);
}

#define V "\"jsonrpc\":\"2.0\","

static void messages_are_told_apart(void **state)
{
	(void)state;
	expect("{" V "\"id\":1,\"method\":\"a\"}", RPC_REQUEST, "1");
	expect("{" V "\"id\":1.50e3,\"method\":\"a\"}", RPC_REQUEST, "1.50e3");
	expect("{" V "\"id\":\"\\u0041\",\"method\":\"a\",\"params\":[]}",
		RPC_REQUEST, "\"\\u0041\"");
	expect("{" V "\"method\":\"a\",\"params\":{}}", RPC_NOTIFICATION, NULL);
	expect("{" V "\"id\":1,\"result\":null}", RPC_RESPONSE, "1");
	expect("{" V "\"id\":1,\"error\":{}}", RPC_RESPONSE, "1");
	expect("{" V "\"id\":1}", RPC_INVALID, "1");
	expect("{" V "\"id\":null,\"method\":\"a\"}", RPC_INVALID, NULL);
	expect("{" V "\"id\":[1],\"method\":\"a\"}", RPC_INVALID, NULL);
	expect("{" V "\"id\":true,\"method\":\"a\"}", RPC_INVALID, NULL);
	expect("{" V "\"id\":1,\"method\":null}", RPC_INVALID, "1");
	expect("{" V "\"id\":1,\"method\":\"a\",\"params\":null}", RPC_INVALID,
		"1");
	expect("{\"id\":1,\"method\":\"a\"}", RPC_INVALID, "1");
	expect("{\"jsonrpc\":2.0,\"id\":1,\"method\":\"a\"}", RPC_INVALID, "1");
	expect("{\"JSONRPC\":\"2.0\",\"id\":1,\"method\":\"a\"}", RPC_INVALID,
		"1");
	expect("[]", RPC_INVALID, NULL);
	expect("\"method\"", RPC_INVALID, NULL);
	expect("{}", RPC_INVALID, NULL);
}

static void an_id_has_a_ceiling(void **state)
{
	struct buf text = BUF_INIT(1 << 20);
	struct rpc_message m;
	int extra;

	(void)state;
	for (extra = 0; extra < 2; extra++) {
		buf_clear(&text);
		buf_printf(&text, "{" V "\"method\":\"a\",\"id\":\"%0*d\"}",
			RPC_ID_MAX - 2 + extra, 1);
		rpc_read(document(buf_text(&text)), &m);
		assert_int_equal(m.kind, extra ? RPC_INVALID : RPC_REQUEST);
	}
	buf_release(&text);
}

static void ids_are_compared_as_texts(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} pairs[] = { { "1", "1", true }, { "1", "2", false },
		{ "1", "1.0", false }, { "1", "\"1\"", false },
		{ "\"a\"", "\"\\u0061\"", true }, { "\"a\"", "\"b\"", false },
		{ "\"\\u0000\"", "\"\\u0000\"", true },
		{ "\"\\u0000\"", "\"\"", false } };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof pairs / sizeof *pairs; i++)
		if (rpc_same_id(document(pairs[i].a), document(pairs[i].b)) !=
			pairs[i].same)
			fail_msg("%s %s", pairs[i].a, pairs[i].b);
}

static void answers_are_composed(void **state)
{
	struct buf out = BUF_INIT(4096);

	(void)state;
	rpc_answer(&out, document("1e2"));
	rpc_error(&out, RPC_PARSE_ERROR, "a \"b\"\n");
	assert_string_equal(buf_text(&out),
		"{\"jsonrpc\":\"2.0\",\"id\":1e2,\"error\":{\"code\":-32700,"
		"\"message\":\"a \\\"b\\\"\\n\"}");
	buf_clear(&out);
	rpc_answer(&out, (struct slice){ 0 });
	assert_string_equal(
		buf_text(&out), "{\"jsonrpc\":\"2.0\",\"id\":null,");
	buf_release(&out);
}

static void expect_text(const char *p, size_t n, const char *json)
{
	struct buf out = BUF_INIT(4096);

	rpc_text(&out, p, n);
	assert_string_equal(buf_text(&out), json);
	document(buf_text(&out));
	buf_release(&out);
}

static void any_bytes_become_a_string(void **state)
{
	(void)state;
	expect_text("", 0, "\"\"");
	expect_text("a\xc3\xa4\xf0\x9f\x98\x80", 7,
		"\"a\xc3\xa4\xf0\x9f\x98\x80\"");
	expect_text("\"\\/\b\f\n\r\t\x01\x7f", 10,
		"\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\x7f\"");
	expect_text("a\0b", 3, "\"a\\u0000b\"");
	expect_text("\xff", 1, "\"\xef\xbf\xbd\"");
	expect_text("a\xc3", 2, "\"a\xef\xbf\xbd\"");
	expect_text(
		"\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_are_told_apart),
		cmocka_unit_test(an_id_has_a_ceiling),
		cmocka_unit_test(ids_are_compared_as_texts),
		cmocka_unit_test(answers_are_composed),
		cmocka_unit_test(any_bytes_become_a_string),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
