#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What came out: "[event|data|id]" a frame, with '/' for a line end and '%' for
 * a NUL in data, '!' behind a cut one. */
static struct buf seen = BUF_INIT(4 * SSE_DATA_MAX);

static void note(void *ctx, const struct sse_frame *f)
{
	size_t i;

	assert_ptr_equal(ctx, &seen);
	assert_int_equal(f->data[f->data_len], '\0');
	buf_printf(&seen, "[%s|", f->event);
	for (i = 0; i < f->data_len; i++)
		buf_char(&seen, f->data[i] == '\n' ? '/'
				: f->data[i]	   ? f->data[i]
						   : '%');
	buf_printf(&seen, "|%s]%s", f->id, f->cut ? "!" : "");
}

static void start(struct sse *s)
{
	buf_clear(&seen);
	sse_init(s, note, &seen);
}

/* A copy of just that size, so that a sanitizer sees what reads beyond it. */
static void feed(struct sse *s, const char *bytes, size_t n)
{
	char *copy = malloc(n ? n : 1);

	assert_non_null(copy);
	memcpy(copy, bytes, n);
	sse_feed(s, copy, n);
	free(copy);
}

#define BYTES(text) text, sizeof text - 1

static const struct {
	const char *stream;
	size_t len;
	const char *frames;
	const char *last_id;
	long retry_ms;
} corpus[] = {
	/* Frames and line ends. */
	{ BYTES(""), "", "", -1 },
	{ BYTES("\n"), "", "", -1 },
	{ BYTES("data: a\n\n"), "[|a|]", "", -1 },
	{ BYTES("data: a\r\r"), "[|a|]", "", -1 },
	{ BYTES("data: a\r\n\r\n"), "[|a|]", "", -1 },
	{ BYTES("data: a\r\n\n"), "[|a|]", "", -1 },
	{ BYTES("data: a\n\r\n"), "[|a|]", "", -1 },
	{ BYTES("data: a\n\rdata: b\r\n\r"), "[|a|][|b|]", "", -1 },
	{ BYTES("data: a\r\rdata: b\n\n"), "[|a|][|b|]", "", -1 },
	{ BYTES("data: a\n\ndata: b\n\n"), "[|a|][|b|]", "", -1 },
	{ BYTES("\n\n\r\n\r\rdata: a\n\n\n\n\n"), "[|a|]", "", -1 },
	{ BYTES("\r\ndata: a\r\n\r\n\r\ndata: b\r\n\r\n"), "[|a|][|b|]", "",
		-1 },
	/* What is unfinished is dropped. */
	{ BYTES("data: a"), "", "", -1 },
	{ BYTES("data: a\n"), "", "", -1 },
	{ BYTES("data: a\r"), "", "", -1 },
	{ BYTES("data: a\r\n"), "", "", -1 },
	{ BYTES("data: a\n\ndata: b\n"), "[|a|]", "", -1 },
	{ BYTES("id: 1\ndata: a\n\nid: 2\ndata: b\n"), "[|a|1]", "1", -1 },
	/* Space and colons. */
	{ BYTES("data:a\n\n"), "[|a|]", "", -1 },
	{ BYTES("data:  a \n\n"), "[| a |]", "", -1 },
	{ BYTES("data:\ta\n\n"), "[|\ta|]", "", -1 },
	{ BYTES("data: a: b:c\n\n"), "[|a: b:c|]", "", -1 },
	{ BYTES("data::\n\n"), "[|:|]", "", -1 },
	{ BYTES("data\n\n"), "[||]", "", -1 },
	{ BYTES("data:\n\n"), "[||]", "", -1 },
	{ BYTES("data: \n\n"), "[||]", "", -1 },
	{ BYTES("data :a\n\n"), "", "", -1 },
	{ BYTES(" data: a\n\n"), "", "", -1 },
	{ BYTES("Data: a\nDATA: b\ndatas: c\ndat: d\n\n"), "", "", -1 },
	/* Several data lines. */
	{ BYTES("data: a\ndata: b\n\n"), "[|a/b|]", "", -1 },
	{ BYTES("data\ndata\n\n"), "[|/|]", "", -1 },
	{ BYTES("data: a\ndata\ndata:\ndata: d\r\n\n"), "[|a///d|]", "", -1 },
	{ BYTES("data: {\ndata: \"a\": 1\ndata: }\n\n"), "[|{/\"a\": 1/}|]", "",
		-1 },
	/* Names. */
	{ BYTES("event: hint\ndata: a\n\n"), "[hint|a|]", "", -1 },
	{ BYTES("data: a\nevent:hint\n\n"), "[hint|a|]", "", -1 },
	{ BYTES("event: x\nevent: hint\ndata: a\n\n"), "[hint|a|]", "", -1 },
	{ BYTES("event: x\nevent\ndata: a\n\n"), "[|a|]", "", -1 },
	{ BYTES("event: hint\ndata: a\n\ndata: b\n\n"), "[hint|a|][|b|]", "",
		-1 },
	{ BYTES("event: hint\n\ndata: b\n\n"), "[|b|]", "", -1 },
	{ BYTES("event: heartbeat\ndata\n\n"), "[heartbeat||]", "", -1 },
	{ BYTES("event: hi\0nt\ndata: a\n\n"), "[hi?nt|a|]", "", -1 },
	/* Comments and unknown fields. */
	{ BYTES(": hello\n\ndata: a\n\n"), "[|a|]", "", -1 },
	{ BYTES("data: a\n:data: b\n:\ndata: c\n\n"), "[|a/c|]", "", -1 },
	{ BYTES(":\n:\n:\n\n"), "", "", -1 },
	{ BYTES("foo: bar\ndata: a\nbar\n\n"), "[|a|]", "", -1 },
	/* Ids. */
	{ BYTES("id: 1\ndata: a\n\ndata: b\n\n"), "[|a|1][|b|1]", "1", -1 },
	{ BYTES("data: a\nid: 1\n\nid: 2\n\n"), "[|a|1]", "2", -1 },
	{ BYTES("id: 1\nid: 2\ndata: a\n\n"), "[|a|2]", "2", -1 },
	{ BYTES("id: 1\ndata: a\n\nid\ndata: b\n\n"), "[|a|1][|b|]", "", -1 },
	{ BYTES("id: 1\ndata: a\n\nid: \n\n"), "[|a|1]", "", -1 },
	{ BYTES("id: 1\n\nid: 2\0\n\n"), "", "1", -1 },
	{ BYTES("id: \0"
		"2\nid: 3\nid: 4\0"
		"5\ndata: a\n\n"),
		"[|a|3]", "3", -1 },
	{ BYTES("id:cur_\xe6\x97\xa5==\ndata: a\n\n"),
		"[|a|cur_\xe6\x97\xa5==]", "cur_\xe6\x97\xa5==", -1 },
	/* Retry. */
	{ BYTES("retry: 1500\n\n"), "", "", 1500 },
	{ BYTES("retry: 1500\n"), "", "", 1500 },
	{ BYTES("retry:0\n"), "", "", 0 },
	{ BYTES("retry: 100\nretry: 12a\nretry: -5\nretry: 1.5\nretry\n"
		"retry:\nretry:  7\nretry: 7 \nretry: +7\n"),
		"", "", 100 },
	{ BYTES("retry: 3600000\n"), "", "", 3600000 },
	{ BYTES("retry: 3600001\n"), "", "", 3600000 },
	{ BYTES("retry: 99999999999999999999999999999\n"), "", "", 3600000 },
	/* A BOM. */
	{ BYTES("\xef\xbb\xbf"
		"data: a\n\n"),
		"[|a|]", "", -1 },
	{ BYTES("\xef\xbb\xbf\n\xef\xbb\xbf"
		"data: a\n\n"),
		"", "", -1 },
	{ BYTES("\xef\xbb\xbf\xef\xbb\xbf"
		"data: a\ndata: b\n\n"),
		"[|b|]", "", -1 },
	{ BYTES("\xef\xbb"
		"data: a\n\ndata: b\n\n"),
		"[|b|]", "", -1 },
	{ BYTES("\xef"
		"data: a\ndata: b\n\n"),
		"[|b|]", "", -1 },
	{ BYTES("\xef\xef\xbb\xbf"
		"data: a\ndata: b\n\n"),
		"[|b|]", "", -1 },
	{ BYTES("\xef\xbb\ndata: b\n\n"), "[|b|]", "", -1 },
	{ BYTES("data: \xef\xbb\xbf\n\n"), "[|\xef\xbb\xbf|]", "", -1 },
	/* Bytes of all kinds. */
	{ BYTES("data: \xe6\x97\xa5\xf0\x9f\x98\x80\n\n"),
		"[|\xe6\x97\xa5\xf0\x9f\x98\x80|]", "", -1 },
	{ BYTES("data: \xff\x80\n\n"), "[|\xff\x80|]", "", -1 },
	{ BYTES("data: a\0b\n\n"), "[|a%b|]", "", -1 },
	{ BYTES("da\0ta: a\n\0\ndata: c\n\n"), "[|c|]", "", -1 },
	{ BYTES("data: a\vb\fc\xc2\x85"
		"d\xe2\x80\xa8"
		"e\n\n"),
		"[|a\vb\fc\xc2\x85"
		"d\xe2\x80\xa8"
		"e|]",
		"", -1 },
	/* As the services send them. */
	{ BYTES("event: ready\ndata: {}\n\n: ping\n\nid: 42\ndata: "
		"{\"topic_id\":\"t\",\"latest_sequence_no\":42}\n\n"),
		"[ready|{}|][|{\"topic_id\":\"t\",\"latest_sequence_no\":42}|"
		"42]",
		"42", -1 },
	{ BYTES("retry: 3000\r\nevent: hint\r\nid: c1\r\ndata: {}\r\n\r\n"
		"event: error\r\ndata: {\"code\":\"UNAUTHORIZED\"}\r\n\r\n"),
		"[hint|{}|c1][error|{\"code\":\"UNAUTHORIZED\"}|c1]", "c1",
		3000 },
};

