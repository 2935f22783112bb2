/* state: events on their way out, outbox/NAME.json: written and synced before
 * the first attempt to send them, removed after the acknowledgement.
 *
 * Names sort by age. Whoever deals with an entry holds its lock (flock on the
 * file itself) from the moment that it can be seen, so that nobody else sends
 * it too; an entry without an owner waits for the next flush. Entries that were
 * refused for good go to dead/outbox/ under the same name, with `reason` and
 * `failed_at` added: moved back, they are sent again.
 *
 * One thread at a time for a `struct outbox`, but for outbox_remove,
 * outbox_refuse and outbox_leave. */
#ifndef AGENTRUX_OUTBOX_H
#define AGENTRUX_OUTBOX_H

#include "buf.h"
#include "err.h"
#include "slice.h"
#include "statefile.h"

#include <stdbool.h>
#include <stdint.h>

enum { OUTBOX_NAME_MAX = 64, OUTBOX_ENTRY_MAX = 33554432 };

struct outbox {
	const struct statedir *home; /* borrowed */
	struct statedir dir;
	int64_t last_us; /* when the last entry was written, for its name */
};

struct outbox_event {
	const char *topic;
	const char *type;
	struct slice payload;
	/* NULL, and p NULL: none. */
	const char *correlation_id;
	const char *reply_topic;
	const char *idempotency_key;
	const char *payload_object_id; /* under which it was stored already */
	struct slice metadata;
};

/* An entry that is ours: its lock is held. Start with OUTBOX_NONE. */
struct outbox_entry {
	char name[OUTBOX_NAME_MAX];
	int fd; /* -1: not ours (any more) */
};

#define OUTBOX_NONE                                                            \
	{                                                                      \
		.fd = -1                                                       \
	}

/* Makes the folder if it is not there. outbox_close in any case. */
int outbox_open(struct outbox *o, const struct statedir *home, struct err *e);
void outbox_close(struct outbox *o);

/* A new entry, on disk when this returns 0. */
int outbox_put(struct outbox *o, const struct outbox_event *ev,
	struct outbox_entry *entry, struct err *e);

/* Writes another state of it in its place; it stays ours. */
int outbox_change(const struct outbox *o, struct outbox_entry *entry,
	const struct outbox_event *ev, struct err *e);

/* Three ways to be done with an entry: it was sent; it will never be; it waits
 * for the next flush. The lock is given up in any case; after an error the
 * entry is still there. */
int outbox_remove(
	const struct outbox *o, struct outbox_entry *entry, struct err *e);
int outbox_refuse(const struct outbox *o, struct outbox_entry *entry,
	const struct outbox_event *ev, const char *reason, struct err *e);
void outbox_leave(struct outbox_entry *entry);

/* Does it wait there still? */
bool outbox_has(const struct outbox *o, const char *name);

/* Its path for people, the caller's to free. */
char *outbox_path(const struct outbox *o, const char *name);

/* The names of all entries, oldest first; free with outbox_names_free. Clears
 * away what a kill has left half written. */
int outbox_names(
	const struct outbox *o, char ***names, size_t *n, struct err *e);
void outbox_names_free(char **names, size_t n);

/* An entry as read. `ev` borrows from the rest. */
struct outbox_kept {
	struct outbox_event ev;
	struct buf text;
	char *texts[6];
};

/* Takes an entry over and reads it. 1: it is ours. 0: another has it, or it is
 * gone. -1: it cannot be used; then `e` says why: EX_DATAERR if it is damaged,
 * in which case it was moved to dead/outbox/ as it is. */
int outbox_take(const struct outbox *o, const char *name,
	struct outbox_entry *entry, struct outbox_kept *kept, struct err *e);
void outbox_kept_release(struct outbox_kept *kept);

#endif
