/* Chains: the first of each text is known, whatever leaves from where. */
#include "chain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TEXTS = 600, LINKS = 3000 };

static struct chain_link links[LINKS];
static int text_of[LINKS];
static struct chain_set set;

static void add(int i, int text)
{
	char name[2] = { (char)(text % 120 + 1), (char)(text / 120 + 1) };

	text_of[i] = text;
	window_sum(name, sizeof name, &links[i].sum);
	chain_add(&set, &links[i]);
}

static int clear(void **state)
{
	(void)state;
	memset(links, 0, sizeof links);
	memset(&set, 0, sizeof set);
	return 0;
}

static void each_text_has_a_first_of_its_own(void **state)
{
	(void)state;
	add(0, 1);
	add(1, 2);
	add(2, 1);
	assert_true(chain_is_first(&links[0]));
	assert_true(chain_is_first(&links[1]));
	assert_false(chain_is_first(&links[2]));
	chain_remove(&set, &links[0]);
	chain_remove(&set, &links[0]);
	assert_true(chain_is_first(&links[2]));
	chain_remove(&set, &links[2]);
	add(3, 1);
	assert_true(chain_is_first(&links[3]));
}

/* Against the plain way: look at all that were added before. */
static bool is_first(int i)
{
	int k;

	for (k = 0; k < i; k++)
		if (links[k].linked && text_of[k] == text_of[i])
			return false;
	return true;
}

static void anything_may_leave_at_any_time(void **state)
{
	int i, k;

	(void)state;
	srandom(7);
	for (i = 0; i < LINKS; i++) {
		add(i, (int)(random() % TEXTS));
		if (i % 3)
			chain_remove(&set, &links[random() % (i + 1)]);
		if (i % 100)
			continue;
		for (k = 0; k <= i; k++)
			assert_true(!links[k].linked ||
				    chain_is_first(&links[k]) == is_first(k));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_text_has_a_first_of_its_own, clear),
		cmocka_unit_test_setup(anything_may_leave_at_any_time, clear),
	};

	return cmocka_run_group_tests_name("chain", tests, NULL, NULL);
}
