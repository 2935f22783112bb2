/* With it, string.h holds a definition of what is defined here. */
#undef _FORTIFY_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "json.h"

#include "buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char secret[] = "correct horse battery staple";
static int wiped; /* how often the secret was */

/* The library's calls come here. */
__attribute__((noinline)) static void wipe(void *p, size_t n)
{
	volatile char *at = p;

	if (memmem(p, n, secret, strlen(secret)))
		wiped++;
	while (n--)
		*at++ = 0;
}

void explicit_bzero(void *p, size_t n)
{
	wipe(p, n);
}

void __explicit_bzero_chk(void *p, size_t n, size_t size);
void __explicit_bzero_chk(void *p, size_t n, size_t size)
{
	(void)size;
	wipe(p, n);
}

static struct json *parse(const char *text)
{
	struct err e = { 0 };
	struct json *v = json_parse(text, strlen(text), &e);

	if (v == NULL)
		fail_msg("%s: %s", e.text, text);
	return v;
}

/* Parsed and printed. */
static void assert_prints(const char *text, const char *want)
{
	struct json *v = parse(text);
	char *printed = json_print(v);

	assert_string_equal(printed, want);
	free(printed);
	json_free(v);
}

static void reads_members_by_type(void **state)
{
	struct json *v =
		parse(" {\"s\":\"text\",\"e\":\"\",\"i\":42,\"t\":true,"
		      "\"f\":false,\"n\":null,\"a\":[1,\"x\"],"
		      "\"o\":{\"s\":\"inner\"}}\n");
	int64_t i = 7;

	(void)state;
	assert_true(json_is_object(v));
	assert_false(json_is_array(v));
	assert_string_equal(json_text(v, "s"), "text");
	assert_string_equal(json_text(v, "e"), "");
	assert_null(json_text(v, "i"));
	assert_null(json_text(v, "n"));
	assert_null(json_text(v, "o"));
	assert_null(json_text(v, "none"));
	assert_false(json_int(v, "s", &i));
	assert_false(json_int(v, "n", &i));
	assert_false(json_int(v, "t", &i));
	assert_false(json_int(v, "none", &i));
	assert_int_equal(i, 7);
	assert_true(json_int(v, "i", &i));
	assert_int_equal(i, 42);
	assert_true(json_bool(v, "t", false));
	assert_false(json_bool(v, "f", true));
	assert_true(json_bool(v, "n", true));
	assert_false(json_bool(v, "i", false));
	assert_true(json_bool(v, "none", true));
	assert_true(json_is_array(json_member(v, "a")));
	assert_string_equal(json_text(json_member(v, "o"), "s"), "inner");
	assert_null(json_member(v, "none"));
	assert_non_null(json_member(v, "n"));
	json_free(v);
}

static void what_is_not_there_reads_as_not_there(void **state)
{
	struct json *v = parse("[1]");
	int64_t i;

	(void)state;
	assert_null(json_member(NULL, "a"));
	assert_null(json_member(v, "a"));
	assert_null(json_text(NULL, "a"));
	assert_null(json_text(v, "a"));
	assert_null(json_string(NULL));
	assert_null(json_string(v));
	assert_false(json_int(NULL, "a", &i));
	assert_true(json_bool(NULL, "a", true));
	assert_false(json_is_object(NULL));
	assert_false(json_is_array(NULL));
	assert_int_equal(json_count(NULL), 0);
	assert_null(json_item(NULL, 0));
	assert_null(json_item_name(NULL, 0));
	assert_null(json_copy(NULL));
	json_free(NULL);
	json_free(v);
}

static void names_are_compared_exactly(void **state)
{
	struct json *v = parse("{\"Token\":\"a\",\"t\\u006fken\":\"b\"}");

	(void)state;
	assert_string_equal(json_text(v, "Token"), "a");
	assert_string_equal(json_text(v, "token"), "b");
	assert_null(json_text(v, "TOKEN"));
	json_free(v);
}

static void of_double_members_the_last_counts(void **state)
{
	struct json *v = parse("{\"a\":\"1\",\"b\":\"2\",\"a\":\"3\"}");
	char *printed;

	(void)state;
	assert_string_equal(json_text(v, "a"), "3");
	json_set_text(v, "a", "4");
	printed = json_print(v);
	assert_string_equal(printed, "{\"b\":\"2\",\"a\":\"4\"}");
	free(printed);
	json_free(v);
}

