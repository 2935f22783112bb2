#include "position.h"

#include "events.h"

#include <string.h>

/* A frontier is good as long as nothing that came after it was deleted. One
 * ahead of the topic is of a database that was put back since. */
static int frontier_is_there(
	struct db *db, const struct topic *t, int64_t seq, struct err *e)
{
	char uuid[SIGN_UUID];
	int64_t oldest = t->last_seq + 1;

	if (event_oldest(db, t->row, &oldest, uuid, e) < 0)
		return -1;
	return oldest <= seq + 1 && seq <= t->last_seq;
}

enum position_state position_find(struct db *db,
	const unsigned char key[SIGN_KEY], const struct topic *t,
	const char *text, int64_t *seq, struct err *e)
{
	unsigned char raw[16];
	struct cursor c = { 0 };
	int there;

	if (strncmp(text, "evt_", 4) == 0) {
		if (sign_uuid_read(text + 4, raw) < 0)
			return POSITION_NONE;
		there = event_by_id(db, t->row, text + 4, seq, e);
	} else {
		if (cursor_read(key, text, t->row, &c) < 0)
			return POSITION_NONE;
		*seq = c.seq;
		there = c.frontier ? frontier_is_there(db, t, c.seq, e)
				   : event_is_there(db, t->row, c.seq, e);
	}
	if (there < 0)
		return POSITION_ERROR;
	return there ? POSITION_FOUND : POSITION_GONE;
}
