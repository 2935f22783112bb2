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
#include <sqlite3.h>

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
	static char ids[500][16];
	struct ledger_mark marks[500];
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

/* However few or many are recorded together. */
static void the_window_keeps_the_newest(void **state)
{
	static const int at_once[] = { 1, 99, 100, 249, 251, 500 };
	enum { N = 3 * LEDGER_WINDOW };
	struct ledger *l = open_ledger();
	size_t i;
	char id[16];
	int from = 0, n;

	(void)state;
	mark(l, "quiet", "a", LEDGER_DONE);
	for (i = 0; i < sizeof at_once / sizeof *at_once; i++) {
		n = N / at_once[i] * at_once[i];
		record_many(l, from, from + n, at_once[i]);
		snprintf(id, sizeof id, "e%d", from);
		from += n;
		assert_int_equal(seen(l, "t", NULL, id), 0);
		snprintf(id, sizeof id, "e%d", from - LEDGER_WINDOW);
		assert_int_equal(seen(l, "t", NULL, id), 1);
		snprintf(id, sizeof id, "e%d", from - 1);
		assert_int_equal(seen(l, "t", NULL, id), 1);
	}
	assert_int_equal(seen(l, "quiet", NULL, "a"), 1);
	ledger_close(l);
}

/* Two take turns at a topic, as two drains do one after the other. */
static void one_goes_on_where_another_ended(void **state)
{
	struct ledger *a = open_ledger(), *b = open_ledger();

	(void)state;
	mark(a, "t", "1", LEDGER_DONE);
	assert_int_equal(seen(b, "t", NULL, "1"), 1);
	mark(b, "t", "2", LEDGER_DONE);
	assert_int_equal(seen(a, "t", NULL, "2"), 1);
	mark(a, "t", "3", LEDGER_DONE);
	assert_int_equal(seen(b, "t", NULL, "1"), 1);
	assert_int_equal(seen(b, "t", NULL, "2"), 1);
	assert_int_equal(seen(b, "t", NULL, "3"), 1);
	ledger_close(a);
	ledger_close(b);
}

static void more_topics_than_are_kept_in_mind(void **state)
{
	struct ledger *l = open_ledger();
	char topic[16], id[16];
	int i, round;

	(void)state;
	for (round = 0; round < 3; round++)
		for (i = 0; i < 20; i++) {
			snprintf(topic, sizeof topic, "t%d", i);
			snprintf(id, sizeof id, "%d-%d", i, round);
			mark(l, topic, id, LEDGER_DONE);
		}
	for (round = 0; round < 3; round++)
		for (i = 0; i < 20; i++) {
			snprintf(topic, sizeof topic, "t%d", i);
			snprintf(id, sizeof id, "%d-%d", i, round);
			assert_int_equal(seen(l, topic, NULL, id), 1);
		}
	ledger_close(l);
}

/* A ledger as an older version has left it. */
static sqlite3 *old_ledger(const char *schema)
{
	char path[128];
	sqlite3 *db;

	umask(077);
	snprintf(path, sizeof path, "%s/ledger.db", folder);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, schema, NULL, NULL, NULL), SQLITE_OK);
	return db;
}

/* Runs `insert` with the digests of two texts for ?1. */
static void insert_two(
	sqlite3 *db, const char *insert, const char *one, const char *two)
{
	struct window_sum sums[2];
	sqlite3_stmt *s;

	window_sum(one, strlen(one), &sums[0]);
	window_sum(two, strlen(two), &sums[1]);
	assert_int_equal(
		sqlite3_prepare_v2(db, insert, -1, &s, NULL), SQLITE_OK);
	sqlite3_bind_blob(s, 1, sums, sizeof sums, SQLITE_STATIC);
	assert_int_equal(sqlite3_step(s), SQLITE_DONE);
	sqlite3_finalize(s);
}

/* What the old ledgers of the tests below know is known, at the first opening
 * and later. */
static void assert_taken_over(void)
{
	struct err e = { 0 };
	struct ledger *l;
	int i;

	for (i = 0; i < 2; i++) {
		l = open_ledger();
		assert_int_equal(seen(l, "t", NULL, "a"), 1);
		assert_int_equal(seen(l, "t", NULL, "x"), 1);
		assert_int_equal(seen(l, "t", NULL, "y"), 1);
		assert_int_equal(seen(l, "t", NULL, "v"), 0);
		assert_int_equal(seen(l, "t", "f", "v"), 1);
		assert_int_equal(seen(l, "t", "f", "w"), 1);
		assert_int_equal(ledger_attempts(l, "t", "b", &e), 2);
		ledger_close(l);
	}
}

#define OLD_ATTEMPTS                                                           \
	"CREATE TABLE attempts(topic TEXT NOT NULL,"                           \
	" event_id TEXT NOT NULL, n INTEGER NOT NULL,"                         \
	" PRIMARY KEY(topic, event_id)) WITHOUT ROWID;"                        \
	"INSERT INTO attempts VALUES ('t', 'b', 2);"

/* As version 2 wrote it: a row for each commit. */
static void one_of_version_2_is_taken_over(void **state)
{
	sqlite3 *db = old_ledger("CREATE TABLE digests(n INTEGER PRIMARY KEY,"
				 " topic TEXT NOT NULL, field TEXT NOT NULL,"
				 " sums BLOB NOT NULL);"
				 "CREATE INDEX digests_order"
				 " ON digests(topic, field, n);" OLD_ATTEMPTS
				 "PRAGMA user_version = 2");

	(void)state;
	insert_two(db,
		"INSERT INTO digests(topic, field, sums) VALUES ('t', '', ?1)",
		"a", "x");
	insert_two(db,
		"INSERT INTO digests(topic, field, sums) VALUES ('t', '', ?1)",
		"a", "y");
	insert_two(db,
		"INSERT INTO digests(topic, field, sums) VALUES ('t', 'f', ?1)",
		"v", "w");
	sqlite3_close(db);
	assert_taken_over();
}

/* As version 3 wrote it: rings of 128 numbers, with larger chunks. */
static void one_of_version_3_is_taken_over(void **state)
{
	sqlite3 *db =
		old_ledger("CREATE TABLE rings(ring INTEGER PRIMARY KEY,"
			   " topic TEXT NOT NULL, field TEXT NOT NULL,"
			   " UNIQUE(topic, field));"
			   "CREATE TABLE chunks(n INTEGER PRIMARY KEY,"
			   " turn INTEGER NOT NULL, sums BLOB NOT NULL);"
			   "INSERT INTO rings VALUES (1, 't', ''), (2, 't', "
			   "'f');" OLD_ATTEMPTS "PRAGMA user_version = 3");

	(void)state;
	insert_two(
		db, "INSERT INTO chunks VALUES (128 + 80, 80, ?1)", "a", "x");
	insert_two(db, "INSERT INTO chunks VALUES (128 + 0, 81, ?1)", "a", "y");
	insert_two(db, "INSERT INTO chunks VALUES (256 + 3, 3, ?1)", "v", "w");
	sqlite3_close(db);
	assert_taken_over();
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
		TEST(one_goes_on_where_another_ended),
		TEST(more_topics_than_are_kept_in_mind),
		TEST(one_of_version_2_is_taken_over),
		TEST(one_of_version_3_is_taken_over),
		TEST(many_short_lives_do_not_make_it_grow),
		TEST(its_files_are_ours_alone),
		TEST(a_damaged_one_is_refused_and_left_alone),
	};

	return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
