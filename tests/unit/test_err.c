#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* So that a sanitizer lets memory run out, too. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static int was_stderr;
static FILE *caught;
static char said[8192];

static void catch_stderr(void)
{
	caught = tmpfile();
	assert_non_null(caught);
	was_stderr = dup(STDERR_FILENO);
	dup2(fileno(caught), STDERR_FILENO);
}

/* What went to stderr since. */
static const char *stderr_text(void)
{
	size_t n;

	dup2(was_stderr, STDERR_FILENO);
	close(was_stderr);
	rewind(caught);
	n = fread(said, 1, sizeof said - 1, caught);
	said[n] = '\0';
	fclose(caught);
	return said;
}

static void setting_fills_code_and_text(void **state)
{
	struct err e = { .code = 1, .retry_ms = 99 };

	(void)state;
	errno = ENOSPC;
	assert_int_equal(err_set(&e, EX_DATAERR, "%s: %d", "what", 3), -1);
	assert_int_equal(e.code, EX_DATAERR);
	assert_int_equal(e.retry_ms, 0);
	assert_string_equal(e.text, "what: 3");
	assert_int_equal(errno, ENOSPC);
}

static void the_systems_reason_is_appended(void **state)
{
	struct err e = { 0 };

	(void)state;
	errno = ENOENT;
	assert_int_equal(err_errno(&e, "opening %s", "x"), -1);
	assert_int_equal(e.code, EX_IOERR);
	assert_string_equal(e.text, "opening x: No such file or directory");
	assert_int_equal(errno, ENOENT);
}

static void a_prefix_goes_in_front(void **state)
{
	struct err e = { 0 };

	(void)state;
	err_set(&e, EX_NOPERM, "refused");
	e.retry_ms = 5;
	errno = EIO;
	assert_int_equal(err_prefix(&e, "asking %s", "them"), -1);
	assert_string_equal(e.text, "asking them: refused");
	assert_int_equal(e.code, EX_NOPERM);
	assert_int_equal(e.retry_ms, 5);
	assert_int_equal(errno, EIO);
	err_prefix(&e, "first");
	assert_string_equal(e.text, "first: asking them: refused");
}

static void temporary_errors_say_what_to_do(void **state)
{
	struct err e = { 0 };

	(void)state;
	err_set(&e, EX_TEMPFAIL, "reading: reset");
	assert_int_equal(err_later(&e), -1);
	err_later(&e);
	assert_string_equal(e.text, "reading: reset; try again later");
	catch_stderr();
	say_again(0, e.text, -1);
	say_again(0, e.text, 20);
	say_again(0, "reading: busy; wait", -1);
	say_again(1, "not said", -1);
	assert_string_equal(stderr_text(),
		"agentrux: reading: reset; trying again\n"
		"agentrux: reading: reset; trying again in 20 ms\n"
		"agentrux: reading: busy; wait; trying again\n");
	err_set(&e, EX_NOPERM, "reading: refused");
	err_later(&e);
	assert_string_equal(e.text, "reading: refused");
	assert_int_equal(err_later(NULL), -1);
}

static void a_caller_that_does_not_care_passes_null(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, 1, "x"), -1);
	assert_int_equal(err_errno(NULL, "x"), -1);
	assert_int_equal(err_prefix(NULL, "x"), -1);
	assert_int_equal(err_stopped(NULL), -1);
}

static void long_text_is_cut(void **state)
{
	char big[3 * ERR_TEXT_MAX];
	struct err e = { 0 };
	size_t n;

	(void)state;
	for (n = ERR_TEXT_MAX - 8; n < ERR_TEXT_MAX + 8; n++) {
		memset(big, 'x', n);
		big[n] = '\0';
		err_set(&e, 1, "%s", big);
		assert_int_equal(strlen(e.text),
			n < ERR_TEXT_MAX ? n : ERR_TEXT_MAX - 1);
		errno = ENOENT;
		err_errno(&e, "%s", big);
		assert_true(strlen(e.text) < ERR_TEXT_MAX);
		err_set(&e, 1, "inner");
		err_prefix(&e, "%s", big);
		assert_true(strlen(e.text) < ERR_TEXT_MAX);
		assert_memory_equal(e.text, big, ERR_TEXT_MAX - 9);
	}
	memset(big, 'x', sizeof big - 1);
	big[sizeof big - 1] = '\0';
	err_set(&e, 1, "%s", big);
	err_prefix(&e, "front");
	assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
	assert_memory_equal(e.text, "front: xxx", 10);
	catch_stderr();
	say("%s", big);
	stderr_text();
	assert_int_equal(said[strlen(said) - 1], '\n');
	assert_true(strlen(said) <= ERR_TEXT_MAX + 256);
}

