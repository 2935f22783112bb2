/* The arguments of a tool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "args.h"

#include <stdlib.h>
#include <string.h>

static const struct arg table[] = {
	{ .kind = ARG_TEXT,
		.name = "t",
		.about = "a \"text\"",
		.required = true },
	{ .kind = ARG_NUMBER,
		.name = "n",
		.about = "number",
		.min = -2,
		.max = 10 },
	{ .kind = ARG_JSON, .name = "j", .about = "json" },
	{ .kind = ARG_COMMAND, .name = "c", .about = "command" },
	{ .kind = ARG_TEXT, .name = "s", .about = "secret", .secret = true },
	{ .kind = ARG_END },
};

static struct slice document(const char *text)
{
	struct slice value = { 0 };
	size_t bad;

	if (slice_document(text, strlen(text), SLICE_UTF8, &value, &bad) < 0)
		fail_msg("not JSON: %s", text);
	return value;
}

static void arguments_are_read(void **state)
{
	struct arg_value v[ARGS_MAX];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(
		args_read(table,
			document("{\"j\":1E+2,\"n\":-2,\"t\":\"\\u00e4\",\"c\":"
				 "[\"a b\",\"\"],\"s\":\"\"}"),
			v, &e),
		0);
	assert_string_equal(v[0].text, "\xc3\xa4");
	assert_int_equal(v[1].number, -2);
	assert_true(v[2].json.len == 4 && !memcmp(v[2].json.p, "1E+2", 4));
	assert_int_equal(v[3].words.n, 2);
	assert_string_equal(v[3].words.v[0], "a b");
	assert_true(v[4].given);
	assert_string_equal(v[4].text, "");
	args_release(table, v);
	assert_null(v[0].text);
}

static void what_is_left_out_or_null_is_not_given(void **state)
{
	struct arg_value v[ARGS_MAX];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(args_read(table,
				 document("{\"t\":\"x\",\"n\":null,\"c\":null,"
					  "\"j\":null}"),
				 v, &e),
		0);
	assert_false(v[1].given || v[3].given || v[4].given);
	assert_null(v[4].text);
	/* null is a JSON value. */
	assert_true(v[2].given);
	args_release(table, v);
	assert_int_equal(args_read(table + 5, (struct slice){ 0 }, v, &e), 0);
	args_release(table + 5, v);
}

static void what_does_not_fit_is_named(void **state)
{
	static const char *const bad[][2] = { { "{}", "t" }, { "[]", "object" },
		{ "{\"t\":null}", "t" }, { "{\"t\":5}", "t" },
		{ "{\"t\":\"a\\u0000\"}", "t" }, { "{\"t\":[\"a\"]}", "t" },
		{ "{\"t\":\"a\",\"n\":11}", "n" },
		{ "{\"t\":\"a\",\"n\":-3}", "n" },
		{ "{\"t\":\"a\",\"n\":1.0}", "n" },
		{ "{\"t\":\"a\",\"n\":\"1\"}", "n" },
		{ "{\"t\":\"a\",\"n\":99999999999999999999}", "n" },
		{ "{\"t\":\"a\",\"c\":{}}", "c" },
		{ "{\"t\":\"a\",\"c\":[]}", "c" },
		{ "{\"t\":\"a\",\"c\":[1]}", "c" },
		{ "{\"t\":\"a\",\"c\":\"a|b\"}", "|" },
		{ "{\"t\":\"a\",\"T\":\"a\"}", "\"T\"" } };
	struct arg_value v[ARGS_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct err e = { 0 };

		if (args_read(table, document(bad[i][0]), v, &e) == 0)
			fail_msg("%s", bad[i][0]);
		assert_int_equal(e.code, EX_DATAERR);
		if (strstr(e.text, bad[i][1]) == NULL)
			fail_msg("%s: %s", bad[i][0], e.text);
		args_release(table, v);
	}
}

static void the_schema_is_that_of_the_table(void **state)
{
	struct buf out = BUF_INIT(65536);
	struct slice schema, properties, v;

	(void)state;
	args_schema(table, &out);
	schema = document(buf_text(&out));
	assert_true(slice_member(schema, "properties", &properties));
	assert_true(slice_member(properties, "t", &v) &&
		    slice_member(v, "description", &v) &&
		    slice_is(v, "a \"text\""));
	assert_true(slice_member(properties, "n", &v) &&
		    slice_member(v, "maximum", &v) && v.len == 2);
	assert_true(slice_member(schema, "required", &v) && v.len == 5);
	buf_clear(&out);
	args_schema(table + 5, &out);
	assert_string_equal(buf_text(&out),
		"{\"type\":\"object\",\"properties\":{},\"required\":[],"
		"\"additionalProperties\":false}");
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments_are_read),
		cmocka_unit_test(what_is_left_out_or_null_is_not_given),
		cmocka_unit_test(what_does_not_fit_is_named),
		cmocka_unit_test(the_schema_is_that_of_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
