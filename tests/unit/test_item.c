/* Items: the texts of an event in one piece of memory. */
#include "item.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct event_names classic = { .type = "type",
	.position = "sequence_no" };

static struct item *item_of(const char *text)
{
	struct slice doc;
	struct event ev;
	size_t bad;

	assert_int_equal(
		slice_document(text, strlen(text), SLICE_UTF8, &doc, &bad), 0);
	assert_int_equal(event_read(doc, NULL, &classic, &ev), 0);
	return item_new(&ev, ev.position);
}

static void texts_are_unescaped(void **state)
{
	struct item *it = item_of("{\"event_id\":\"e\\u0031\","
				  "\"type\":\"a\\nb\",\"sequence_no\":42}");

	(void)state;
	assert_string_equal(it->id, "e1");
	assert_string_equal(it->type, "a\nb");
	assert_string_equal(it->position, "42");
	item_free(it);
	it = item_of("{\"event_id\":\"e\",\"sequence_no\":\"c/\\\\\"}");
	assert_null(it->type);
	assert_string_equal(it->position, "c/\\");
	item_free(it);
}

/* A text that is refused after its first part leaves nothing to the next one. */
static void what_is_no_text_spoils_no_other(void **state)
{
	struct item *it = item_of("{\"event_id\":\"e\",\"type\":"
				  "\"99999999\\u0000\",\"sequence_no\":42}");

	(void)state;
	assert_null(it->type);
	assert_string_equal(it->position, "42");
	item_free(it);
	it = item_of("{\"event_id\":\"99999999\\u0000\",\"type\":\"t\","
		     "\"sequence_no\":7}");
	assert_null(it->id);
	assert_string_equal(it->type, "t");
	assert_string_equal(it->position, "7");
	item_free(it);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_unescaped),
		cmocka_unit_test(what_is_no_text_spoils_no_other),
	};

	return cmocka_run_group_tests_name("item", tests, NULL, NULL);
}
