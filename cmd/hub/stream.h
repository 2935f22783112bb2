/* hub: hints to thousands of streams.
 *
 * A stream is a connection that sleeps. Of what it has not been told yet it
 * remembers one number, the latest, so a reader that is slow, or stalls, costs
 * nothing and gets one hint for all; in the oauth dialect, where each event has
 * its hint, the topic's last ones are kept (hints.h), and who is behind them is
 * told to read. After every commit the writer notes the
 * topics that grew (streams_note, then streams_flush once); a thread of our own
 * wakes their streams, at once when there is little to do and less often when
 * a thousand would have to be woken for every commit. streams_pulse, from a
 * thread with time, wakes those whose heartbeat is due; at each heartbeat a
 * stream's token and grant are looked at again, and the stream ends if they are
 * gone. All of it is thread-safe. */
#ifndef AGENTRUX_HUB_STREAM_H
#define AGENTRUX_HUB_STREAM_H

#include "events.h"
#include "hub.h"

struct streams *streams_new(struct hub *hub, struct err *e);

/* An event was stored; those of a topic come in their order. */
void streams_note(struct streams *s, const struct event *ev);
void streams_flush(void *streams);

void streams_pulse(struct streams *s);

/* Ends all and lets no new ones in. */
void streams_end(struct streams *s);

/* After streams_end, when no connection is left. NULL is fine. */
void streams_free(struct streams *s);

#endif
