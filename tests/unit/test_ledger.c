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

static struct ledger_mark done(const char *id)
{
	struct ledger_mark m = {
		.outcome = LEDGER_DONE, .event_id = id, .tried = true
	};

	window_sum(id, strlen(id), &m.id);
	return m;
}

static void mark(struct ledger *l, const char *topic, const char *id,
	enum ledger_outcome outcome)
{
	struct ledger_mark m = done(id);
	struct err e = { 0 };

	m.outcome = outcome;
	assert_int_equal(ledger_record(l, topic, NULL, &m, 1, true, &e), 0);
}

/* Is this text remembered? */
static int seen(struct ledger *l, const char *topic, const char *field,
	const char *text)
{
	struct window w = WINDOW(LEDGER_WINDOW);
	struct window_sum sum;
	struct err e = { 0 };
	int r;

	assert_int_equal(ledger_load(l, topic, field, &w, &e), 0);
	window_sum(text, strlen(text), &sum);
	r = window_has(&w, &sum);
	window_release(&w);
	return r;
}

static void what_is_done_is_seen_after_opening_again(void **state)
{
	struct ledger *l = open_ledger();

	(void)state;
	assert_int_equal(seen(l, "t", NULL, "a"), 0);
	mark(l, "t", "a", LEDGER_DONE);
	mark(l, "t", "a", LEDGER_DONE);
	ledger_close(l);
	l = open_ledger();
	assert_int_equal(seen(l, "t", NULL, "a"), 1);
	assert_int_equal(seen(l, "other", NULL, "a"), 0);
	ledger_close(l);
}

static void values_are_remembered_by_field(void **state)
{
	struct ledger *l = open_ledger();
	struct ledger_mark m = done("a");
	struct window_sum v;
	struct err e = { 0 };

	(void)state;
	window_sum("v", 1, &v);
	m.value = &v;
	assert_int_equal(ledger_record(l, "t", "f", &m, 1, false, &e), 0);
	assert_int_equal(seen(l, "t", "f", "v"), 1);
	assert_int_equal(seen(l, "t", NULL, "a"), 1);
	assert_int_equal(seen(l, "t", NULL, "v"), 0);
	assert_int_equal(seen(l, "t", "g", "v"), 0);
	assert_int_equal(ledger_forget(l, "t", &e), 0);
	assert_int_equal(seen(l, "t", "f", "v"), 0);
	ledger_close(l);
}

static void attempts_add_up_and_end_with_done(void **state)
{
	struct ledger *l = open_ledger();
	struct err e = { 0 };

	(void)state;
	assert_int_equal(ledger_attempts(l, "t", "a", &e), 0);
	assert_int_equal(ledger_tried(l, "t", &e), 0);
	mark(l, "t", "a", LEDGER_FAILED);
	mark(l, "t", "a", LEDGER_FAILED);
	assert_int_equal(ledger_attempts(l, "t", "a", &e), 2);
	assert_int_equal(ledger_tried(l, "t", &e), 1);
	assert_int_equal(ledger_tried(l, "u", &e), 0);
	assert_int_equal(seen(l, "t", NULL, "a"), 0);
	mark(l, "t", "a", LEDGER_DONE);
	assert_int_equal(ledger_attempts(l, "t", "a", &e), 0);
	assert_int_equal(ledger_tried(l, "t", &e), 0);
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
	assert_int_equal(seen(l, "t", NULL, "a"), 0);
	assert_int_equal(ledger_attempts(l, "t", "b", &e), 0);
	assert_int_equal(seen(l, "u", NULL, "a"), 1);
	ledger_close(l);
}

static void record_many(struct ledger *l, int from, int to, int at_once)
{
	static char ids[100][16];
	struct ledger_mark marks[100];
	struct err e = { 0 };
	int i, j;

	for (i = from; i < to; i += at_once) {
		for (j = 0; j < at_once; j++) {
			snprintf(ids[j], sizeof ids[j], "e%d", i + j);
			marks[j] = done(ids[j]);
			marks[j].tried = false;
		}
		assert_int_equal(ledger_record(l, "t", NULL, marks,
					 (size_t)at_once, false, &e),
			0);
	}
}

static void the_window_keeps_the_newest(void **state)
{
	enum { N = LEDGER_WINDOW + 3000 };
	struct ledger *l = open_ledger();
	char id[16];

	(void)state;
	mark(l, "quiet", "a", LEDGER_DONE);
	record_many(l, 0, N - 2000, 100);
	record_many(l, N - 2000, N, 1);
	assert_int_equal(seen(l, "t", NULL, "e0"), 0);
	snprintf(id, sizeof id, "e%d", N - LEDGER_WINDOW);
	assert_int_equal(seen(l, "t", NULL, id), 1);
	snprintf(id, sizeof id, "e%d", N - 1);
	assert_int_equal(seen(l, "t", NULL, id), 1);
	assert_int_equal(seen(l, "quiet", NULL, "a"), 1);
	ledger_close(l);
}

/* A drain from cron records a little each time. */
static void many_short_lives_do_not_make_it_grow(void **state)
{
	struct ledger *l;
	char path[128];
	struct stat st;
	int i;

	(void)state;
	for (i = 0; i < 60; i++) {
		l = open_ledger();
		seen(l, "t", NULL, "x");
		record_many(l, i * 900, (i + 1) * 900, 100);
		ledger_close(l);
	}
	snprintf(path, sizeof path, "%s/ledger.db", folder);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size < 500000);
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
		TEST(values_are_remembered_by_field),
		TEST(attempts_add_up_and_end_with_done),
		TEST(forgetting_a_topic_leaves_the_others),
		TEST(the_window_keeps_the_newest),
		TEST(many_short_lives_do_not_make_it_grow),
		TEST(its_files_are_ours_alone),
		TEST(a_damaged_one_is_refused_and_left_alone),
	};

	return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
