/* Payloads: checked, attached to, and never changed. */
#include "payload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int read_text(const char *text, struct slice *v, struct err *e)
{
	return payload_read(text, strlen(text), "it", 1, v, e);
}

static void test_read_takes_any_value_without_the_space_around_it(void **state)
{
	static const struct {
		const char *text, *value;
	} cases[] = {
		{ " {\"a\" : 1.0}\n", "{\"a\" : 1.0}" },
		{ "9007199254740993", "9007199254740993" },
		{ "\t\"a\\u0000b\" ", "\"a\\u0000b\"" },
		{ "1e400", "1e400" },
		{ "null", "null" },
	};
	struct err e = { 0 };
	struct slice v;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(read_text(cases[i].text, &v, &e), 0);
		assert_int_equal(v.len, strlen(cases[i].value));
		assert_memory_equal(v.p, cases[i].value, v.len);
	}
}

static void test_read_names_line_and_column(void **state)
{
	static const struct {
		const char *text;
		size_t line;
		const char *message;
	} cases[] = {
		{ "{\n \"\xc3\xa9\": x}", 1,
			"reading it: no valid JSON at line 2, column 7" },
		{ "[1,]", 7, "reading it: no valid JSON at line 7, column 4" },
		{ "1 2", 1, "reading it: no valid JSON at line 1, column 3" },
		{ "", 1, "reading it: there is no JSON document" },
		{ " \r\n\t", 1, "reading it: there is no JSON document" },
	};
	struct slice v;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err e = { 0 };

		assert_int_equal(
			payload_read(cases[i].text, strlen(cases[i].text), "it",
				cases[i].line, &v, &e),
			-1);
		assert_int_equal(e.code, EX_DATAERR);
		assert_string_equal(e.text, cases[i].message);
	}
}

static void test_read_refuses_every_document_that_is_cut(void **state)
{
	static const char whole[] =
		"{\"a\":[1,\"\\u00e9\xc3\xa9\",{}],\"b\":true}";
	struct err e = { 0 };
	struct slice v;
	size_t n;

	(void)state;
	for (n = 0; n < sizeof whole - 1; n++)
		assert_int_equal(payload_read(whole, n, "it", 1, &v, &e), -1);
	assert_int_equal(payload_read(whole, n, "it", 1, &v, &e), 0);
}

static void test_message_is_escaped_or_refused(void **state)
{
	struct buf out = BUF_INIT(1000);
	struct err e = { 0 };
	struct slice v;

	(void)state;
	assert_int_equal(payload_message("a\"\\\n\x01\xc3\xa9", &out, &e), 0);
	assert_int_equal(read_text(buf_text(&out), &v, &e), 0);
	assert_non_null(strstr(buf_text(&out), "{\"message\":\"a\\\"\\\\"));
	buf_clear(&out);
	assert_int_equal(payload_message("a\xff", &out, &e), -1);
	assert_int_equal(e.code, EX_DATAERR);
	assert_int_equal(payload_message("\xed\xa0\x80", &out, &e), -1);
	assert_int_equal(out.len, 0);
	buf_release(&out);
}

static void test_utf8_is_told_from_what_is_not(void **state)
{
	(void)state;
	assert_true(payload_is_utf8(""));
	assert_true(payload_is_utf8("a\"\\\t\n \xe6\xbc\xa2\xf0\x9f\x98\x80"));
	assert_false(payload_is_utf8("\x80"));
	assert_false(payload_is_utf8("\xe6\xbc"));
	assert_false(payload_is_utf8("\xc0\xaf"));
}

static void test_attachments_are_added_and_the_rest_keeps_its_bytes(
	void **state)
{
	static const char *const two[] = { "{\"n\":1}", "{\"n\":2}" };
	static const struct {
		const char *before, *after;
	} cases[] = {
		{ "{}", "{\"attachments\":[{\"n\":1},{\"n\":2}]}" },
		{ "{ }", "{ \"attachments\":[{\"n\":1},{\"n\":2}]}" },
		{ "{\"x\" : 1e400 }", "{\"x\" : 1e400 ,\"attachments\":"
				      "[{\"n\":1},{\"n\":2}]}" },
		{ "{\"attachments\":[],\"y\":1.0}",
			"{\"attachments\":[{\"n\":1},{\"n\":2}],\"y\":1.0}" },
		{ "{\"attachments\" : [ 7 ]}",
			"{\"attachments\" : [ 7 ,{\"n\":1},{\"n\":2}]}" },
		{ "{\"attachments\":null}",
			"{\"attachments\":[{\"n\":1},{\"n\":2}]}" },
		/* What is not at the top is somebody else's. */
		{ "{\"a\":{\"attachments\":[]}}",
			"{\"a\":{\"attachments\":[]},\"attachments\":"
			"[{\"n\":1},{\"n\":2}]}" },
		/* Of two, readers take the last. */
		{ "{\"attachments\":[1],\"attachments\":[2]}",
			"{\"attachments\":[1],\"attachments\":"
			"[2,{\"n\":1},{\"n\":2}]}" },
		{ "{\"attach\\u006dents\":[1]}",
			"{\"attach\\u006dents\":[1,{\"n\":1},{\"n\":2}]}" },
	};
	struct err e = { 0 };
	struct slice v;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf out = BUF_INIT(1000);

		assert_int_equal(read_text(cases[i].before, &v, &e), 0);
		assert_int_equal(payload_may_attach(v, &e), 0);
		payload_attach(v, two, 2, &out);
		assert_string_equal(buf_text(&out), cases[i].after);
		buf_release(&out);
	}
}

static void test_what_cannot_take_attachments_is_refused(void **state)
{
	static const char *const cases[] = { "3", "[]", "null",
		"{\"attachments\":{}}", "{\"attachments\":\"x\"}" };
	struct err e = { 0 };
	struct slice v;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(read_text(cases[i], &v, &e), 0);
		assert_int_equal(payload_may_attach(v, &e), -1);
		assert_int_equal(e.code, EX_DATAERR);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_read_takes_any_value_without_the_space_around_it),
		cmocka_unit_test(test_read_names_line_and_column),
		cmocka_unit_test(test_read_refuses_every_document_that_is_cut),
		cmocka_unit_test(test_message_is_escaped_or_refused),
		cmocka_unit_test(test_utf8_is_told_from_what_is_not),
		cmocka_unit_test(
			test_attachments_are_added_and_the_rest_keeps_its_bytes),
		cmocka_unit_test(test_what_cannot_take_attachments_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
