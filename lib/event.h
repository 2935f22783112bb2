/* format: an event as it stands in a page, and the line that is made of it.
 * The schema of the line is in agentrux(7). Slices borrow from the page. */
#ifndef AGENTRUX_EVENT_H
#define AGENTRUX_EVENT_H

#include "buf.h"
#include "slice.h"

#include <stdbool.h>

enum { EVENT_ID_MAX = 200, EVENT_POSITION_MAX = 4096 };

/* How a dialect calls the members that we look at. */
struct event_names {
	const char *type;
	const char *position;
	/* Positions are texts, and an event without one has its id for it. */
	bool id_is_position;
};

struct event {
	struct slice raw; /* the whole object */
	struct slice id, type, position, payload, topic;
	struct slice producer, correlation, metadata; /* p NULL: not there */
	/* For who splits a page to say: */
	bool utf8;     /* it is valid UTF-8 */
	bool one_line; /* it is known to have no line ends */
};

/* Finds the members. -1: not an object. What is missing has p NULL. `ends` are
 * those of the text it stands in, or NULL. */
int event_read(struct slice raw, struct slice_ends *ends,
	const struct event_names *names, struct event *ev);

/* Appends the event as one line with its newline; `topic` is put in front if
 * the event names none. */
int event_line(const struct event *ev, const char *topic, struct buf *out);

/* The most that a line can have, and that event_line() makes room for. */
size_t event_line_max(const struct event *ev, const char *topic);

/* Is this id fit to be a file name: 1-EVENT_ID_MAX of [A-Za-z0-9_.-], not
 * starting with a dot or a dash? Topic ids go by the same rule. */
bool event_id_plain(const char *id);

#endif
