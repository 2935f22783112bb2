#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "opt.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WENT_ON = 200, ITEMS = 3 };

static bool flag;
static const char *text = "default";
static long number = 10, span = 1000, bytes = 2048;
static const char *items[ITEMS];
static struct opt_list list = { items, 0, ITEMS };

static const struct opt opts[] = {
	{ OPT_FLAG, "flag", 'f', &flag, NULL, "a flag", 0, 0 },
	{ OPT_TEXT, "text", 't', &text, "TEXT", "a text", 0, 0 },
	{ OPT_NUMBER, "number", 'n', &number, "N", "a number", -5, 99 },
	{ OPT_DURATION, "span", 0, &span, "TIME", "a time", 1000, 0 },
	{ OPT_SIZE, "bytes", 0, &bytes, "SIZE", "a size", 0, 1048576 },
	{ OPT_LIST, "item", 'i', &list, "ITEM", "may be repeated", 0, 0 },
	{ OPT_END, NULL, 0, NULL, NULL, NULL, 0, 0 },
};

static const struct opt_program plain = { "agentrux-test", "[OPTIONS] A [B]",
	"Tests.", opts, 1, 2, false, false };
static const struct opt_program runner = { "agentrux-test",
	"[OPTIONS] A -- COMMAND", "Tests.", opts, 1, 1, true, true };

/* What the last run left: on stdout, on stderr, and what was parsed. */
static char out[8192], err[8192], got[8192];

static void take(FILE *f, char *to)
{
	size_t n;

	rewind(f);
	n = fread(to, 1, 8191, f);
	to[n] = '\0';
	fclose(f);
}

static void tell(FILE *f, const struct opt_args *a)
{
	char **w;
	size_t i;

	fprintf(f, "flag=%d text=%s number=%ld span=%ld bytes=%ld items=", flag,
		text, number, span, bytes);
	for (i = 0; i < list.n; i++)
		fprintf(f, "%s,", list.items[i]);
	fprintf(f,
		" home=%s url=%s level=%d operands=", a->home ? a->home : "-",
		a->base_url ? a->base_url : "-", say_level());
	for (w = a->operands; *w; w++)
		fprintf(f, "%s,", *w);
	fprintf(f, "%d", a->n_operands);
	if (a->command) {
		fprintf(f, " command=");
		for (w = a->command; *w; w++)
			fprintf(f, "%s,", *w);
	}
}