enum { STREAMS = sizeof corpus / sizeof *corpus };

static void assert_stream(const struct sse *s, size_t i, const char *how)
{
	if (strcmp(buf_text(&seen), corpus[i].frames) != 0)
		fail_msg("stream %zu %s: '%s' instead of '%s'", i, how,
			buf_text(&seen), corpus[i].frames);
	if (strcmp(sse_last_id(s), corpus[i].last_id) != 0)
		fail_msg("stream %zu %s: id '%s' instead of '%s'", i, how,
			sse_last_id(s), corpus[i].last_id);
	if (s->retry_ms != corpus[i].retry_ms)
		fail_msg("stream %zu %s: retry %ld instead of %ld", i, how,
			s->retry_ms, corpus[i].retry_ms);
}

static void gives_the_frames_of_a_stream_in_one_piece(void **state)
{
	struct sse s;
	size_t i;

	(void)state;
	assert_true(STREAMS >= 40);
	for (i = 0; i < STREAMS; i++) {
		start(&s);
		feed(&s, corpus[i].stream, corpus[i].len);
		assert_stream(&s, i, "whole");
		sse_release(&s);
	}
}

static void gives_the_same_frames_cut_at_any_byte(void **state)
{
	struct sse s;
	size_t i, cut;

	(void)state;
	for (i = 0; i < STREAMS; i++) {
		for (cut = 0; cut <= corpus[i].len; cut++) {
			start(&s);
			feed(&s, corpus[i].stream, cut);
			feed(&s, "", 0);
			feed(&s, corpus[i].stream + cut, corpus[i].len - cut);
			assert_stream(&s, i, "cut");
			sse_release(&s);
		}
	}
}

