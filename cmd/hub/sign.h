/* hub: randomness, hashes and signatures; the only user of OpenSSL here.
 *
 * Also what is made of them: secrets and codes (a prefix and 256 random bits),
 * UUIDs; ticket.h has the rest. Whatever cannot be had from OpenSSL ends the process:
 * to go on with a weak secret would be worse. Thread-safe. */
#ifndef AGENTRUX_HUB_SIGN_H
#define AGENTRUX_HUB_SIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SIGN_KEY = 32,	  /* bytes of a key, a hash, a signature */
	SIGN_SECRET = 64, /* room for a secret with its prefix and NUL */
	SIGN_UUID = 37,	  /* room for a UUID as text */
	SIGN_HEX = 2 * 32 + 1
};

void sign_random(void *p, size_t n);
void sign_hash(const void *p, size_t n, unsigned char out[SIGN_KEY]);

/* HMAC-SHA-256 of `text` under `key`. `domain` keeps signatures of one kind
 * from serving as another. */
void sign_text(const unsigned char key[SIGN_KEY], const char *domain,
	const char *text, char hex[SIGN_HEX]);

/* Compares in a time that says nothing of where they differ. */
bool sign_equal(const void *a, const void *b, size_t n);
bool sign_equal_text(const char *a, const char *b);

/* `prefix` and 43 characters of base64url: 256 random bits. */
void sign_secret(const char *prefix, char out[SIGN_SECRET]);

/* 16 bytes of a UUID: random (v4), or led by the time (v7), which keeps an
 * index that grows with it in order. */
void sign_uuid4(unsigned char out[16]);
void sign_uuid7(int64_t now_ms, unsigned char out[16]);
void sign_uuid_text(const unsigned char id[16], char out[SIGN_UUID]);

/* 36 characters, any case; -1 if it is not a UUID. */
int sign_uuid_read(const char *text, unsigned char out[16]);

/* SHA-256 of what comes in pieces. */
struct sign_sum;
struct sign_sum *sign_sum_new(void);
void sign_sum_add(struct sign_sum *s, const void *p, size_t n);

/* The hash, or nothing with `out` NULL; frees. NULL is fine then. */
void sign_sum_free(struct sign_sum *s, unsigned char out[SIGN_KEY]);

/* A hash as hex (any case) or base64 (padded); -1 if it is neither. */
int sign_hash_read(const char *text, unsigned char out[SIGN_KEY]);

/* 16 bytes to 16 others and, with `back`, the way back (AES-256): the same
 * bytes always make the same. `domain` as above. */
void sign_block(const unsigned char key[SIGN_KEY], const char *domain,
	bool back, const unsigned char in[16], unsigned char out[16]);

/* HMAC-SHA-256 of bytes. */
void sign_mac(const unsigned char key[SIGN_KEY], const void *p, size_t n,
	unsigned char out[SIGN_KEY]);

/* base64url without padding; and the way back, exactly `n` bytes in their only
 * spelling, else -1. */
size_t sign_encode(const void *p, size_t n, char *out);
int sign_decode(const char *s, unsigned char *out, size_t n);

#endif
