/* state: what an agent turn under way has attached, turns/ID/: one attachment
 * line a file, whose names sort by age. The adapter that runs the turn reads
 * and removes them. */
#ifndef AGENTRUX_TURN_H
#define AGENTRUX_TURN_H

#include "err.h"
#include "statefile.h"

/* Keeps a line, on disk when this returns 0. `id` is plain (event_id_plain). */
int turn_keep(const struct statedir *home, const char *id, const char *line,
	struct err *e);

#endif
