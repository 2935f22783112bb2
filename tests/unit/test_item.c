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

/* Three events, of which the last has neither an id nor its topic. */
static const char events[] =
	"[{\"event_id\":\"e1\",\"topic_id\":\"t\",\"type\":\"t\","
	"\"sequence_no\":1},{\"event_id\":\"e2\",\"topic_id\":\"t\"},"
	"{\"type\":\"ab\",\"sequence_no\":333}]";

static struct item_page *page_of(
	struct buf *text, struct event ev[3], size_t n, struct item *it[3])
{
	struct item_page *page;
	struct slice_walk w;
	struct slice doc, raw;
	size_t i, bad;

	buf_str(text, events);
	assert_int_equal(
		slice_document(text->data, text->len, SLICE_UTF8, &doc, &bad),
		0);
	slice_walk_start(&w, doc, NULL);
	for (i = 0; slice_walk_next(&w, NULL, &raw); i++) {
		assert_int_equal(event_read(raw, NULL, &classic, &ev[i]), 0);
		ev[i].one_line = true;
	}
	assert_int_equal(i, 3);
	page = item_page_new(text, ev, n, "t");
	for (i = 0; i < n; i++) {
		it[i] = item_new(page, &ev[i], ev[i].position);
		if (i)
			it[i - 1]->next = it[i];
		item_make_line(it[i], &ev[i], "t");
	}
	assert_int_equal(page->users, n + 1);
	return page;
}

static void assert_line(const struct item *it, const char *line)
{
	assert_int_equal(it->len, strlen(line));
	assert_memory_equal(it->line, line, it->len);
}

#define FIRST                                                                  \
	"{\"event_id\":\"e1\",\"topic_id\":\"t\",\"type\":\"t\","              \
	"\"sequence_no\":1}\n"
#define SECOND "{\"event_id\":\"e2\",\"topic_id\":\"t\"}\n"
#define THIRD "{\"topic_id\":\"t\",\"type\":\"ab\",\"sequence_no\":333}\n"

/* Lines that are made lie side by side; whatever is left of a page, and in
 * whatever order they end. */
static void those_of_a_page_share_its_memory(void **state)
{
	struct buf text = BUF_INIT(1000);
	struct event ev[3];
	struct item *it[3];
	struct item_page *page = page_of(&text, ev, 3, it);

	(void)state;
	assert_non_null(text.data);
	buf_release(&text);
	page->lines.cap = page->lines.len; /* as if each were needed whole */
	item_page_made(page, it[0]);
	assert_string_equal(it[0]->id, "e1");
	assert_string_equal(it[0]->type, "t");
	assert_string_equal(it[1]->id, "e2");
	assert_null(it[1]->type);
	assert_null(it[1]->position);
	assert_null(it[2]->id);
	assert_string_equal(it[2]->position, "333");
	assert_line(it[0], FIRST);
	assert_line(it[1], SECOND);
	assert_line(it[2], THIRD);
	assert_ptr_equal(it[0]->line + it[0]->len, it[1]->line);
	assert_ptr_equal(it[1]->line + it[1]->len, it[2]->line);
	item_free(it[2]);
	item_drop_line(it[0]);
	assert_null(it[0]->line);
	item_free(it[0]);
	assert_string_equal(it[1]->id, "e2");
	assert_line(it[1], SECOND);
	item_free(it[1]);
}

static void lines_stay_in_a_page_that_has_them(void **state)
{
	struct buf text = BUF_INIT(1000);
	struct event ev[3];
	struct item *it[3];
	struct item_page *page = page_of(&text, ev, 2, it);

	(void)state;
	assert_null(text.data);
	assert_ptr_equal(it[0]->line, page->lines.data + 1);
	assert_ptr_equal(it[0]->line + it[0]->len, it[1]->line);
	assert_line(it[0], FIRST);
	assert_line(it[1], SECOND);
	/* The third is not needed: most of the text is not worth keeping. */
	item_drop_line(it[0]);
	item_page_made(page, it[0]);
	assert_null(page->lines.data);
	assert_line(it[1], SECOND);
	item_free(it[1]);
	item_free(it[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_unescaped),
		cmocka_unit_test(what_is_no_text_spoils_no_other),
		cmocka_unit_test(those_of_a_page_share_its_memory),
		cmocka_unit_test(lines_stay_in_a_page_that_has_them),
	};

	return cmocka_run_group_tests_name("item", tests, NULL, NULL);
}
