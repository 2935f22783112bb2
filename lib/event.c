#include "event.h"

#include <string.h>

enum { LINE_EXTRA = 32 }; /* what a line has beyond the event and a topic */

/* Is this member's name written as `name`, which is `len` bytes long? */
static bool is_name(struct slice member, const char *name, size_t len)
{
	return member.len == len + 2 && member.p[1] == *name &&
	       memcmp(member.p + 1, name, len) == 0;
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
	enum { N = sizeof members / sizeof *members };
	struct slice_walk w;
	struct slice name, value;
	size_t i;

	if (slice_kind(raw) != '{')
		return -1;
	*ev = (struct event){ .raw = raw };
	slice_walk_start(&w, raw, ends);
	while (slice_walk_next(&w, &name, &value)) {
		for (i = 0; i < N &&
			    !is_name(name, members[i].name, members[i].len);
			i++)
			;
		/* Escapes may stand in a name, but hardly ever do. */
		if (i == N && memchr(name.p, '\\', name.len))
			for (i = 0; i < N && !slice_is(name, members[i].name);
				i++)
				;
		if (i < N)
			*members[i].to = value;
	}
	if (names->id_is_position && slice_kind(ev->position) != '"')
		ev->position = ev->id;
	return 0;
}

size_t event_line_max(const struct event *ev, const char *topic)
{
	return ev->raw.len + strlen(topic) + LINE_EXTRA;
}

int event_line(const struct event *ev, const char *topic, struct buf *out)
{
	struct slice rest = ev->raw, first;
	struct slice_walk w;

	/* At once: the line is about as long as the event. */
	if (buf_room(out, event_line_max(ev, topic)) == NULL)
		return -1;
	if (ev->topic.p == NULL) {
		slice_walk_start(&w, ev->raw, NULL);
		/* A topic id is plain: it needs no escaping. */
		buf_printf(out, "{\"topic_id\":\"%s\"%s", topic,
			slice_walk_next(&w, NULL, &first) ? "," : "");
		rest.p++; /* the brace */
		rest.len--;
	}
	if (ev->one_line)
		buf_add(out, rest.p, rest.len);
	else
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
