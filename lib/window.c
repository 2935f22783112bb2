#include "window.h"

#include "err.h"
#include "hash.h"

#include <stdlib.h>
#include <string.h>

enum { CAP_MIN = 64 };

static const struct window_sum none;

static bool same(const struct window_sum *a, const struct window_sum *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

void window_sum(const char *text, size_t len, struct window_sum *sum)
{
	unsigned char all[HASH_LEN];

	hash_sha256(text, len, all);
	memcpy(sum->bytes, all, sizeof sum->bytes);
	/* The one value that marks a free slot. */
	if (same(sum, &none))
		sum->bytes[0] = 1;
}

/* Where it is, or belongs. The set is never full. */
static struct window_sum *slot_of(
	const struct window_set *set, const struct window_sum *sum)
{
	size_t i;

	memcpy(&i, sum->bytes, sizeof i);
	for (i &= set->cap - 1;
		!same(&set->slots[i], &none) && !same(&set->slots[i], sum);
		i = (i + 1) & (set->cap - 1))
		;
	return &set->slots[i];
}

static bool has(const struct window_set *set, const struct window_sum *sum)
{
	return set->n && same(slot_of(set, sum), sum);
}

static void grow(struct window_set *set)
{
	struct window_set old = *set;
	size_t i;

	set->cap = old.cap ? old.cap * 2 : CAP_MIN;
	set->slots = xcalloc(set->cap, sizeof *set->slots);
	for (i = 0; i < old.cap; i++)
		if (!same(&old.slots[i], &none))
			*slot_of(set, &old.slots[i]) = old.slots[i];
	free(old.slots);
}

static void put(struct window_set *set, const struct window_sum *sum)
{
	if (set->n + set->n / 2 >= set->cap)
		grow(set);
	*slot_of(set, sum) = *sum;
	set->n++;
}

bool window_has(const struct window *w, const struct window_sum *sum)
{
	return has(&w->now, sum) || has(&w->before, sum);
}

bool window_add(struct window *w, const struct window_sum *sum)
{
	if (window_has(w, sum))
		return false;
	if (w->now.n >= (w->old && w->keep_old ? w->keep_old : w->keep)) {
		free(w->before.slots);
		w->before = w->now;
		w->now = (struct window_set){ 0 };
		w->old = false;
	}
	put(&w->now, sum);
	return true;
}

void window_add_old(struct window *w, const struct window_sum *sum)
{
	if (!window_has(w, sum))
		put(&w->before, sum);
	w->old = true;
}

void window_release(struct window *w)
{
	free(w->now.slots);
	free(w->before.slots);
	w->now = w->before = (struct window_set){ 0 };
	w->old = false;
}
