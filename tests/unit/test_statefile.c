/* Locks, safe reading, whole replacing; many writers at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "statefile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WRITERS = 8, TURNS = 50 };

static char *path;
static struct statedir dir;

static int set_up(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	path = xasprintf("%s/agentrux-test.XXXXXX", tmp ? tmp : "/tmp");
	return mkdtemp(path) && statedir_open(&dir, path, STATEDIR_FIND, NULL)
		       ? 0
		       : -1;
}

static int tear_down(void **state)
{
	char *command = xasprintf("rm -r '%s'", path);
	int r = system(command);

	(void)state;
	statedir_close(&dir);
	free(command);
	free(path);
	return r;
}

static void put(const char *name, const char *text, mode_t mode)
{
	int fd = openat(dir.fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

/* The file's text in a static place; NULL and `code` if it was refused. */
static const char *get(const char *name, int *code)
{
	static char text[64];
	struct buf b = BUF_INIT(32);
	struct err e = { 0 };
	int r = statefile_load(&dir, name, &b, &e);

	snprintf(text, sizeof text, "%s", buf_text(&b));
	buf_release(&b);
	*code = r < 0 ? e.code : r;
	return r > 0 ? text : NULL;
}

static void unsafe_files_are_refused(void **state)
{
	static const mode_t modes[] = { 0640, 0604, 0660, 0602, 0610, 0644 };
	char long_text[64];
	size_t i;
	int code;

	(void)state;
	assert_null(get("none", &code));
	assert_int_equal(code, 0);
	put("f", "text", 0600);
	assert_string_equal(get("f", &code), "text");
	put("f", "text", 0400);
	assert_string_equal(get("f", &code), "text");
	for (i = 0; i < sizeof modes / sizeof *modes; i++) {
		assert_int_equal(fchmodat(dir.fd, "f", modes[i], 0), 0);
		assert_null(get("f", &code));
		assert_int_equal(code, EX_CONFIG);
	}
	assert_int_equal(fchmodat(dir.fd, "f", 0600, 0), 0);
	assert_int_equal(symlinkat("f", dir.fd, "link"), 0);
	assert_null(get("link", &code));
	assert_int_equal(code, EX_CONFIG);
	assert_int_equal(mkfifoat(dir.fd, "fifo", 0600), 0);
	assert_null(get("fifo", &code));
	assert_int_equal(code, EX_CONFIG);
	assert_int_equal(mkdirat(dir.fd, "d", 0700), 0);
	assert_null(get("d", &code));
	assert_int_equal(code, EX_CONFIG);
	memset(long_text, 'x', 33);
	long_text[33] = '\0';
	put("f", long_text + 1, 0600);
	assert_non_null(get("f", &code));
	put("f", long_text, 0600);
	assert_null(get("f", &code));
	assert_int_equal(code, EX_CONFIG);
}

