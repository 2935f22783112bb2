#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hashing.h"

#include <stdlib.h>
#include <string.h>

enum { LEN = 1500000 };

/* The sum of the first `len` bytes, which are added `piece` at a time from one
 * buffer that is written over in between, as a sender's is. */
static void sum_in_pieces(const unsigned char *bytes, size_t len, size_t piece,
	unsigned char sum[HASH_LEN])
{
	unsigned char *buffer = calloc(1, piece);
	struct hashing *h = hashing_start();
	size_t at, n;

	for (at = 0; at < len; at += n) {
		n = len - at < piece ? len - at : piece;
		memcpy(buffer, bytes + at, n);
		hashing_add(h, buffer, n);
		memset(buffer, 0xff, piece);
	}
	hashing_end(h, sum);
	free(buffer);
}

static void pieces_of_any_size_make_the_sum_of_the_whole(void **state)
{
	static const size_t pieces[] = { 1000, 65536, 131071, 131072, 131073,
		262144, 1000003, LEN };
	unsigned char *bytes = malloc(LEN);
	unsigned char want[HASH_LEN], sum[HASH_LEN];
	size_t i;

	(void)state;
	for (i = 0; i < LEN; i++)
		bytes[i] = (unsigned char)(i * 7919 >> 5);
	hash_sha256(bytes, LEN, want);
	for (i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		sum_in_pieces(bytes, LEN, pieces[i], sum);
		assert_memory_equal(sum, want, HASH_LEN);
	}
	free(bytes);
}

static void short_ones_have_the_sum_of_what_was_added(void **state)
{
	static const unsigned char bytes[3] = { 'a', 'b', 'c' };
	unsigned char want[HASH_LEN], sum[HASH_LEN];
	struct hashing *h;
	size_t len;

	(void)state;
	for (len = 0; len <= sizeof bytes; len++) {
		hash_sha256(bytes, len, want);
		sum_in_pieces(bytes, len, 1, sum);
		assert_memory_equal(sum, want, HASH_LEN);
	}
	h = hashing_start();
	hashing_add(h, bytes, 0);
	hashing_end(h, sum);
	hash_sha256(NULL, 0, want);
	assert_memory_equal(sum, want, HASH_LEN);
}

static void many_go_on_side_by_side(void **state)
{
	struct hashing *h[64];
	unsigned char want[HASH_LEN], sum[HASH_LEN];
	unsigned char *bytes = calloc(1, LEN);
	int i;

	(void)state;
	hash_sha256(bytes, LEN, want);
	for (i = 0; i < 64; i++)
		h[i] = hashing_start();
	for (i = 0; i < 64; i++)
		hashing_add(h[i], bytes, LEN);
	for (i = 0; i < 64; i++) {
		hashing_end(h[i], sum);
		assert_memory_equal(sum, want, HASH_LEN);
	}
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_of_any_size_make_the_sum_of_the_whole),
		cmocka_unit_test(short_ones_have_the_sum_of_what_was_added),
		cmocka_unit_test(many_go_on_side_by_side),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
