#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backoff.h"

#include <time.h>

enum { HOUR_MS = 3600000 };

static void the_clock_goes_forward(void **state)
{
	struct timespec moment = { 0, 2000000 };
	int64_t before = backoff_clock_ms(), after;

	(void)state;
	nanosleep(&moment, NULL);
	after = backoff_clock_ms();
	assert_true(after > before);
	assert_true(after < before + 60000);
}

static void the_span_doubles_up_to_the_cap(void **state)
{
	static const long spans[] = { 100, 200, 400, 800, 1000, 1000, 1000 };
	long most[7] = { 0 }, least[7];
	int i, round;

	(void)state;
	for (round = 0; round < 2000; round++) {
		struct backoff b = { .base_ms = 100, .cap_ms = 1000 };

		for (i = 0; i < 7; i++) {
			long ms = backoff_next(&b, 0);

			assert_true(ms >= 0 && ms < spans[i]);
			if (ms > most[i])
				most[i] = ms;
			if (round == 0 || ms < least[i])
				least[i] = ms;
		}
	}
	/* Full jitter: all of the span is used. */
	for (i = 0; i < 7; i++) {
		assert_true(most[i] > spans[i] * 9 / 10);
		assert_true(least[i] < spans[i] / 10);
	}
}

static void jitter_never_goes_below_the_floor(void **state)
{
	struct backoff b = { .base_ms = 100, .cap_ms = 1000 };
	int i;

	(void)state;
	for (i = 0; i < 5000; i++) {
		long ms = backoff_next(&b, 5000);

		assert_true(ms >= 5000 && ms < 6000);
	}
	backoff_reset(&b);
	for (i = 0; i < 5000; i++) {
		assert_true(backoff_next(&b, -50) >= 0);
		backoff_reset(&b);
	}
}

static void a_reset_starts_over(void **state)
{
	struct backoff b = { .base_ms = 10, .cap_ms = 100000 };
	int i;

	(void)state;
	for (i = 0; i < 20; i++)
		backoff_next(&b, 0);
	backoff_reset(&b);
	assert_true(backoff_next(&b, 0) < 10);
}

static void a_cap_below_the_base_holds(void **state)
{
	struct backoff b = { .base_ms = 100, .cap_ms = 10 };
	struct backoff none = { 0 };
	int i;

	(void)state;
	for (i = 0; i < 100; i++)
		assert_true(backoff_next(&b, 0) < 10);
	assert_int_equal(backoff_next(&none, 0), 0);
	assert_int_equal(backoff_next(&none, 7), 7);
}

static void random_numbers_stay_below(void **state)
{
	uint32_t n, seen = 0;
	int i;

	(void)state;
	for (n = 1; n < 40; n++)
		for (i = 0; i < 100; i++)
			assert_true(backoff_random(n) < n);
	for (i = 0; i < 1000; i++)
		seen |= 1u << backoff_random(8);
	assert_int_equal(seen, 0xff);
}

static void retry_after_in_seconds(void **state)
{
	(void)state;
	assert_int_equal(backoff_retry_after("0", 0), 0);
	assert_int_equal(backoff_retry_after("1", 0), 1000);
	assert_int_equal(backoff_retry_after(" \t120 \r\n", 0), 120000);
	assert_int_equal(backoff_retry_after("007", 0), 7000);
	assert_int_equal(backoff_retry_after("3600", 0), HOUR_MS);
}

static void retry_after_is_at_most_an_hour(void **state)
{
	(void)state;
	assert_int_equal(backoff_retry_after("3601", 0), HOUR_MS);
	assert_int_equal(
		backoff_retry_after("9223372036854775807", 0), HOUR_MS);
	assert_int_equal(
		backoff_retry_after("99999999999999999999999", 0), HOUR_MS);
	assert_int_equal(
		backoff_retry_after("Fri, 31 Dec 9999 23:59:59 GMT", 1),
		HOUR_MS);
}

static void retry_after_as_a_date(void **state)
{
	static const char date[] = "Sun, 06 Nov 1994 08:49:37 GMT";
	const time_t then = 784111777;

	(void)state;
	assert_int_equal(backoff_http_date(date), then);
	assert_int_equal(
		backoff_http_date("  Sun, 06 Nov 1994 08:49:37 GMT"), then);
	assert_int_equal(backoff_retry_after(date, then - 90), 90000);
	assert_int_equal(backoff_retry_after(date, then), 0);
	assert_int_equal(backoff_retry_after(date, then + 90), 0);
	/* Its own Date not known: long past by our clock. */
	assert_int_equal(backoff_retry_after(date, 0), 0);
}

static void garbage_is_no_retry_after(void **state)
{
	static const char *const garbage[] = { "", " ", "soon", "-5", "+5",
		"1.5", "12 34", "12s", "0x10", "1e3", "Sun, 06 Nov",
		"Sun, 99 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37 CET", "1994-11-06T08:49:37Z" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof garbage / sizeof *garbage; i++)
		if (backoff_retry_after(garbage[i], 0) != -1)
			fail_msg("'%s'", garbage[i]);
	assert_int_equal(backoff_http_date("soon"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_clock_goes_forward),
		cmocka_unit_test(the_span_doubles_up_to_the_cap),
		cmocka_unit_test(jitter_never_goes_below_the_floor),
		cmocka_unit_test(a_reset_starts_over),
		cmocka_unit_test(a_cap_below_the_base_holds),
		cmocka_unit_test(random_numbers_stay_below),
		cmocka_unit_test(retry_after_in_seconds),
		cmocka_unit_test(retry_after_is_at_most_an_hour),
		cmocka_unit_test(retry_after_as_a_date),
		cmocka_unit_test(garbage_is_no_retry_after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
