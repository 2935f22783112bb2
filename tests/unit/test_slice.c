#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "slice.h"

#include "err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK = -1 };

/* The offset that is wrong, or OK. The text is copied to where a byte read
 * beyond its end shows under a sanitizer. */
static long check_n(const char *text, size_t len, enum slice_bytes bytes)
{
	char *copy = malloc(len ? len : 1);
	struct slice value;
	size_t bad = (size_t)-1;
	int r;

	assert_non_null(copy);
	memcpy(copy, text, len);
	r = slice_document(copy, len, bytes, &value, &bad);
	if (r == 0) {
		assert_non_null(value.p);
		assert_true(value.p >= copy && value.len > 0);
		assert_true(value.p + value.len <= copy + len);
	} else {
		assert_int_equal(r, -1);
		assert_null(value.p);
		assert_true(bad <= len);
	}
	free(copy);
	return r == 0 ? OK : (long)bad;
}

static long check(const char *text)
{
	return check_n(text, strlen(text), SLICE_UTF8);
}

/* What was checked; the text lives as long as the test. */
static struct slice doc(const char *text)
{
	struct slice value;
	size_t bad;

	if (slice_document(text, strlen(text), SLICE_ANY_BYTES, &value, &bad))
		fail_msg("wrong at %zu: %s", bad, text);
	return value;
}

static void assert_slice(struct slice s, const char *text)
{
	if (s.p == NULL)
		fail_msg("not there: %s", text);
	if (s.len != strlen(text) || memcmp(s.p, text, s.len) != 0)
		fail_msg("'%.*s' instead of '%s'", (int)s.len, s.p, text);
}

static const char *const good[] = {
	"null",
	"true",
	"false",
	"0",
	"-0",
	"7",
	"-1",
	"10",
	"1234567890",
	"0.5",
	"-0.0",
	"10.25",
	"1e5",
	"1E+5",
	"1e-5",
	"0e0",
	"1.5e300",
	"1e400",
	"-1e-400",
	"9007199254740993",
	"99999999999999999999999999999999999999999999999999999999999999999999",
	"\"\"",
	"\"a\"",
	"\"seven77\"",
	"\"eight888\"",
	"\"nine 9999\"",
	"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
	"\"\\u0000\"",
	"\"\\uAbCd\\uef01\"",
	"\"\\ud83d\\ude00\"",
	"\"\\ud800\"",
	"\"\\udc00 \\ud800\\ud800\"",
	"\"\x7f\"",
	"\"na\xc3\xafve \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80\"",
	"[]",
	"[ ]",
	"{}",
	"{\n}",
	"[1]",
	"[1,2]",
	"[[],[[]],{}]",
	"{\"a\":1}",
	"{\"a\":1,\"a\":2}",
	"{\"\":\"\"}",
	"{\"\\u0061\":[{\"b\":null}]}",
	" \t\r\n1 \t\r\n",
	"\r\n{ \"a\" : [ 1 , { } , \"x\" ] , \"b\" :\ttrue }\n",
	"[\"]\",\"}\",\"[\",\"{\",\"\\\"]\"]",
};

static void takes_what_rfc_8259_allows(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof good / sizeof *good; i++)
		if (check(good[i]) != OK)
			fail_msg("refused at %ld: %s", check(good[i]), good[i]);
}