/* In a child, as options are read once a process. `to`: stdout, or NULL. */
static int run_to(const char *to, const struct opt_program *p, char **argv)
{
	FILE *o = to ? fopen(to, "w") : tmpfile(), *e = tmpfile(),
	     *g = tmpfile();
	int status, argc = 0;
	struct opt_args args;
	pid_t child;

	assert_true(o && e && g);
	while (argv[argc])
		argc++;
	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		dup2(fileno(o), STDOUT_FILENO);
		dup2(fileno(e), STDERR_FILENO);
		if (opt_parse(p, argc, argv, &args, &status)) {
			tell(g, &args);
			status = WENT_ON;
		}
		fflush(g);
		_exit(status);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (to)
		fclose(o);
	else
		take(o, out);
	take(e, err);
	take(g, got);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

#define RUN(p, ...)                                                            \
	run_to(NULL, p, (char *[]){ "agentrux-test", __VA_ARGS__, NULL })

/* Wrong use: 64, one line on stderr that has `words` in it, nothing else. */
static void assert_misuse(int status, const char *words)
{
	if (status != EX_USAGE || !strstr(err, words))
		fail_msg("%d: %s, for: %s", status, err, words);
	assert_int_equal(strncmp(err, "agentrux-test: ", 15), 0);
	assert_non_null(strstr(err, "; try 'agentrux-test --help'\n"));
	assert_ptr_equal(strchr(err, '\n'), err + strlen(err) - 1);
	assert_string_equal(out, "");
}

static void assert_got(int status, const char *words)
{
	if (status != WENT_ON || !strstr(got, words))
		fail_msg("%d: %s%s, for: %s", status, got, err, words);
	assert_string_equal(out, "");
	assert_string_equal(err, "");
}

static void what_is_not_given_keeps_its_value(void **state)
{
	(void)state;
	assert_got(RUN(&plain, "a"),
		"flag=0 text=default number=10 span=1000 bytes=2048 items= "
		"home=- url=- level=0 operands=a,1");
}

static void reads_every_kind(void **state)
{
	(void)state;
	assert_got(RUN(&plain, "--flag", "--text=x y", "--number", "42",
			   "--span=5m", "--bytes", "64K", "--item=1", "--item",
			   "2", "a"),
		"flag=1 text=x y number=42 span=300000 bytes=65536 items=1,2, "
		"home=- url=- level=0 operands=a,1");
	assert_got(RUN(&plain, "-f", "-tx", "-n", "7", "-i", "1", "-i2", "-i3",
			   "a"),
		"flag=1 text=x number=7 span=1000 bytes=2048 items=1,2,3,");
	assert_got(RUN(&plain, "-fn7", "a"), "flag=1 text=default number=7");
	assert_got(RUN(&plain, "--text=", "a"), "text= number");
	assert_got(RUN(&plain, "-t", "-x", "a"), "text=-x ");
	assert_got(RUN(&plain, "-t1", "-t2", "a"), "text=2 ");
}

static void options_may_come_behind_operands(void **state)
{
	(void)state;
	assert_got(RUN(&plain, "a", "-f", "b", "-n3"), "flag=1 text=default "
						       "number=3");
	assert_got(RUN(&plain, "a", "b", "-f"), "operands=a,b,2");
	assert_got(RUN(&plain, "--", "-f", "--flag"), "flag=0");
	assert_got(RUN(&plain, "--", "-f", "--flag"), "operands=-f,--flag,2");
	assert_got(RUN(&plain, "-"), "operands=-,1");
}

static void long_names_may_be_shortened(void **state)
{
	(void)state;
	assert_got(RUN(&plain, "--num=5", "a"), "number=5");
	assert_misuse(RUN(&plain, "--ver", "a"), "'--ver'");
}

static void numbers_keep_to_their_range(void **state)
{
	static char *const bad[] = { "100", "-6", "", "x", "5x", "1.5", "0x10",
		"99999999999999999999" };
	size_t i;

	(void)state;
	assert_got(RUN(&plain, "--number=99", "a"), "number=99");
	assert_got(RUN(&plain, "--number=-5", "a"), "number=-5");
	for (i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_misuse(
			RUN(&plain, "--number", bad[i], "a"), "--number: '");
}

static void times_and_sizes_keep_to_theirs(void **state)
{
	(void)state;
	assert_got(RUN(&plain, "--span=1s", "a"), "span=1000 ");
	assert_misuse(RUN(&plain, "--span=0", "a"), "--span: '0' is out of");
	assert_misuse(RUN(&plain, "--span=5x", "a"), "--span: '5x' is not a");
	assert_got(RUN(&plain, "--bytes=1M", "a"), "bytes=1048576 ");
	assert_misuse(RUN(&plain, "--bytes=1048577", "a"), "out of range");
	assert_misuse(RUN(&plain, "--bytes=-1", "a"), "--bytes: '-1' is not");
}

static void a_list_has_an_end(void **state)
{
	(void)state;
	assert_misuse(RUN(&plain, "-i1", "-i2", "-i3", "-i4", "a"),
		"--item: at most 3");
}

static void wrong_words_are_named(void **state)
{
	(void)state;
	assert_misuse(RUN(&plain, "--nonsense", "a"), "'--nonsense'");
	assert_misuse(RUN(&plain, "-z", "a"), "'-z'");
	assert_misuse(RUN(&plain, "-zf", "a"), "'-z'");
	assert_misuse(RUN(&plain, "-fzf", "a"), "'-z'");
	assert_misuse(RUN(&plain, "a", "-z"), "'-z'");
	assert_misuse(RUN(&plain, "--flag=yes", "a"),
		"option '--flag=yes' takes no value");
	assert_misuse(RUN(&plain, "--list-options=x"), "takes no value");
	assert_misuse(RUN(&plain, "a", "--text"), "'--text' needs a value");
	assert_misuse(RUN(&plain, "a", "-n"), "'-n' needs a value");
	assert_misuse(RUN(&plain, "a", "-fn"), "'-n' needs a value");
	/* Another program's options are none of this one's. */
	assert_misuse(RUN(&plain, "--home=x", "a"), "'--home=x'");
}

static void operands_are_counted(void **state)
{
	const struct opt_program any = { .name = "agentrux-test",
		.synopsis = "[A…]",
		.about = "Tests.",
		.opts = opts,
		.max_operands = -1 };
	char *none[] = { "agentrux-test", NULL };

	(void)state;
	assert_misuse(run_to(NULL, &plain, none), "too few operands");
	assert_misuse(RUN(&plain, "a", "b", "c"), "'c' is one operand too");
	assert_got(RUN(&any, "a", "b", "c", "d"), "operands=a,b,c,d,4");
	assert_got(run_to(NULL, &any, none), "operands=0");
}

static void a_command_comes_behind_two_dashes(void **state)
{
	(void)state;
	assert_got(RUN(&runner, "a", "-f", "--", "cat", "-n", "--", "-f"),
		"operands=a,1 command=cat,-n,--,-f,");
	assert_got(RUN(&runner, "a"), "operands=a,1");
	assert_null(strstr(got, "command"));
	assert_misuse(RUN(&runner, "a", "--"), "no command");
	assert_misuse(RUN(&runner, "--", "cat"), "too few operands");
	assert_misuse(RUN(&runner, "a", "b", "--", "cat"), "'b' is one");
	assert_misuse(RUN(&runner, "a", "-t", "--", "cat"), "needs a value");
}

static void every_program_has_the_common_options(void **state)
{
	(void)state;
	assert_got(RUN(&plain, "-q", "a"), "level=-1");
	assert_got(RUN(&plain, "--quiet", "-v", "a"), "level=-1");
	assert_got(RUN(&plain, "-v", "a"), "level=1");
	assert_got(RUN(&plain, "-vv", "a"), "level=2");
	assert_got(RUN(&plain, "--verbose", "--verbose", "a"), "level=2");
	assert_misuse(RUN(&runner, "--home=", "a"), "'--home' needs a value");
	assert_got(RUN(&runner, "--home=/h", "--base-url", "http://x", "a"),
		"home=/h url=http://x");
}

static void help_and_version_go_to_stdout(void **state)
{
	static const char *const in_help[] = {
		"Usage: agentrux-test [OPTIONS] A [B]\n", "Tests.\n",
		"-t, --text TEXT", "a text\n", "    --span TIME", "-h, --help",
		"-V, --version", "-q, --quiet", "-v, --verbose",
		"man agentrux-test"
	};
	static char *const ways[] = { "--help", "-h", "--hel" };
	size_t i, j;

	(void)state;
	for (i = 0; i < 3; i++) {
		assert_int_equal(RUN(&plain, ways[i]), 0);
		assert_string_equal(err, "");
		for (j = 0; j < sizeof in_help / sizeof *in_help; j++)
			assert_non_null(strstr(out, in_help[j]));
		assert_null(strstr(out, "--home"));
	}
	assert_int_equal(RUN(&runner, "--help"), 0);
	assert_non_null(strstr(out, "--home DIR"));
	assert_int_equal(RUN(&plain, "--version"), 0);
	assert_string_equal(out, "agentrux-test " AGENTRUX_VERSION "\n");
	assert_int_equal(RUN(&plain, "-V"), 0);
	assert_string_equal(err, "");
}

static void lists_its_options_for_programs(void **state)
{
	static const char own[] = "--flag\t-f\t-\ta flag\n"
				  "--text\t-t\tTEXT\ta text\n"
				  "--number\t-n\tN\ta number\n"
				  "--span\t-\tTIME\ta time\n"
				  "--bytes\t-\tSIZE\ta size\n"
				  "--item\t-i\tITEM\tmay be repeated\n";
	const char *at;
	int tabs;

	(void)state;
	assert_int_equal(RUN(&plain, "--list-options"), 0);
	assert_string_equal(err, "");
	assert_int_equal(strncmp(out, own, strlen(own)), 0);
	assert_non_null(strstr(out, "\n--help\t-h\t-\t"));
	assert_null(strstr(out, "--home"));
	for (at = out, tabs = 0; *at; at++) {
		tabs += *at == '\t';
		if (*at == '\n') {
			assert_int_equal(tabs, 3);
			tabs = 0;
		}
	}
	assert_int_equal(RUN(&runner, "--list-options"), 0);
	assert_non_null(strstr(out, "\n--home\t-\tDIR\t"));
	assert_non_null(strstr(out, "\n--base-url\t-\tURL\t"));
}

static void help_that_cannot_be_written_is_an_error(void **state)
{
	(void)state;
	out[0] = '\0';
	assert_int_equal(run_to("/dev/full", &plain,
				 (char *[]){ "agentrux-test", "--help", NULL }),
		EX_IOERR);
	assert_non_null(strstr(err, "No space left on device"));
}

static void control_characters_in_wrong_words_do_not_get_out(void **state)
{
	(void)state;
	assert_misuse(RUN(&plain, "--\033[2J", "a"), "'--?[2J'");
}

static void durations_have_units(void **state)
{
	static const struct {
		const char *text;
		long ms;
	} t[] = { { "0", 0 }, { "30", 30000 }, { "30s", 30000 },
		{ "5m", 300000 }, { "1h", 3600000 }, { "1d", 86400000 },
		{ "106751991167d", 9223372036828800000 }, { "", -1 },
		{ "s", -1 }, { "-1", -1 }, { "+1", -1 }, { " 1", -1 },
		{ "1 s", -1 }, { "1ms", -1 }, { "1S", -1 }, { "1.5h", -1 },
		{ "1h30m", -1 }, { "106751991168d", -1 },
		{ "9223372036854775807", -1 }, { "99999999999999999999", -1 } };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof t / sizeof *t; i++)
		if (opt_duration(t[i].text) != t[i].ms)
			fail_msg("'%s'", t[i].text);
}

static void sizes_have_units(void **state)
{
	static const struct {
		const char *text;
		long n;
	} t[] = { { "0", 0 }, { "7", 7 }, { "64K", 65536 }, { "64k", 65536 },
		{ "10M", 10485760 }, { "10m", 10485760 }, { "1G", 1073741824 },
		{ "1g", 1073741824 }, { "9223372036854775807", LONG_MAX },
		{ "9223372036854775808", -1 }, { "8589934592G", -1 },
		{ "1T", -1 }, { "1KB", -1 }, { "K", -1 }, { "", -1 },
		{ "-1K", -1 }, { "0x10", -1 } };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof t / sizeof *t; i++)
		if (opt_size(t[i].text) != t[i].n)
			fail_msg("'%s'", t[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_given_keeps_its_value),
		cmocka_unit_test(reads_every_kind),
		cmocka_unit_test(options_may_come_behind_operands),
		cmocka_unit_test(long_names_may_be_shortened),
		cmocka_unit_test(numbers_keep_to_their_range),
		cmocka_unit_test(times_and_sizes_keep_to_theirs),
		cmocka_unit_test(a_list_has_an_end),
		cmocka_unit_test(wrong_words_are_named),
		cmocka_unit_test(operands_are_counted),
		cmocka_unit_test(a_command_comes_behind_two_dashes),
		cmocka_unit_test(every_program_has_the_common_options),
		cmocka_unit_test(help_and_version_go_to_stdout),
		cmocka_unit_test(lists_its_options_for_programs),
		cmocka_unit_test(help_that_cannot_be_written_is_an_error),
		cmocka_unit_test(
			control_characters_in_wrong_words_do_not_get_out),
		cmocka_unit_test(durations_have_units),
		cmocka_unit_test(sizes_have_units),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
