/* The ledger: what is recorded stays, within its window, across openings. */
#include "ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static struct statedir home;

static int set_up(void **state)
{
	struct err e = { 0 };

	(void)state;
	strcpy(folder, "/tmp/agentrux-ledger.XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	return statedir_open(&home, folder, STATEDIR_FIND, &e) == 1 ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	statedir_close(&home);
	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	return system(command);
}

static struct ledger *open_ledger(void)
{
	struct err e = { 0 };
	struct ledger *l = ledger_open(&home, &e);

	if (l == NULL)
		fail_msg("%s", e.text);
	return l;
}

static void mark(struct ledger *l, const char *topic, const char *id,
	enum ledger_outcome outcome)
{
	struct ledger_mark m = { id, outcome };
	struct err e = { 0 };

	assert_int_equal(ledger_record(l, topic, &m, 1, &e), 0);
}

static void what_is_done_is_seen_after_opening_again(void **state)
{
	struct ledger *l = open_ledger();
	struct err e = { 0 };

	(void)state;
	assert_int_equal(ledger_seen(l, "t", "a", &e), 0);
	mark(l, "t", "a", LEDGER_DONE);
	mark(l, "t", "a", LEDGER_DONE);
	ledger_close(l);
	l = open_ledger();
	assert_int_equal(ledger_seen(l, "t", "a", &e), 1);
	assert_int_equal(ledger_seen(l, "other", "a", &e), 0);
	ledger_close(l);
}

static void attempts_add_up_and_end_with_done(void **state)
{
	struct ledger *l = open_ledger();
	struct err e = { 0 };

	(void)state;
	assert_int_equal(ledger_attempts(l, "t", "a", &e), 0);
	mark(l, "t", "a", LEDGER_FAILED);
	mark(l, "t", "a", LEDGER_FAILED);
	assert_int_equal(ledger_attempts(l, "t", "a", &e), 2);
	assert_int_equal(ledger_seen(l, "t", "a", &e), 0);
	mark(l, "t", "a", LEDGER_DONE);
	assert_int_equal(ledger_attempts(l, "t", "a", &e), 0);
	ledger_close(l);
}

static void forgetting_a_topic_leaves_the_others(void **state)
{
	struct ledger *l = open_ledger();
	struct err e = { 0 };

	(void)state;
	mark(l, "t", "a", LEDGER_DONE);
	mark(l, "t", "b", LEDGER_FAILED);
	mark(l, "u", "a", LEDGER_DONE);
	assert_int_equal(ledger_forget(l, "t", &e), 0);
	assert_int_equal(ledger_seen(l, "t", "a", &e), 0);
	assert_int_equal(ledger_attempts(l, "t", "b", &e), 0);
	assert_int_equal(ledger_seen(l, "u", "a", &e), 1);
	ledger_close(l);
}

static void the_window_keeps_the_newest(void **state)
{
	enum { N = LEDGER_WINDOW + 3000, BATCH = 100 };
	static char ids[BATCH][16];
	struct ledger_mark marks[BATCH];
	struct ledger *l = open_ledger();
	struct err e = { 0 };
	int i, j;

	(void)state;
	mark(l, "quiet", "a", LEDGER_DONE);
	for (i = 0; i < N; i += BATCH) {
		for (j = 0; j < BATCH; j++) {
			snprintf(ids[j], sizeof ids[j], "e%d", i + j);
			marks[j] = (struct ledger_mark){ ids[j], LEDGER_DONE };
		}
		assert_int_equal(ledger_record(l, "t", marks, BATCH, &e), 0);
	}
	assert_int_equal(ledger_seen(l, "t", "e0", &e), 0);
	snprintf(ids[0], sizeof ids[0], "e%d", N - LEDGER_WINDOW);
	assert_int_equal(ledger_seen(l, "t", ids[0], &e), 1);
	snprintf(ids[0], sizeof ids[0], "e%d", N - 1);
	assert_int_equal(ledger_seen(l, "t", ids[0], &e), 1);
	assert_int_equal(ledger_seen(l, "quiet", "a", &e), 1);
	ledger_close(l);
}

static void its_files_are_ours_alone(void **state)
{
	struct ledger *l;
	struct err e = { 0 };
	struct stat st;
	char path[128];

	(void)state;
	umask(0);
	l = open_ledger();
	mark(l, "t", "a", LEDGER_DONE);
	snprintf(path, sizeof path, "%s/ledger.db", folder);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	snprintf(path, sizeof path, "%s/ledger.db-wal", folder);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	ledger_close(l);
	snprintf(path, sizeof path, "%s/ledger.db", folder);
	assert_int_equal(chmod(path, 0644), 0);
	assert_null(ledger_open(&home, &e));
	assert_int_equal(e.code, EX_CONFIG);
	assert_non_null(strstr(e.text, "chmod 600"));
}

static void a_damaged_one_is_refused_and_left_alone(void **state)
{
	char path[128];
	struct err e = { 0 };
	struct stat st;
	FILE *f;

	(void)state;
	umask(077);
	snprintf(path, sizeof path, "%s/ledger.db", folder);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("this is no database, whatever its name says; and it is long "
	      "enough to be looked at as one, which takes a hundred bytes",
		f);
	fclose(f);
	assert_null(ledger_open(&home, &e));
	assert_int_equal(e.code, EX_CONFIG);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size > 100);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(what_is_done_is_seen_after_opening_again),
		TEST(attempts_add_up_and_end_with_done),
		TEST(forgetting_a_topic_leaves_the_others),
		TEST(the_window_keeps_the_newest),
		TEST(its_files_are_ours_alone),
		TEST(a_damaged_one_is_refused_and_left_alone),
	};

	return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
