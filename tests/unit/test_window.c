/* A window of texts: the last ones are known, the old ones go. */
#include "window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct window_sum sum_of(int n)
{
	struct window_sum sum;
	char text[24];

	snprintf(text, sizeof text, "e%d", n);
	window_sum(text, strlen(text), &sum);
	return sum;
}

static bool has(const struct window *w, int n)
{
	struct window_sum sum = sum_of(n);

	return window_has(w, &sum);
}

static bool add(struct window *w, int n)
{
	struct window_sum sum = sum_of(n);

	return window_add(w, &sum);
}

static void add_old(struct window *w, int n)
{
	struct window_sum sum = sum_of(n);

	window_add_old(w, &sum);
}

static void an_empty_one_knows_nothing(void **state)
{
	struct window w = WINDOW(10);

	(void)state;
	assert_false(has(&w, 1));
	window_release(&w);
	window_release(&w);
	assert_false(has(&w, 1));
}

static void what_was_added_is_known_and_nothing_else(void **state)
{
	struct window w = WINDOW(5000);
	int i;

	(void)state;
	for (i = 0; i < 5000; i++)
		add(&w, i);
	for (i = 0; i < 5000; i++)
		assert_true(has(&w, i));
	for (i = 5000; i < 10000; i++)
		assert_false(has(&w, i));
	window_release(&w);
	assert_false(has(&w, 1));
}

static void the_last_ones_are_always_known(void **state)
{
	struct window w = WINDOW(100);
	int i, j;

	(void)state;
	for (i = 0; i < 1000; i++) {
		add(&w, i);
		for (j = i; j > i - 100 && j >= 0; j--)
			assert_true(has(&w, j));
		if (i >= 200)
			assert_false(has(&w, i - 200));
	}
	window_release(&w);
}

static void adding_again_takes_no_room(void **state)
{
	struct window w = WINDOW(10);
	int i;

	(void)state;
	for (i = 0; i < 10; i++)
		assert_true(add(&w, i));
	for (i = 0; i < 1000; i++)
		assert_false(add(&w, 7));
	for (i = 0; i < 10; i++)
		assert_true(has(&w, i));
	assert_int_equal(w.before.n, 0);
	window_release(&w);
}

/* What comes from before goes before everything else does. */
static void old_ones_stay_until_enough_are_new(void **state)
{
	struct window w = WINDOW(10);
	int i;

	(void)state;
	for (i = 1000; i < 1025; i++)
		add_old(&w, i);
	add_old(&w, 1000);
	assert_int_equal(w.before.n, 25);
	for (i = 0; i < 10; i++) {
		assert_true(has(&w, 1000) && has(&w, 1024));
		assert_false(add(&w, 1000));
		assert_true(add(&w, i));
	}
	assert_true(has(&w, 1000) && has(&w, 0));
	assert_true(add(&w, 10));
	assert_false(has(&w, 1000));
	assert_true(has(&w, 0) && has(&w, 10));
	window_release(&w);
}

/* As many as were read beyond the saved position may come before they do. */
static void old_ones_can_wait_for_more_new_ones_than_others(void **state)
{
	struct window w = WINDOW(10);
	int i;

	(void)state;
	w.keep_old = 30;
	add_old(&w, 1000);
	for (i = 0; i < 30; i++)
		assert_true(add(&w, i));
	assert_true(has(&w, 1000));
	assert_true(add(&w, 30));
	assert_false(has(&w, 1000));
	for (; i < 41; i++)
		add(&w, i);
	assert_true(has(&w, 40) && has(&w, 31));
	assert_false(has(&w, 0));
	window_release(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_one_knows_nothing),
		cmocka_unit_test(what_was_added_is_known_and_nothing_else),
		cmocka_unit_test(the_last_ones_are_always_known),
		cmocka_unit_test(adding_again_takes_no_room),
		cmocka_unit_test(old_ones_stay_until_enough_are_new),
		cmocka_unit_test(
			old_ones_can_wait_for_more_new_ones_than_others),
	};

	return cmocka_run_group_tests_name("window", tests, NULL, NULL);
}
