/* hub: hints to thousands of streams.
 *
 * A stream is a connection that sleeps. Of what it has not been told yet it
 * remembers one number, the latest, so a reader that is slow, or stalls, costs
 * nothing and gets one hint for all. After every commit the writer notes the
 * topics that grew (streams_note, then streams_flush once); a thread of our own
 * wakes their streams, at once when there is little to do and less often when
 * a thousand would have to be woken for every commit. streams_pulse, from a
 * thread with time, wakes those whose heartbeat is due; at each heartbeat a
 * stream's token and grant are looked at again, and the stream ends if they are
 * gone. All of it is thread-safe. */
#ifndef AGENTRUX_HUB_STREAM_H
#define AGENTRUX_HUB_STREAM_H

#include "hub.h"

struct streams *streams_new(struct hub *hub, struct err *e);

/* The topic (row) has events up to `seq`. */
void streams_note(struct streams *s, int64_t topic, int64_t seq);
void streams_flush(void *streams);

void streams_pulse(struct streams *s);

/* Ends all and lets no new ones in. */
void streams_end(struct streams *s);

/* After streams_end, when no connection is left. NULL is fine. */
void streams_free(struct streams *s);

#endif
