/* Credentials in every form that is read, and new ones in their place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cred.h"
#include "home.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
	(void)state;
	unlinkat(dir.fd, HOME_CREDENTIALS, 0);
	unlinkat(dir.fd, HOME_RESERVED, 0);
	statedir_close(&dir);
	rmdir(path);
	free(path);
	return 0;
}

static void put(const char *name, const char *text, size_t padding)
{
	int fd = openat(dir.fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(ftruncate(fd, (off_t)(strlen(text) + padding)), 0);
	close(fd);
}

static char *get(const char *name)
{
	struct buf b = BUF_INIT(CRED_FILE_MAX);

	assert_int_equal(statefile_load(&dir, name, &b, NULL), 1);
	return buf_detach(&b);
}

static void expect_file(const char *name, const char *text)
{
	char *got = get(name);

	assert_string_equal(got, text);
	free(got);
}

static bool there(const char *name)
{
	return faccessat(dir.fd, name, F_OK, 0) == 0;
}

static void every_known_form_is_read(void **state)
{
	static const struct {
		const char *text, *url, *script, *client, *secret, *id;
	} forms[] = {
		{ "{\"base_url\":\"https://x\",\"script_id\":\"s\","
		  "\"client_secret\":\"x\"}",
			"https://x", "s", NULL, "x", "s" },
		{ "{\"base_url\":\"https://x//\",\"script_id\":\"s\","
		  "\"clientSecret\":\"y\"}",
			"https://x", "s", NULL, "y", "s" },
		{ "{\"client_id\":\"crd_1\",\"client_secret\":\"z\","
		  "\"script_id\":\"s\"}",
			NULL, "s", "crd_1", "z", "crd_1" },
		{ " {\"client_id\":\"crd_1\",\"client_secret\":\"z\"}\n", NULL,
			NULL, "crd_1", "z", "crd_1" },
		{ "{\"script_id\":\"s\",\"client_secret\":\"\","
		  "\"clientSecret\":\"y\",\"base_url\":null,\"more\":[1]}",
			NULL, "s", NULL, "y", "s" },
	};
	struct cred c;
	size_t i;

	(void)state;
	assert_int_equal(cred_load(&dir, &c, NULL), 0);
	for (i = 0; i < sizeof forms / sizeof *forms; i++) {
		put(HOME_CREDENTIALS, forms[i].text, 0);
		assert_int_equal(cred_load(&dir, &c, NULL), 1);
		assert_string_equal(c.secret, forms[i].secret);
		assert_string_equal(cred_id(&c), forms[i].id);
		assert_true(!c.base_url == !forms[i].url);
		assert_true(!c.script_id == !forms[i].script);
		assert_true(!c.client_id == !forms[i].client);
		if (c.base_url)
			assert_string_equal(c.base_url, forms[i].url);
		cred_release(&c);
	}
}

static void damage_is_told_and_never_quoted(void **state)
{
	static const char whole[] =
		"{\"script_id\":\"s\",\"client_secret\":\"hunter2\"}";
	static const char *const texts[] = { "", "[]", "{}", "hunter2",
		"{\"client_secret\":\"hunter2\"}", "{\"script_id\":\"s\"}",
		"{\"script_id\":\"\",\"client_secret\":\"hunter2\"}",
		"{\"script_id\":\"s\",\"client_secret\":\"hunter2\"}x" };
	struct err e = { 0 };
	char piece[sizeof whole];
	struct cred c;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof texts / sizeof *texts; i++) {
		put(HOME_CREDENTIALS, texts[i], 0);
		assert_int_equal(cred_load(&dir, &c, &e), -1);
		assert_int_equal(e.code, EX_CONFIG);
		assert_null(strstr(e.text, "hunter2"));
		assert_null(c.secret);
	}
	for (i = 0; i < strlen(whole); i++) {
		memcpy(piece, whole, i);
		piece[i] = '\0';
		put(HOME_CREDENTIALS, piece, 0);
		assert_int_equal(cred_load(&dir, &c, &e), -1);
		assert_int_equal(e.code, EX_CONFIG);
	}
	put(HOME_CREDENTIALS, whole, 1);
	assert_int_equal(cred_load(&dir, &c, &e), -1);
}

static void another_secret_leaves_every_other_byte(void **state)
{
	static const struct {
		const char *before, *after;
	} cases[] = {
		{ "{\"script_id\":\"s\",\"client_secret\":\"old\"}",
			"{\"script_id\":\"s\",\"client_secret\":\"n\\\"w\"}" },
		{ "{ \"n\" : 123456789012345678901234567890.10 ,\n"
		  "\"clientSecret\"\t:\t\"old\" , \"x\":\"\\u0000\" }\n",
			"{ \"n\" : 123456789012345678901234567890.10 ,\n"
			"\"clientSecret\"\t:\t\"n\\\"w\" , \"x\":\"\\u0000\" "
			"}\n" },
		{ "{\"client_secret\":\"\",\"clientSecret\":\"old\"}",
			"{\"client_secret\":\"\",\"clientSecret\":"
			"\"n\\\"w\"}" },
	};
	char *text;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		put(HOME_CREDENTIALS, cases[i].before, 0);
		text = cred_document_with(&dir, "n\"w", NULL);
		assert_string_equal(text, cases[i].after);
		free(text);
	}
	put(HOME_CREDENTIALS, "{}", 0);
	assert_null(cred_document_with(&dir, "x", NULL));
}

static const char fresh[] = "{\"script_id\":\"s\",\"client_secret\":\"new\"}";

static void a_reservation_becomes_credentials(void **state)
{
	struct cred_slot s;
	enum cred_left left;
	struct stat st;

	(void)state;
	unlinkat(dir.fd, HOME_CREDENTIALS, 0);
	assert_int_equal(cred_reserve(&dir, &s, NULL), 0);
	assert_int_equal(fstatat(dir.fd, HOME_RESERVED, &st, 0), 0);
	assert_int_equal(st.st_size, CRED_FILE_MAX);
	assert_true(st.st_blocks * 512 >= CRED_FILE_MAX);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(cred_left(&dir, &left, NULL), 0);
	assert_int_equal(left, CRED_LEFT_PADDING);
	assert_int_equal(cred_commit(&dir, &s, fresh, true, NULL), 0);
	expect_file(HOME_CREDENTIALS, fresh);
	assert_false(there(HOME_RESERVED));
	cred_unreserve(&dir, &s);
	/* Given back. */
	assert_int_equal(cred_reserve(&dir, &s, NULL), 0);
	cred_unreserve(&dir, &s);
	assert_false(there(HOME_RESERVED));
	expect_file(HOME_CREDENTIALS, fresh);
}

