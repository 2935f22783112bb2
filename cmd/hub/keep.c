#include "keep.h"

#include "backoff.h"
#include "buf.h"
#include "codes.h"
#include "devices.h"
#include "events.h"
#include "replays.h"
#include "stop.h"

#include <stddef.h>

enum {
	INTERVAL_MS = 10000,
	CODES_MS = 600000,
	PENDING_MS = 3600000, /* beyond the life of an upload URL */
	UNNAMED_MS = 24 * PENDING_MS,
	IDS_MAX = 1 << 16
};

struct batch {
	struct job job;
	struct hub *hub;
	int (*trim)(struct batch *b, struct db *db, struct err *e);
	int n; /* what it deleted */
	struct buf ids;
};

static int64_t cutoff(const struct hub *hub)
{
	long keep = hub->options.retention_ms;

	return keep ? db_now() - keep : 0;
}

static int run(struct job *j, struct db *db, struct err *e)
{
	struct batch *b = (void *)((char *)j - offsetof(struct batch, job));

	b->n = b->trim(b, db, e);
	return b->n < 0 ? -1 : 0;
}

static int trim_events(struct batch *b, struct db *db, struct err *e)
{
	return event_trim(
		db, cutoff(b->hub), b->hub->options.retention_count, e);
}

static int trim_objects(struct batch *b, struct db *db, struct err *e)
{
	int64_t pending = db_now() - b->hub->options.presign_ms - PENDING_MS;

	return object_trim(
		db, cutoff(b->hub), pending, pending - UNNAMED_MS, &b->ids, e);
}

static int trim_codes(struct batch *b, struct db *db, struct err *e)
{
	(void)b;
	return code_sweep(db, e) < 0 ? -1 : device_sweep(db, e);
}

static int trim_replays(struct batch *b, struct db *db, struct err *e)
{
	(void)b;
	return replay_sweep(db, e);
}

/* One batch after the other until there is nothing left, or trouble. */
static void trim_all(struct hub *hub,
	int (*trim)(struct batch *b, struct db *db, struct err *e))
{
	struct batch b = { .hub = hub,
		.trim = trim,
		.job.run = run,
		.ids = BUF_INIT(IDS_MAX) };

	do {
		b.n = 0;
		buf_clear(&b.ids);
		if (work_wait(hub->work, &b.job, NULL) < 0)
			break;
		/* Rows first, files then: never a row without its file. */
		objects_remove(hub->objects, buf_text(&b.ids));
	} while (b.n > 0 && !stop_asked());
	buf_release(&b.ids);
}

/* A look that changes nothing, for most of the time there is nothing to do. */
static bool has_old_events(struct hub *hub)
{
	struct err e = { 0 };
	struct db *db = db_take(hub->pool, &e);
	int old = db ? event_old(db, cutoff(hub), hub->options.retention_count,
			       &e)
		     : -1;

	db_give(hub->pool, db);
	if (old < 0)
		say("%s", e.text);
	return old > 0;
}

long keep_interval(const struct hub_options *o)
{
	long ms = INTERVAL_MS;

	if (o->retention_count)
		ms = 1000;
	if (o->retention_ms && o->retention_ms / 4 < ms)
		ms = o->retention_ms / 4;
	return ms < 100 ? 100 : ms;
}

void keep_pulse(struct keep *k, struct hub *hub)
{
	int64_t now = backoff_clock_ms();

	if (now < k->due)
		return;
	k->due = now + keep_interval(&hub->options);
	if (has_old_events(hub))
		trim_all(hub, trim_events);
	if (now < k->codes_due && hub->options.retention_ms == 0)
		return;
	trim_all(hub, trim_objects);
	if (now >= k->codes_due) {
		k->codes_due = now + CODES_MS;
		trim_all(hub, trim_codes);
		trim_all(hub, trim_replays);
	}
}
