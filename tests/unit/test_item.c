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
	return item_new(NULL, &ev, ev.position);
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

/* Whatever is left of them, and in whatever order they end. */
static void those_of_a_page_share_its_memory(void **state)
{
	static const char events[] = "[{\"event_id\":\"e1\",\"type\":\"t\","
				     "\"sequence_no\":1},{\"event_id\":\"e2\"},"
				     "{\"type\":\"ab\",\"sequence_no\":333}]";
	struct buf text = BUF_INIT(1000);
	struct event ev[3];
	struct item *it[3];
	struct item_page *page;
	struct slice_walk w;
	struct slice doc, raw;
	size_t i, bad;

	(void)state;
	buf_str(&text, events);
	assert_int_equal(
		slice_document(text.data, text.len, SLICE_UTF8, &doc, &bad), 0);
	slice_walk_start(&w, doc, NULL);
	for (i = 0; slice_walk_next(&w, NULL, &raw); i++)
		assert_int_equal(event_read(raw, NULL, &classic, &ev[i]), 0);
	assert_int_equal(i, 3);
	page = item_page_new(&text, ev, 3);
	assert_null(text.data);
	for (i = 0; i < 3; i++)
		it[i] = item_new(page, &ev[i], ev[i].position);
	assert_int_equal(page->users, 4);
	item_page_leave(page);
	assert_string_equal(it[0]->id, "e1");
	assert_string_equal(it[0]->type, "t");
	assert_string_equal(it[1]->id, "e2");
	assert_null(it[1]->type);
	assert_null(it[1]->position);
	assert_null(it[2]->id);
	assert_string_equal(it[2]->position, "333");
	it[0]->line = page->text.data + 1;
	it[0]->len = 5;
	it[0]->in_page = true;
	it[1]->line = page->text.data + 7;
	it[1]->len = 3;
	it[1]->in_page = true;
	item_own_line(it[1]);
	assert_memory_equal(it[1]->line, events + 7, 3);
	item_free(it[2]);
	assert_memory_equal(it[0]->line, events + 1, 5);
	item_drop_line(it[0]);
	assert_null(it[0]->line);
	item_free(it[0]);
	assert_string_equal(it[1]->id, "e2");
	item_free(it[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_unescaped),
		cmocka_unit_test(what_is_no_text_spoils_no_other),
		cmocka_unit_test(those_of_a_page_share_its_memory),
	};

	return cmocka_run_group_tests_name("item", tests, NULL, NULL);
}
