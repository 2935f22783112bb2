#include "hashing.h"

#include "err.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 4, BLOCK = 131072 };

struct hashing {
	struct hash *hash;
	pthread_t thread;
	bool alone; /* no thread could be had: the caller does it all */
	pthread_mutex_t mutex;
	pthread_cond_t changed; /* any of these */
	unsigned long put, taken;
	bool ended;
	size_t len[BLOCKS]; /* of block N: at N % BLOCKS */
	unsigned char block[BLOCKS][BLOCK];
};

/* The next block's place, or -1: there are no more. */
static int next(struct hashing *h)
{
	int at;

	pthread_mutex_lock(&h->mutex);
	while (h->taken == h->put && !h->ended)
		pthread_cond_wait(&h->changed, &h->mutex);
	at = h->taken == h->put ? -1 : (int)(h->taken % BLOCKS);
	pthread_mutex_unlock(&h->mutex);
	return at;
}

static void step(struct hashing *h, unsigned long *counter)
{
	pthread_mutex_lock(&h->mutex);
	++*counter;
	pthread_cond_signal(&h->changed);
	pthread_mutex_unlock(&h->mutex);
}

static void *work(void *arg)
{
	struct hashing *h = arg;
	int at;

	while ((at = next(h)) >= 0) {
		hash_add(h->hash, h->block[at], h->len[at]);
		step(h, &h->taken);
	}
	return NULL;
}

struct hashing *hashing_start(void)
{
	struct hashing *h = xcalloc(1, sizeof *h);

	h->hash = hash_new();
	pthread_mutex_init(&h->mutex, NULL);
	pthread_cond_init(&h->changed, NULL);
	h->alone = pthread_create(&h->thread, NULL, work, h) != 0;
	return h;
}

static unsigned long wait_for_room(struct hashing *h)
{
	unsigned long put;

	pthread_mutex_lock(&h->mutex);
	while (h->put - h->taken == BLOCKS)
		pthread_cond_wait(&h->changed, &h->mutex);
	put = h->put;
	pthread_mutex_unlock(&h->mutex);
	return put;
}

void hashing_add(struct hashing *h, const void *p, size_t n)
{
	const unsigned char *from = p;
	size_t now, at;

	if (h->alone) {
		hash_add(h->hash, p, n);
		return;
	}
	for (; n; from += now, n -= now) {
		at = wait_for_room(h) % BLOCKS;
		now = n < BLOCK ? n : BLOCK;
		memcpy(h->block[at], from, now);
		h->len[at] = now;
		step(h, &h->put);
	}
}

void hashing_end(struct hashing *h, unsigned char sum[HASH_LEN])
{
	if (!h->alone) {
		pthread_mutex_lock(&h->mutex);
		h->ended = true;
		pthread_cond_signal(&h->changed);
		pthread_mutex_unlock(&h->mutex);
		pthread_join(h->thread, NULL);
	}
	hash_end(h->hash, sum);
	pthread_cond_destroy(&h->changed);
	pthread_mutex_destroy(&h->mutex);
	free(h);
}
