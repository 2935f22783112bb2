/* format: SHA-256 in a thread of its own, beside the work that brings the bytes.
 *
 * What is added is copied, so that the caller may go on with its buffer at once;
 * it waits only while more than a few blocks are ahead of the sum. For one
 * thread at a time, as a `struct hash` is. */
#ifndef AGENTRUX_HASHING_H
#define AGENTRUX_HASHING_H

#include "hash.h"

#include <stddef.h>

struct hashing;

struct hashing *hashing_start(void);
void hashing_add(struct hashing *h, const void *p, size_t n);
/* Waits for the sum; h is gone then. */
void hashing_end(struct hashing *h, unsigned char sum[HASH_LEN]);

#endif
