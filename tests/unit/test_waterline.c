/* Positions: read in every form, written in ours, one topic at a time. */
#include "waterline.h"

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

static int set_up(void **state)
{
	struct err e = { 0 };

	(void)state;
	umask(077);
	strcpy(folder, "/tmp/agentrux-waterline.XXXXXX");
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

static void put(const char *text)
{
	int fd = io_open(
		home.fd, "waterline.json", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(io_write(fd, text, strlen(text)), 0);
	close(fd);
}

static const char *text_of_file(void)
{
	static char text[4096];
	int fd = io_open(home.fd, "waterline.json", O_RDONLY, 0);
	ssize_t n = read(fd, text, sizeof text - 1);

	assert_true(n >= 0);
	text[n] = '\0';
	close(fd);
	return text;
}

/* 1: a position of this kind; 2: of the other. */
static void expect_kind(
	const char *topic, bool numeric, int kind, const char *position)
{
	struct buf b = BUF_INIT(4096);
	struct err e = { 0 };
	int r = waterline_get(&home, topic, numeric, &b, &e);

	if (r != kind)
		fail_msg("%d: %s", r, e.text);
	assert_string_equal(buf_text(&b), position);
	buf_release(&b);
}

static void expect(const char *topic, const char *number)
{
	expect_kind(topic, true, number ? 1 : 0, number ? number : "");
}

static void expect_text(const char *topic, const char *cursor)
{
	expect_kind(topic, false, 1, cursor);
}

static void expect_refused(void)
{
	struct buf b = BUF_INIT(4096);
	struct err e = { 0 };

	assert_int_equal(waterline_get(&home, "t", true, &b, &e), -1);
	assert_int_equal(e.code, EX_CONFIG);
	e.code = 0;
	assert_int_equal(waterline_set(&home, "t", true, "1", &e), -1);
	assert_int_equal(e.code, EX_CONFIG);
	buf_release(&b);
}

static void an_unknown_topic_has_none(void **state)
{
	(void)state;
	expect("t", NULL);
	put("{\"u\":1}");
	expect("t", NULL);
}

static void what_is_set_is_got_and_others_stay(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(waterline_set(&home, "t", true, "42", &e), 0);
	assert_int_equal(waterline_set(&home, "top_x", false, "c/\"=", &e), 0);
	assert_int_equal(
		waterline_set(&home, "t", true, "9007199254740993", &e), 0);
	expect("t", "9007199254740993");
	expect_text("top_x", "c/\"=");
	assert_non_null(strstr(text_of_file(), "\"t\":9007199254740993"));
}

static void every_form_of_the_plugin_is_read(void **state)
{
	struct err e = { 0 };

	(void)state;
	put("{\"t\": 7}");
	expect("t", "7");
	put("{\"v\":2,\"w\":{\"top_a\":{\"seq\":5,\"event_id\":\"evt_5\"},"
	    "\"top_b\":{\"seq\":6}}}");
	expect_text("top_a", "evt_5");
	expect("top_a", "5");
	expect("top_b", "6");
	expect_kind("top_b", false, 2, "6");
	put("{\"v\":3,\"w\":{\"top_a\":{\"event_id\":\"\"}}}");
	expect_text("top_a", "");
	assert_int_equal(waterline_set(&home, "t", true, "1", &e), 0);
	expect_text("top_a", "");
	expect("t", "1");
	assert_null(strstr(text_of_file(), "\"v\""));
}

static void a_position_serves_its_own_dialect_only(void **state)
{
	(void)state;
	put("{\"n\":42,\"c\":\"evt_1\",\"digits\":\"42\",\"zero\":0,"
	    "\"first\":\"\"}");
	expect("n", "42");
	expect_kind("n", false, 2, "42");
	expect_text("c", "evt_1");
	expect_kind("c", true, 2, "evt_1");
	expect("digits", "42");
	expect_text("digits", "42");
	/* Before everything is so in both. */
	expect("zero", "0");
	expect_text("zero", "");
	expect("first", "0");
	expect_text("first", "");
}

static void a_number_of_two_is_kept_by_its_dialect(void **state)
{
	struct err e = { 0 };

	(void)state;
	put("{\"v\":2,\"w\":{\"a\":{\"seq\":5,\"event_id\":\"evt_5\"}}}");
	assert_int_equal(waterline_set(&home, "t", true, "1", &e), 0);
	expect("a", "5");
	put("{\"v\":2,\"w\":{\"a\":{\"seq\":5,\"event_id\":\"evt_5\"}}}");
	assert_int_equal(waterline_forget(&home, "t", false, &e), 0);
	expect_text("a", "evt_5");
}

static void what_is_damaged_is_refused_and_left_alone(void **state)
{
	static const char *const damaged[] = { "", "{", "[]", "null",
		"{\"t\":1}x", "{\"t\":true}", "{\"t\":[1]}",
		"{\"t\":\"a\\u0000b\"}" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof damaged / sizeof *damaged; i++) {
		struct buf b = BUF_INIT(64);
		struct err e = { 0 };

		put(damaged[i]);
		assert_int_equal(waterline_get(&home, "t", true, &b, &e), -1);
		assert_int_equal(e.code, EX_CONFIG);
		assert_string_equal(text_of_file(), damaged[i]);
		buf_release(&b);
	}
	put("{");
	expect_refused();
	assert_string_equal(text_of_file(), "{");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(an_unknown_topic_has_none),
		TEST(what_is_set_is_got_and_others_stay),
		TEST(every_form_of_the_plugin_is_read),
		TEST(a_position_serves_its_own_dialect_only),
		TEST(a_number_of_two_is_kept_by_its_dialect),
		TEST(what_is_damaged_is_refused_and_left_alone),
	};

	return cmocka_run_group_tests_name("waterline", tests, NULL, NULL);
}
