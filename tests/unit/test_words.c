/* A command as words and as a line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "words.h"

#include <stdlib.h>
#include <string.h>

/* The words of a line with a bar behind each; "!" where it is refused. */
static void expect(const char *line, const char *barred)
{
	struct buf got = BUF_INIT(1 << 20);
	struct words w = { 0 };
	struct err e = { 0 };
	size_t i;

	if (words_split(line, &w, &e) < 0) {
		assert_int_equal(e.code, EX_DATAERR);
		buf_str(&got, "!");
	} else {
		for (i = 0; i < w.n; i++)
			buf_printf(&got, "%s|", w.v[i]);
		assert_null(w.v[w.n]);
	}
	if (strcmp(buf_text(&got), barred))
		fail_msg("%s: %s instead of %s", line, buf_text(&got), barred);
	words_release(&w);
	buf_release(&got);
}

static void a_line_is_split(void **state)
{
	(void)state;
	expect("df", "df|");
	expect("df -h", "df|-h|");
	expect("  df \t -h  ", "df|-h|");
	expect("echo 'a b' \"c d\"", "echo|a b|c d|");
	expect("echo a'b c'd", "echo|ab cd|");
	expect("echo ''", "echo||");
	expect("echo \"\" x", "echo||x|");
	expect("echo 'it'\\''s'", "echo|it's|");
	expect("echo a\\ b", "echo|a b|");
	expect("echo \\$HOME", "echo|$HOME|");
	expect("echo '$HOME' '`id`' '*'", "echo|$HOME|`id`|*|");
	expect("echo \"a\\\"b\\\\c\\$d\\`e\\f\"", "echo|a\"b\\c$d`e\\f|");
	expect("git show a~1 b#c", "git|show|a~1|b#c|");
	expect("cc --std=c11 x!", "cc|--std=c11|x!|");
	expect("echo 'a\nb'", "echo|a\nb|");
	expect("echo \xc3\xa4", "echo|\xc3\xa4|");
	expect("'A=1' x", "A=1|x|");
	expect("x A=1", "x|A=1|");
}

static void what_a_shell_would_do_more_with_is_refused(void **state)
{
	static const char *const lines[] = { "", "  ", "a;b", "a ; b", "a|b",
		"a && b", "a & b", "a > b", "a < b", "(a)", "$(a)", "a $b",
		"a `b`", "a \"$b\"", "a \"`b`\"", "ls *", "ls a?", "ls [ab]",
		"ls {a,b}", "ls ~", "ls ~x", "a # b", "a\nb", "a\n", "a\rb",
		"'a", "\"a", "a 'b", "a \"b\\\"", "a\\", "a\\\nb", "A=1 b",
		"_x9=", "a ]", "a }" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof lines / sizeof *lines; i++)
		expect(lines[i], "!");
}

/* Joins and splits again; NULL ends the words. */
static void round_trip(const char *const *words, const char *line)
{
	struct words w = { 0 }, again = { 0 };
	struct buf out = BUF_INIT(1 << 20);
	struct err e = { 0 };
	size_t i;

	for (i = 0; words[i]; i++)
		assert_int_equal(words_add(&w, words[i], &e), 0);
	assert_int_equal(words_join(&w, &out), 0);
	if (line)
		assert_string_equal(buf_text(&out), line);
	if (words_split(buf_text(&out), &again, &e) < 0)
		fail_msg("%s: %s", buf_text(&out), e.text);
	assert_int_equal(again.n, w.n);
	for (i = 0; i < w.n; i++)
		assert_string_equal(again.v[i], w.v[i]);
	words_release(&w);
	words_release(&again);
	buf_release(&out);
}

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void words_are_joined_so_that_they_can_be_told_apart(void **state)
{
	(void)state;
	round_trip(LIST("df", "-h"), "df -h");
	round_trip(LIST("df", "-h /"), "df '-h /'");
	round_trip(LIST("echo", ""), "echo ''");
	round_trip(LIST("echo", "it's"), "echo 'it'\\''s'");
	round_trip(LIST("echo", "a\nb"), "echo 'a\nb'");
	round_trip(LIST("df", ";", "rm"), "df ';' rm");
	round_trip(LIST("df;", "rm"), "'df;' rm");
	round_trip(LIST("a", "$(b)", "`c`"), "a '$(b)' '`c`'");
	round_trip(LIST("ls", "~", "#", "a~"), "ls '~' '#' 'a~'");
	round_trip(LIST("cc", "--std=c11", "a@b:c,d.e/f%g+h_i"),
		"cc --std=c11 a@b:c,d.e/f%g+h_i");
	round_trip(LIST("cat", "\xc3\xa4.txt"), "cat \xc3\xa4.txt");
	round_trip(LIST("A=1", "b"), "'A=1' b");
	round_trip(LIST("'", "\"", "\\", "' '"), NULL);
}

static void every_character_survives(void **state)
{
	char word[3] = "x";
	int c;

	(void)state;
	for (c = 1; c < 256; c++) {
		word[1] = (char)c;
		round_trip(LIST("a", word, word + 1), NULL);
		round_trip(LIST(word + 1), NULL);
	}
}

static void there_are_ceilings(void **state)
{
	struct buf line = BUF_INIT(1 << 22), out = BUF_INIT(10);
	struct words w = { 0 };
	struct err e = { 0 };
	int i;

	(void)state;
	for (i = 0; i < WORDS_MAX; i++)
		buf_str(&line, "a ");
	assert_int_equal(words_split(buf_text(&line), &w, &e), 0);
	assert_int_equal(w.n, WORDS_MAX);
	assert_int_equal(words_add(&w, "b", &e), -1);
	assert_int_equal(words_join(&w, &out), -1);
	words_release(&w);
	buf_str(&line, "a");
	expect(buf_text(&line), "!");
	while (line.len < 1000000)
		buf_str(&line, "aaaaaaaaaa");
	expect(buf_text(&line), "!");
	buf_release(&line);
	buf_release(&out);
	words_release(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_split),
		cmocka_unit_test(what_a_shell_would_do_more_with_is_refused),
		cmocka_unit_test(
			words_are_joined_so_that_they_can_be_told_apart),
		cmocka_unit_test(every_character_survives),
		cmocka_unit_test(there_are_ceilings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
