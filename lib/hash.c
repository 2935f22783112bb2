#include "hash.h"

#include "err.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static const char sha256[] = "SHA-256";

struct hash {
	EVP_MD_CTX *ctx;
};

/* OpenSSL fails here for want of memory, getrandom(2) on a system without it:
 * the end, as with memory in err.h. */
static void need(bool done, const char *what)
{
	if (!done) {
		say("%s cannot be had on this machine", what);
		_exit(EX_IOERR);
	}
}

struct hash *hash_new(void)
{
	struct hash *h = xcalloc(1, sizeof *h);

	h->ctx = EVP_MD_CTX_new();
	need(h->ctx && EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL), sha256);
	return h;
}

void hash_add(struct hash *h, const void *p, size_t n)
{
	need(EVP_DigestUpdate(h->ctx, p, n), sha256);
}

void hash_end(struct hash *h, unsigned char sum[HASH_LEN])
{
	need(EVP_DigestFinal_ex(h->ctx, sum, NULL), sha256);
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

static EVP_MD *fetched;

static void fetch(void)
{
	fetched = EVP_MD_fetch(NULL, sha256, NULL);
}

void hash_sha256(const void *p, size_t n, unsigned char sum[HASH_LEN])
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	/* Looking the algorithm up takes longer than a short text does. */
	pthread_once(&once, fetch);
	need(fetched && EVP_Digest(p, n, sum, NULL, fetched, NULL), sha256);
}

static const char digits[] = "0123456789abcdef";

void hash_hex(const unsigned char sum[HASH_LEN], char out[HASH_HEX_MAX])
{
	int i;

	for (i = 0; i < HASH_LEN; i++) {
		*out++ = digits[sum[i] >> 4];
		*out++ = digits[sum[i] & 0xf];
	}
	*out = '\0';
}

void hash_base64(const unsigned char sum[HASH_LEN], char out[HASH_BASE64_MAX])
{
	EVP_EncodeBlock((unsigned char *)out, sum, HASH_LEN);
}

/* A digit's value, or -1. */
static int digit(char c)
{
	const char *at = c < '0' ? NULL : strchr(digits, c | ('a' ^ 'A'));

	return at ? (int)(at - digits) : -1;
}

static bool read_hex(const char *text, unsigned char sum[HASH_LEN])
{
	int i, high, low;

	for (i = 0; i < HASH_LEN; i++) {
		high = digit(text[2 * i]);
		low = digit(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		sum[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

static bool read_base64(const char *text, unsigned char sum[HASH_LEN])
{
	/* In blocks of three bytes, the last of which is half empty. */
	unsigned char whole[HASH_LEN + 1];
	char again[HASH_BASE64_MAX];

	if (EVP_DecodeBlock(whole, (const unsigned char *)text,
		    HASH_BASE64_MAX - 1) != sizeof whole)
		return false;
	memcpy(sum, whole, HASH_LEN);
	hash_base64(sum, again);
	return strcmp(text, again) == 0;
}

bool hash_read(const char *text, unsigned char sum[HASH_LEN])
{
	switch (strlen(text)) {
	case HASH_HEX_MAX - 1:
		return read_hex(text, sum);
	case HASH_BASE64_MAX - 1:
		return read_base64(text, sum);
	default:
		return false;
	}
}

void hash_uuid(char out[37])
{
	unsigned char r[16];
	ssize_t n;
	int i;

	/* Interrupted only while the system boots; never short for so few. */
	do {
		n = getrandom(r, sizeof r, 0);
	} while (n < 0 && errno == EINTR);
	need(n == (ssize_t)sizeof r, "randomness");
	r[6] = (unsigned char)(0x40 | (r[6] & 0x0f));
	r[8] = (unsigned char)(0x80 | (r[8] & 0x3f));
	for (i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*out++ = '-';
		*out++ = digits[r[i] >> 4];
		*out++ = digits[r[i] & 0x0f];
	}
	*out = '\0';
}
