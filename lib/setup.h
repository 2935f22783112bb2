/* state: what state a home is in, for people and programs. */
#ifndef AGENTRUX_SETUP_H
#define AGENTRUX_SETUP_H

#include "err.h"
#include "json.h"

/* Looks at the home (--home or NULL) without changing anything. `status` gets
 * an object that is the caller's: `state` (empty, waiting, ready, busy,
 * interrupted, not-set-up), `text`, which says it in one sentence with what to
 * do next, and what is known besides. -1 if the home or its credentials must
 * not be used; the object is there all the same. */
int setup_status(const char *home, struct json **status, struct err *e);

#endif
