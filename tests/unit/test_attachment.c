#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "attachment.h"

#include <stdlib.h>
#include <string.h>

#define SUM "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define SUM64 "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="

static int read_line(const char *line, struct attachment *a)
{
	struct slice whole;
	struct err e = { 0 };
	int r = attachment_read(line, strlen(line), a, &whole, &e);

	assert_int_equal(e.code, r < 0 ? EX_DATAERR : 0);
	return r;
}

static void both_dialects_are_read(void **state)
{
	static const char *const lines[] = {
		"{\"name\":\"a.txt\",\"object_id\":\"obj_1\",\"content_type\":"
		"\"text/plain\",\"size\":3,\"download_url\":\"https://x/y\","
		"\"checksum_sha256\":\"" SUM "\"}",
		" {\"filename\":\"a.txt\", \"payload_object_id\":\"obj_1\","
		"\"size_bytes\": 3,\"presigned_get_url\":\"https:\\/\\/x/y\","
		"\"checksum_sha256\":\"" SUM64 "\"}\r",
	};
	unsigned char sum[HASH_LEN];
	struct attachment a;
	size_t i;

	(void)state;
	hash_sha256("abc", 3, sum);
	for (i = 0; i < 2; i++) {
		assert_int_equal(read_line(lines[i], &a), 0);
		assert_string_equal(a.name, "a.txt");
		assert_string_equal(a.id, "obj_1");
		assert_string_equal(a.url, "https://x/y");
		assert_int_equal(a.size, 3);
		assert_true(a.has_sum);
		assert_memory_equal(a.sum, sum, sizeof sum);
		attachment_release(&a);
	}
}

static void little_is_enough(void **state)
{
	struct attachment a;

	(void)state;
	assert_int_equal(read_line("{\"object_id\":\"o\",\"size\":null,"
				   "\"checksum_sha256\":null,\"name\":7,"
				   "\"download_url\":null}",
				 &a),
		0);
	assert_null(a.name);
	assert_null(a.url);
	assert_int_equal(a.size, -1);
	assert_false(a.has_sum);
	attachment_release(&a);
	assert_int_equal(read_line("{\"download_url\":\"x\"}", &a), 0);
	assert_null(a.id);
	attachment_release(&a);
	/* null stands for what is not there: the other dialect's counts. */
	assert_int_equal(
		read_line(
			"{\"object_id\":null,\"payload_object_id\":\"p\"}", &a),
		0);
	assert_string_equal(a.id, "p");
	attachment_release(&a);
}

static void what_cannot_be_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"x",
		"[]",
		"7",
		"{}",
		"{\"object_id\":\"o\"",
		"{\"object_id\":\"o\"} {}",
		"{\"object_id\":7}",
		"{\"object_id\":\"\"}",
		"{\"object_id\":\"a/b\"}",
		"{\"object_id\":\"..\"}",
		"{\"object_id\":\"-o\"}",
		"{\"object_id\":\"a\\u0000b\"}",
		"{\"object_id\":\"a?b\"}",
		"{\"object_id\":\"o\",\"size\":-1}",
		"{\"object_id\":\"o\",\"size\":\"3\"}",
		"{\"object_id\":\"o\",\"size\":1.5}",
		"{\"object_id\":\"o\",\"size\":99999999999999999999}",
		"{\"object_id\":\"o\",\"download_url\":[]}",
		"{\"object_id\":\"o\",\"checksum_sha256\":\"\"}",
		"{\"object_id\":\"o\",\"checksum_sha256\":3}",
		"{\"object_id\":\"o\",\"checksum_sha256\":\"" SUM "0\"}",
		"{\"name\":\"only a name\"}",
	};
	struct attachment a;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (read_line(bad[i], &a) == 0)
			fail_msg("%s is taken", bad[i]);
		attachment_release(&a);
	}
}

static void a_path_is_put_in_and_all_else_stays(void **state)
{
	static const struct {
		const char *line, *want;
	} pairs[] = {
		{ "{\"object_id\":\"o\"}", "{\"object_id\":\"o\",P}" },
		{ " { \"object_id\" : \"o\" , \"n\":1e400 } ",
			"{ \"object_id\" : \"o\" , \"n\":1e400 ,P}" },
		{ "{\"path\":\"/etc\",\"object_id\":\"o\"}",
			"{\"object_id\":\"o\",P}" },
		{ "{\"object_id\":\"o\",\"path\" : [1,2] }",
			"{\"object_id\":\"o\",P}" },
		{ "{\"object_id\":\"o\" , \"p\\u0061th\":{} ,\"x\":[]}",
			"{\"object_id\":\"o\" , \"x\":[],P}" },
		{ "{\"path\":1,\"object_id\":\"o\",\"path\":2}",
			"{\"object_id\":\"o\",P}" },
		{ "{\"path\":1 ,\"path\":2,\"object_id\":\"\\u006f\"}",
			"{\"object_id\":\"\\u006f\",P}" },
	};
	static const char path[] = "\"path\":\"d/\\\"x\\\"\"";
	struct buf out = BUF_INIT(1000), want = BUF_INIT(1000);
	struct attachment a;
	struct slice whole;
	const char *at;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		assert_int_equal(
			attachment_read(pairs[i].line, strlen(pairs[i].line),
				&a, &whole, NULL),
			0);
		attachment_with_path(whole, "d/\"x\"", &out);
		at = strrchr(pairs[i].want, 'P');
		buf_add(&want, pairs[i].want, (size_t)(at - pairs[i].want));
		buf_str(&want, path);
		buf_str(&want, at + 1);
		assert_string_equal(buf_text(&out), buf_text(&want));
		attachment_release(&a);
		buf_clear(&out);
		buf_clear(&want);
	}
	buf_release(&out);
	buf_release(&want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_dialects_are_read),
		cmocka_unit_test(little_is_enough),
		cmocka_unit_test(what_cannot_be_is_refused),
		cmocka_unit_test(a_path_is_put_in_and_all_else_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