static void gives_the_same_frames_byte_by_byte(void **state)
{
	struct sse s;
	size_t i, n;

	(void)state;
	for (i = 0; i < STREAMS; i++) {
		start(&s);
		for (n = 0; n < corpus[i].len; n++)
			feed(&s, corpus[i].stream + n, 1);
		assert_stream(&s, i, "byte by byte");
		sse_release(&s);
	}
}

static void a_frame_comes_as_soon_as_its_blank_line(void **state)
{
	static const char *const ends[] = { "\n\n", "\r\r", "\r\n\r" };
	struct sse s;
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		start(&s);
		feed(&s, "data: a", 7);
		feed(&s, ends[i], strlen(ends[i]));
		assert_string_equal(buf_text(&seen), "[|a|]");
		sse_release(&s);
	}
}

static void a_restart_keeps_the_id_and_drops_the_unfinished(void **state)
{
	struct sse s;

	(void)state;
	start(&s);
	sse_feed(&s, BYTES("retry: 5\nid: 1\ndata: a\n\n"));
	sse_feed(&s, BYTES("id: 2\nevent: x\ndata: b\ndata: c"));
	sse_restart(&s);
	assert_string_equal(sse_last_id(&s), "1");
	assert_int_equal(s.retry_ms, 5);
	sse_feed(&s, BYTES("data: d\n\n"));
	assert_string_equal(buf_text(&seen), "[|a|1][|d|1]");
	assert_string_equal(sse_last_id(&s), "1");
	sse_release(&s);
}

