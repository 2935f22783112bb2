/* hub: where in a topic a client of the oauth dialect says that it is. */
#ifndef AGENTRUX_HUB_POSITION_H
#define AGENTRUX_HUB_POSITION_H

#include "registry.h"
#include "ticket.h"

enum position_state {
	POSITION_FOUND,
	POSITION_GONE, /* what was behind it, or the event itself, aged out */
	POSITION_NONE, /* it is not one of this topic */
	POSITION_ERROR = -1
};

/* `text` is a cursor or the id of an event; `*seq` is the number of the last
 * event up to it. An event's position goes with the event. */
enum position_state position_find(struct db *db,
	const unsigned char key[SIGN_KEY], const struct topic *t,
	const char *text, int64_t *seq, struct err *e);

#endif
