/* service: the hint streams of topics: connect with a token, turn frames into
 * hints, notice when a stream has died, and come back.
 *
 * A set holds the streams of any number of topics beside each other on the
 * connections of one `struct api`. Its owner loops:
 *
 *     stream_new, stream_add for each topic
 *     stream_turn              opens what is due, judges what has ended
 *     http_poll(api->http, …, stream_wait_ms())     hints are reported here
 *     stream_free, before api_close
 *
 * A stream that ends is opened again after what the server asked for (`retry:`,
 * Retry-After) plus a random part of a span that doubles up to `max_backoff_ms`
 * and starts anew once a stream has stood STREAM_STOOD_MS. It resumes behind
 * the last position seen. A stream without a byte for `idle_ms`, or for two and
 * a half of its heartbeat intervals if that is less, counts as ended.
 *
 * A 401 brings one new token for all. A topic is given up, and the user told,
 * on 403, on 404 and on a 401 to a token that was new; after a 204 it stays,
 * without a stream. Anything else passes, however long it takes. */
#ifndef AGENTRUX_STREAM_H
#define AGENTRUX_STREAM_H

#include "api.h"
#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	STREAM_IDLE_MS = 120000,
	STREAM_BACKOFF_MS = 2000,
	STREAM_MAX_BACKOFF_MS = 60000,
	STREAM_STOOD_MS = 30000,
};

/* In ascending order of what they tell. */
enum stream_hint {
	STREAM_CONNECTED, /* something may have been missed before */
	STREAM_RESYNC,	  /* something was missed */
	STREAM_EVENT,
};

/* `topic` counts from 0 in the order of stream_add; `latest` is -1 where it is
 * not known. Must not call anything here. */
typedef void stream_fn(
	void *ctx, size_t topic, enum stream_hint hint, int64_t latest);

struct stream_options {
	long idle_ms;
	long max_backoff_ms;
	bool exclude_self; /* only where the dialect can */
};

struct stream_set;

/* `a` is borrowed. */
struct stream_set *stream_new(struct api *a, const struct stream_options *o,
	stream_fn *on_hint, void *ctx);
void stream_add(struct stream_set *set, const char *topic);

/* -1: told to end, or no topic is left (EX_NOPERM if any was refused by 401 or
 * 403, or what refused the credentials, else EX_NOINPUT). May wait for a token,
 * as long as a request takes. */
int stream_turn(struct stream_set *set, struct err *e);

/* Until stream_turn has something to do that http_poll does not show. */
long stream_wait_ms(const struct stream_set *set);

/* Was this topic not given up? */
bool stream_is_kept(const struct stream_set *set, size_t topic);

void stream_free(struct stream_set *set);

#endif
