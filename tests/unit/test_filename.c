#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "filename.h"
#include "slice.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void gives(const char *text, size_t len, const char *want)
{
	char got[FILENAME_SIZE];

	filename_safe(text, len, got);
	assert_string_equal(got, want);
}

static void one_plain_name_whatever_came_in(void **state)
{
	static const struct {
		const char *from, *to;
	} pairs[] = {
		{ "report.pdf", "report.pdf" },
		{ "two words.txt", "two words.txt" },
		{ "日本語 の 名前.txt", "日本語 の 名前.txt" },
		{ "é", "é" },
		{ "../../etc/passwd", "passwd" },
		{ "/etc/passwd", "passwd" },
		{ "C:\\Windows\\win.ini", "win.ini" },
		{ "a/b\\c", "c" },
		{ "folder/", "folder" },
		{ "a/../", "" },
		{ "", "" },
		{ "/", "" },
		{ "\\\\", "" },
		{ ".", "" },
		{ "..", "" },
		{ "...", "" },
		{ "-", "" },
		{ " ", "" },
		{ "-rf", "rf" },
		{ "--help", "help" },
		{ ".bashrc", "bashrc" },
		{ ".-. x", "x" },
		{ "x. . ", "x" },
		{ "a\nb", "a_b" },
		{ "\n", "_" },
		{ "\r-rf", "_-rf" },
		{ "esc\x1b[2Jape", "esc_[2Jape" },
		{ "del\x7f", "del_" },
		{ "c1 \xc2\x9b"
		  "2J",
			"c1 _2J" },
		{ "bad \xff\xc3 bytes", "bad __ bytes" },
		{ "over \xc0\xaf long", "over __ long" },
		{ "cut \xe6\x97", "cut __" },
		{ "surrogate \xed\xa0\x80", "surrogate ___" },
		{ "turned \xe2\x80\xae"
		  "fdp.exe",
			"turned _fdp.exe" },
		{ "\xef\xbb\xbf"
		  "bom",
			"_bom" },
		{ "line \xe2\x80\xa8 sep", "line _ sep" },
		{ "tag \xf3\xa0\x81\x81", "tag _" },
		{ "family \xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa9",
			"family \xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa9" },
		{ "$(rm -rf ~)", "$(rm -rf ~)" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof pairs / sizeof *pairs; i++)
		gives(pairs[i].from, strlen(pairs[i].from), pairs[i].to);
	gives("nul\0in it", 9, "nul_in it");
}

/* What every name that comes out is. */
static void check_is_safe(const char *name)
{
	size_t i, len = strlen(name);

	assert_in_range(len, 0, FILENAME_LEN);
	assert_int_equal(slice_utf8(name, len), len);
	assert_null(strchr(name, '/'));
	assert_null(strchr(name, '\\'));
	if (len)
		assert_null(strchr(".- ", name[0]));
	for (i = 0; i < len; i++)
		assert_in_range((unsigned char)name[i], 0x20, 0xff);
}

static void long_names_keep_their_extension(void **state)
{
	char text[5000], got[FILENAME_SIZE], want[FILENAME_SIZE];

	(void)state;
	memset(text, 'a', sizeof text);
	memcpy(text + 4096 - 4, ".pdf", 4);
	memset(want, 'a', FILENAME_LEN);
	strcpy(want + FILENAME_LEN - 4, ".pdf");
	gives(text, 4096, want);
	/* What is behind the dot may be too long for one. */
	memset(want, 'a', FILENAME_LEN);
	want[FILENAME_LEN] = '\0';
	gives(text, sizeof text, want);
	filename_safe(text, 4096, got);
	filename_numbered(got, 9999, want);
	assert_int_equal(strlen(want), FILENAME_LEN + 5);
	assert_string_equal(want + FILENAME_LEN - 4, "-9999.pdf");
}

static void long_names_are_cut_between_characters(void **state)
{
	static const char *const letters[] = { "a", "é", "日",
		"\xf0\x9f\x91\xa8" };
	char text[4096], got[FILENAME_SIZE];
	size_t i, k, len, step;

	(void)state;
	for (i = 0; i < sizeof letters / sizeof *letters; i++)
		for (k = 0; k < 8; k++) {
			step = strlen(letters[i]);
			memset(text, 'x', k);
			for (len = k; len + step < 4000; len += step)
				memcpy(text + len, letters[i], step);
			filename_safe(text, len, got);
			check_is_safe(got);
			assert_in_range(
				strlen(got), FILENAME_LEN - 3, FILENAME_LEN);
			memcpy(text + len, ".txt", 4);
			filename_safe(text, len + 4, got);
			check_is_safe(got);
			assert_string_equal(got + strlen(got) - 4, ".txt");
		}
}

static void any_bytes_make_a_safe_name(void **state)
{
	static const char pieces[] = "/\\.- \n\x1b\xc3\xa9\xff\xe2\x80\xae"
				     "a0\xed\xa0\xf0\x9f\x91\xa8\0";
	char text[600], got[FILENAME_SIZE];
	unsigned seed = 1;
	size_t i, n, len;

	(void)state;
	for (n = 0; n < 20000; n++) {
		len = n % sizeof text;
		for (i = 0; i < len; i++) {
			seed = seed * 1103515245 + 12345;
			text[i] = pieces[(seed >> 16) % (sizeof pieces - 1)];
		}
		filename_safe(text, len, got);
		check_is_safe(got);
		/* A name that is safe stays what it is. */
		gives(got, strlen(got), got);
	}
}

static void a_number_goes_in_front_of_the_extension(void **state)
{
	static const struct {
		const char *name, *second;
	} pairs[] = {
		{ "report.pdf", "report-2.pdf" },
		{ "noname", "noname-2" },
		{ "a.b.c", "a.b-2.c" },
		{ "ends.", "ends.-2" },
		{ "x.this is no extension", "x.this is no extension-2" },
	};
	char got[FILENAME_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		filename_numbered(pairs[i].name, 2, got);
		assert_string_equal(got, pairs[i].second);
		filename_numbered(pairs[i].name, 1, got);
		assert_string_equal(got, pairs[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_plain_name_whatever_came_in),
		cmocka_unit_test(long_names_keep_their_extension),
		cmocka_unit_test(long_names_are_cut_between_characters),
		cmocka_unit_test(any_bytes_make_a_safe_name),
		cmocka_unit_test(a_number_goes_in_front_of_the_extension),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
