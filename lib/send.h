/* service: an event on its way, through the outbox where the user wants it.
 *
 * Where the dialect knows repetitions by a key, once: the entry has the key, and
 * the object that stands for a large payload, before the event is sent. Else at
 * least once: a kill between the acknowledgement and the removal of the entry
 * makes the next flush publish the event again. */
#ifndef AGENTRUX_SEND_H
#define AGENTRUX_SEND_H

#include "api.h"
#include "err.h"
#include "outbox.h"

/* A new entry for an event, with a key unless it has one; both are put into
 * `entry`, which is then ours, and `key`. */
int send_keep(struct outbox *o, const struct dialect_publication *p,
	struct outbox_entry *entry, char key[API_KEY_MAX], struct err *e);

/* Publishes an event whose entry in the outbox is ours (`p` has the entry's key),
 * and is done with the entry. 1: published, `event_id` is the caller's to free. 0: it could not be
 * sent for now (EX_TEMPFAIL), or we were told to end; it waits in the outbox.
 * -1: it was refused and is in dead/outbox/, or something else than the event is
 * wrong and it waits in the outbox; the text of `e` says which. */
int send_entry(struct api *api, const struct outbox *o,
	struct outbox_entry *entry, const struct dialect_publication *p,
	char **event_id, struct err *e);

/* The same for an event that is not in the outbox yet; it is put there first.
 * Where it waits there, `path` says where, to be freed. */
int send_event(struct api *api, const struct dialect_publication *p,
	char **event_id, char **path, struct err *e);

/* Told of each event that a flush has published; -1 ends it. */
typedef int send_fn(
	void *ctx, const char *path, const char *event_id, struct err *e);

/* Sends what waits in the outbox, oldest first per topic: a topic that cannot be
 * served for now is left alone for the rest of the flush, and an entry that is
 * refused or damaged is reported and put aside. EX_TEMPFAIL if another flush is
 * under way or entries remain; the first refusal's code if there was one. */
int send_flush(struct api *api, send_fn *sent, void *ctx, struct err *e);

#endif
