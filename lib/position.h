/* service: where a topic is to be read on, in the terms of one's dialect.
 *
 * A position that was saved under another spelling of the topic's id counts for
 * it. One that another dialect has left cannot: what was read up to it is not to
 * be guessed, so the user has to say where to go on. */
#ifndef AGENTRUX_POSITION_H
#define AGENTRUX_POSITION_H

#include "buf.h"
#include "dialect.h"
#include "err.h"
#include "statefile.h"

/* `topic` as api_topic has it. 1: `position` filled. 0: the topic is not known
 * yet. 2: `position` is another dialect's, good for a message only. -1: error, as
 * waterline_get. */
int position_get(const struct statedir *home, const struct dialect *d,
	const char *topic, struct buf *position, struct err *e);
int position_set(const struct statedir *home, const struct dialect *d,
	const char *topic, const char *position, struct err *e);

/* Tells the user of all that another dialect has left. */
void position_tell_foreign(
	const struct statedir *home, const struct dialect *d);

/* That there is no going on from such a one. Returns -1 with EX_CONFIG. */
int position_refuse(const char *topic, const char *position, struct err *e);

#endif
