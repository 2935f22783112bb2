/* format: Server-Sent Events: bytes in, frames out (WHATWG HTML, section
 * "Server-sent events"). Pure code, no I/O; bytes may come in pieces of any
 * size, a character or a line end cut in two included.
 *
 * sse_init, then sse_feed for whatever arrives, sse_release at the end; for a
 * new connection sse_restart, which keeps the last id (the standard has it
 * survive) and drops what was unfinished.
 *
 * Ceilings: a frame's data may be SSE_DATA_MAX bytes and its name SSE_NAME_MAX;
 * what is longer is cut there and the frame delivered with `cut` set: for a
 * hint it is enough that there was one. An id longer than SSE_ID_MAX is passed
 * over, as one with a NUL in it is: half an id would be a wrong place to resume
 * from. Bytes that are not UTF-8 stay as they are; a NUL in a name becomes '?'
 * (in data it stays). */
#ifndef AGENTRUX_SSE_H
#define AGENTRUX_SSE_H

#include "buf.h"

#include <stdbool.h>
#include <stddef.h>

enum { SSE_DATA_MAX = 1048576, SSE_NAME_MAX = 256, SSE_ID_MAX = 4096 };

/* Borrowed for the time of the call. */
struct sse_frame {
	const char *event; /* "" when the frame names none */
	const char *data;  /* lines joined by \n, NUL-terminated */
	size_t data_len;
	const char *id; /* the last id seen, this frame's included; "" none */
	bool cut;
};

/* Called for each frame that has a data line. Must not call in here. */
typedef void sse_frame_fn(void *ctx, const struct sse_frame *frame);

struct sse {
	sse_frame_fn *on_frame;
	void *ctx;
	/* Last retry: field, at most an hour; -1 none. Survives a restart. */
	long retry_ms;
	struct buf line, event, data, id, new_id;
	bool has_data, after_cr;
	int bom; /* bytes of a leading BOM seen so far; -1: past it */
};

void sse_init(struct sse *s, sse_frame_fn *on_frame, void *ctx);
void sse_feed(struct sse *s, const char *bytes, size_t n);
void sse_restart(struct sse *s);

/* The id to resume from (Last-Event-ID), "" if none. */
const char *sse_last_id(const struct sse *s);

void sse_release(struct sse *s);

#endif
