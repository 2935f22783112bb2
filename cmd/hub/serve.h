/* hub: the server, from the first thing it opens to the last it closes.
 *
 * Prints `{"listening":"http://…","pid":N}` on standard output when it is
 * ready, serves until told to end (stop.h, installed by the caller), and
 * returns 0 then. Errors before that: see err.h. */
#ifndef AGENTRUX_HUB_SERVE_H
#define AGENTRUX_HUB_SERVE_H

#include "err.h"
#include "hub.h"

int serve(
	const char *db_path, const struct hub_options *options, struct err *e);

#endif
