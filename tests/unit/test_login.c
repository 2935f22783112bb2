/* A login that is spent, kept and looked at, and the clients of a home. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "home.h"
#include "login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct statedir home = STATEDIR_NONE;
static const char *const files[] = { HOME_LOGIN, HOME_CLIENTS, HOME_LOGIN_LOCK,
	HOME_LOGIN ".new", HOME_CLIENTS ".new" };

static int set_up(void **state)
{
	static char dir[] = "/dev/shm/agentrux-test.XXXXXX";
	struct err e;

	(void)state;
	umask(022);
	if (mkdtemp(dir) == NULL)
		return -1;
	return statedir_open(&home, dir, STATEDIR_FIND, &e) > 0 ? 0 : -1;
}

static int empty(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof files / sizeof *files; i++)
		unlinkat(home.fd, files[i], 0);
	return 0;
}

static int tear_down(void **state)
{
	int r;

	empty(state);
	r = rmdir(home.path);
	statedir_close(&home);
	return r;
}

static void put(const char *name, const char *text)
{
	struct err e;

	assert_int_equal(
		statefile_replace(&home, name, text, strlen(text), &e), 0);
}

/* The file as it is, in a buffer of its own. */
static const char *get(const char *name)
{
	static char text[4096];
	struct buf b = BUF_INIT(sizeof text - 1);
	struct err e;

	assert_int_equal(statefile_load(&home, name, &b, &e), 1);
	snprintf(text, sizeof text, "%s", buf_text(&b));
	buf_release(&b);
	return text;
}

static void a_login_is_spent_once(void **state)
{
	struct err e = { 0 };
	char *refresh;

	(void)state;
	assert_int_equal(login_look(&home, "cli_1", &e), 0);
	assert_int_equal(login_keep(&home, "cli_1", "art_1", &e), 0);
	assert_int_equal(login_look(&home, "cli_1", &e), 1);
	assert_int_equal(login_spend(&home, "cli_1", &refresh, &e), 0);
	assert_string_equal(refresh, "art_1");
	free(refresh);
	/* It has left the disk before anybody could send it. */
	assert_null(strstr(get(HOME_LOGIN), "art_1"));
	assert_int_equal(login_look(&home, "cli_1", &e), 0);
	assert_int_equal(login_spend(&home, "cli_1", &refresh, &e), -1);
	assert_int_equal(e.code, EX_NOPERM);
	assert_non_null(strstr(e.text, LOGIN_REMEDY));
	assert_null(refresh);
	/* The next one brings it back to life. */
	assert_int_equal(login_keep(&home, "cli_1", "art_2", &e), 0);
	assert_int_equal(login_spend(&home, "cli_1", &refresh, &e), 0);
	assert_string_equal(refresh, "art_2");
	free(refresh);
}

static void another_clients_login_is_none(void **state)
{
	struct err e = { 0 };
	char *refresh;

	(void)state;
	login_keep(&home, "cli_1", "art_1", &e);
	assert_int_equal(login_look(&home, "cli_2", &e), 0);
	assert_int_equal(login_look(&home, "cli_", &e), 0);
	assert_int_equal(login_look(&home, "", &e), 0);
	assert_int_equal(login_spend(&home, "cli_2", &refresh, &e), -1);
	assert_int_equal(e.code, EX_NOPERM);
	/* Nor is it spoilt for whose it is. */
	assert_int_equal(login_look(&home, "cli_1", &e), 1);
}

static void what_is_no_login_is_none(void **state)
{
	static const char *const texts[] = { "{}", "{\"client_id\":\"cli_1\"}",
		"{\"refresh_token\":\"art_1\"}",
		"{\"client_id\":\"cli_1\",\"refresh_token\":\"\"}",
		"{\"client_id\":\"cli_1\",\"refresh_token\":null}",
		"{\"client_id\":\"cli_1\",\"refresh_token\":7}",
		"{\"client_id\":1,\"refresh_token\":\"art_1\"}" };
	struct err e = { 0 };
	char *refresh;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof texts / sizeof *texts; i++) {
		put(HOME_LOGIN, texts[i]);
		assert_int_equal(login_look(&home, "cli_1", &e), 0);
		assert_int_equal(login_spend(&home, "cli_1", &refresh, &e), -1);
		assert_int_equal(e.code, EX_NOPERM);
		assert_string_equal(get(HOME_LOGIN), texts[i]);
	}
}

