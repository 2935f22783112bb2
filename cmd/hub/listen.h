/* hub: the socket on which the server listens. */
#ifndef AGENTRUX_HUB_LISTEN_H
#define AGENTRUX_HUB_LISTEN_H

#include "err.h"

#include <stdbool.h>

/* Listens on "HOST:PORT" ("[::1]:8787"; port 0: the kernel chooses). The
 * descriptor, or -1: EX_USAGE what was given is no address, EX_TEMPFAIL it is
 * in use, EX_NOPERM not ours to take. `*origin` is "http://HOST:PORT", the
 * caller's to free. Plain http beyond this machine is warned of. */
int listen_on(const char *address, bool tls, char **origin, struct err *e);

#endif
