/* hub: the events of topics, as stored and as given out.
 *
 * A payload, and the JSON of correlation_id, reply_topic and payload_ref, are
 * kept as the bytes that came and given out as those bytes. A sequence number
 * is given once per topic, for good, also after its event was deleted. */
#ifndef AGENTRUX_HUB_EVENTS_H
#define AGENTRUX_HUB_EVENTS_H

#include "buf.h"
#include "raw.h"
#include "registry.h"

enum {
	EVENT_PAYLOAD_MAX = 10 << 20,
	EVENT_TYPE_MAX = 256,	  /* characters */
	EVENT_FIELD_MAX = 4096,	  /* bytes of JSON of the small fields */
	EVENT_ROOM_MAX = 16 << 20 /* the JSON of one event, and then some */
};

/* An event to be stored; everything is borrowed. */
struct event {
	const char *type;
	struct raw payload, correlation, reply, ref; /* at NULL: null */
	const char *producer;
	int64_t topic;
	unsigned char id[16];
	int64_t seq; /* out */
};

/* Between db_begin and db_commit. Makes the id and the number. */
int event_add(struct db *db, struct event *ev, struct err *e);

/* A run of events of a topic, given out in blocks so that 500 of 10 MiB each
 * cost no more memory than one. */
struct event_run {
	int64_t topic;
	int64_t from, to; /* sequence numbers, both included */
	int64_t left;	  /* how many at most */
	char *type;	  /* only these; NULL: all. The caller frees it */
	bool any;	  /* one was given out */
};

/* Appends `,`-separated JSON of the next events until `enough` bytes are there
 * or the run is over. 1 there is more, 0 that was all, -1 error. */
int event_more(struct db *db, struct event_run *run, size_t enough,
	struct buf *out, struct err *e);

/* The number of the oldest among the newest `n` events of the run's topic and
 * type. 1, or 0 if there is none, or -1. */
int event_newest(struct db *db, const struct event_run *run, int64_t n,
	int64_t *seq, struct err *e);

/* One event's JSON. 1, 0 there is none, -1. */
int event_get(struct db *db, int64_t topic, const char *uuid, struct buf *out,
	struct err *e);

/* Is there anything for event_trim to do? 1, 0, -1. */
int event_old(struct db *db, int64_t before_ms, int64_t keep, struct err *e);

/* Deletes a batch of what is older than `before_ms` or beyond the newest
 * `keep` of a topic (0: no such limit). Between db_begin and db_commit. The
 * number of events deleted, 0 when there is nothing left to do, or -1. */
int event_trim(struct db *db, int64_t before_ms, int64_t keep, struct err *e);

#endif
