/* Lines to a reader: lent, in order, whole, and counted once they are taken. */
#include "outlet.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { LINES = 3000, LINE = 100, ALL = LINES * LINE };

static int ends[2];
static struct outlet out;
static char text[ALL], got[ALL]; /* lines, one behind the other; those read */
static size_t n_got;

static int set_up(void **state)
{
	size_t i;

	(void)state;
	if (pipe(ends) < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
		return -1;
	for (i = 0; i < ALL; i++)
		text[i] = i % LINE == LINE - 1
				  ? '\n'
				  : (char)('a' + (i / LINE + i) % 26);
	n_got = 0;
	outlet_init(&out, ends[1]);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	outlet_release(&out);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

static int flush(void)
{
	struct err e = { 0 };
	int r = outlet_flush(&out, &e);

	assert_int_not_equal(r, -1);
	assert_int_equal(r, outlet_waiting(&out) == 0);
	return r;
}

/* Reads what lies in the pipe, `max` bytes at most. How many they were. */
static size_t take(size_t max)
{
	size_t room = ALL - n_got;
	ssize_t n = read(ends[0], got + n_got, max < room ? max : room);

	if (n < 0)
		return 0;
	n_got += (size_t)n;
	return (size_t)n;
}

static void put_lines(size_t from, size_t to)
{
	for (; from < to; from++)
		outlet_put(&out, text + from * LINE, LINE);
}

/* The same lines, none of which lies behind another. */
static void put_lines_apart(size_t from, size_t to)
{
	size_t i, half = (from + to) / 2;

	for (i = 0; from + i < half; i++) {
		outlet_put(&out, text + (from + i) * LINE, LINE);
		outlet_put(&out, text + (half + i) * LINE, LINE);
	}
}

static void lines_side_by_side_are_one_piece(void **state)
{
	(void)state;
	put_lines(0, 10);
	put_lines(20, 30);
	assert_int_equal(out.n - out.first, 2);
	assert_int_equal(outlet_waiting(&out), 20 * LINE);
	assert_int_equal(outlet_written(&out), 0);
	assert_int_equal(flush(), 1);
	assert_int_equal(outlet_written(&out), 20 * LINE);
	while (take(ALL))
		;
	assert_int_equal(n_got, 20 * LINE);
	assert_memory_equal(got, text, 10 * LINE);
	assert_memory_equal(got + 10 * LINE, text + 20 * LINE, 10 * LINE);
}

static void what_lies_in_the_pipe_is_not_taken(void **state)
{
	(void)state;
	put_lines(0, 10);
	flush();
	assert_int_equal(outlet_taken(&out), 0);
	take(LINE + 1);
	assert_int_equal(outlet_taken(&out), LINE + 1);
	take(ALL);
	assert_int_equal(outlet_taken(&out), 10 * LINE);
}

/* Everything passes a reader that takes so much at a time. */
static void pass(size_t at_once)
{
	size_t put = 0;

	n_got = 0;
	while (n_got < ALL) {
		for (; put < LINES && outlet_waiting(&out) < 100 * LINE;
			put += 50)
			put_lines(put, put + 50);
		flush();
		take(at_once);
	}
	assert_memory_equal(got, text, ALL);
	assert_int_equal(outlet_taken(&out), out.queued);
}

static void a_slow_reader_gets_all_of_it_in_order(void **state)
{
	(void)state;
	fcntl(ends[1], F_SETPIPE_SZ, 4096);
	pass(ALL);
	pass(4096);
	pass(777);
	pass(LINE);
	pass(LINE - 1);
}

/* At any time the reader may find the end of its input. */
static void no_line_is_torn(void **state)
{
	size_t put, want = 0;

	(void)state;
	fcntl(ends[1], F_SETPIPE_SZ, 8192);
	for (put = 0; put < LINES; put += 300) {
		put_lines_apart(put, put + 300);
		do {
			flush();
			while (take(ALL))
				;
			assert_int_equal(got[n_got - 1], '\n');
		} while (outlet_waiting(&out));
		for (; want < put + 300; want++)
			assert_non_null(memmem(got + put * LINE, 300 * LINE,
				text + want * LINE, LINE));
	}
	assert_int_equal(n_got, ALL);
}

static void a_line_longer_than_the_pipe_comes_in_parts(void **state)
{
	(void)state;
	fcntl(ends[1], F_SETPIPE_SZ, 4096);
	memset(text, 'x', 50000 - 1);
	text[50000 - 1] = '\n';
	outlet_put(&out, text, 50000);
	outlet_put(&out, text + 60000 - LINE, LINE);
	while (n_got < 50000 + LINE) {
		flush();
		take(1000);
	}
	assert_memory_equal(got, text, 50000);
	assert_memory_equal(got + 50000, text + 60000 - LINE, LINE);
}

static void what_is_cut_is_never_written(void **state)
{
	(void)state;
	put_lines(0, 10);
	put_lines(20, 30);
	outlet_cut(&out, 20 * LINE); /* no more than there are */
	assert_int_equal(out.queued, 20 * LINE);
	outlet_cut(&out, 12 * LINE);
	assert_int_equal(out.queued, 12 * LINE);
	outlet_cut(&out, 3 * LINE);
	flush();
	take(ALL);
	assert_int_equal(n_got, 3 * LINE);
	assert_memory_equal(got, text, 3 * LINE);
	put_lines(3, 5);
	outlet_cut(&out, 0);
	assert_int_equal(flush(), 1);
	assert_int_equal(take(ALL), 0);
	assert_int_equal(outlet_taken(&out), 3 * LINE);
}

static void to_a_file_all_is_written_at_once(void **state)
{
	struct outlet file;
	struct err e = { 0 };
	FILE *f = tmpfile();

	(void)state;
	assert_non_null(f);
	outlet_init(&file, fileno(f));
	outlet_put(&file, text, LINE);
	outlet_put(&file, text + LINE, 10 * LINE);
	outlet_put(&file, text + 20 * LINE, LINE);
	assert_int_equal(outlet_flush(&file, &e), 1);
	assert_int_equal(outlet_taken(&file), 12 * LINE);
	assert_int_equal(pread(fileno(f), got, ALL, 0), 12 * LINE);
	assert_memory_equal(got, text, 11 * LINE);
	assert_memory_equal(got + 11 * LINE, text + 20 * LINE, LINE);
	outlet_release(&file);
	fclose(f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(lines_side_by_side_are_one_piece),
		TEST(what_lies_in_the_pipe_is_not_taken),
		TEST(a_slow_reader_gets_all_of_it_in_order),
		TEST(no_line_is_torn),
		TEST(a_line_longer_than_the_pipe_comes_in_parts),
		TEST(what_is_cut_is_never_written),
		TEST(to_a_file_all_is_written_at_once),
	};

	return cmocka_run_group_tests_name("outlet", tests, NULL, NULL);
}
