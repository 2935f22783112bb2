#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "io.h"

#include "stop.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void make_pipe(int fds[2])
{
	assert_int_equal(pipe(fds), 0);
}

static void put(int fd, const char *p, size_t n)
{
	assert_int_equal(write(fd, p, n), (ssize_t)n);
}

/* A file of that content, read from its start. */
static int file_of(const char *p, size_t n)
{
	FILE *f = tmpfile();
	int fd;

	assert_non_null(f);
	fd = dup(fileno(f));
	fclose(f);
	assert_true(fd >= 0);
	assert_int_equal(io_write(fd, p, n), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void opens_close_on_exec_and_no_link(void **state)
{
	char dir[] = "/tmp/test_io.XXXXXX";
	int at, fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	at = open(dir, O_RDONLY | O_DIRECTORY);
	assert_true(at >= 0);
	fd = io_open(at, "file", O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	assert_int_equal(symlinkat("file", at, "link"), 0);
	assert_int_equal(io_open(at, "link", O_RDONLY, 0), -1);
	assert_int_equal(errno, ELOOP);
	assert_int_equal(io_open(at, "none", O_RDONLY, 0), -1);
	assert_int_equal(errno, ENOENT);
	unlinkat(at, "link", 0);
	unlinkat(at, "file", 0);
	close(at);
	rmdir(dir);
}

static void writes_all_of_it_to_a_pipe_that_is_slow(void **state)
{
	const size_t len = 1 << 20;
	char *text = malloc(len);
	struct buf b = BUF_INIT(len);
	int fds[2], status;
	pid_t child;
	size_t i;

	(void)state;
	assert_non_null(text);
	for (i = 0; i < len; i++)
		text[i] = (char)(i * 7 + i / 251);
	make_pipe(fds);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(fds[0]);
		/* Somebody may have made it so. */
		fcntl(fds[1], F_SETFL, O_NONBLOCK);
		_exit(io_write(fds[1], text, len) != 0);
	}
	close(fds[1]);
	assert_int_equal(io_read_all(fds[0], &b), 0);
	assert_int_equal(b.len, len);
	assert_memory_equal(b.data, text, len);
	waitpid(child, &status, 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	close(fds[0]);
	buf_release(&b);
	free(text);
}

static void a_reader_that_closed_is_told_apart(void **state)
{
	struct err e = { 0 };
	int fds[2];

	(void)state;
	make_pipe(fds);
	close(fds[0]);
	assert_int_equal(io_write(fds[1], "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(io_put(fds[1], "x", 1, &e), -1);
	assert_int_equal(e.code, ERR_STOPPED);
	close(fds[1]);
	assert_int_equal(io_put_line(fds[1], "x", &e), -1);
	assert_int_equal(e.code, EX_IOERR);
}

static void a_full_disk_is_an_error(void **state)
{
	struct err e = { 0 };
	int fd = open("/dev/full", O_WRONLY);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(io_put_line(fd, "x", &e), -1);
	assert_int_equal(e.code, EX_IOERR);
	assert_non_null(strstr(e.text, "No space left"));
	close(fd);
}

static void a_line_is_one_write(void **state)
{
	struct err e = { 0 };
	char got[10] = "";
	int fds[2];

	(void)state;
	/* In packet mode each read gives one write. */
	assert_int_equal(pipe2(fds, O_DIRECT), 0);
	assert_int_equal(io_put_line(fds[1], "abc", &e), 0);
	assert_int_equal(io_put_line(fds[1], "", &e), 0);
	assert_int_equal(read(fds[0], got, sizeof got), 4);
	assert_memory_equal(got, "abc\n", 4);
	assert_int_equal(read(fds[0], got, sizeof got), 1);
	close(fds[0]);
	close(fds[1]);
}

static void reads_up_to_the_ceiling_and_no_further(void **state)
{
	struct buf b = BUF_INIT(5);
	struct err e = { 0 };
	int fd = file_of("12345", 5);

	(void)state;
	assert_int_equal(io_read_all(fd, &b), 0);
	assert_string_equal(buf_text(&b), "12345");
	buf_release(&b);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(io_slurp(fd, &b, "it", &e), 0);
	assert_string_equal(buf_text(&b), "12345");
	close(fd);
	buf_release(&b);
	fd = file_of("123456", 6);
	assert_int_equal(io_read_all(fd, &b), -1);
	assert_int_equal(errno, EFBIG);
	buf_release(&b);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(io_slurp(fd, &b, "it", &e), -1);
	assert_int_equal(e.code, EX_DATAERR);
	assert_non_null(strstr(e.text, "reading it: "));
	close(fd);
	buf_release(&b);
}

static void reads_what_is_empty(void **state)
{
	struct buf b = BUF_INIT(100);
	int fd = open("/dev/null", O_RDONLY);
	struct err e = { 0 };

	(void)state;
	assert_int_equal(io_read_all(fd, &b), 0);
	assert_int_equal(io_slurp(fd, &b, "it", &e), 0);
	assert_int_equal(b.len, 0);
	assert_string_equal(buf_text(&b), "");
	close(fd);
	buf_release(&b);
}

static void reading_and_closing_report_what_failed(void **state)
{
	struct buf b = BUF_INIT(100);
	struct err e = { 0 };

	(void)state;
	assert_int_equal(io_read_all(-1, &b), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(io_close(-1, "the thing", &e), -1);
	assert_int_equal(e.code, EX_IOERR);
	assert_non_null(strstr(e.text, "closing the thing: "));
	buf_release(&b);
}

static const struct {
	const char *text;
	size_t len;
	const char *lines; /* each in brackets */
} inputs[] = {
	{ "", 0, "" },
	{ "\n", 1, "[]" },
	{ "a", 1, "[a]" },
	{ "a\n", 2, "[a]" },
	{ "a\nb", 3, "[a][b]" },
	{ "a\n\nbc\n", 6, "[a][][bc]" },
	{ "\n\n\n", 3, "[][][]" },
	{ "a\r\nb\r\n", 6, "[a\r][b\r]" },
	{ "a\0b\nc\n", 6, "[a%b][c]" },
	{ "\xe6\x97\xa5\n\xff\n", 6, "[\xe6\x97\xa5][\xff]" },
};

enum { INPUTS = sizeof inputs / sizeof *inputs };

static void note(struct buf *seen, const char *line, size_t len)
{
	size_t i;

	assert_int_equal(line[len], '\0');
	buf_char(seen, '[');
	for (i = 0; i < len; i++)
		buf_char(seen, line[i] ? line[i] : '%');
	buf_char(seen, ']');
}

static void gives_lines_of_whole_input(void **state)
{
	size_t i, len;
	char *line;

	(void)state;
	for (i = 0; i < INPUTS; i++) {
		int fd = file_of(inputs[i].text, inputs[i].len);
		struct io_lines l = IO_LINES(fd, 100);
		struct buf seen = BUF_INIT(1000);
		struct err e = { 0 };

		while (io_lines_next(&l, &line, &len, &e) == 1)
			note(&seen, line, len);
		assert_int_equal(e.code, 0);
		assert_string_equal(buf_text(&seen), inputs[i].lines);
		assert_int_equal(io_lines_next(&l, &line, &len, &e), 0);
		assert_int_equal(io_lines_poll(&l, &line, &len, &e), 0);
		io_lines_release(&l);
		buf_release(&seen);
		close(fd);
	}
}

static void gives_the_same_lines_cut_at_any_byte(void **state)
{
	size_t i, cut, len;
	char *line;
	int fds[2], r;

	(void)state;
	for (i = 0; i < INPUTS; i++) {
		for (cut = 0; cut <= inputs[i].len; cut++) {
			struct buf seen = BUF_INIT(1000);
			struct err e = { 0 };
			struct io_lines l;

			make_pipe(fds);
			l = (struct io_lines)IO_LINES(fds[0], 100);
			put(fds[1], inputs[i].text, cut);
			while ((r = io_lines_poll(&l, &line, &len, &e)) == 1)
				note(&seen, line, len);
			assert_int_equal(r, 2);
			put(fds[1], inputs[i].text + cut, inputs[i].len - cut);
			close(fds[1]);
			while ((r = io_lines_next(&l, &line, &len, &e)) == 1)
				note(&seen, line, len);
			assert_int_equal(r, 0);
			assert_string_equal(buf_text(&seen), inputs[i].lines);
			io_lines_release(&l);
			buf_release(&seen);
			close(fds[0]);
		}
	}
}

static void polling_gives_2_until_a_line_is_whole(void **state)
{
	struct err e = { 0 };
	struct io_lines l;
	char *line;
	size_t len;
	int fds[2];

	(void)state;
	make_pipe(fds);
	l = (struct io_lines)IO_LINES(fds[0], 100);
	assert_int_equal(io_lines_poll(&l, &line, &len, &e), 2);
	put(fds[1], "ab", 2);
	assert_int_equal(io_lines_poll(&l, &line, &len, &e), 2);
	put(fds[1], "c\nd", 3);
	assert_int_equal(io_lines_poll(&l, &line, &len, &e), 1);
	assert_string_equal(line, "abc");
	assert_int_equal(io_lines_poll(&l, &line, &len, &e), 2);
	close(fds[1]);
	assert_int_equal(io_lines_poll(&l, &line, &len, &e), 1);
	assert_string_equal(line, "d");
	assert_int_equal(io_lines_poll(&l, &line, &len, &e), 0);
	io_lines_release(&l);
	close(fds[0]);
}

static void lines_have_a_ceiling(void **state)
{
	struct err e = { 0 };
	struct io_lines l;
	char *line;
	size_t len;
	int fd;

	(void)state;
	/* The line end counts. */
	fd = file_of("1234567\n89\n1234567\n", 19);
	l = (struct io_lines)IO_LINES(fd, 8);
	assert_int_equal(io_lines_next(&l, &line, &len, &e), 1);
	assert_int_equal(len, 7);
	assert_int_equal(io_lines_next(&l, &line, &len, &e), 1);
	assert_int_equal(io_lines_next(&l, &line, &len, &e), 1);
	assert_string_equal(line, "1234567");
	assert_int_equal(io_lines_next(&l, &line, &len, &e), 0);
	io_lines_release(&l);
	close(fd);
	fd = file_of("12345678", 8);
	l = (struct io_lines)IO_LINES(fd, 8);
	assert_int_equal(io_lines_next(&l, &line, &len, &e), 1);
	assert_int_equal(len, 8);
	assert_int_equal(io_lines_next(&l, &line, &len, &e), 0);
	io_lines_release(&l);
	close(fd);
	fd = file_of("12\n123456789\n", 13);
	l = (struct io_lines)IO_LINES(fd, 8);
	assert_int_equal(io_lines_next(&l, &line, &len, &e), 1);
	assert_int_equal(io_lines_next(&l, &line, &len, &e), -1);
	assert_int_equal(e.code, EX_DATAERR);
	assert_non_null(strstr(e.text, "longer than 8 bytes"));
	assert_null(strstr(e.text, "1234"));
	io_lines_release(&l);
	close(fd);
}

static void behind_a_line_that_is_too_long_it_goes_on(void **state)
{
	struct err e = { 0 };
	struct io_lines l;
	char text[64], *line;
	size_t len, n;
	int fd;

	(void)state;
	/* Longer by one to several blocks, and the last without its end. */
	for (n = 8; n < 40; n++) {
		memset(text, 'x', n);
		memcpy(text + n, "\na\n", 3);
		memset(text + n + 3, 'y', 20);
		fd = file_of(text, n + 23);
		l = (struct io_lines)IO_LINES(fd, 8);
		assert_int_equal(io_lines_next(&l, &line, &len, &e), -1);
		assert_int_equal(e.code, EX_DATAERR);
		assert_int_equal(io_lines_next(&l, &line, &len, &e), 1);
		assert_string_equal(line, "a");
		assert_int_equal(io_lines_next(&l, &line, &len, &e), -1);
		assert_int_equal(io_lines_next(&l, &line, &len, &e), 0);
		io_lines_release(&l);
		close(fd);
	}
}

static void many_lines_over_many_blocks(void **state)
{
	struct buf text = BUF_INIT(8 << 20);
	struct err e = { 0 };
	struct io_lines l;
	char *line, want[50];
	size_t len;
	int fd, i;

	(void)state;
	for (i = 0; i < 100000; i++)
		buf_printf(&text, "%0*d\n", i % 23 + 1, i);
	fd = file_of(text.data, text.len);
	l = (struct io_lines)IO_LINES(fd, 1 << 20);
	for (i = 0; i < 100000; i++) {
		assert_int_equal(io_lines_next(&l, &line, &len, &e), 1);
		snprintf(want, sizeof want, "%0*d", i % 23 + 1, i);
		assert_int_equal(len, strlen(want));
		assert_memory_equal(line, want, len + 1);
	}
	assert_int_equal(io_lines_next(&l, &line, &len, &e), 0);
	io_lines_release(&l);
	buf_release(&text);
	close(fd);
}

/* In a child, for being told to end cannot be taken back. */
static void waiting_ends_when_told_to(void **state)
{
	int fds[2], status;
	pid_t child;

	(void)state;
	make_pipe(fds);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct io_lines l = IO_LINES(fds[0], 100);
		struct buf b = BUF_INIT(100);
		struct err e = { 0 };
		char *line;
		size_t len;

		stop_install();
		kill(getpid(), SIGTERM);
		if (io_lines_next(&l, &line, &len, &e) != -1 ||
			e.code != ERR_STOPPED)
			_exit(1);
		e.code = 0;
		if (io_slurp(fds[0], &b, "it", &e) != -1 ||
			e.code != ERR_STOPPED)
			_exit(2);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_close_on_exec_and_no_link),
		cmocka_unit_test(writes_all_of_it_to_a_pipe_that_is_slow),
		cmocka_unit_test(a_reader_that_closed_is_told_apart),
		cmocka_unit_test(a_full_disk_is_an_error),
		cmocka_unit_test(a_line_is_one_write),
		cmocka_unit_test(reads_up_to_the_ceiling_and_no_further),
		cmocka_unit_test(reads_what_is_empty),
		cmocka_unit_test(reading_and_closing_report_what_failed),
		cmocka_unit_test(gives_lines_of_whole_input),
		cmocka_unit_test(gives_the_same_lines_cut_at_any_byte),
		cmocka_unit_test(polling_gives_2_until_a_line_is_whole),
		cmocka_unit_test(lines_have_a_ceiling),
		cmocka_unit_test(behind_a_line_that_is_too_long_it_goes_on),
		cmocka_unit_test(many_lines_over_many_blocks),
		cmocka_unit_test(waiting_ends_when_told_to),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
