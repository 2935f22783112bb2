/* With it, string.h holds a definition of what is defined here. */
#undef _FORTIFY_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char secret[] = "hunter2";
static int wiped; /* how often the secret was */

/* The library's calls come here. */
__attribute__((noinline)) static void wipe(void *p, size_t n)
{
	volatile char *at = p;

	if (memmem(p, strnlen(p, n), secret, strlen(secret)))
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

static void appends_in_every_way(void **state)
{
	struct buf b = BUF_INIT(100);

	(void)state;
	assert_string_equal(buf_text(&b), "");
	assert_int_equal(buf_add(&b, "a\0b", 3), 0);
	assert_int_equal(buf_str(&b, "cd"), 0);
	assert_int_equal(buf_char(&b, 'e'), 0);
	assert_int_equal(buf_printf(&b, "%d-%s", 7, "f"), 0);
	assert_int_equal(buf_add(&b, NULL, 0), 0);
	assert_int_equal(buf_str(&b, ""), 0);
	assert_int_equal(b.len, 9);
	assert_memory_equal(b.data, "a\0bcde7-f", 10);
	assert_false(b.full);
	buf_release(&b);
}

static void a_nul_follows_what_is_in_it(void **state)
{
	struct buf b = BUF_INIT(1000);
	size_t i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		assert_int_equal(buf_char(&b, 'x'), 0);
		assert_int_equal(b.len, i + 1);
		assert_int_equal(strlen(buf_text(&b)), i + 1);
	}
	buf_release(&b);
}

static void what_passes_the_ceiling_adds_nothing(void **state)
{
	struct buf b = BUF_INIT(4);

	(void)state;
	assert_int_equal(buf_str(&b, "abcd"), 0);
	assert_false(b.full);
	assert_int_equal(buf_str(&b, ""), 0);
	assert_int_equal(buf_char(&b, 'e'), -1);
	assert_true(b.full);
	assert_string_equal(buf_text(&b), "abcd");
	buf_clear(&b);
	assert_false(b.full);
	assert_int_equal(buf_str(&b, "ab"), 0);
	assert_int_equal(buf_str(&b, "cde"), -1);
	assert_string_equal(buf_text(&b), "ab");
	buf_release(&b);
}

static void once_full_later_appends_fail_too(void **state)
{
	struct buf b = BUF_INIT(4);

	(void)state;
	buf_str(&b, "abc");
	assert_int_equal(buf_str(&b, "de"), -1);
	assert_int_equal(buf_char(&b, 'd'), -1);
	assert_int_equal(buf_str(&b, ""), -1);
	assert_int_equal(buf_printf(&b, "d"), -1);
	assert_null(buf_room(&b, 1));
	assert_string_equal(buf_text(&b), "abc");
	buf_release(&b);
	assert_int_equal(buf_str(&b, "abcd"), 0);
	buf_release(&b);
}

static void a_printf_meets_the_ceiling(void **state)
{
	struct buf b = BUF_INIT(5);

	(void)state;
	assert_int_equal(buf_printf(&b, "%05d", 42), 0);
	assert_string_equal(buf_text(&b), "00042");
	buf_clear(&b);
	assert_int_equal(buf_printf(&b, "%06d", 42), -1);
	assert_string_equal(buf_text(&b), "");
	assert_true(b.full);
	buf_release(&b);
}

static void sizes_that_overflow_are_refused(void **state)
{
	struct buf b = BUF_INIT(SIZE_MAX / 2);

	(void)state;
	buf_str(&b, "a");
	assert_null(buf_room(&b, SIZE_MAX));
	assert_true(b.full);
	buf_clear(&b);
	buf_str(&b, "a");
	assert_null(buf_room(&b, SIZE_MAX / 2));
	buf_clear(&b);
	assert_int_equal(buf_add(&b, "x", SIZE_MAX - 1), -1);
	buf_release(&b);
}

static void room_is_for_the_caller_to_fill(void **state)
{
	struct buf b = BUF_INIT(200);
	char *at;

	(void)state;
	buf_str(&b, "ab");
	at = buf_room(&b, 198);
	assert_non_null(at);
	assert_ptr_equal(at, b.data + 2);
	memset(at, 'x', 198);
	at[198] = '\0';
	b.len += 198;
	assert_int_equal(strlen(buf_text(&b)), 200);
	buf_release(&b);
}