static const struct {
	const char *text, *where;
} wrong[] = {
	{ "", "line 1, column 1" },
	{ "{", "line 1, column 2" },
	{ "{\"secret\":\"s3cret\"", "line 1, column 19" },
	{ "{\"a\":1} x", "line 1, column 9" },
	{ "{\"a\":1}{}", "line 1, column 8" },
	{ "{\n \"a\": \"\xe6\x97\xa5\" s3cret\n}", "line 2, column 11" },
	{ "\"s3cret\xff\"", "line 1, column 8" },
	{ "\"s3cret\xed\xa0\x80\"", "line 1, column 9" },
	{ "\"\n\"", "line 1, column 2" },
	{ "[01]", "line 1, column 3" },
	{ "[1,]", "line 1, column 4" },
	{ "{'a':1}", "line 1, column 2" },
	{ "\xef\xbb\xbf{}", "line 1, column 1" },
	{ "NaN", "line 1, column 1" },
};

static void refuses_what_is_no_json_and_tells_where(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		const char *text = wrong[i].text;
		struct err e = { 0 };

		assert_null(json_parse(text, strlen(text), &e));
		assert_int_equal(e.code, EX_DATAERR);
		if (!strstr(e.text, wrong[i].where))
			fail_msg("'%s' for %s", e.text, text);
		assert_null(strstr(e.text, "s3cret"));
		assert_null(json_parse(text, strlen(text), NULL));
	}
	/* Only `len` bytes count, a NUL among them. */
	assert_null(json_parse("{}\0", 3, NULL));
	json_free(parse("{}"));
}

static char *nested(size_t levels)
{
	char *text = malloc(2 * levels + 1);

	assert_non_null(text);
	memset(text, '[', levels);
	memset(text + levels, ']', levels);
	text[2 * levels] = '\0';
	return text;
}

static void nesting_ends_at_1000_levels(void **state)
{
	static const size_t levels[] = { 1, 999, 1000, 1001, 100000 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof levels / sizeof *levels; i++) {
		char *text = nested(levels[i]), *printed;
		struct err e = { 0 };
		struct json *v = json_parse(text, 2 * levels[i], &e), *copy;

		if (levels[i] <= 1000) {
			assert_non_null(v);
			copy = json_copy(v);
			printed = json_print(copy);
			assert_string_equal(printed, text);
			free(printed);
			json_free(copy);
		} else {
			assert_null(v);
			assert_int_equal(e.code, EX_DATAERR);
		}
		json_free(v);
		free(text);
	}
}

static void a_text_is_whole_or_not_there(void **state)
{
	struct json *v = parse("{\"id\":\"a\\u0000b\",\"ok\":\"c\","
			       "\"ok\\u0000x\":\"d\",\"l\":[\"\\u0000\"],"
			       "\"s\":\"\\ud800\",\"p\":\"\\ud83d\\ude00\"}");
	char *printed;

	(void)state;
	assert_null(json_text(v, "id"));
	assert_string_equal(json_text(v, "ok"), "c");
	assert_null(json_string(json_item(json_member(v, "l"), 0)));
	assert_string_equal(json_text(v, "s"), "\xef\xbf\xbd");
	assert_string_equal(json_text(v, "p"), "\xf0\x9f\x98\x80");
	printed = json_print(v);
	assert_string_equal(printed,
		"{\"id\":null,\"ok\":\"c\",\"l\":[null],\"s\":\"\xef\xbf\xbd\","
		"\"p\":\"\xf0\x9f\x98\x80\"}");
	free(printed);
	json_free(v);
}

static void integers_are_exact_or_none(void **state)
{
	static const struct {
		const char *text;
		bool is;
		int64_t v;
	} n[] = {
		{ "0", true, 0 },
		{ "-0", true, 0 },
		{ "-17", true, -17 },
		{ "1700000000000", true, 1700000000000 },
		{ "9007199254740991", true, 9007199254740991 },
		{ "9007199254740992", true, 9007199254740992 },
		{ "9007199254740993", false, 0 },
		{ "-9007199254740992", true, -9007199254740992 },
		{ "-9007199254740993", false, 0 },
		{ "9223372036854775808", false, 0 },
		{ "1.0", true, 1 },
		{ "1.5e3", true, 1500 },
		{ "1E3", true, 1000 },
		{ "-2.50e1", true, -25 },
		{ "1.5", false, 0 },
		{ "1e-1", false, 0 },
		{ "1e400", false, 0 },
		{ "-1e400", false, 0 },
		{ "9007199254740993.0", false, 0 },
		{ "9007199254740991.9", false, 0 },
		{ "1e16", false, 0 },
		{ "\"1\"", false, 0 },
		{ "[1]", false, 0 },
		{ "{}", false, 0 },
	};
	char text[100];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof n / sizeof *n; i++) {
		int64_t got = 77;
		struct json *v;

		snprintf(text, sizeof text, "{\"n\":%s}", n[i].text);
		v = parse(text);
		if (json_int(v, "n", &got) != n[i].is ||
			got != (n[i].is ? n[i].v : 77))
			fail_msg("%s", n[i].text);
		json_free(v);
	}
}