static void each_connection_may_start_with_a_bom(void **state)
{
	struct sse s;

	(void)state;
	start(&s);
	sse_feed(&s, BYTES("\xef\xbb\xbf"
			   "data: a\n\n"));
	sse_restart(&s);
	sse_feed(&s, BYTES("\xef\xbb"));
	sse_restart(&s);
	sse_feed(&s, BYTES("\xef\xbb\xbf"
			   "data: b\n\n"));
	sse_restart(&s);
	sse_feed(&s, BYTES("data: c\r"));
	sse_restart(&s);
	sse_feed(&s, BYTES("\ndata: d\n\n"));
	assert_string_equal(buf_text(&seen), "[|a|][|b|][|d|]");
	sse_release(&s);
}

static void repeat(struct sse *s, char c, size_t n)
{
	char block[1000];

	memset(block, c, sizeof block);
	for (; n; n -= n < sizeof block ? n : sizeof block)
		sse_feed(s, block, n < sizeof block ? n : sizeof block);
}

/* The frame's data as its length, for the large ones. */
static size_t data_len;
static bool cut;
static int frames;
static char name[SSE_NAME_MAX + 2];

static void measure(void *ctx, const struct sse_frame *f)
{
	(void)ctx;
	assert_int_equal(strlen(f->data), f->data_len);
	data_len = f->data_len;
	cut = f->cut;
	frames++;
	snprintf(name, sizeof name, "%s", f->event);
}

static void data_is_cut_at_its_ceiling_and_told(void **state)
{
	static const char *const starts[] = { "data:", "data: " };
	size_t i;
	int over;

	(void)state;
	for (i = 0; i < 2; i++) {
		for (over = -1; over <= 3; over++) {
			struct sse s;

			frames = 0;
			sse_init(&s, measure, NULL);
			sse_feed(&s, starts[i], strlen(starts[i]));
			repeat(&s, 'x', (size_t)(SSE_DATA_MAX + over));
			sse_feed(&s, BYTES("\nevent: n\n\n"));
			assert_int_equal(frames, 1);
			assert_int_equal(data_len,
				over < 0 ? SSE_DATA_MAX - 1 : SSE_DATA_MAX);
			assert_int_equal(cut, over > 0);
			assert_string_equal(name, "n");
			/* The next one is none the worse. */
			sse_feed(&s, BYTES("data: y\n\n"));
			assert_int_equal(frames, 2);
			assert_int_equal(data_len, 1);
			assert_false(cut);
			sse_release(&s);
		}
	}
}

static void many_data_lines_meet_the_same_ceiling(void **state)
{
	struct sse s;
	int i;

	(void)state;
	sse_init(&s, measure, NULL);
	frames = 0;
	for (i = 0; i < 3; i++) {
		sse_feed(&s, BYTES("data: "));
		repeat(&s, 'x', SSE_DATA_MAX / 2);
		sse_feed(&s, BYTES("\n"));
	}
	sse_feed(&s, BYTES("\n"));
	assert_int_equal(frames, 1);
	assert_int_equal(data_len, SSE_DATA_MAX);
	assert_true(cut);
	/* Full to the byte, then a line end too many. */
	sse_feed(&s, BYTES("data: "));
	repeat(&s, 'x', SSE_DATA_MAX);
	sse_feed(&s, BYTES("\ndata\n\n"));
	assert_int_equal(data_len, SSE_DATA_MAX);
	assert_true(cut);
	assert_int_equal(frames, 2);
	sse_release(&s);
}

