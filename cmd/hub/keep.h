/* hub: what is kept, and for how long.
 *
 * keep_pulse, called often by one thread, deletes what retention no longer
 * covers: events, objects, dead codes. It works in batches small enough not to
 * be felt by publishers, between their commits, and leaves off when told to
 * end. Trouble is said on stderr and tried again later. */
#ifndef AGENTRUX_HUB_KEEP_H
#define AGENTRUX_HUB_KEEP_H

#include "hub.h"

struct keep {
	int64_t due, codes_due; /* on backoff_clock_ms() */
};

void keep_pulse(struct keep *k, struct hub *hub);

/* How often it has something to look at, in ms. */
long keep_interval(const struct hub_options *o);

#endif
