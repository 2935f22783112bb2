/* Patterns match a text as a whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "pattern.h"

#include <stdlib.h>
#include <string.h>

static void expect(
	const char *pattern, const char *text, enum pattern_answer answer)
{
	struct err e = { 0 };
	struct pattern *p = pattern_new(pattern, &e);

	if (p == NULL)
		fail_msg("%s: %s", pattern, e.text);
	else if (pattern_match(p, text, strlen(text)) != answer)
		fail_msg("'%s' and '%s': not %d", pattern, text, answer);
	pattern_free(p);
}

static void a_text_matches_as_a_whole(void **state)
{
	static const char *const no[][2] = { { "df", "df -h" }, { "df", "xdf" },
		{ "df", "df\n" }, { "df$", "df\n" }, { "^df$", "df\nrm" },
		{ "(?m)^df$", "df\nrm" }, { "df|uptime", "df -h" },
		{ "df|uptime", "rm uptime" }, { "df|uptime", "uptime; rm" },
		{ "git log.*", "git log\nx" }, { "git log", "git log -o x" },
		{ "df(*ACCEPT)", "df -h" }, { "df -h", "/tmp/df -h" },
		{ "df -h", "./df -h" }, { "df", "" }, { "rm \\Kdf", "rm df" },
		{ "ls \\d", "ls \xd9\xa1" }, { "(?x) d f", "d f" },
		{ "df", "DF" } };
	static const char *const yes[][2] = { { "df", "df" }, { "", "" },
		{ "df|uptime", "uptime" }, { "df|df -h", "df -h" },
		{ "^df$", "df" }, { "\\Adf\\z", "df" }, { "df.*", "df -h /" },
		{ "cat .", "cat \xc3\xa4" },
		{ "cat [\xc3\xa4\xc3\xb6]", "cat \xc3\xb6" },
		{ "(?s)a.b", "a\nb" }, { "(?i)df", "DF" } };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof no / sizeof *no; i++)
		expect(no[i][0], no[i][1], PATTERN_NO);
	for (i = 0; i < sizeof yes / sizeof *yes; i++)
		expect(yes[i][0], yes[i][1], PATTERN_YES);
}

static void a_match_that_takes_too_long_is_given_up(void **state)
{
	char text[65537];

	(void)state;
	memset(text, 'a', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	expect("(a+)+b", text, PATTERN_TOO_HARD);
	expect("(a|aa)+$b", text, PATTERN_TOO_HARD);
	/* Long is not hard. */
	expect("a+", text, PATTERN_YES);
	expect(".*", text, PATTERN_YES);
	expect("(?:a)*+", text, PATTERN_YES);
	expect(".*b", text, PATTERN_NO);
}

static void what_is_not_utf8_matches_nothing(void **state)
{
	(void)state;
	expect(".*", "\xff", PATTERN_TOO_HARD);
	expect("(?s).*", "\xed\xa0\x80", PATTERN_TOO_HARD);
}

static void a_nul_is_a_character(void **state)
{
	struct err e = { 0 };
	struct pattern *p = pattern_new("df", &e), *any = pattern_new(".+", &e);

	(void)state;
	assert_int_equal(pattern_match(p, "df\0rm", 5), PATTERN_NO);
	assert_int_equal(pattern_match(any, "df\0rm", 5), PATTERN_YES);
	pattern_free(p);
	pattern_free(any);
}

static void what_is_no_pattern_is_refused(void **state)
{
	static const char *const bad[] = { "(", "a)", "[", "*", "a{2,1}", "\\",
		"(?<n", "\\C", "\xff" };
	char *long_one = calloc(1, 20000);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct err e = { 0 };

		assert_null(pattern_new(bad[i], &e));
		assert_int_equal(e.code, EX_DATAERR);
	}
	memset(long_one, 'a', 19999);
	assert_null(pattern_new(long_one, NULL));
	free(long_one);
	pattern_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_matches_as_a_whole),
		cmocka_unit_test(a_match_that_takes_too_long_is_given_up),
		cmocka_unit_test(what_is_not_utf8_matches_nothing),
		cmocka_unit_test(a_nul_is_a_character),
		cmocka_unit_test(what_is_no_pattern_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
