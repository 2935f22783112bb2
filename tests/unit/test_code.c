/* Where the code is in a text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "code.h"

#include <stdlib.h>
#include <string.h>

#define BOM "\xef\xbb\xbf"

static const char *const prefixes[] = { "ac_", "act_", NULL };

static void expect(const char *text, size_t len, const char *code)
{
	char *found = code_find(text, len, prefixes);

	if (code == NULL)
		assert_null(found);
	else if (found == NULL)
		fail_msg("nothing found in: %s", text);
	else
		assert_string_equal(found, code);
	free(found);
}

static void a_code_is_found(void **state)
{
	static const char *const texts[] = { "ac_x", "ac_x\n", "\nac_x\n",
		"ac_x\r\n", "  ac_x  ", "\tac_x\t\n", "`ac_x`", " ` ac_x ` ",
		"```\nac_x\n```\n", BOM "ac_x", BOM "\r\n`ac_x`\r\n",
		"# Title\n\nac_x\nac_y\n", "see ac_z\nac_x", "ac\nac_x",
		"a\nac_x", "\n\n\n\nac_x" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof texts / sizeof *texts; i++)
		expect(texts[i], strlen(texts[i]), "ac_x");
	expect("act_1\nac_2", 10, "act_1");
	expect("ac_", 3, "ac_");
	/* Not judged here: the shape is checked afterwards. */
	expect("ac_x y", 6, "ac_x y");
}

static void nothing_is_found_where_nothing_is(void **state)
{
	static const char *const texts[] = { "", "\n", "\n\n", " ", "`", "ac",
		"a", "AC_x", "xac_x", "-ac_x", "the code: ac_x", "\xef\xbb",
		BOM, BOM BOM "ac_x" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof texts / sizeof *texts; i++)
		expect(texts[i], strlen(texts[i]), NULL);
}

static void only_what_is_there_is_looked_at(void **state)
{
	static const char text[] = "x\nac_abcdef\n";
	size_t len;

	(void)state;
	for (len = 0; len < sizeof text; len++) {
		char *exact = malloc(len + !len), *found;

		memcpy(exact, text, len);
		found = code_find(exact, len, prefixes);
		if (len < 5)
			assert_null(found);
		else
			assert_memory_equal(found, "ac_abcdef", strlen(found));
		free(found);
		free(exact);
	}
	expect("\0ac_x\nac_y", 10, "ac_y");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_code_is_found),
		cmocka_unit_test(nothing_is_found_where_nothing_is),
		cmocka_unit_test(only_what_is_there_is_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
