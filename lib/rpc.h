/* format: JSON-RPC 2.0 messages, as slices of the line they came in. Ids go back
 * byte for byte as they came. Pure code, no I/O. */
#ifndef AGENTRUX_RPC_H
#define AGENTRUX_RPC_H

#include "buf.h"
#include "slice.h"

#include <stdbool.h>

enum rpc_code {
	RPC_PARSE_ERROR = -32700,
	RPC_INVALID_REQUEST = -32600,
	RPC_METHOD_NOT_FOUND = -32601,
	RPC_INVALID_PARAMS = -32602,
	RPC_INTERNAL_ERROR = -32603,
	RPC_BUSY = -32000, /* of the range for servers of one's own */
};

enum { RPC_ID_MAX = 1024 };

enum rpc_kind {
	RPC_REQUEST,
	RPC_NOTIFICATION,
	RPC_RESPONSE, /* to a request of ours */
	RPC_INVALID,  /* none of these; `id` is there if it can be told */
};

struct rpc_message {
	enum rpc_kind kind;
	struct slice id;     /* p NULL: none */
	struct slice method; /* a string, or p NULL */
	struct slice params; /* an object or array, or p NULL */
};

/* Of a value that slice_document() has checked. */
void rpc_read(struct slice value, struct rpc_message *m);

/* Do two ids name one request? However their strings are written. */
bool rpc_same_id(struct slice a, struct slice b);

/* Appends the start of an answer, up to where "result":… or "error":… and a
 * closing brace follow. An id that is not there becomes null. */
void rpc_answer(struct buf *out, struct slice id);

/* Appends "error":{…}. */
void rpc_error(struct buf *out, enum rpc_code code, const char *message);

/* Appends a JSON string; bytes that are not UTF-8 become U+FFFD. */
void rpc_text(struct buf *out, const char *p, size_t n);

#endif