static const struct {
	const char *text;
	long bad;
} wrong[] = {
	{ "", 0 },
	{ " ", 1 },
	{ "nul", 3 },
	{ "nulll", 4 },
	{ "nuLl", 2 },
	{ "True", 0 },
	{ "fals3", 4 },
	{ "NaN", 0 },
	{ "Infinity", 0 },
	{ "-Infinity", 1 },
	{ "undefined", 0 },
	{ "1 2", 2 },
	{ "1,", 1 },
	{ "{} {}", 3 },
	{ "{}x", 2 },
	{ "[1]]", 3 },
	{ "null\xef\xbb\xbf", 4 },
	{ "\xef\xbb\xbfnull", 0 },
	{ "\v1", 0 },
	{ "\f1", 0 },
	{ "\xc2\xa0"
	  "1",
		0 },
	{ "01", 1 },
	{ "-01", 2 },
	{ "00", 1 },
	{ "0x10", 1 },
	{ "+1", 0 },
	{ "-", 1 },
	{ "--1", 1 },
	{ "1.", 2 },
	{ "1.e5", 2 },
	{ ".5", 0 },
	{ "1e", 2 },
	{ "1e+", 3 },
	{ "1e5.5", 3 },
	{ "1.2.3", 3 },
	{ "1_000", 1 },
	{ "1a", 1 },
	{ "\"", 1 },
	{ "\"a", 2 },
	{ "\"a\"b", 3 },
	{ "'a'", 0 },
	{ "\"\\", 2 },
	{ "\"\\x41\"", 2 },
	{ "\"\\'\"", 2 },
	{ "\"\\u", 3 },
	{ "\"\\u12\"", 5 },
	{ "\"\\u123\"", 6 },
	{ "\"\\u123g\"", 6 },
	{ "\"\\U1234\"", 2 },
	{ "\"\\u 123\"", 3 },
	{ "\"\t\"", 1 },
	{ "\"a\nb\"", 2 },
	{ "\"1234567\x1f\"", 8 },
	{ "\"12345678\r\"", 9 },
	{ "[", 1 },
	{ "[1", 2 },
	{ "[1,", 3 },
	{ "[1,]", 3 },
	{ "[,1]", 1 },
	{ "[1,,2]", 3 },
	{ "[1 2]", 3 },
	{ "[1}", 2 },
	{ "[}", 1 },
	{ "[1:2]", 2 },
	{ "[01]", 2 },
	{ "]", 0 },
	{ "}", 0 },
	{ ",", 0 },
	{ ":", 0 },
	{ "{", 1 },
	{ "{]", 1 },
	{ "{\"a\"", 4 },
	{ "{\"a\"}", 4 },
	{ "{\"a\":", 5 },
	{ "{\"a\":}", 5 },
	{ "{\"a\":1", 6 },
	{ "{\"a\":1,", 7 },
	{ "{\"a\":1,}", 7 },
	{ "{\"a\":1]", 6 },
	{ "{\"a\" 1}", 5 },
	{ "{\"a\"=1}", 4 },
	{ "{\"a\"::1}", 5 },
	{ "{\"a\",1}", 4 },
	{ "{a:1}", 1 },
	{ "{1:1}", 1 },
	{ "{'a':1}", 1 },
	{ "{null:1}", 1 },
	{ "{\"a\":1 \"b\":2}", 7 },
	{ "{,\"a\":1}", 1 },
	{ "[1]//", 3 },
	{ "/**/1", 0 },
	{ "[1,#\n2]", 3 },
	{ "\"\x80\"", 1 },
	{ "\"a\xff\"", 2 },
	{ "\"\xc0\x80\"", 1 },
	{ "\"\xc1\xbf\"", 1 },
	{ "\"\xc3\"", 2 },
	{ "\"\xc3", 2 },
	{ "\"\xe0\x9f\xbf\"", 2 },
	{ "\"\xed\xa0\x80\"", 2 },
	{ "\"\xed\xbf\xbf\"", 2 },
	{ "\"\xe6\x97\"", 3 },
	{ "\"\xe6\x97x\"", 3 },
	{ "\"\xf0\x8f\xbf\xbf\"", 2 },
	{ "\"\xf4\x90\x80\x80\"", 2 },
	{ "\"\xf5\x80\x80\x80\"", 1 },
	{ "\"\xf0\x9f\x98\"", 4 },
	{ "\"\xfe\xff\"", 1 },
	{ "\xe6\x97\xa5", 0 },
	{ "[\xe6\x97\xa5]", 1 },
};

static void tells_the_first_byte_that_cannot_be_right(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof wrong / sizeof *wrong; i++)
		if (check(wrong[i].text) != wrong[i].bad)
			fail_msg("%s: %ld instead of %ld", wrong[i].text,
				check(wrong[i].text), wrong[i].bad);
	assert_int_equal(check_n("1\0", 2, SLICE_UTF8), 1);
	assert_int_equal(check_n("\0", 1, SLICE_UTF8), 0);
	assert_int_equal(check_n("\"\0\"", 3, SLICE_UTF8), 1);
	assert_int_equal(check_n("\"\\\0\"", 4, SLICE_UTF8), 2);
	assert_int_equal(check_n("\"\\u\0\0\0\0\"", 8, SLICE_UTF8), 3);
}

/* A part of a right text ends too early, or is a right text itself. */
static void every_beginning_of_a_right_text_only_ends_too_early(void **state)
{
	size_t i, n;
	long r;

	(void)state;
	for (i = 0; i < sizeof good / sizeof *good; i++) {
		for (n = 0; n < strlen(good[i]); n++) {
			r = check_n(good[i], n, SLICE_UTF8);
			if (r != OK && r != (long)n)
				fail_msg("%.*s: %ld", (int)n, good[i], r);
		}
	}
	for (i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		for (n = 0; n <= (size_t)wrong[i].bad; n++) {
			r = check_n(wrong[i].text, n, SLICE_UTF8);
			if (r != OK && r != (long)n)
				fail_msg("%.*s: %ld", (int)n, wrong[i].text, r);
		}
	}
}

