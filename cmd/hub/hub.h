/* hub: the running server, as its parts see it.
 *
 * Made by serve.c before the first request and ended by it after the last;
 * everything in it is either constant meanwhile or locks for itself. */
#ifndef AGENTRUX_HUB_HUB_H
#define AGENTRUX_HUB_HUB_H

#include "db.h"
#include "objects.h"
#include "ticket.h"
#include "work.h"

#include <stdatomic.h>

struct streams;
struct web;

struct hub_options {
	const char *listen, *cert, *key, *admin_token_file;
	long retention_ms, retention_count; /* 0: no limit */
	long presign_ms, heartbeat_ms;
	long token_ms; /* 0: as long as the dialect has it */
	bool require_user_agent, no_rate_limits;
};

struct hub {
	struct hub_options options;
	unsigned char key[SIGN_KEY]; /* signs tokens and URLs */
	char *admin_token;	     /* NULL: no console */
	char *cert, *tls_key;	     /* PEM; NULL: plain http */
	char *origin;		     /* http://127.0.0.1:8787 */
	struct db_pool *pool;	     /* for reading */
	struct work *work;	     /* for changing */
	struct objects *objects;
	struct streams *streams;
	struct web *web;
	/* Bytes of requests and answers in memory, against HELD_MAX. */
	atomic_size_t held;
	atomic_int under_way; /* requests that are not streams */
};

#endif
