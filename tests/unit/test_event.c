/* Events: members found under either name, lines made of them. */
#include "event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct event_names classic = { .type = "type",
	.position = "sequence_no" };

static struct event read_event(const char *text)
{
	struct slice doc;
	struct event ev;
	size_t bad;

	assert_int_equal(
		slice_document(text, strlen(text), SLICE_UTF8, &doc, &bad), 0);
	assert_int_equal(event_read(doc, NULL, &classic, &ev), 0);
	return ev;
}

static void expect_line(const char *text, const char *line)
{
	struct event ev = read_event(text);
	struct buf out = BUF_INIT(4096);

	assert_int_equal(event_line(&ev, "t-1", &out), 0);
	assert_string_equal(buf_text(&out), line);
	buf_release(&out);
}

static void members_are_found_and_missing_ones_are_empty(void **state)
{
	struct event ev = read_event("{\"event_id\":\"e\",\"sequence_no\":7,"
				     "\"type\":\"m\",\"payload\":[1]}");

	(void)state;
	assert_true(slice_is(ev.id, "e"));
	assert_true(slice_is(ev.type, "m"));
	assert_int_equal(ev.position.len, 1);
	assert_int_equal(ev.payload.len, 3);
	assert_null(ev.producer.p);
	assert_null(ev.topic.p);
}

static void what_is_no_object_is_no_event(void **state)
{
	struct slice doc;
	struct event ev;
	size_t bad;

	(void)state;
	assert_int_equal(slice_document("[1]", 3, SLICE_UTF8, &doc, &bad), 0);
	assert_int_equal(event_read(doc, NULL, &classic, &ev), -1);
}

static void a_line_names_its_topic_once(void **state)
{
	(void)state;
	expect_line("{\"a\":1.0}", "{\"topic_id\":\"t-1\",\"a\":1.0}\n");
	expect_line("{\"a\":1,\"topic_id\":\"own\"}",
		"{\"a\":1,\"topic_id\":\"own\"}\n");
	expect_line("{}", "{\"topic_id\":\"t-1\"}\n");
}

static void line_ends_between_tokens_are_left_out(void **state)
{
	(void)state;
	expect_line("{\n \"a\":\r\n [1,\n2]\n}",
		"{\"topic_id\":\"t-1\", \"a\": [1,2]}\n");
}

static void ids_fit_for_file_names_are_told_from_others(void **state)
{
	char long_id[EVENT_ID_MAX + 2];

	(void)state;
	assert_true(event_id_plain("evt_0b-1.2"));
	assert_false(event_id_plain(""));
	assert_false(event_id_plain(".hidden"));
	assert_false(event_id_plain("-rf"));
	assert_false(event_id_plain("a/b"));
	assert_false(event_id_plain("a\nb"));
	memset(long_id, 'a', sizeof long_id - 1);
	long_id[sizeof long_id - 1] = '\0';
	assert_false(event_id_plain(long_id));
	long_id[EVENT_ID_MAX] = '\0';
	assert_true(event_id_plain(long_id));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_are_found_and_missing_ones_are_empty),
		cmocka_unit_test(what_is_no_object_is_no_event),
		cmocka_unit_test(a_line_names_its_topic_once),
		cmocka_unit_test(line_ends_between_tokens_are_left_out),
		cmocka_unit_test(ids_fit_for_file_names_are_told_from_others),
	};

	return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
