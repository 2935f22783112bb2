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
#include "ticket.h"

enum {
	EVENT_PAYLOAD_MAX = 10 << 20,
	EVENT_TYPE_MAX = 256,	/* characters */
	EVENT_FIELD_MAX = 4096, /* bytes of JSON of the small fields */
	EVENT_METADATA_MAX = 64 << 10,
	EVENT_LOOK_MAX = 1000,	  /* for some that are not left out */
	EVENT_ROOM_MAX = 16 << 20 /* the JSON of one event, and then some */
};

/* An event to be stored; everything is borrowed. */
struct event {
	const char *type;
	struct raw payload, correlation, reply, ref; /* at NULL: null */
	struct raw metadata;			     /* an object */
	const char *producer;
	int64_t topic;
	unsigned char id[16];
	int64_t seq; /* out */
};

/* Between db_begin and db_commit. Makes the id and the number. */
int event_add(struct db *db, struct event *ev, struct err *e);

/* A run of events of a topic, given out in blocks so that 500 of 10 MiB each
 * cost no more memory than one. `write` is how the dialect writes an event. */
struct event_run {
	const struct topic *where;
	int64_t from, to;    /* sequence numbers, both included */
	int64_t left;	     /* how many at most */
	bool backwards;	     /* the newest first */
	char *type;	     /* only these; NULL: all. The caller frees it */
	char not_by[ID_MAX]; /* a script whose events are left out, or "" */
	void (*write)(
		struct buf *b, struct query *q, const struct event_run *run);
	const unsigned char *key; /* makes cursors */
	/* What became of it: */
	bool any;	 /* one was given out */
	int64_t reached; /* the number of the last one looked at; 0: none was */
	int64_t passed;	 /* how many were looked at for not_by */
	bool more;	 /* it ended before the events did */
};

/* Appends `,`-separated JSON of the next events until `enough` bytes are there
 * or the run is over. 1 there is more, 0 that was all, -1 error. */
int event_more(struct db *db, struct event_run *run, size_t enough,
	struct buf *out, struct err *e);

/* The number of the oldest among the newest `n` events of the run's topic and
 * type. 1, or 0 if there is none, or -1. */
int event_newest(struct db *db, const struct event_run *run, int64_t n,
	int64_t *seq, struct err *e);

/* One event's JSON, as `run` (of which topic, write and key count) has it. 1, 0
 * there is none, -1. */
int event_get(struct db *db, const struct event_run *run, const char *uuid,
	struct buf *out, struct err *e);

/* The number of an event by its id (a UUID), and whether there is one of a
 * number. 1, 0 there is none, -1. */
int event_by_id(struct db *db, int64_t topic, const char *uuid, int64_t *seq,
	struct err *e);
int event_is_there(struct db *db, int64_t topic, int64_t seq, struct err *e);

/* The oldest event: its number and its id as text. 1, 0 there is none, -1. */
int event_oldest(struct db *db, int64_t topic, int64_t *seq,
	char uuid[SIGN_UUID], struct err *e);

/* How the dialects write an event. */
void event_write_classic(
	struct buf *b, struct query *q, const struct event_run *run);
void event_write_oauth(
	struct buf *b, struct query *q, const struct event_run *run);

/* Is there anything for event_trim to do? 1, 0, -1. */
int event_old(struct db *db, int64_t before_ms, int64_t keep, struct err *e);

/* Deletes a batch of what is older than `before_ms` or beyond the newest
 * `keep` of a topic (0: no such limit). Between db_begin and db_commit. The
 * number of events deleted, 0 when there is nothing left to do, or -1. */
int event_trim(struct db *db, int64_t before_ms, int64_t keep, struct err *e);

#endif