/* How many bytes the character at `s` takes, worked out from its number. */
static size_t utf8_by_number(const unsigned char *s, size_t n)
{
	static const unsigned least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned c = s[0];
	size_t len = c < 0x80		  ? 1
		     : (c & 0xe0) == 0xc0 ? 2
		     : (c & 0xf0) == 0xe0 ? 3
		     : (c & 0xf8) == 0xf0 ? 4
					  : 0;
	size_t i;

	if (len == 0 || len > n)
		return 0;
	if (len > 1)
		c &= 0x7fu >> len;
	for (i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	return len;
}

static void knows_utf8_from_what_only_looks_like_it(void **state)
{
	static const unsigned char rest[] = { 0x00, '"', 0x7f, 0x80, 0x8f, 0x90,
		0x9f, 0xa0, 0xbf, 0xc0, 0xff };
	unsigned a, b;
	size_t c, d, n;

	(void)state;
	for (a = 0; a < 256; a++)
		for (b = 0; b < 256; b++)
			for (c = 0; c < sizeof rest; c++)
				for (d = 0; d < sizeof rest; d++) {
					const unsigned char s[4] = {
						(unsigned char)a,
						(unsigned char)b, rest[c],
						rest[d]
					};
					const char *p = (const char *)s;

					n = utf8_by_number(s, 4);
					if (n)
						assert_int_equal(
							slice_utf8(p, n), n);
					else
						assert_int_equal(
							slice_utf8(p, 4), 0);
				}
	assert_int_equal(slice_utf8("", 0), 0);
	assert_int_equal(slice_utf8("abc\xe6\x97\xa5", 6), 6);
	assert_int_equal(slice_utf8("abc\xe6\x97\xa5", 5), 3);
	assert_int_equal(slice_utf8("a\0b\xff", 4), 3);
}

static void every_character_may_stand_in_a_string(void **state)
{
	char text[8];
	unsigned c;
	size_t n;

	(void)state;
	for (c = 0x20; c <= 0x10ffff; c++) {
		n = 0;
		text[n++] = '"';
		if (c < 0x80) {
			text[n++] = (char)c;
		} else if (c < 0x800) {
			text[n++] = (char)(0xc0 | c >> 6);
		} else if (c < 0x10000) {
			text[n++] = (char)(0xe0 | c >> 12);
			text[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		} else {
			text[n++] = (char)(0xf0 | c >> 18);
			text[n++] = (char)(0x80 | (c >> 12 & 0x3f));
			text[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		}
		if (c >= 0x80)
			text[n++] = (char)(0x80 | (c & 0x3f));
		text[n++] = '"';
		assert_int_equal(check_n(text, n, SLICE_UTF8) == OK,
			c != '"' && c != '\\' && (c < 0xd800 || c > 0xdfff));
	}
}

static void any_bytes_lets_them_into_strings_only(void **state)
{
	static const char *const strings[] = { "\"\xff\"", "\"\xc3\"",
		"{\"\xfe\":[\"\x80\"]}",
		"\"1234567\x80 1234567\xed\xa0\x80\"" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof strings / sizeof *strings; i++) {
		size_t len = strlen(strings[i]);

		assert_int_equal(check_n(strings[i], len, SLICE_ANY_BYTES), OK);
		assert_int_not_equal(check_n(strings[i], len, SLICE_UTF8), OK);
	}
	assert_int_equal(check_n("\xff", 1, SLICE_ANY_BYTES), 0);
	assert_int_equal(check_n("[1\x80]", 4, SLICE_ANY_BYTES), 2);
	assert_int_equal(check_n("\"\xff\n\"", 4, SLICE_ANY_BYTES), 2);
	assert_int_equal(check_n("\"\xff", 2, SLICE_ANY_BYTES), 2);
}

/* The scan takes eight bytes at a time: what matters must be seen at each
 * place within them. */
static void sees_every_byte_of_a_string_wherever_it_stands(void **state)
{
	static const char special[] = "\"\\\n\x1f\x80\xff";
	char text[64];
	size_t len, at, i;

	(void)state;
	for (len = 0; len < 40; len++) {
		memset(text, 'x', sizeof text);
		text[0] = text[len + 1] = '"';
		assert_int_equal(check_n(text, len + 2, SLICE_UTF8), OK);
		for (at = 1; at <= len; at++) {
			for (i = 0; i < sizeof special - 1; i++) {
				long want = (long)at;

				text[at] = special[i];
				if (special[i] == '"' || special[i] == '\\')
					want++;
				assert_int_equal(
					check_n(text, len + 2, SLICE_UTF8),
					special[i] == '\\' && at == len
						? (long)len + 2
						: want);
				text[at] = 'x';
			}
		}
	}
}

/* Brackets by a rule that repeats in no power of two. */
static bool is_object_at(size_t level)
{
	return level % 3 == 0 || level % 7 == 2;
}

static char *nest(size_t levels, size_t *len)
{
	char *text = malloc(levels * 6 + 1);
	size_t n = 0, i;

	assert_non_null(text);
	for (i = 0; i < levels; i++) {
		text[n++] = is_object_at(i) ? '{' : '[';
		if (is_object_at(i)) {
			memcpy(text + n, "\"\":", 3);
			n += 3;
		}
	}
	text[n++] = '0';
	for (i = levels; i--;)
		text[n++] = is_object_at(i) ? '}' : ']';
	*len = n;
	return text;
}

static void nests_as_deep_as_memory_goes(void **state)
{
	static const size_t levels[] = { 1, 2, 63, 64, 65, 127, 128, 129, 192,
		193, 1000, 100000, 5000000 };
	struct slice v, inner;
	struct slice_walk w;
	size_t i, len, bad;
	char *text;

	(void)state;
	for (i = 0; i < sizeof levels / sizeof *levels; i++) {
		text = nest(levels[i], &len);
		assert_int_equal(
			slice_document(text, len, SLICE_UTF8, &v, &bad), 0);
		assert_int_equal(v.len, len);
		slice_walk_start(&w, v, NULL);
		assert_true(slice_walk_next(&w, NULL, &inner));
		assert_int_equal(inner.p - v.p, 4);
		assert_int_equal(inner.len, len - 5);
		assert_false(slice_walk_next(&w, NULL, &inner));
		/* One bracket too few; and one level too many. */
		assert_int_equal(
			slice_document(text, len - 1, SLICE_UTF8, &v, &bad),
			-1);
		assert_int_equal(bad, len - 1);
		text[len] = ']';
		assert_int_equal(
			slice_document(text, len + 1, SLICE_UTF8, &v, &bad),
			-1);
		assert_int_equal(bad, len);
		free(text);
	}
}

static void a_bracket_must_close_what_is_open(void **state)
{
	size_t i, len, bad, at;
	struct slice v;
	char *text;

	(void)state;
	for (i = 0; i < 200; i++) {
		text = nest(200, &len);
		at = len - 1 - i; /* what closes level i */
		text[at] = text[at] == '}' ? ']' : '}';
		assert_int_equal(
			slice_document(text, len, SLICE_UTF8, &v, &bad), -1);
		assert_int_equal(bad, at);
		free(text);
	}
}

static void the_value_comes_without_the_space_around_it(void **state)
{
	(void)state;
	assert_slice(doc(" \n{ \"a\" : 1 }\t"), "{ \"a\" : 1 }");
	assert_slice(doc("\r\n-5 "), "-5");
	assert_slice(doc("\"x\""), "\"x\"");
}

static void counts_lines_and_columns_for_people(void **state)
{
	static const char text[] = "ab\n\xe6\x97\xa5\xc3\xa4x\r\n\ny";
	static const struct {
		size_t bad, line, column;
	} at[] = { { 0, 1, 1 }, { 1, 1, 2 }, { 2, 1, 3 }, { 3, 2, 1 },
		{ 6, 2, 2 }, { 8, 2, 3 }, { 9, 2, 4 }, { 10, 2, 5 },
		{ 11, 3, 1 }, { 12, 4, 1 }, { 13, 4, 2 } };
	size_t i, line, column;

	(void)state;
	for (i = 0; i < sizeof at / sizeof *at; i++) {
		slice_line_column(text, at[i].bad, &line, &column);
		assert_int_equal(line, at[i].line);
		assert_int_equal(column, at[i].column);
	}
}

static void the_first_byte_tells_the_kind(void **state)
{
	const struct slice none = { NULL, 0 };

	(void)state;
	assert_int_equal(slice_kind(doc("{}")), '{');
	assert_int_equal(slice_kind(doc("[]")), '[');
	assert_int_equal(slice_kind(doc("\"0\"")), '"');
	assert_int_equal(slice_kind(doc("true")), 't');
	assert_int_equal(slice_kind(doc("false")), 'f');
	assert_int_equal(slice_kind(doc("null")), 'n');
	assert_int_equal(slice_kind(doc("0")), '0');
	assert_int_equal(slice_kind(doc("-7.5e3")), '0');
	assert_int_equal(slice_kind(none), '\0');
}

static void finds_members_by_their_unescaped_name(void **state)
{
	const char *text = "{\"a\":1, \"A\" : 2 ,\"\\u0062\":[\"}\"],\"c\\n\":{"
			   "\"d\":3},\"\xe6\x97\xa5\":4,\"\\u65e5x\":5,"
			   "\"\\ud83d\\ude00\":6,\"\":7,\"e\\u0000\":8}";
	const struct {
		const char *name, *value;
	} in[] = { { "a", "1" }, { "A", "2" }, { "b", "[\"}\"]" },
		{ "c\n", "{\"d\":3}" }, { "\xe6\x97\xa5", "4" },
		{ "\xe6\x97\xa5x", "5" }, { "\xf0\x9f\x98\x80", "6" },
		{ "", "7" } };
	static const char *const out[] = { "d", "e", "aa", "b\n", "c",
		"\\u0062", "c\\n", "}" };
	struct slice o = doc(text), v;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof in / sizeof *in; i++) {
		assert_true(slice_member(o, in[i].name, &v));
		assert_slice(v, in[i].value);
	}
	v = (struct slice){ text, 1 };
	for (i = 0; i < sizeof out / sizeof *out; i++)
		assert_false(slice_member(o, out[i], &v));
	assert_slice(v, "{"); /* left alone */
}

static void of_double_members_the_last_counts(void **state)
{
	struct slice v;

	(void)state;
	assert_true(slice_member(
		doc("{\"a\":1,\"b\":0,\"\\u0061\":2,\"c\":3}"), "a", &v));
	assert_slice(v, "2");
}

static void only_objects_have_members(void **state)
{
	const struct slice none = { NULL, 0 };
	struct slice v;

	(void)state;
	assert_false(slice_member(doc("[\"a\",1]"), "a", &v));
	assert_false(slice_member(doc("\"a\""), "a", &v));
	assert_false(slice_member(doc("1"), "a", &v));
	assert_false(slice_member(doc("{}"), "a", &v));
	assert_false(slice_member(doc("{ }"), "", &v));
	assert_false(slice_member(none, "a", &v));
}

static void notes_where_the_outer_values_end(void **state)
{
	static const char text[] = "{\"a\":[[{\"x\":[[1]]}],{}],\"b\":[]}";
	static const struct {
		size_t at, len;
	} want[] = { { 0, 31 }, { 1, 3 }, { 5, 18 }, { 6, 13 }, { 7, 11 },
		{ 20, 2 }, { 24, 3 }, { 28, 2 } };
	struct slice_ends ends = { 0 };
	struct slice v;
	size_t i, bad;

	(void)state;
	assert_int_equal(slice_document_ends(text, strlen(text), SLICE_UTF8, &v,
				 &ends, &bad),
		0);
	assert_int_equal(ends.n, sizeof want / sizeof *want);
	for (i = 0; i < ends.n; i++) {
		assert_int_equal(ends.list[i].at - text, want[i].at);
		assert_int_equal(
			ends.list[i].end - ends.list[i].at, want[i].len);
	}
	slice_ends_release(&ends);
	slice_ends_release(&ends);
}

static void notes_no_more_than_its_ceiling(void **state)
{
	enum { PAIRS = SLICE_ENDS_MAX };
	char *text = malloc(PAIRS * 7 + 4), *at = text;
	struct slice_ends ends = { 0 };
	struct slice v, part;
	struct slice_walk w;
	size_t i, bad;

	(void)state;
	assert_non_null(text);
	*at++ = '[';
	for (i = 0; i < PAIRS; i++)
		at += sprintf(at, "%s\"a\",[]", i ? "," : "");
	*at++ = ']';
	assert_int_equal(slice_document_ends(text, (size_t)(at - text),
				 SLICE_UTF8, &v, &ends, &bad),
		0);
	assert_int_equal(ends.n, SLICE_ENDS_MAX);
	slice_walk_start(&w, v, &ends);
	for (i = 0; i < PAIRS; i++) {
		assert_true(slice_walk_next(&w, NULL, &part));
		assert_slice(part, "\"a\"");
		assert_true(slice_walk_next(&w, NULL, &part));
		assert_slice(part, "[]");
	}
	assert_false(slice_walk_next(&w, NULL, &part));
	slice_ends_release(&ends);
	free(text);
}

/* All of it on one line: name=value|… */
static const char *walked(const char *text)
{
	static char out[2000];
	struct slice name, value, noted, v = doc(text);
	struct slice_ends ends = { 0 };
	struct slice_walk w, quick;
	size_t n = 0, bad;

	out[0] = '\0';
	slice_document_ends(
		text, strlen(text), SLICE_ANY_BYTES, &v, &ends, &bad);
	slice_walk_start(&w, v, NULL);
	slice_walk_start(&quick, v, &ends);
	while (slice_walk_next(&w, &name, &value)) {
		/* The same, whether it is known where parts end or not. */
		assert_true(slice_walk_next(&quick, NULL, &noted));
		assert_ptr_equal(noted.p, value.p);
		assert_int_equal(noted.len, value.len);
		if (v.p[0] == '[')
			assert_null(name.p);
		n += (size_t)snprintf(out + n, sizeof out - n, "%.*s%s%.*s|",
			(int)name.len, name.p ? name.p : "", name.p ? "=" : "",
			(int)value.len, value.p);
	}
	/* It stays at its end. */
	assert_false(slice_walk_next(&w, &name, &value));
	assert_false(slice_walk_next(&quick, &name, &value));
	slice_ends_release(&ends);
	return out;
}

static void walks_elements_and_members_in_order(void **state)
{
	(void)state;
	assert_string_equal(walked("[]"), "");
	assert_string_equal(walked("[ \n ]"), "");
	assert_string_equal(walked("{}"), "");
	assert_string_equal(walked("[1]"), "1|");
	assert_string_equal(walked("[ 1 ,\"a,b\" , null,true\n,false\t]"),
		"1|\"a,b\"|null|true|false|");
	assert_string_equal(walked("[[1,[2]],{\"a\":[3]},[],{}]"),
		"[1,[2]]|{\"a\":[3]}|[]|{}|");
	assert_string_equal(walked("[\"]\",\"\\\"]\",\"\\\\\",\"\\\\\\\"[{\"]"),
		"\"]\"|\"\\\"]\"|\"\\\\\"|\"\\\\\\\"[{\"|");
	assert_string_equal(walked("{\"a\":1,\"a\":2}"), "\"a\"=1|\"a\"=2|");
	assert_string_equal(
		walked("{ \"a:b\" : { \"}\" : \"{\" } , \"\\\"\":-1.5e+3 }"),
		"\"a:b\"={ \"}\" : \"{\" }|\"\\\"\"=-1.5e+3|");
	assert_string_equal(walked("[\"\xff\xfb\xdb\xa2\xdc\",\"\x80\"]"),
		"\"\xff\xfb\xdb\xa2\xdc\"|\"\x80\"|");
	assert_string_equal(walked("1"), "");
	assert_string_equal(walked("\"[1]\""), "");
	assert_string_equal(walked("null"), "");
}

static void nothing_to_walk_in_what_is_not_there(void **state)
{
	const struct slice none = { NULL, 0 };
	struct slice v;
	struct slice_walk w;

	(void)state;
	slice_walk_start(&w, none, NULL);
	assert_false(slice_walk_next(&w, NULL, &v));
}

/* Brackets, quotes and escapes at each place within eight bytes. */
static void skips_values_wherever_their_bytes_stand(void **state)
{
	static const char *const pieces[] = { "\\\"", "\\\\", "]", "}", "[",
		"{", "\xdb\xdd\xfb\xfd", "\\\\\\\"", "," };
	char text[400], want[400], one[100];
	size_t before, after, i;

	(void)state;
	for (i = 0; i < sizeof pieces / sizeof *pieces; i++)
		for (before = 0; before < 20; before++)
			for (after = 0; after < 20; after++) {
				snprintf(one, sizeof one, "\"%.*s%s%.*s\"",
					(int)before, "01234567890123456789",
					pieces[i], (int)after,
					"01234567890123456789");
				snprintf(text, sizeof text, "[[%s,{%s:%s}],2]",
					one, one, one);
				snprintf(want, sizeof want, "%.*s|2|",
					(int)(strlen(text) - 4), text + 1);
				assert_string_equal(walked(text), want);
			}
}

static void compares_strings_as_they_read(void **state)
{
	const struct slice none = { NULL, 0 };

	(void)state;
	assert_true(slice_is(doc("\"\""), ""));
	assert_true(slice_is(doc("\"abc\""), "abc"));
	assert_true(slice_is(doc("\"\\u0061b\\u0063\""), "abc"));
	assert_true(slice_is(
		doc("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), "\"\\/\b\f\n\r\t"));
	assert_true(slice_is(doc("\"\\uD83D\\uDE00\""), "\xf0\x9f\x98\x80"));
	assert_true(slice_is(doc("\"\\ud800\""), "\xef\xbf\xbd"));
	assert_false(slice_is(doc("\"abc\""), "ab"));
	assert_false(slice_is(doc("\"abc\""), "abcd"));
	assert_false(slice_is(doc("\"abc\""), "abd"));
	assert_false(slice_is(doc("\"abc\""), "ABC"));
	assert_false(slice_is(doc("\"abc\""), ""));
	assert_false(slice_is(doc("\"\""), "a"));
	assert_false(slice_is(doc("\"a\\b\""), "a\\b"));
	assert_false(slice_is(doc("\"a\\u0000\""), "a"));
	assert_false(slice_is(doc("\"a\\u0000b\""), "a"));
	assert_false(slice_is(doc("\"\\u0000\""), ""));
	assert_false(slice_is(doc("1"), "1"));
	assert_false(slice_is(doc("null"), "null"));
	assert_false(slice_is(doc("[\"a\"]"), "a"));
	assert_false(slice_is(none, ""));
}

static const struct {
	const char *json, *text; /* NULL: none to be had */
} texts[] = {
	{ "\"\"", "" },
	{ "\"plain\"", "plain" },
	{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t" },
	{ "\"\\u0001\\u007f\\u0080\\u07FF\\u0800\\uffff\"",
		"\x01\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf" },
	{ "\"\\ud800\\udc00\\uDBFF\\uDFFF\"",
		"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf" },
	{ "\"\\ud83d\"", "\xef\xbf\xbd" },
	{ "\"\\ude00x\"", "\xef\xbf\xbd"
			  "x" },
	{ "\"\\ud83d\\n\"", "\xef\xbf\xbd\n" },
	{ "\"\\ud83d\\u0041\"", "\xef\xbf\xbd"
				"A" },
	{ "\"\\ud83d\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80" },
	{ "\"\\ude00\\ud83d\"", "\xef\xbf\xbd\xef\xbf\xbd" },
	{ "\"\\ud83dude00\"", "\xef\xbf\xbdude00" },
	{ "\"na\xc3\xafve\"", "na\xc3\xafve" },
	{ "\"\xff\xc3\"", "\xff\xc3" },
	{ "\"a\\u0000b\"", NULL },
	{ "\"\\u0000\"", NULL },
	{ "7", NULL },
	{ "null", NULL },
	{ "[\"a\"]", NULL },
	{ "{}", NULL },
};

static void gives_the_text_of_strings(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct buf b = BUF_INIT(100);
		bool there;

		buf_str(&b, "id ");
		there = slice_text(doc(texts[i].json), &b);
		assert_int_equal(there, texts[i].text != NULL);
		/* Appended, or nothing done. */
		assert_int_equal(strncmp(buf_text(&b), "id ", 3), 0);
		assert_string_equal(
			buf_text(&b) + 3, texts[i].text ? texts[i].text : "");
		assert_int_equal(b.len, strlen(b.data));
		if (there)
			assert_true(
				slice_is(doc(texts[i].json), texts[i].text));
		buf_release(&b);
	}
}

static void a_text_that_does_not_fit_is_refused_whole(void **state)
{
	struct buf b = BUF_INIT(6);

	(void)state;
	buf_str(&b, "ab");
	assert_true(slice_text(doc("\"c\\u0064\""), &b));
	assert_string_equal(buf_text(&b), "abcd");
	assert_false(slice_text(doc("\"e\\nf\""), &b));
	assert_string_equal(buf_text(&b), "abcd");
	assert_int_equal(b.len, 4);
	assert_true(b.full);
	buf_release(&b);
}

static void reads_integers_of_64_bits(void **state)
{
	static const struct {
		const char *json;
		bool is;
		int64_t v;
	} n[] = {
		{ "0", true, 0 },
		{ "-0", true, 0 },
		{ "42", true, 42 },
		{ "-42", true, -42 },
		{ "9007199254740993", true, 9007199254740993 },
		{ "9223372036854775807", true, INT64_MAX },
		{ "-9223372036854775808", true, INT64_MIN },
		{ "9223372036854775808", false, 0 },
		{ "-9223372036854775809", false, 0 },
		{ "18446744073709551616", false, 0 },
		{ "99999999999999999999999", false, 0 },
		{ "1.0", false, 0 },
		{ "1e3", false, 0 },
		{ "1E3", false, 0 },
		{ "\"1\"", false, 0 },
		{ "true", false, 0 },
		{ "[1]", false, 0 },
	};
	const struct slice none = { NULL, 0 };
	int64_t v;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof n / sizeof *n; i++) {
		v = 77;
		assert_int_equal(slice_int(doc(n[i].json), &v), n[i].is);
		assert_true(v == (n[i].is ? n[i].v : 77));
	}
	assert_false(slice_int(none, &v));
}

static void puts_a_value_on_one_line(void **state)
{
	static const struct {
		const char *json, *line;
	} t[] = {
		{ "{\"a\":1}", "{\"a\":1}" },
		{ "{\n  \"a\": [\r\n1,\n2 ]\r}", "{  \"a\": [1,2 ]}" },
		{ "[1e400,\"\\u0000\\n\\ud800\",9007199254740993, 1.0 ]",
			"[1e400,\"\\u0000\\n\\ud800\",9007199254740993, 1.0 "
			"]" },
		{ "[\n\n\n\n\n\n\n\n\n1]", "[1]" },
		{ "[\"\xff\"\n]", "[\"\xff\"]" },
		{ "7", "7" },
	};
	const struct slice none = { NULL, 0 };
	struct buf b = BUF_INIT(100);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof t / sizeof *t; i++) {
		buf_clear(&b);
		buf_str(&b, ">");
		assert_int_equal(slice_one_line(doc(t[i].json), &b), 0);
		assert_string_equal(buf_text(&b) + 1, t[i].line);
		assert_int_equal(b.len, strlen(t[i].line) + 1);
	}
	assert_int_equal(slice_one_line(none, &b), 0);
	buf_release(&b);
}

static void a_line_that_just_fits_is_taken(void **state)
{
	struct buf b = BUF_INIT(3);

	(void)state;
	assert_int_equal(slice_one_line(doc("[\n\n\n1\n]"), &b), 0);
	assert_string_equal(buf_text(&b), "[1]");
	buf_clear(&b);
	assert_int_equal(slice_one_line(doc("[\n10]"), &b), -1);
	assert_true(b.full);
	assert_int_equal(b.len, 0);
	buf_clear(&b);
	assert_int_equal(slice_one_line(doc("[10]"), &b), -1);
	assert_int_equal(b.len, 0);
	buf_release(&b);
}

static void size_alone_is_no_trouble(void **state)
{
	const size_t len = 8 << 20;
	char *text = malloc(len);
	struct slice v;
	size_t bad;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', len);
	text[0] = text[len - 1] = '"';
	assert_int_equal(slice_document(text, len, SLICE_UTF8, &v, &bad), 0);
	text[len - 2] = '\n';
	assert_int_equal(slice_document(text, len, SLICE_UTF8, &v, &bad), -1);
	assert_int_equal(bad, len - 2);
	memset(text, '9', len);
	assert_int_equal(slice_document(text, len, SLICE_UTF8, &v, &bad), 0);
	memset(text, ' ', len);
	assert_int_equal(slice_document(text, len, SLICE_UTF8, &v, &bad), -1);
	assert_int_equal(bad, len);
	free(text);
}

/* However far it is from the value before, forward or back. */
static void a_noted_end_is_found_from_anywhere(void **state)
{
	enum { PARTS = 60 };
	struct buf text = BUF_INIT(100000);
	struct slice parts[PARTS], v, value, noted;
	struct slice_ends ends = { 0 };
	struct slice_walk plain, quick;
	size_t i, k, bad;

	(void)state;
	buf_char(&text, '[');
	for (i = 0; i < PARTS; i++) {
		buf_str(&text, i ? ",[" : "[");
		for (k = 0; k < i * 7 % 40; k++)
			buf_printf(&text, "%s\"%zu\"", k ? "," : "", k);
		buf_char(&text, ']');
	}
	buf_char(&text, ']');
	assert_int_equal(slice_document_ends(text.data, text.len, SLICE_UTF8,
				 &v, &ends, &bad),
		0);
	slice_walk_start(&plain, v, NULL);
	slice_walk_start(&quick, v, &ends);
	for (i = 0; i < PARTS; i++) {
		assert_true(slice_walk_next(&plain, NULL, &parts[i]));
		assert_true(slice_walk_next(&quick, NULL, &noted));
		assert_ptr_equal(noted.p, parts[i].p);
		assert_int_equal(noted.len, parts[i].len);
	}
	for (k = 0; k < PARTS; k++) {
		i = k * 37 % PARTS;
		slice_walk_start(&plain, parts[i], NULL);
		slice_walk_start(&quick, parts[i], &ends);
		while (slice_walk_next(&plain, NULL, &value)) {
			assert_true(slice_walk_next(&quick, NULL, &noted));
			assert_ptr_equal(noted.p, value.p);
			assert_int_equal(noted.len, value.len);
		}
		assert_false(slice_walk_next(&quick, NULL, &noted));
	}
	slice_ends_release(&ends);
	buf_release(&text);
}

/* Who makes lines of events need not look for what a text does not have. */
static void line_ends_between_tokens_are_noted(void **state)
{
	static const struct {
		const char *text;
		bool lines;
	} cases[] = {
		{ "[1, {\"a\":\t\"b\\n\"}]", false },
		{ "[1,\n2]", true },
		{ "{\"a\"\r:1}", true },
		{ "{\"a\":\n1}", true },
		{ "{\n}", true },
		{ "[1\n]", true },
		{ "\n[]", false },
		{ "[]\n", false },
		{ "\n[\n]", true },
	};
	size_t i, bad;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct slice_ends ends = { 0 };
		struct slice doc;

		assert_int_equal(slice_document_ends(cases[i].text,
					 strlen(cases[i].text), SLICE_UTF8,
					 &doc, &ends, &bad),
			0);
		assert_int_equal(ends.lines, cases[i].lines);
		slice_ends_release(&ends);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_noted_end_is_found_from_anywhere),
		cmocka_unit_test(line_ends_between_tokens_are_noted),
		cmocka_unit_test(takes_what_rfc_8259_allows),
		cmocka_unit_test(tells_the_first_byte_that_cannot_be_right),
		cmocka_unit_test(
			every_beginning_of_a_right_text_only_ends_too_early),
		cmocka_unit_test(knows_utf8_from_what_only_looks_like_it),
		cmocka_unit_test(every_character_may_stand_in_a_string),
		cmocka_unit_test(any_bytes_lets_them_into_strings_only),
		cmocka_unit_test(
			sees_every_byte_of_a_string_wherever_it_stands),
		cmocka_unit_test(nests_as_deep_as_memory_goes),
		cmocka_unit_test(a_bracket_must_close_what_is_open),
		cmocka_unit_test(the_value_comes_without_the_space_around_it),
		cmocka_unit_test(counts_lines_and_columns_for_people),
		cmocka_unit_test(the_first_byte_tells_the_kind),
		cmocka_unit_test(finds_members_by_their_unescaped_name),
		cmocka_unit_test(of_double_members_the_last_counts),
		cmocka_unit_test(only_objects_have_members),
		cmocka_unit_test(notes_where_the_outer_values_end),
		cmocka_unit_test(notes_no_more_than_its_ceiling),
		cmocka_unit_test(walks_elements_and_members_in_order),
		cmocka_unit_test(nothing_to_walk_in_what_is_not_there),
		cmocka_unit_test(skips_values_wherever_their_bytes_stand),
		cmocka_unit_test(compares_strings_as_they_read),
		cmocka_unit_test(gives_the_text_of_strings),
		cmocka_unit_test(a_text_that_does_not_fit_is_refused_whole),
		cmocka_unit_test(reads_integers_of_64_bits),
		cmocka_unit_test(puts_a_value_on_one_line),
		cmocka_unit_test(a_line_that_just_fits_is_taken),
		cmocka_unit_test(size_alone_is_no_trouble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
