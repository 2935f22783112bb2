/* format: things of the same text (a conversation, say) in a row each.
 *
 * The links live in what is linked. A set of chains starts as all zero; a link
 * that is in none has `linked` false and is first of its own. */
#ifndef AGENTRUX_CHAIN_H
#define AGENTRUX_CHAIN_H

#include "window.h"

enum { CHAIN_BUCKETS = 256 };

struct chain_link {
	struct window_sum sum; /* of the text; set before it is added */
	bool linked;
	struct chain_link *before, *behind; /* of the same text */
	struct chain_link *next_tail;	    /* of another one */
};

struct chain_set {
	struct chain_link *tails[CHAIN_BUCKETS];
};

/* To the end of its row. */
void chain_add(struct chain_set *set, struct chain_link *link);

/* From anywhere in its row; nothing if it is not linked. */
void chain_remove(struct chain_set *set, struct chain_link *link);

static inline bool chain_is_first(const struct chain_link *link)
{
	return link->before == NULL;
}

#endif
