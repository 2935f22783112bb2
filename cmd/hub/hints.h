/* hub: what streams are told: the last events of a topic, and the frames.
 *
 * The classic dialect tells one number, the latest. The oauth dialect tells of
 * each event, and of too many at once that there was a gap. Pure; a ring has
 * to be locked by whoever shares it. */
#ifndef AGENTRUX_HUB_HINTS_H
#define AGENTRUX_HUB_HINTS_H

#include "buf.h"
#include "events.h"

enum { HINTS_MAX = 64, HINT_FRAME_MAX = 8 << 10 };

struct hint {
	int64_t seq;
	unsigned char id[16];
	char *type;
	char producer[ID_MAX];
	struct buf frame; /* made when the first one asks, for all */
};

/* The newest of a topic; numbers rise by one from each to the next. Start with
 * all zeros. */
struct hints {
	struct hint ring[HINTS_MAX];
	size_t first, n;
};

void hints_add(struct hints *h, const struct event *ev);
void hints_release(struct hints *h);

/* The first one beyond `seq`, or NULL. `*gap`: some before it were dropped. */
struct hint *hints_after(struct hints *h, int64_t seq, bool *gap);

/* Adds the events beyond `seq` from the database, oldest first. 1, 0 there are
 * more than fit, -1. */
int hints_load(struct hints *h, struct db *db, int64_t topic, int64_t seq,
	struct err *e);

/* Frames of the classic dialect and of the oauth one. */
void frame_latest(struct buf *b, const char *topic_id, int64_t seq);
void frame_hint(struct buf *b, const unsigned char key[SIGN_KEY],
	const struct topic *t, struct hint *h);
void frame_ready(struct buf *b, const char *topic_id);
void frame_resync(struct buf *b, const char *topic_id, const char *reason);
void frame_error(struct buf *b, const char *code, const char *reason);

#endif
