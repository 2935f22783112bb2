/* The outbox: entries come back as they went in, belong to one at a time, and
 * never get lost. */
#include "outbox.h"

#include "io.h"

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
static struct outbox box;

static int set_up(void **state)
{
	struct err e = { 0 };

	(void)state;
	umask(077);
	strcpy(folder, "/tmp/agentrux-outbox.XXXXXX");
	if (mkdtemp(folder) == NULL ||
		statedir_open(&home, folder, STATEDIR_FIND, &e) != 1)
		return -1;
	return outbox_open(&box, &home, &e);
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	outbox_close(&box);
	statedir_close(&home);
	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	return system(command);
}

static struct slice text(const char *s)
{
	return (struct slice){ s, strlen(s) };
}

static void put(const char *payload, struct outbox_entry *entry)
{
	struct outbox_event ev = { .topic = "t-1",
		.type = "x \"y\"",
		.payload = text(payload),
		.correlation_id = "c\n" };
	struct err e = { 0 };

	assert_int_equal(outbox_put(&box, &ev, entry, &e), 0);
}

static void test_what_is_put_comes_back_byte_for_byte(void **state)
{
	static const char odd[] =
		"{\"a\" : 9007199254740993,\"b\":\"\\ud800\"}";
	struct outbox_entry entry = OUTBOX_NONE, again = OUTBOX_NONE;
	struct outbox_kept kept;
	struct err e = { 0 };

	(void)state;
	put(odd, &entry);
	/* Ours, so nobody else's. */
	assert_int_equal(outbox_take(&box, entry.name, &again, &kept, &e), 0);
	outbox_leave(&entry);
	assert_int_equal(outbox_take(&box, entry.name, &again, &kept, &e), 1);
	assert_int_equal(kept.ev.payload.len, sizeof odd - 1);
	assert_memory_equal(kept.ev.payload.p, odd, sizeof odd - 1);
	assert_string_equal(kept.ev.topic, "t-1");
	assert_string_equal(kept.ev.type, "x \"y\"");
	assert_string_equal(kept.ev.correlation_id, "c\n");
	assert_null(kept.ev.reply_topic);
	outbox_kept_release(&kept);
	assert_true(outbox_has(&box, entry.name));
	assert_int_equal(outbox_remove(&box, &again, &e), 0);
	assert_false(outbox_has(&box, entry.name));
	assert_int_equal(outbox_take(&box, entry.name, &again, &kept, &e), 0);
}

static void test_names_are_in_the_order_of_putting(void **state)
{
	struct outbox_entry entry = OUTBOX_NONE;
	char before[OUTBOX_NAME_MAX] = "";
	struct err e = { 0 };
	char **names;
	size_t n, i;

	(void)state;
	for (i = 0; i < 200; i++) {
		put("1", &entry);
		assert_true(strcmp(before, entry.name) < 0);
		strcpy(before, entry.name);
		outbox_leave(&entry);
	}
	assert_int_equal(outbox_names(&box, &names, &n, &e), 0);
	assert_int_equal(n, 200);
	assert_string_equal(names[199], before);
	outbox_names_free(names, n);
}

static void make(const char *name, const char *contents, mode_t mode)
{
	struct err e = { 0 };

	assert_int_equal(
		statefile_write(&box.dir, name, contents, strlen(contents), &e),
		0);
	assert_int_equal(fchmodat(box.dir.fd, name, mode, 0), 0);
}

static bool is_dead(const char *name)
{
	char path[160];

	snprintf(path, sizeof path, "%s/dead/outbox/%s", folder, name);
	return access(path, F_OK) == 0;
}

static void test_damaged_entries_are_put_aside_whole(void **state)
{
	static const char *const bad[] = { "", "{", "[]", "3",
		"{\"topic\":\"t\",\"type\":\"m\"}",
		"{\"topic\":\"t\",\"payload\":1}",
		"{\"topic\":7,\"type\":\"m\",\"payload\":1}",
		"{\"topic\":\"a/b\",\"type\":\"m\",\"payload\":1}",
		"{\"topic\":\"t\",\"type\":\"m\",\"payload\":1}x" };
	struct outbox_entry entry = OUTBOX_NONE;
	struct outbox_kept kept;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct err e = { 0 };

		make("bad.json", bad[i], 0600);
		assert_int_equal(
			outbox_take(&box, "bad.json", &entry, &kept, &e), -1);
		assert_int_equal(e.code, EX_DATAERR);
		assert_false(outbox_has(&box, "bad.json"));
		assert_true(is_dead("bad.json"));
	}
}

static void test_an_entry_that_others_could_write_is_left_alone(void **state)
{
	struct outbox_entry entry = OUTBOX_NONE;
	struct outbox_kept kept;
	struct err e = { 0 };

	(void)state;
	make("open.json", "{\"topic\":\"t\",\"type\":\"m\",\"payload\":1}",
		0644);
	assert_int_equal(outbox_take(&box, "open.json", &entry, &kept, &e), -1);
	assert_int_equal(e.code, EX_CONFIG);
	assert_true(outbox_has(&box, "open.json"));
}

static void test_a_refused_entry_keeps_all_and_the_reason(void **state)
{
	struct outbox_entry entry = OUTBOX_NONE;
	struct outbox_event ev = {
		.topic = "t", .type = "m", .payload = text("{\"a\":1.0}")
	};
	struct statedir dead = STATEDIR_NONE;
	struct buf out = BUF_INIT(1000);
	char path[100];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(outbox_put(&box, &ev, &entry, &e), 0);
	assert_int_equal(
		outbox_refuse(&box, &entry, &ev, "not \"good\"", &e), 0);
	assert_false(outbox_has(&box, entry.name));
	snprintf(path, sizeof path, "%s/dead/outbox", folder);
	assert_int_equal(statedir_open(&dead, path, STATEDIR_FIND, &e), 1);
	assert_int_equal(statefile_load(&dead, entry.name, &out, &e), 1);
	assert_non_null(strstr(buf_text(&out),
		"{\"topic\":\"t\",\"type\":\"m\",\"payload\":{\"a\":1.0},"
		"\"reason\":\"not \\\"good\\\"\",\"failed_at\":\"2"));
	buf_release(&out);
	statedir_close(&dead);
}

static void test_other_files_are_no_entries(void **state)
{
	struct err e = { 0 };
	char **names;
	size_t n;

	(void)state;
	make("note.txt", "x", 0600);
	make(".hidden.json", "x", 0600);
	make("half.json.new", "x", 0600);
	assert_int_equal(outbox_names(&box, &names, &n, &e), 0);
	assert_int_equal(n, 0);
	outbox_names_free(names, n);
	assert_true(outbox_has(&box, "half.json.new"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_what_is_put_comes_back_byte_for_byte, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			test_names_are_in_the_order_of_putting, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			test_damaged_entries_are_put_aside_whole, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			test_an_entry_that_others_could_write_is_left_alone,
			set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_refused_entry_keeps_all_and_the_reason, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			test_other_files_are_no_entries, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
