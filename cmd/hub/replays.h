/* hub: idempotency keys: what was answered to a publication, for a day, so that
 * a retry gets the same answer. To be called between db_begin and db_commit. */
#ifndef AGENTRUX_HUB_REPLAYS_H
#define AGENTRUX_HUB_REPLAYS_H

#include "registry.h"

enum { REPLAY_KEY_MAX = 255 };

struct replay {
	unsigned char hash[SIGN_KEY]; /* of whose key it is */
	unsigned char body[SIGN_KEY]; /* of what was asked for */
};

enum replay_state { REPLAY_NEW, REPLAY_SAME, REPLAY_OTHER, REPLAY_ERROR = -1 };

/* Fills in `p`: a key belongs to its script, and what is asked for is the
 * topic and the bytes of the body. Pure. */
void replay_init(struct replay *p, int64_t script, const char *key,
	int64_t topic, const void *body, size_t len);

/* Was the key used? REPLAY_SAME: for this, and `event` is the id; REPLAY_OTHER:
 * for something else. */
enum replay_state replay_look(struct db *db, const struct replay *p,
	unsigned char event[16], struct err *e);

int replay_add(struct db *db, const struct replay *p,
	const unsigned char event[16], struct err *e);

/* Deletes a batch of old ones; how many, or -1. */
int replay_sweep(struct db *db, struct err *e);

#endif