static void numbers_are_printed_as_they_were_written(void **state)
{
	(void)state;
	assert_prints("[1, 1.0,1e400,-0,9007199254740993,1000000000000000]",
		"[1,1.0,1e400,-0,9007199254740993,1000000000000000]");
	assert_prints("99999999999999999999999999999999999999999999999999999999"
		      "99999999999999999999",
		"99999999999999999999999999999999999999999999999999999999"
		"99999999999999999999");
}

static void walks_arrays_and_objects_by_number(void **state)
{
	struct json *v = parse("{\"a\":[\"x\",2,null],\"b\":{}}");
	const struct json *a = json_member(v, "a");

	(void)state;
	assert_int_equal(json_count(v), 2);
	assert_string_equal(json_item_name(v, 0), "a");
	assert_string_equal(json_item_name(v, 1), "b");
	assert_null(json_item_name(v, 2));
	assert_ptr_equal(json_item(v, 0), a);
	assert_int_equal(json_count(a), 3);
	assert_string_equal(json_string(json_item(a, 0)), "x");
	assert_null(json_string(json_item(a, 1)));
	assert_null(json_item(a, 3));
	assert_null(json_item(a, SIZE_MAX));
	assert_null(json_item_name(a, 0));
	assert_int_equal(json_count(json_member(v, "b")), 0);
	assert_int_equal(json_count(json_item(a, 0)), 0);
	json_free(v);
}

static void builds_and_prints_on_one_line(void **state)
{
	struct json *o = json_object(), *a = json_array();
	char *printed;

	(void)state;
	json_set_text(o, "t", "q\"\\\n\x01\x7f\xe6\x97\xa5");
	json_set_text(o, "n", NULL);
	json_set_int(o, "i", -5);
	json_set_int(o, "max", INT64_MAX);
	json_set_int(o, "min", INT64_MIN);
	json_set_int(o, "e15", 1000000000000000);
	json_set_bool(o, "y", true);
	json_set_bool(o, "z", false);
	json_add(a, json_object());
	json_add(a, json_array());
	json_set(o, "a", a);
	json_set(o, "nil", NULL);
	printed = json_print(o);
	assert_string_equal(printed,
		"{\"t\":\"q\\\"\\\\\\n\\u0001\x7f\xe6\x97\xa5\",\"n\":null,"
		"\"i\":-5,\"max\":9223372036854775807,"
		"\"min\":-9223372036854775808,\"e15\":1000000000000000,"
		"\"y\":true,\"z\":false,\"a\":[{},[]],\"nil\":null}");
	free(printed);
	json_free(o);
}

static void what_was_set_can_be_read(void **state)
{
	struct json *o = json_object();
	int64_t i;

	(void)state;
	json_set_int(o, "i", 1700000000000000);
	assert_true(json_int(o, "i", &i));
	assert_int_equal(i, 1700000000000000);
	json_set_text(o, "t", "x");
	assert_string_equal(json_text(o, "t"), "x");
	json_set_bool(o, "b", true);
	assert_true(json_bool(o, "b", false));
	json_free(o);
}

static void setting_replaces(void **state)
{
	struct json *o = json_object(), *inner = json_object();
	char *printed;

	(void)state;
	json_set_text(o, "a", "1");
	json_set_text(o, "A", "2");
	json_set_int(o, "a", 3);
	json_set_text(inner, "x", "y");
	json_set(o, "A", inner);
	json_set(o, "c", json_copy(inner));
	json_set_text(inner, "x", "z");
	printed = json_print(o);
	assert_string_equal(
		printed, "{\"a\":3,\"A\":{\"x\":\"z\"},\"c\":{\"x\":\"y\"}}");
	free(printed);
	json_free(o);
}