/* Of a good login, everything but the whole. */
static void what_is_damaged_stops_and_stays(void **state)
{
	static const char good[] =
		"{\"client_id\":\"cli_1\",\"refresh_token\":\"art_1\"}";
	char text[sizeof good] = "";
	struct err e = { 0 };
	char *refresh, *id;
	size_t n;

	(void)state;
	for (n = 0; n < sizeof good - 1; n++) {
		memcpy(text, good, n);
		put(HOME_LOGIN, text);
		put(HOME_CLIENTS, text);
		assert_int_equal(login_look(&home, "cli_1", &e), -1);
		assert_int_equal(e.code, EX_CONFIG);
		assert_int_equal(login_spend(&home, "cli_1", &refresh, &e), -1);
		assert_int_equal(e.code, EX_CONFIG);
		assert_int_equal(
			login_set_client(&home, "https://a", "cli_2", &e), -1);
		assert_int_equal(login_client(&home, "https://a", &id, &e), -1);
		assert_string_equal(get(HOME_LOGIN), text);
		assert_string_equal(get(HOME_CLIENTS), text);
	}
	put(HOME_LOGIN, "[1]");
	assert_int_equal(login_look(&home, "cli_1", &e), -1);
}

static void what_others_can_read_is_refused(void **state)
{
	struct err e = { 0 };
	char *refresh;

	(void)state;
	login_keep(&home, "cli_1", "art_1", &e);
	assert_int_equal(fchmodat(home.fd, HOME_LOGIN, 0644, 0), 0);
	assert_int_equal(login_spend(&home, "cli_1", &refresh, &e), -1);
	assert_int_equal(e.code, EX_CONFIG);
	assert_non_null(strstr(e.text, "chmod 600"));
	assert_int_equal(fchmodat(home.fd, HOME_LOGIN, 0600, 0), 0);
	assert_int_equal(login_look(&home, "cli_1", &e), 1);
}

static void clients_are_kept_by_base_url(void **state)
{
	struct err e = { 0 };
	char *id;

	(void)state;
	assert_int_equal(login_client(&home, "https://a", &id, &e), 0);
	assert_null(id);
	assert_int_equal(login_set_client(&home, "https://a", "cli_a", &e), 0);
	assert_int_equal(login_set_client(&home, "https://b", "cli_b", &e), 0);
	assert_int_equal(login_set_client(&home, "https://a", "cli_c", &e), 0);
	assert_int_equal(login_client(&home, "https://a", &id, &e), 1);
	assert_string_equal(id, "cli_c");
	free(id);
	assert_int_equal(login_client(&home, "https://b", &id, &e), 1);
	assert_string_equal(id, "cli_b");
	free(id);
	/* Names are whole, and of one case. */
	assert_int_equal(login_client(&home, "https://A", &id, &e), 0);
	assert_int_equal(login_client(&home, "https://", &id, &e), 0);
}

static void it_is_one_at_a_time(void **state)
{
	struct lock first = LOCK_NONE;
	struct err e = { 0 };

	(void)state;
	assert_false(lock_held(&home, HOME_LOGIN_LOCK));
	assert_int_equal(login_lock(&home, &first, &e), 0);
	assert_true(lock_held(&home, HOME_LOGIN_LOCK));
	lock_release(&first);
	assert_false(lock_held(&home, HOME_LOGIN_LOCK));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_login_is_spent_once, empty),
		cmocka_unit_test_teardown(another_clients_login_is_none, empty),
		cmocka_unit_test_teardown(what_is_no_login_is_none, empty),
		cmocka_unit_test_teardown(
			what_is_damaged_stops_and_stays, empty),
		cmocka_unit_test_teardown(
			what_others_can_read_is_refused, empty),
		cmocka_unit_test_teardown(clients_are_kept_by_base_url, empty),
		cmocka_unit_test_teardown(it_is_one_at_a_time, empty),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
