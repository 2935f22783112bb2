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

static void mac(const unsigned char key[SIGN_KEY], const void *p, size_t n,
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

	mac(key, all, strlen(all), out);
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

/* base64url without padding; returns the length. */
static size_t encode(const unsigned char *p, size_t n, char *out)
{
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

/* The way back, exactly `n` bytes and in their only spelling; else -1. */
static int decode(const char *s, unsigned char *out, size_t n)
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
	encode(r, sizeof r, out + n);
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

/* On the wire: "atk_" and base64url of version, three numbers and the mac. */
enum { TOKEN_SAID = 1 + 3 * 8, TOKEN_BYTES = TOKEN_SAID + SIGN_KEY };

static const char token_prefix[] = "atk_";

static void put64(unsigned char *p, int64_t v)
{
	int i;

	for (i = 0; i < 8; i++)
		p[i] = (unsigned char)((uint64_t)v >> (56 - 8 * i));
}

static int64_t get64(const unsigned char *p)
{
	uint64_t v = 0;
	int i;

	for (i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return (int64_t)v;
}

void token_make(const unsigned char key[SIGN_KEY], const struct token *t,
	char out[SIGN_TOKEN])
{
	unsigned char raw[TOKEN_BYTES] = { 1 };

	put64(raw + 1, t->script);
	put64(raw + 9, t->generation);
	put64(raw + 17, t->expires_ms);
	mac(key, raw, TOKEN_SAID, raw + TOKEN_SAID);
	memcpy(out, token_prefix, sizeof token_prefix);
	encode(raw, sizeof raw, out + sizeof token_prefix - 1);
}

int token_read(
	const unsigned char key[SIGN_KEY], const char *text, struct token *t)
{
	unsigned char raw[TOKEN_BYTES], want[SIGN_KEY];
	size_t n = sizeof token_prefix - 1;

	if (strncmp(text, token_prefix, n) != 0 ||
		decode(text + n, raw, sizeof raw) < 0 || raw[0] != 1)
		return -1;
	mac(key, raw, TOKEN_SAID, want);
	if (!sign_equal(want, raw + TOKEN_SAID, SIGN_KEY))
		return -1;
	t->script = get64(raw + 1);
	t->generation = get64(raw + 9);
	t->expires_ms = get64(raw + 17);
	return 0;
}