static void credentials_that_came_meanwhile_stay(void **state)
{
	struct err e = { 0 };
	struct cred_slot s;

	(void)state;
	put(HOME_CREDENTIALS, "{\"others\":1}", 0);
	assert_int_equal(cred_reserve(&dir, &s, NULL), 0);
	assert_int_equal(cred_commit(&dir, &s, fresh, true, &e), -1);
	assert_int_equal(e.code, EX_IOERR);
	assert_true(s.written);
	cred_unreserve(&dir, &s);
	expect_file(HOME_CREDENTIALS, "{\"others\":1}");
	expect_file(HOME_RESERVED, fresh);
	unlinkat(dir.fd, HOME_RESERVED, 0);
}

static void a_secret_that_lies_there_is_never_overwritten(void **state)
{
	static const size_t paddings[] = { 0, 1, 60000 };
	struct cred c = { 0 };
	struct err e = { 0 };
	struct cred_slot s;
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		unlinkat(dir.fd, HOME_CREDENTIALS, 0);
		put(HOME_RESERVED, fresh, paddings[i]);
		assert_int_equal(cred_reserve(&dir, &s, &e), -1);
		assert_int_equal(e.code, EX_CANTCREAT);
		assert_non_null(strstr(e.text, "--recover"));
		cred_unreserve(&dir, &s);
		assert_int_equal(cred_recover(&dir, &c, &e), 1);
		assert_string_equal(c.secret, "new");
		cred_release(&c);
		expect_file(HOME_CREDENTIALS, fresh);
		assert_false(there(HOME_RESERVED));
	}
	assert_int_equal(cred_recover(&dir, &c, &e), 0);
}

static void recovering_knows_a_rotation_from_a_stranger(void **state)
{
	struct cred c = { 0 };
	struct err e = { 0 };

	(void)state;
	put(HOME_CREDENTIALS, "{\"script_id\":\"s\",\"client_secret\":\"old\"}",
		0);
	put(HOME_RESERVED, fresh, 10);
	assert_int_equal(cred_recover(&dir, &c, &e), 1);
	cred_release(&c);
	expect_file(HOME_CREDENTIALS, fresh);
	put(HOME_RESERVED, "{\"script_id\":\"t\",\"client_secret\":\"x\"}", 0);
	assert_int_equal(cred_recover(&dir, &c, &e), -1);
	assert_int_equal(e.code, EX_CANTCREAT);
	expect_file(HOME_CREDENTIALS, fresh);
	assert_true(there(HOME_RESERVED));
	put(HOME_RESERVED, "{\"script_id\":\"s\",\"client_sec", 10);
	assert_int_equal(cred_recover(&dir, &c, &e), -1);
	assert_int_equal(e.code, EX_CONFIG);
	assert_true(there(HOME_RESERVED));
	/* Both names on one file: cut short between link and unlink. */
	unlinkat(dir.fd, HOME_RESERVED, 0);
	assert_int_equal(
		linkat(dir.fd, HOME_CREDENTIALS, dir.fd, HOME_RESERVED, 0), 0);
	assert_int_equal(cred_recover(&dir, &c, &e), 1);
	cred_release(&c);
	assert_false(there(HOME_RESERVED));
	expect_file(HOME_CREDENTIALS, fresh);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_known_form_is_read),
		cmocka_unit_test(damage_is_told_and_never_quoted),
		cmocka_unit_test(another_secret_leaves_every_other_byte),
		cmocka_unit_test(a_reservation_becomes_credentials),
		cmocka_unit_test(credentials_that_came_meanwhile_stay),
		cmocka_unit_test(a_secret_that_lies_there_is_never_overwritten),
		cmocka_unit_test(recovering_knows_a_rotation_from_a_stranger),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
