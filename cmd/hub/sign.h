/* hub: randomness, hashes and signatures; the only user of OpenSSL here.
 *
 * Also what is made of them: secrets and codes (a prefix and 256 random bits),
 * UUIDs, access tokens. Whatever cannot be had from OpenSSL ends the process:
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
	SIGN_TOKEN = 96,  /* room for an access token */
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

/* What an access token says. It is checked without the database, but that its
 * generation is still the script's: a new secret makes a new generation. */
struct token {
	int64_t script; /* row */
	int64_t generation;
	int64_t expires_ms;
};

void token_make(const unsigned char key[SIGN_KEY], const struct token *t,
	char out[SIGN_TOKEN]);

/* 0 if it is one of ours (it may have expired all the same), else -1. */
int token_read(
	const unsigned char key[SIGN_KEY], const char *text, struct token *t);

#endif
