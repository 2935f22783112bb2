#include "chain.h"

#include <string.h>

/* The place that points to the tail of this text's row, or to the NULL behind
 * all others. */
static struct chain_link **tail_of(
	struct chain_set *set, const struct window_sum *sum)
{
	struct chain_link **at = &set->tails[sum->bytes[0]];

	while (*at && memcmp(&(*at)->sum, sum, sizeof *sum))
		at = &(*at)->next_tail;
	return at;
}

void chain_add(struct chain_set *set, struct chain_link *link)
{
	struct chain_link **at = tail_of(set, &link->sum);

	link->linked = true;
	link->behind = NULL;
	link->before = *at;
	link->next_tail = NULL;
	if (*at) {
		link->next_tail = (*at)->next_tail;
		(*at)->behind = link;
	}
	*at = link;
}

void chain_remove(struct chain_set *set, struct chain_link *link)
{
	struct chain_link **at;

	if (!link->linked)
		return;
	if (link->behind) {
		link->behind->before = link->before;
	} else {
		at = tail_of(set, &link->sum);
		*at = link->before ? link->before : link->next_tail;
		if (link->before)
			link->before->next_tail = link->next_tail;
	}
	if (link->before)
		link->before->behind = link->behind;
	link->before = link->behind = NULL;
	link->linked = false;
}
