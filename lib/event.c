#include "event.h"

#include <string.h>

enum { LINE_EXTRA = 32 }; /* what a line has beyond the event and a topic */

/* Does this member's name read `name`, which is `len` bytes long? Escapes may
 * stand in it, but hardly ever do. */
static bool is_name(
	struct slice member, bool escaped, const char *name, size_t len)
{
	if (escaped)
		return slice_is(member, name);
	return member.len == len + 2 && memcmp(member.p + 1, name, len) == 0;
}

int event_read(struct slice raw, struct slice_ends *ends,
	const struct event_names *names, struct event *ev)
{
	const struct {
		const char *name;
		size_t len;
		struct slice *to;
	} members[] = {
		{ "event_id", 8, &ev->id },
		{ "payload", 7, &ev->payload },
		{ names->type, strlen(names->type), &ev->type },
		{ names->position, strlen(names->position), &ev->position },
		{ "topic_id", 8, &ev->topic },
		{ "producer_script", 15, &ev->producer },
		{ "correlation_id", 14, &ev->correlation },
		{ "metadata", 8, &ev->metadata },
	};
	struct slice_walk w;
	struct slice name, value;
	bool escaped;
	size_t i;

	if (slice_kind(raw) != '{')
		return -1;
	*ev = (struct event){ .raw = raw };
	slice_walk_start(&w, raw, ends);
	while (slice_walk_next(&w, &name, &value)) {
		escaped = memchr(name.p, '\\', name.len) != NULL;
		for (i = 0; i < sizeof members / sizeof *members; i++)
			if (is_name(name, escaped, members[i].name,
				    members[i].len)) {
				*members[i].to = value;
				break;
			}
	}
	if (names->id_is_position && slice_kind(ev->position) != '"')
		ev->position = ev->id;
	return 0;
}

int event_line(const struct event *ev, const char *topic, struct buf *out)
{
	struct slice rest = ev->raw, first;
	struct slice_walk w;

	/* At once: the line is about as long as the event. */
	if (buf_room(out, rest.len + strlen(topic) + LINE_EXTRA) == NULL)
		return -1;
	if (ev->topic.p == NULL) {
		slice_walk_start(&w, ev->raw, NULL);
		/* A topic id is plain: it needs no escaping. */
		buf_printf(out, "{\"topic_id\":\"%s\"%s", topic,
			slice_walk_next(&w, NULL, &first) ? "," : "");
		rest.p++; /* the brace */
		rest.len--;
	}
	slice_one_line(rest, out);
	return buf_char(out, '\n');
}

bool event_id_plain(const char *id)
{
	size_t len = strlen(id);

	return len > 0 && len <= EVENT_ID_MAX && id[0] != '.' && id[0] != '-' &&
	       strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			  "0123456789_.-") == len;
}
