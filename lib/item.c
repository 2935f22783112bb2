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

/* No item is left, nor whoever has made the page. */
static void leave(struct item_page *page)
{
	if (--page->users)
		return;
	buf_release(&page->lines);
	free(page->memory);
	free(page);
}

void item_free(struct item *it)
{
	item_drop_line(it);
	free(it->page_end);
	free(it->letter);
	if (it->page)
		leave(it->page);
	else
		free(it);
}

/* Behind the event in its page stands a byte of which nothing is needed. */
static void use_as_it_came(struct item *it, const struct event *ev)
{
	char *text = it->page->lines.data;

	it->line = text + (ev->raw.p - text);
	it->line[ev->raw.len] = '\n';
	it->len = ev->raw.len + 1;
}

void item_make_line(struct item *it, const struct event *ev, const char *topic)
{
	struct buf own = BUF_INIT(event_line_max(ev, topic));
	struct buf *lines = it->page ? &it->page->lines : &own;
	size_t at = lines->len;

	it->in_page = it->page != NULL;
	if (it->page && it->page->as_it_came) {
		use_as_it_came(it, ev);
		return;
	}
	event_line(ev, topic, lines);
	it->line = lines->data + at;
	it->len = lines->len - at;
}

void item_drop_line(struct item *it)
{
	if (!it->in_page)
		free(it->line);
	it->in_page = false;
	it->line = NULL;
	it->len = 0;
}

/* Makes the line one of its own. */
static void own_line(struct item *it)
{
	char *own;

	if (!it->in_page)
		return;
	own = xrealloc(NULL, it->len);
	memcpy(own, it->line, it->len);
	it->line = own;
	it->in_page = false;
}

struct item_page *item_page_new(struct buf *text, const struct event *events,
	size_t n, const char *topic)
{
	struct item_page *page = xcalloc(1, sizeof *page);
	size_t i, size = 0, room = 0;

	page->users = 1;
	page->as_it_came = true;
	for (i = 0; i < n; i++) {
		size += size_of(&events[i], events[i].position);
		room += event_line_max(&events[i], topic);
		page->as_it_came &= events[i].one_line && events[i].topic.p;
	}
	page->memory = xcalloc(1, size);
	if (page->as_it_came) {
		page->lines = *text;
		memset(text, 0, sizeof *text);
	} else {
		/* At once, for the lines must stay where they are. */
		page->lines = (struct buf)BUF_INIT(room);
		buf_room(&page->lines, room);
	}
	return page;
}

void item_page_made(struct item_page *page, struct item *it)
{
	struct item *i;
	size_t used = 0;

	for (i = it; i; i = i->next)
		used += i->in_page ? i->len : 0;
	/* Little of it being needed, it would take more memory than it counts
	 * for. */
	if (used < page->lines.cap / 4 * 3) {
		for (i = it; i; i = i->next)
			own_line(i);
		buf_release(&page->lines);
	}
	leave(page);
}
