#include "event.h"

#include <string.h>

int event_read(
	struct slice raw, const struct event_names *names, struct event *ev)
{
	const struct {
		const char *name;
		struct slice *to;
	} members[] = {
		{ "event_id", &ev->id },
		{ names->type, &ev->type },
		{ names->position, &ev->position },
		{ "payload", &ev->payload },
		{ "topic_id", &ev->topic },
		{ "producer_script", &ev->producer },
		{ "correlation_id", &ev->correlation },
		{ "metadata", &ev->metadata },
	};
	struct slice_walk w;
	struct slice name, value;
	size_t i;

	if (slice_kind(raw) != '{')
		return -1;
	*ev = (struct event){ .raw = raw };
	slice_walk_start(&w, raw);
	while (slice_walk_next(&w, &name, &value))
		for (i = 0; i < sizeof members / sizeof *members; i++)
			if (slice_is(name, members[i].name)) {
				*members[i].to = value;
				break;
			}
	if (names->id_is_position && slice_kind(ev->position) != '"')
		ev->position = ev->id;
	return 0;
}

int event_line(const struct event *ev, const char *topic, struct buf *out)
{
	struct slice rest = ev->raw, first;
	struct slice_walk w;

	if (ev->topic.p == NULL) {
		slice_walk_start(&w, ev->raw);
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
