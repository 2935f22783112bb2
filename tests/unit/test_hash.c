#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hash.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *text, *hex, *base64;
} known[] = {
	{ "",
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8"
		"55",
		"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" },
	{ "abc",
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015"
		"ad",
		"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=" },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06"
		"c1",
		"JI1qYdIGOLjlwCaTDD5gOaM85Flk/yFn9uzt1BnbBsE=" },
};

static void knows_the_published_sums(void **state)
{
	unsigned char sum[HASH_LEN];
	char hex[HASH_HEX_MAX], base64[HASH_BASE64_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof known / sizeof *known; i++) {
		hash_sha256(known[i].text, strlen(known[i].text), sum);
		hash_hex(sum, hex);
		hash_base64(sum, base64);
		assert_string_equal(hex, known[i].hex);
		assert_string_equal(base64, known[i].base64);
	}
}

static void pieces_make_the_same_sum_as_the_whole(void **state)
{
	const char *text = known[2].text;
	size_t len = strlen(text), cut;
	unsigned char sum[HASH_LEN];
	char hex[HASH_HEX_MAX];
	struct hash *h;

	(void)state;
	for (cut = 0; cut <= len; cut++) {
		h = hash_new();
		hash_add(h, text, cut);
		hash_add(h, NULL, 0);
		hash_add(h, text + cut, len - cut);
		hash_end(h, sum);
		hash_hex(sum, hex);
		assert_string_equal(hex, known[2].hex);
	}
}

static void a_million_letters_in_blocks(void **state)
{
	unsigned char sum[HASH_LEN];
	char hex[HASH_HEX_MAX], block[1000];
	struct hash *h = hash_new();
	int i;

	(void)state;
	memset(block, 'a', sizeof block);
	for (i = 0; i < 1000; i++)
		hash_add(h, block, sizeof block);
	hash_end(h, sum);
	hash_hex(sum, hex);
	assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497"
				 "200e046d39ccc7112cd0");
}

static void a_uuid_is_of_version_4_and_new_each_time(void **state)
{
	static char uuids[1000][37];
	int i, j;

	(void)state;
	for (i = 0; i < 1000; i++) {
		char *u = uuids[i];

		memset(u, 'x', 37);
		hash_uuid(u);
		assert_int_equal(strlen(u), 36);
		for (j = 0; j < 36; j++) {
			if (j == 8 || j == 13 || j == 18 || j == 23)
				assert_int_equal(u[j], '-');
			else
				assert_non_null(
					strchr("0123456789abcdef", u[j]));
		}
		assert_int_equal(u[14], '4');
		assert_non_null(strchr("89ab", u[19]));
		for (j = 0; j < i; j++)
			assert_string_not_equal(u, uuids[j]);
	}
}

static void either_spelling_is_read_back(void **state)
{
	static const char *const bad[] = {
		"",
		"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0",
		"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0==",
		"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa1=",
		"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFaaa",
		"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0=",
		"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAF===",
		"ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015"
		"ad",
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015"
		"a\x10",
	};
	unsigned char want[HASH_LEN], sum[HASH_LEN];
	char upper[HASH_HEX_MAX];
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof known / sizeof *known; i++) {
		hash_sha256(known[i].text, strlen(known[i].text), want);
		assert_true(hash_read(known[i].base64, sum));
		assert_memory_equal(sum, want, sizeof sum);
		assert_true(hash_read(known[i].hex, sum));
		assert_memory_equal(sum, want, sizeof sum);
		for (k = 0; k < sizeof upper; k++)
			upper[k] = (char)toupper(known[i].hex[k]);
		assert_true(hash_read(upper, sum));
		assert_memory_equal(sum, want, sizeof sum);
	}
	for (i = 0; i < sizeof bad / sizeof *bad; i++)
		if (hash_read(bad[i], sum))
			fail_msg("%s is taken", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_the_published_sums),
		cmocka_unit_test(pieces_make_the_same_sum_as_the_whole),
		cmocka_unit_test(a_million_letters_in_blocks),
		cmocka_unit_test(either_spelling_is_read_back),
		cmocka_unit_test(a_uuid_is_of_version_4_and_new_each_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
