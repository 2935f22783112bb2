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
	item_drop_line(it);
	free(it->page_end);
	free(it->letter);
	free(it);
}

void item_drop_line(struct item *it)
{
	if (it->text)
		item_text_leave(it->text);
	else
		free(it->line);
	it->text = NULL;
	it->line = NULL;
	it->len = 0;
}

void item_own_line(struct item *it)
{
	char *own;

	if (it->text == NULL)
		return;
	own = xrealloc(NULL, it->len);
	memcpy(own, it->line, it->len);
	it->line = own;
	item_text_leave(it->text);
	it->text = NULL;
}

struct item_text *item_text_new(struct buf *text)
{
	struct item_text *t = xcalloc(1, sizeof *t);

	t->text = *text;
	t->users = 1;
	memset(text, 0, sizeof *text);
	return t;
}

void item_text_leave(struct item_text *t)
{
	if (--t->users)
		return;
	buf_release(&t->text);
	free(t);
}
