/* format: SHA-256 as hex and base64. The only user of OpenSSL in lib/. */
#ifndef AGENTRUX_HASH_H
#define AGENTRUX_HASH_H

#include <stdbool.h>
#include <stddef.h>

enum {
	HASH_LEN = 32,
	HASH_HEX_MAX = 2 * HASH_LEN + 1,
	HASH_BASE64_MAX = 44 + 1,
};

/* In pieces: hash_new, hash_add…, hash_end (which frees). */
struct hash;
struct hash *hash_new(void);
void hash_add(struct hash *h, const void *p, size_t n);
void hash_end(struct hash *h, unsigned char sum[HASH_LEN]);

void hash_sha256(const void *p, size_t n, unsigned char sum[HASH_LEN]);

/* NUL-terminated, lower case. */
void hash_hex(const unsigned char sum[HASH_LEN], char out[HASH_HEX_MAX]);
void hash_base64(const unsigned char sum[HASH_LEN], char out[HASH_BASE64_MAX]);

/* Such a text, in either spelling (hex of any case), back to the sum; false if
 * it is neither. */
bool hash_read(const char *text, unsigned char sum[HASH_LEN]);

/* A random version 4 UUID, 36 characters and NUL. */
void hash_uuid(char out[37]);

#endif