static void a_replaced_file_is_whole_and_private(void **state)
{
	mode_t was = umask(0);
	struct stat st;
	int code;

	(void)state;
	assert_int_equal(statefile_replace(&dir, "r", "one", 3, NULL), 0);
	/* A leftover of a kill, with other bits and more bytes. */
	put("r.new", "something longer that was left", 0666);
	assert_int_equal(statefile_replace(&dir, "r", "two", 3, NULL), 0);
	umask(was);
	assert_string_equal(get("r", &code), "two");
	assert_int_equal(fstatat(dir.fd, "r", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(fstatat(dir.fd, "r.new", &st, 0), -1);
	assert_int_equal(statefile_remove(&dir, "r", NULL), 0);
	assert_int_equal(statefile_remove(&dir, "r", NULL), 0);
}

static void what_stands_in_the_way_is_an_error_not_a_victim(void **state)
{
	struct err e = { 0 };

	(void)state;
	put("victim", "kept", 0600);
	assert_int_equal(symlinkat("victim", dir.fd, "s.new"), 0);
	assert_int_equal(statefile_replace(&dir, "s", "x", 1, &e), -1);
	assert_int_equal(mkfifoat(dir.fd, "p.new", 0600), 0);
	assert_int_equal(statefile_replace(&dir, "p", "x", 1, &e), -1);
	assert_int_equal(mkdirat(dir.fd, "q", 0700), 0);
	assert_int_equal(statefile_replace(&dir, "q", "x", 1, &e), -1);
	assert_int_equal(e.code, EX_IOERR);
	assert_int_equal(faccessat(dir.fd, "q.new", F_OK, 0), -1);
	assert_string_equal(get("victim", &(int){ 0 }), "kept");
}

static void moving_never_replaces(void **state)
{
	int code;

	(void)state;
	put("a", "a", 0600);
	put("b", "b", 0600);
	assert_int_equal(statefile_move(&dir, "a", "b"), -1);
	assert_int_equal(errno, EEXIST);
	assert_string_equal(get("b", &code), "b");
	assert_int_equal(statefile_move(&dir, "a", "c"), 0);
	assert_string_equal(get("c", &code), "a");
	assert_int_equal(statefile_move(&dir, "a", "d2"), -1);
	assert_int_equal(errno, ENOENT);
}

static void a_lock_is_held_once(void **state)
{
	struct lock one = LOCK_NONE, two = LOCK_NONE;

	(void)state;
	assert_false(lock_held(&dir, "x.lock"));
	assert_int_equal(lock_take(&one, &dir, "x.lock", 0, NULL), 1);
	assert_true(lock_held(&dir, "x.lock"));
	assert_int_equal(lock_take(&two, &dir, "x.lock", 0, NULL), 0);
	assert_int_equal(lock_take(&two, &dir, "x.lock", 20, NULL), 0);
	lock_release(&one);
	assert_false(lock_held(&dir, "x.lock"));
	assert_int_equal(lock_take(&two, &dir, "x.lock", 0, NULL), 1);
	lock_release(&two);
	lock_release(&two);
}

/* Adds one to the number in the file, TURNS times. */
static void count(void)
{
	struct lock l = LOCK_NONE;
	char text[32];
	const char *was;
	int i, code;

	for (i = 0; i < TURNS; i++) {
		if (lock_take(&l, &dir, "n.lock", -1, NULL) != 1)
			_exit(1);
		was = get("n", &code);
		snprintf(text, sizeof text, "%d", was ? atoi(was) + 1 : 1);
		if (statefile_replace(&dir, "n", text, strlen(text), NULL) < 0)
			_exit(1);
		lock_release(&l);
	}
	_exit(0);
}

static void many_writers_lose_nothing(void **state)
{
	pid_t pids[WRITERS];
	int i, status, code;

	(void)state;
	for (i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0)
			count();
	}
	for (i = 0; i < WRITERS; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(atoi(get("n", &code)), WRITERS * TURNS);
}

static void a_folder_of_others_is_refused(void **state)
{
	struct statedir sub = STATEDIR_NONE;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(statedir_sub(&dir, "no", STATEDIR_FIND, &sub, &e), 0);
	statedir_close(&sub);
	assert_int_equal(
		statedir_sub(&dir, "sub", STATEDIR_CREATE, &sub, &e), 1);
	statedir_close(&sub);
	assert_int_equal(fchmodat(dir.fd, "sub", 0755, 0), 0);
	assert_int_equal(statedir_sub(&dir, "sub", STATEDIR_FIND, &sub, &e), 1);
	statedir_close(&sub);
	assert_int_equal(fchmodat(dir.fd, "sub", 0770, 0), 0);
	assert_int_equal(
		statedir_sub(&dir, "sub", STATEDIR_FIND, &sub, &e), -1);
	assert_int_equal(e.code, EX_CONFIG);
	assert_non_null(strstr(e.text, "chmod 700"));
	put("file", "", 0600);
	assert_int_equal(
		statedir_sub(&dir, "file", STATEDIR_FIND, &sub, &e), -1);
	assert_int_equal(e.code, EX_CONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unsafe_files_are_refused),
		cmocka_unit_test(a_replaced_file_is_whole_and_private),
		cmocka_unit_test(
			what_stands_in_the_way_is_an_error_not_a_victim),
		cmocka_unit_test(moving_never_replaces),
		cmocka_unit_test(a_lock_is_held_once),
		cmocka_unit_test(many_writers_lose_nothing),
		cmocka_unit_test(a_folder_of_others_is_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
