/* hub: what stream.c, which has all streams, and stream_feed.c, which feeds one,
 * share. For nobody else. */
#ifndef AGENTRUX_HUB_STREAM_PARTS_H
#define AGENTRUX_HUB_STREAM_PARTS_H

#include "hints.h"
#include "stream.h"
#include "web.h"

#include <pthread.h>

enum { STREAM_BUCKETS = 256 };

/* A topic with at least one stream. */
struct watched {
	struct topic topic;
	int64_t latest; /* that was noted */
	struct hints hints;
	bool noted; /* is in streams->noted */
	struct stream *first;
	struct watched *next, *next_noted;
};

/* A connection that is told of a topic. */
struct stream {
	struct hub *hub;
	struct MHD_Connection *conn;
	struct token token;
	int64_t topic;
	char not_by[ID_MAX]; /* oauth: no hints of this script's events */
	/* Under the lock: */
	struct watched *watched;
	struct stream *prev, *next;
	int64_t told, latest; /* sequence numbers */
	int64_t beat;	      /* when the next heartbeat is due */
	bool asleep;
	/* Of the connection's own thread: */
	struct hints *missed; /* oauth: while it was away; NULL: none */
	const char *resync;   /* oauth: why it has to read, not told yet */
	bool over;	      /* nothing comes after the frame */
	struct buf frame;     /* being sent */
	size_t given;
};

/* All of them, under one lock. */
struct streams {
	struct hub *hub;
	pthread_mutex_t lock;
	pthread_cond_t some_noted, end;
	pthread_t waker;
	bool ending;
	struct watched *buckets[STREAM_BUCKETS];
	struct watched *noted;
};

/* Makes it one of those that are woken; false: no new ones any more. */
bool stream_enter(struct streams *all, struct stream *s, const struct topic *t);
void stream_leave(struct streams *all, struct stream *s);

bool streams_are_ending(struct streams *all);

#endif