static void memory_stays_bounded_whatever_comes(void **state)
{
	static const char *const lines[] = { ":",
		"data: ", "id: ", "event: ", "retry: 1", "unknown: ", "" };
	struct sse s;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof lines / sizeof *lines; i++) {
		sse_init(&s, measure, NULL);
		sse_feed(&s, lines[i], strlen(lines[i]));
		repeat(&s, '7', 3 * SSE_DATA_MAX);
		assert_true(s.line.cap <= 4 * SSE_DATA_MAX);
		sse_feed(&s, BYTES("\n\n"));
		assert_true(s.data.cap <= 4 * SSE_DATA_MAX);
		frames = 0;
		sse_feed(&s, BYTES("event: n\ndata: y\n\n"));
		assert_int_equal(frames, 1);
		assert_int_equal(data_len, 1);
		assert_false(cut);
		assert_string_equal(sse_last_id(&s), "");
		sse_release(&s);
	}
}

static void a_long_name_is_cut_and_told(void **state)
{
	struct sse s;

	(void)state;
	sse_init(&s, measure, NULL);
	sse_feed(&s, BYTES("event: "));
	repeat(&s, 'n', SSE_NAME_MAX);
	sse_feed(&s, BYTES("\ndata\n\n"));
	assert_int_equal(strlen(name), SSE_NAME_MAX);
	assert_false(cut);
	sse_feed(&s, BYTES("event: "));
	repeat(&s, 'n', SSE_NAME_MAX + 1);
	sse_feed(&s, BYTES("\ndata\n\n"));
	assert_int_equal(strlen(name), SSE_NAME_MAX);
	assert_true(cut);
	/* What counts is the name that it has in the end. */
	sse_feed(&s, BYTES("event: "));
	repeat(&s, 'n', SSE_NAME_MAX + 1);
	sse_feed(&s, BYTES("\nevent: x\ndata\n\n"));
	assert_string_equal(name, "x");
	assert_false(cut);
	sse_release(&s);
}

static void a_long_id_is_passed_over(void **state)
{
	struct sse s;

	(void)state;
	sse_init(&s, measure, NULL);
	sse_feed(&s, BYTES("id: "));
	repeat(&s, '1', SSE_ID_MAX);
	sse_feed(&s, BYTES("\ndata\n\n"));
	assert_int_equal(strlen(sse_last_id(&s)), SSE_ID_MAX);
	sse_feed(&s, BYTES("id: "));
	repeat(&s, '2', SSE_ID_MAX + 1);
	sse_feed(&s, BYTES("\ndata\n\n"));
	assert_int_equal(strlen(sse_last_id(&s)), SSE_ID_MAX);
	assert_int_equal(sse_last_id(&s)[0], '1');
	assert_false(cut);
	sse_release(&s);
}

static void may_be_released_twice_and_before_use(void **state)
{
	struct sse s;

	(void)state;
	start(&s);
	assert_string_equal(sse_last_id(&s), "");
	sse_release(&s);
	sse_release(&s);
}

static int release_seen(void **state)
{
	(void)state;
	buf_release(&seen);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_the_frames_of_a_stream_in_one_piece),
		cmocka_unit_test(gives_the_same_frames_cut_at_any_byte),
		cmocka_unit_test(gives_the_same_frames_byte_by_byte),
		cmocka_unit_test(a_frame_comes_as_soon_as_its_blank_line),
		cmocka_unit_test(
			a_restart_keeps_the_id_and_drops_the_unfinished),
		cmocka_unit_test(each_connection_may_start_with_a_bom),
		cmocka_unit_test(data_is_cut_at_its_ceiling_and_told),
		cmocka_unit_test(many_data_lines_meet_the_same_ceiling),
		cmocka_unit_test(memory_stays_bounded_whatever_comes),
		cmocka_unit_test(a_long_name_is_cut_and_told),
		cmocka_unit_test(a_long_id_is_passed_over),
		cmocka_unit_test(may_be_released_twice_and_before_use),
	};

	return cmocka_run_group_tests(tests, NULL, release_seen);
}
