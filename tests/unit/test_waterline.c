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

static void expect(const char *topic, const char *position)
{
	struct buf b = BUF_INIT(4096);
	struct err e = { 0 };
	int r = waterline_get(&home, topic, &b, &e);

	if (position == NULL) {
		assert_int_equal(r, 0);
	} else {
		if (r != 1)
			fail_msg("%d: %s", r, e.text);
		assert_string_equal(buf_text(&b), position);
	}
	buf_release(&b);
}

static void expect_refused(void)
{
	struct buf b = BUF_INIT(4096);
	struct err e = { 0 };

	assert_int_equal(waterline_get(&home, "t", &b, &e), -1);
	assert_int_equal(e.code, EX_CONFIG);
	e.code = 0;
	assert_int_equal(waterline_set(&home, "t", "1", true, &e), -1);
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
	assert_int_equal(waterline_set(&home, "t", "42", true, &e), 0);
	assert_int_equal(waterline_set(&home, "top_x", "c/\"=", false, &e), 0);
	assert_int_equal(
		waterline_set(&home, "t", "9007199254740993", true, &e), 0);
	expect("t", "9007199254740993");
	expect("top_x", "c/\"=");
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
	expect("top_a", "evt_5");
	expect("top_b", "6");
	put("{\"v\":3,\"w\":{\"top_a\":{\"event_id\":\"\"}}}");
	expect("top_a", "");
	assert_int_equal(waterline_set(&home, "t", "1", true, &e), 0);
	expect("top_a", "");
	expect("t", "1");
	assert_null(strstr(text_of_file(), "\"v\""));
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
		assert_int_equal(waterline_get(&home, "t", &b, &e), -1);
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
		TEST(what_is_damaged_is_refused_and_left_alone),
	};

	return cmocka_run_group_tests_name("waterline", tests, NULL, NULL);
}
