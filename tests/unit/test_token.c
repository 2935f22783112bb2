/* What a token is good for and when; saved and loaded, also in pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "home.h"
#include "token.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/dev/shm/agentrux-test.XXXXXX";
static struct token_cache cache;

static int set_up(void **state)
{
	struct cred c = { .script_id = (char *)"scr_1",
		.secret = (char *)"secret" };

	(void)state;
	if (mkdtemp(dir) == NULL || setenv("AGENTRUX_RUNTIME_DIR", dir, 1))
		return -1;
	token_cache_open(&cache, "https://example.com", &c);
	return cache.off ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlinkat(cache.dir.fd, cache.name, 0);
	unlinkat(cache.dir.fd, cache.lock_name, 0);
	token_cache_close(&cache);
	return rmdir(dir);
}

static void stale_comes_a_minute_before_the_end(void **state)
{
	struct token t = { 0 };

	(void)state;
	assert_false(token_fresh(&t, 0));
	token_set(&t, "a", NULL, 1000, 3600000);
	assert_int_equal(t.expires_ms, 3601000);
	assert_int_equal(t.stale_ms, 3541000);
	assert_true(token_fresh(&t, 3540999));
	assert_false(token_fresh(&t, 3541000));
	/* What does not live two minutes is used for half its life. */
	token_set(&t, "b", "r", 1000, 10000);
	assert_int_equal(t.stale_ms, 6000);
	assert_string_equal(t.access, "b");
	assert_string_equal(t.refresh, "r");
	token_release(&t);
	assert_null(t.access);
}

static void what_is_saved_is_loaded(void **state)
{
	struct token t = { 0 }, u;

	(void)state;
	token_load(&cache, &u);
	assert_null(u.access);
	token_set(&t, "access", "refresh", 1000, 3600000);
	t.blocked_ms = 77;
	t.failed_ms = 5;
	t.failed_code = 75;
	t.failed = xstrdup("why");
	assert_int_equal(token_save(&cache, &t, NULL), 0);
	token_load(&cache, &u);
	assert_string_equal(u.access, "access");
	assert_string_equal(u.refresh, "refresh");
	assert_int_equal(u.expires_ms, t.expires_ms);
	assert_int_equal(u.stale_ms, t.stale_ms);
	assert_int_equal(u.blocked_ms, 77);
	assert_int_equal(u.failed_ms, 5);
	assert_int_equal(u.failed_code, 75);
	assert_string_equal(u.failed, "why");
	token_release(&u);
	/* A grant ends the memory of what failed before it. */
	token_set(&t, "next", NULL, 1000, 3600000);
	assert_int_equal(token_save(&cache, &t, NULL), 0);
	token_load(&cache, &u);
	assert_null(u.refresh);
	assert_null(u.failed);
	assert_int_equal(u.blocked_ms, 0);
	token_release(&u);
	token_release(&t);
}

static void a_piece_of_a_cache_is_as_good_as_none(void **state)
{
	struct token t = { 0 }, u;
	char text[4096];
	ssize_t len, n;
	int fd;

	(void)state;
	token_set(&t, "access", "refresh", 1000, 3600000);
	assert_int_equal(token_save(&cache, &t, NULL), 0);
	fd = openat(cache.dir.fd, cache.name, O_RDWR);
	assert_true(fd >= 0);
	len = read(fd, text, sizeof text);
	assert_true(len > 0 && (size_t)len < sizeof text);
	for (n = 0; n < len; n++) {
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, text, (size_t)n, 0), n);
		token_load(&cache, &u);
		assert_null(u.access);
		assert_null(u.refresh);
		token_release(&u);
	}
	close(fd);
	assert_int_equal(token_forget(&cache, NULL), 0);
	assert_int_equal(token_forget(&cache, NULL), 0);
	token_release(&t);
}

static void other_credentials_have_other_files(void **state)
{
	struct cred c[] = {
		{ .script_id = (char *)"scr_1", .secret = (char *)"secret" },
		{ .script_id = (char *)"scr_2", .secret = (char *)"secret" },
		{ .script_id = (char *)"scr_1", .secret = (char *)"secret2" },
		{ .script_id = (char *)"scr_1",
			.client_id = (char *)"crd_1",
			.secret = (char *)"secret" },
	};
	struct token_cache t[5];
	size_t i, j;

	(void)state;
	for (i = 0; i < 4; i++)
		token_cache_open(&t[i], "https://example.com", &c[i]);
	token_cache_open(&t[4], "https://example.org", &c[0]);
	assert_string_equal(t[0].name, cache.name);
	for (i = 0; i < 5; i++) {
		assert_null(strstr(t[i].name, "secret"));
		for (j = 0; j < i; j++)
			assert_string_not_equal(t[i].name, t[j].name);
	}
	for (i = 0; i < 5; i++)
		token_cache_close(&t[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stale_comes_a_minute_before_the_end),
		cmocka_unit_test(what_is_saved_is_loaded),
		cmocka_unit_test(a_piece_of_a_cache_is_as_good_as_none),
		cmocka_unit_test(other_credentials_have_other_files),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