static void shifts_what_was_used(void **state)
{
	struct buf b = BUF_INIT(100);

	(void)state;
	buf_shift(&b, 5);
	buf_str(&b, "abcdef");
	buf_shift(&b, 0);
	buf_shift(&b, 2);
	assert_string_equal(buf_text(&b), "cdef");
	assert_int_equal(b.len, 4);
	buf_shift(&b, 9);
	assert_string_equal(buf_text(&b), "");
	assert_int_equal(b.len, 0);
	buf_release(&b);
}

static void detaching_hands_the_string_over(void **state)
{
	struct buf b = BUF_INIT(10);
	char *s;

	(void)state;
	s = buf_detach(&b);
	assert_string_equal(s, "");
	free(s);
	buf_str(&b, "abc");
	s = buf_detach(&b);
	assert_string_equal(s, "abc");
	assert_int_equal(b.len, 0);
	assert_string_equal(buf_text(&b), "");
	free(s);
	buf_str(&b, "de");
	assert_string_equal(buf_text(&b), "de");
	buf_release(&b);
}

static void may_be_released_again_and_when_empty(void **state)
{
	struct buf b = BUF_INIT(10), s = BUF_SECRET(10);

	(void)state;
	buf_release(&b);
	buf_str(&b, "a");
	buf_release(&b);
	buf_release(&b);
	buf_release(&s);
	buf_clear(&s);
	buf_wipe_free(NULL);
}

static void a_secret_is_wiped_when_the_buffer_grows(void **state)
{
	struct buf b = BUF_SECRET(1000);

	(void)state;
	buf_str(&b, secret);
	wiped = 0;
	while (b.cap <= 64)
		buf_char(&b, 'x');
	assert_int_equal(wiped, 1);
	assert_memory_equal(b.data, secret, strlen(secret));
	buf_release(&b);
	assert_int_equal(wiped, 2);
}

static void a_secret_is_wiped_when_it_is_given_up(void **state)
{
	struct buf b = BUF_SECRET(1000);
	size_t i;

	(void)state;
	wiped = 0;
	buf_str(&b, secret);
	buf_clear(&b);
	assert_int_equal(wiped, 1);
	for (i = 0; i < b.cap; i++)
		assert_int_equal(b.data[i], 0);
	buf_str(&b, secret);
	buf_shift(&b, 3);
	assert_string_equal(b.data, "ter2");
	for (i = b.len; i < b.cap; i++)
		assert_int_equal(b.data[i], 0);
	buf_shift(&b, 4);
	for (i = 0; i < b.cap; i++)
		assert_int_equal(b.data[i], 0);
	buf_release(&b);
	wiped = 0;
	buf_str(&b, secret);
	buf_wipe_free(buf_detach(&b));
	assert_int_equal(wiped, 1);
}

static void what_is_no_secret_costs_no_wiping(void **state)
{
	struct buf b = BUF_INIT(1000);

	(void)state;
	wiped = 0;
	buf_str(&b, secret);
	buf_clear(&b);
	buf_str(&b, secret);
	buf_release(&b);
	assert_int_equal(wiped, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends_in_every_way),
		cmocka_unit_test(a_nul_follows_what_is_in_it),
		cmocka_unit_test(what_passes_the_ceiling_adds_nothing),
		cmocka_unit_test(once_full_later_appends_fail_too),
		cmocka_unit_test(a_printf_meets_the_ceiling),
		cmocka_unit_test(sizes_that_overflow_are_refused),
		cmocka_unit_test(room_is_for_the_caller_to_fill),
		cmocka_unit_test(shifts_what_was_used),
		cmocka_unit_test(detaching_hands_the_string_over),
		cmocka_unit_test(may_be_released_again_and_when_empty),
		cmocka_unit_test(a_secret_is_wiped_when_the_buffer_grows),
		cmocka_unit_test(a_secret_is_wiped_when_it_is_given_up),
		cmocka_unit_test(what_is_no_secret_costs_no_wiping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
