#include "sign.h"

#include "err.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sign_sum {
	EVP_MD_CTX *ctx;
};

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			       "abcdefghijklmnopqrstuvwxyz0123456789-_";

static _Noreturn void hopeless(const char *what)
{
	say("OpenSSL: no %s", what);
	abort();
}

void sign_random(void *p, size_t n)
{
	if (RAND_bytes(p, (int)n) != 1)
		hopeless("random numbers");
}

void sign_hash(const void *p, size_t n, unsigned char out[SIGN_KEY])
{
	if (EVP_Digest(p, n, out, NULL, EVP_sha256(), NULL) != 1)
		hopeless("SHA-256");
}

struct sign_sum *sign_sum_new(void)
{
	struct sign_sum *s = xcalloc(1, sizeof *s);

	s->ctx = EVP_MD_CTX_new();
	if (s->ctx == NULL ||
		EVP_DigestInit_ex(s->ctx, EVP_sha256(), NULL) != 1)
		hopeless("SHA-256");
	return s;
}

void sign_sum_add(struct sign_sum *s, const void *p, size_t n)
{
	if (EVP_DigestUpdate(s->ctx, p, n) != 1)
		hopeless("SHA-256");
}

void sign_sum_free(struct sign_sum *s, unsigned char out[SIGN_KEY])
{
	if (s == NULL)
		return;
	if (out && EVP_DigestFinal_ex(s->ctx, out, NULL) != 1)
		hopeless("SHA-256");
	EVP_MD_CTX_free(s->ctx);
	free(s);
}

void sign_mac(const unsigned char key[SIGN_KEY], const void *p, size_t n,
	unsigned char out[SIGN_KEY])
{
	unsigned len = SIGN_KEY;

	if (HMAC(EVP_sha256(), key, SIGN_KEY, p, n, out, &len) == NULL)
		hopeless("HMAC");
}

void sign_text(const unsigned char key[SIGN_KEY], const char *domain,
	const char *text, char hex[SIGN_HEX])
{
	char *all = xasprintf("%s\n%s", domain, text);
	unsigned char out[SIGN_KEY];
	size_t i;

	sign_mac(key, all, strlen(all), out);
	free(all);
	for (i = 0; i < SIGN_KEY; i++)
		snprintf(hex + 2 * i, 3, "%02x", out[i]);
}

bool sign_equal(const void *a, const void *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}

bool sign_equal_text(const char *a, const char *b)
{
	unsigned char ha[SIGN_KEY], hb[SIGN_KEY];

	/* Hashes first: the lengths say nothing either. */
	sign_hash(a, strlen(a), ha);
	sign_hash(b, strlen(b), hb);
	return sign_equal(ha, hb, SIGN_KEY);
}

size_t sign_encode(const void *bytes, size_t n, char *out)
{
	const unsigned char *p = bytes;
	uint32_t bits = 0;
	int have = 0;
	size_t len = 0;

	while (n--) {
		bits = bits << 8 | *p++;
		for (have += 8; have >= 6; have -= 6)
			out[len++] = alphabet[bits >> (have - 6) & 63];
	}
	if (have)
		out[len++] = alphabet[bits << (6 - have) & 63];
	out[len] = '\0';
	return len;
}

int sign_decode(const char *s, unsigned char *out, size_t n)
{
	uint32_t bits = 0;
	int have = 0;
	size_t len = 0;

	for (; *s; s++) {
		const char *at = strchr(alphabet, *s);

		if (at == NULL)
			return -1;
		bits = bits << 6 | (uint32_t)(at - alphabet);
		have += 6;
		if (have >= 8) {
			have -= 8;
			if (len == n)
				return -1;
			out[len++] = (unsigned char)(bits >> have);
		}
	}
	if (have >= 6 || (bits & ((1U << have) - 1)))
		return -1;
	return len == n ? 0 : -1;
}

void sign_secret(const char *prefix, char out[SIGN_SECRET])
{
	unsigned char r[SIGN_KEY];
	size_t n = strlen(prefix);

	sign_random(r, sizeof r);
	memcpy(out, prefix, n);
	sign_encode(r, sizeof r, out + n);
	explicit_bzero(r, sizeof r);
}

static void stamp(unsigned char out[16], unsigned version)
{
	out[6] = (unsigned char)((out[6] & 0x0F) | version << 4);
	out[8] = (unsigned char)((out[8] & 0x3F) | 0x80);
}

void sign_uuid4(unsigned char out[16])
{
	sign_random(out, 16);
	stamp(out, 4);
}

void sign_uuid7(int64_t now_ms, unsigned char out[16])
{
	int i;

	sign_random(out, 16);
	for (i = 0; i < 6; i++)
		out[i] = (unsigned char)((uint64_t)now_ms >> (40 - 8 * i));
	stamp(out, 7);
}

void sign_uuid_text(const unsigned char id[16], char out[SIGN_UUID])
{
	static const char hex[] = "0123456789abcdef";
	size_t i, n = 0;

	for (i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			out[n++] = '-';
		out[n++] = hex[id[i] >> 4];
		out[n++] = hex[id[i] & 15];
	}
	out[n] = '\0';
}

int sign_uuid_read(const char *text, unsigned char out[16])
{
	static const char hex[] = "0123456789abcdef0123456789ABCDEF";
	size_t i, n = 0;

	if (strlen(text) != SIGN_UUID - 1)
		return -1;
	memset(out, 0, 16);
	for (i = 0; i < SIGN_UUID - 1; i++) {
		const char *at;

		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text[i] != '-')
				return -1;
			continue;
		}
		at = strchr(hex, text[i]);
		if (at == NULL)
			return -1;
		out[n / 2] =
			(unsigned char)(out[n / 2] << 4 | ((at - hex) & 15));
		n++;
	}
	return 0;
}

/* Hex in either case, or base64 with its padding. */
int sign_hash_read(const char *text, unsigned char out[SIGN_KEY])
{
	static const char hex[] = "0123456789abcdef0123456789ABCDEF";
	char url[44]; /* the same in base64url: 43 characters */
	size_t n = strlen(text), i;

	if (n == 2 * SIGN_KEY && strspn(text, hex) == n) {
		for (i = 0; i < SIGN_KEY; i++) {
			long high = strchr(hex, text[2 * i]) - hex;
			long low = strchr(hex, text[2 * i + 1]) - hex;

			out[i] = (unsigned char)((high & 15) << 4 | (low & 15));
		}
		return 0;
	}
	if (n != 44 || text[43] != '=' || strpbrk(text, "-_"))
		return -1;
	for (i = 0; i < 43; i++)
		url[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
	url[43] = '\0';
	return sign_decode(url, out, SIGN_KEY);
}

void sign_block(const unsigned char key[SIGN_KEY], const char *domain,
	bool back, const unsigned char in[16], unsigned char out[16])
{
	unsigned char own[SIGN_KEY];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0;

	sign_mac(key, domain, strlen(domain), own);
	if (ctx == NULL ||
		EVP_CipherInit_ex(ctx, EVP_aes_256_ecb(), NULL, own, NULL,
			back ? 0 : 1) != 1 ||
		EVP_CIPHER_CTX_set_padding(ctx, 0) != 1 ||
		EVP_CipherUpdate(ctx, out, &n, in, 16) != 1 || n != 16)
		hopeless("AES");
	EVP_CIPHER_CTX_free(ctx);
	explicit_bzero(own, sizeof own);
}
