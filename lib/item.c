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

/* Each text is no longer than it stands in the event. */
static size_t size_of(const struct event *ev, struct slice position)
{
	const size_t unit = _Alignof(struct item);
	size_t size = sizeof(struct item) + ev->id.len + ev->type.len +
		      position.len + 3;

	return (size + unit - 1) / unit * unit;
}

static struct item *make(struct item_page *page, size_t size)
{
	struct item *it;

	if (page == NULL)
		return xcalloc(1, size);
	it = (struct item *)(void *)(page->memory + page->used);
	page->used += size;
	page->users++;
	it->page = page;
	return it;
}

struct item *item_new(
	struct item_page *page, const struct event *ev, struct slice position)
{
	struct item *it = make(page, size_of(ev, position));
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
	if (it->page)
		item_page_leave(it->page);
	else
		free(it);
}

void item_drop_line(struct item *it)
{
	if (!it->in_page)
		free(it->line);
	it->in_page = false;
	it->line = NULL;
	it->len = 0;
}

void item_own_line(struct item *it)
{
	char *own;

	if (!it->in_page)
		return;
	own = xrealloc(NULL, it->len);
	memcpy(own, it->line, it->len);
	it->line = own;
	it->in_page = false;
}

struct item_page *item_page_new(
	struct buf *text, const struct event *events, size_t n)
{
	struct item_page *page = xcalloc(1, sizeof *page);
	size_t i, size = 0;

	for (i = 0; i < n; i++)
		size += size_of(&events[i], events[i].position);
	page->memory = xcalloc(1, size);
	page->text = *text;
	page->users = 1;
	memset(text, 0, sizeof *text);
	return page;
}

void item_page_leave(struct item_page *page)
{
	if (--page->users)
		return;
	buf_release(&page->text);
	free(page->memory);
	free(page);
}
