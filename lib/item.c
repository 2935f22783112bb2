#include "item.h"

#include "err.h"

#include <stdlib.h>
#include <string.h>

enum { ID_MAX = EVENT_ID_MAX * 8, TYPE_MAX = 4096 };

/* A string, unescaped; NULL if it is none, or empty, or longer than `max`. `*at`,
 * where there is room for it, moves on. */
static char *put_text(char **at, struct slice s, size_t max)
{
	struct buf b = { .data = *at, .cap = s.len + 1, .max = max };
	char *text = *at;

	if (!slice_text(s, &b) || b.len == 0)
		return NULL;
	*at += b.len + 1;
	return text;
}

/* With the texts of the event; each of them is no longer than it stands there. */
struct item *item_new(const struct event *ev, struct slice position)
{
	struct item *it = xcalloc(
		1, sizeof *it + ev->id.len + ev->type.len + position.len + 3);
	char *at = it->texts;

	it->id = put_text(&at, ev->id, ID_MAX);
	it->type = put_text(&at, ev->type, TYPE_MAX);
	it->position = at;
	if (slice_kind(position) == '0') {
		/* A text that was refused may have left something here. */
		memcpy(at, position.p, position.len);
		at[position.len] = '\0';
	} else {
		it->position = put_text(&at, position, EVENT_POSITION_MAX);
	}
	if (it->id)
		window_sum(it->id, strlen(it->id), &it->sum);
	return it;
}

void item_free(struct item *it)
{
	free(it->page_end);
	free(it->line);
	free(it->letter);
	free(it);
}