static void a_message_names_the_program(void **state)
{
	(void)state;
	say_program("agentrux-test");
	catch_stderr();
	say("hello %d", 1);
	assert_string_equal(stderr_text(), "agentrux-test: hello 1\n");
}

static void verbosity_decides_what_is_said(void **state)
{
	static const char *const want[] = { "t: always\n",
		"t: always\nt: info\n", "t: always\nt: info\nt: one\n",
		"t: always\nt: info\nt: one\nt: two\n" };
	int level;

	(void)state;
	say_program("t");
	for (level = -1; level <= 2; level++) {
		say_verbosity(level);
		assert_int_equal(say_level(), level);
		catch_stderr();
		say("always");
		say_info("info");
		say_detail(1, "one");
		say_detail(2, "two");
		assert_string_equal(stderr_text(), want[level + 1]);
	}
	say_verbosity(0);
}

static void no_control_character_gets_out(void **state)
{
	int c;

	(void)state;
	say_program("t");
	catch_stderr();
	say("a\033[2Jb\r\nc\x7f"
	    "d\xc2\x9b"
	    "e\xc2\xa0\xe6\x97\xa5\t\xc2");
	assert_string_equal(
		stderr_text(), "t: a?[2Jb??c?d??e\xc2\xa0\xe6\x97\xa5?\xc2\n");
	for (c = 1; c < 0x20; c++) {
		catch_stderr();
		say("%c", c);
		assert_string_equal(stderr_text(), "t: ?\n");
	}
}

static void errno_survives_a_message(void **state)
{
	(void)state;
	catch_stderr();
	errno = EXDEV;
	say("x");
	assert_int_equal(errno, EXDEV);
	stderr_text();
}

static void the_exit_code_is_that_of_the_error(void **state)
{
	struct err e = { 0 };

	(void)state;
	say_program("t");
	catch_stderr();
	assert_int_equal(err_exit(&e), 0);
	err_stopped(&e);
	assert_int_equal(e.code, ERR_STOPPED);
	assert_int_equal(err_exit(&e), 0);
	assert_string_equal(stderr_text(), "");
	catch_stderr();
	say_verbosity(-1);
	err_set(&e, EX_TEMPFAIL, "later");
	assert_int_equal(err_exit(&e), EX_TEMPFAIL);
	assert_string_equal(stderr_text(), "t: later\n");
	say_verbosity(0);
}

static void strings_and_memory_are_the_callers(void **state)
{
	char *s = xstrdup("ab"), *t = xstrndup("abcdef", 3);
	char *u = xasprintf("%s-%d", "x", 5);
	unsigned char *m = xcalloc(10, 10);
	size_t i;

	(void)state;
	assert_string_equal(s, "ab");
	assert_string_equal(t, "abc");
	assert_string_equal(u, "x-5");
	for (i = 0; i < 100; i++)
		assert_int_equal(m[i], 0);
	m = xrealloc(m, 200);
	assert_non_null(m);
	free(m);
	free(xrealloc(NULL, 0));
	free(xcalloc(0, 0));
	free(s);
	free(t);
	free(u);
}

/* How a child ends that asks for what cannot be had. */
static int end_of(void (*ask)(void))
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		ask();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static volatile size_t huge = SIZE_MAX / 2;

static void ask_overflow(void)
{
	xcalloc(huge, 4);
}

static void ask_too_much(void)
{
	xrealloc(NULL, huge);
}

static void memory_that_cannot_be_had_is_the_end(void **state)
{
	(void)state;
	assert_int_equal(end_of(ask_overflow), EX_IOERR);
	assert_int_equal(end_of(ask_too_much), EX_IOERR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(setting_fills_code_and_text),
		cmocka_unit_test(the_systems_reason_is_appended),
		cmocka_unit_test(a_prefix_goes_in_front),
		cmocka_unit_test(temporary_errors_say_what_to_do),
		cmocka_unit_test(a_caller_that_does_not_care_passes_null),
		cmocka_unit_test(long_text_is_cut),
		cmocka_unit_test(a_message_names_the_program),
		cmocka_unit_test(verbosity_decides_what_is_said),
		cmocka_unit_test(no_control_character_gets_out),
		cmocka_unit_test(errno_survives_a_message),
		cmocka_unit_test(the_exit_code_is_that_of_the_error),
		cmocka_unit_test(strings_and_memory_are_the_callers),
		cmocka_unit_test(memory_that_cannot_be_had_is_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