static void a_copy_of_a_member_is_a_root_of_its_own(void **state)
{
	struct json *v = parse("{\"a\":{\"n\":12345678901234567,\"s\":\"x\"}}");
	struct json *copy = json_copy(json_member(v, "a"));
	char *printed;

	(void)state;
	json_free(v);
	printed = json_print(copy);
	assert_string_equal(printed, "{\"n\":12345678901234567,\"s\":\"x\"}");
	free(printed);
	json_free(copy);
}

static void what_goes_out_is_json_whatever_comes_in(void **state)
{
	static const char fffd[] = "\xef\xbf\xbd";
	struct json *o = json_object();
	char *quoted, want[100];

	(void)state;
	quoted = json_quote("a\xff\xc3(\xed\xa0\x80");
	snprintf(want, sizeof want, "\"a%s%s(%s%s%s\"", fffd, fffd, fffd, fffd,
		fffd);
	assert_string_equal(quoted, want);
	free(quoted);
	json_set_text(o, "t", "\xe6\x97");
	snprintf(want, sizeof want, "%s%s", fffd, fffd);
	assert_string_equal(json_text(o, "t"), want);
	json_free(o);
}

static void quotes_a_text(void **state)
{
	static const char *const texts[][2] = { { "", "\"\"" },
		{ "a", "\"a\"" }, { "\"\\/", "\"\\\"\\\\/\"" },
		{ "\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\"" },
		{ "\x1f\x7f", "\"\\u001f\x7f\"" },
		{ "\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\"" } };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof texts / sizeof *texts; i++) {
		char *quoted = json_quote(texts[i][0]);

		assert_string_equal(quoted, texts[i][1]);
		free(quoted);
	}
}

static void every_copy_of_a_secret_is_wiped(void **state)
{
	char text[1000], *printed;
	struct json *v, *copy;

	(void)state;
	snprintf(text, sizeof text, "{\"secret\":\"%s\"}", secret);
	v = parse(text);
	wiped = 0;
	copy = json_copy(v);
	json_free(copy);
	assert_int_equal(wiped, 1);
	json_set_text(v, "secret", "none");
	assert_int_equal(wiped, 2);
	json_set_text(v, "a", secret);
	wiped = 0;
	/* A print that has to grow leaves nothing behind. */
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	json_set_text(v, "b", text);
	printed = json_print(v);
	assert_true(wiped >= 2);
	assert_non_null(strstr(printed, secret));
	wiped = 0;
	buf_wipe_free(printed);
	json_free(v);
	assert_int_equal(wiped, 2);
}

static void the_reading_itself_leaves_no_secret(void **state)
{
	char text[1000];
	struct json *v;

	(void)state;
	/* A number and a name may be secret, too. */
	snprintf(text, sizeof text, "{\"%s\":[\"%s\"]}", secret, secret);
	wiped = 0;
	v = parse(text);
	assert_int_equal(wiped, 2);
	json_free(v);
	assert_int_equal(wiped, 4);
	snprintf(text, sizeof text, "{\"a\":\"%s\",\"b\":%s", secret, "[[[[");
	wiped = 0;
	assert_null(json_parse(text, strlen(text), NULL));
	assert_int_equal(wiped, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_members_by_type),
		cmocka_unit_test(what_is_not_there_reads_as_not_there),
		cmocka_unit_test(names_are_compared_exactly),
		cmocka_unit_test(of_double_members_the_last_counts),
		cmocka_unit_test(refuses_what_is_no_json_and_tells_where),
		cmocka_unit_test(nesting_ends_at_1000_levels),
		cmocka_unit_test(a_text_is_whole_or_not_there),
		cmocka_unit_test(integers_are_exact_or_none),
		cmocka_unit_test(numbers_are_printed_as_they_were_written),
		cmocka_unit_test(walks_arrays_and_objects_by_number),
		cmocka_unit_test(builds_and_prints_on_one_line),
		cmocka_unit_test(what_was_set_can_be_read),
		cmocka_unit_test(setting_replaces),
		cmocka_unit_test(a_copy_of_a_member_is_a_root_of_its_own),
		cmocka_unit_test(what_goes_out_is_json_whatever_comes_in),
		cmocka_unit_test(quotes_a_text),
		cmocka_unit_test(every_copy_of_a_secret_is_wiped),
		cmocka_unit_test(the_reading_itself_leaves_no_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
