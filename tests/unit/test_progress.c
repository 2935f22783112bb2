/* The progress line: never wider than its place, never nonsense. */
#include "progress.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_line_tells_share_rate_and_time(void **state)
{
	char line[160];

	(void)state;
	progress_line(line, sizeof line, 0, 1000, 0);
	assert_string_equal(
		line, "[........................]   0%  0B of 1.0K  0B/s");
	progress_line(line, sizeof line, 52428800, 104857600, 1048576);
	assert_string_equal(line, "[############............]  50%  50.0M of "
				  "100.0M  1.0M/s  0:50 left");
	progress_line(line, sizeof line, 100, 100, 10);
	assert_non_null(strstr(line, "100%"));
	assert_non_null(strstr(line, "0:00 left"));
	progress_line(line, sizeof line, 0, 1LL << 40, 1LL << 20);
	assert_non_null(strstr(line, "1.0T"));
	assert_non_null(strstr(line, "291 h 16 left"));
}

static void test_odd_numbers_do_no_harm(void **state)
{
	char line[160];

	(void)state;
	progress_line(line, sizeof line, 0, 0, 0);
	assert_non_null(strstr(line, "100%"));
	progress_line(line, sizeof line, 500, 100, 1);
	assert_non_null(strstr(line, "100%"));
	progress_line(line, sizeof line, 1, LLONG_MAX, LLONG_MAX);
	assert_true(strlen(line) < 120);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line_tells_share_rate_and_time),
		cmocka_unit_test(test_odd_numbers_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
