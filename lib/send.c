#include "send.h"

#include "refer.h"

#include <stdlib.h>
#include <string.h>

#define FLUSH_LOCK "outbox.lock"

static struct outbox_event kept_event(const struct dialect_publication *p)
{
	return (struct outbox_event){ .topic = p->topic,
		.type = p->type,
		.payload = p->payload,
		.correlation_id = p->correlation_id,
		.reply_topic = p->reply_topic,
		.idempotency_key = p->idempotency_key,
		.payload_object_id = p->payload_object_id,
		.metadata = p->metadata };
}

static struct dialect_publication publication(const struct outbox_event *ev)
{
	return (struct dialect_publication){ .topic = ev->topic,
		.type = ev->type,
		.payload = ev->payload,
		.correlation_id = ev->correlation_id,
		.reply_topic = ev->reply_topic,
		.idempotency_key = ev->idempotency_key,
		.payload_object_id = ev->payload_object_id,
		.metadata = ev->metadata };
}

int send_keep(struct outbox *o, const struct dialect_publication *p,
	struct outbox_entry *entry, char key[API_KEY_MAX], struct err *e)
{
	struct outbox_event ev = kept_event(p);

	if (ev.idempotency_key == NULL) {
		api_key(key);
		ev.idempotency_key = key;
	}
	return outbox_put(o, &ev, entry, e);
}

/* "what went wrong; where the event is now". */
static int tell(struct err *e, const struct outbox *o, const char *where,
	const char *name)
{
	char *was = xstrdup(e->text);
	int code = e->code;

	err_set(e, code, "%s; the event is in %s/%s%s", was, o->home->path,
		where, name);
	free(was);
	return -1;
}

/* Is it this event that is refused, rather than all that we would ask? */
static bool event_is_refused(const struct api *api, const struct err *e)
{
	switch (e->code) {
	case EX_DATAERR:
	case EX_NOINPUT:
	case EX_NOPERM:
	case EX_FAILED:
	case EX_USAGE: /* another dialect's */
		return !api->refused;
	default:
		return false;
	}
}

/* What one dialect's home has kept may be sent by another's. */
static void adapt(const struct api *api, struct dialect_publication *p)
{
	if (!api->dialect->takes_idempotency_key)
		p->idempotency_key = NULL;
	if (!api->dialect->takes_objects)
		p->payload_object_id = NULL;
}

/* Stores a large payload, and keeps under which id, before anything refers to
 * it: with another object the event would be another one under the same key. */
static int store(struct api *api, const struct outbox *o,
	struct outbox_entry *entry, struct dialect_publication *p,
	char **object_id, struct err *e)
{
	struct outbox_event ev;

	free(*object_id);
	*object_id = NULL;
	p->payload_object_id = NULL;
	if (!refer_is_due(api, p))
		return 0;
	if (refer_store(api, p, object_id, e) < 0)
		return -1;
	p->payload_object_id = *object_id;
	ev = kept_event(p);
	return outbox_change(o, entry, &ev, e);
}

/* An object that no event came to name goes away after a while. Then the event
 * was never published, or its key would have told: so it may get a new one. */
static bool object_is_gone(
	const struct dialect_publication *p, const struct err *e)
{
	return p->payload_object_id && p->payload.p &&
	       (e->code == EX_NOINPUT || e->code == EX_DATAERR);
}

static int publish_kept(struct api *api, const struct outbox *o,
	struct outbox_entry *entry, struct dialect_publication *p,
	char **event_id, struct err *e)
{
	bool stored_before = p->payload_object_id != NULL;
	char *object_id = NULL;
	int r = stored_before ? 0 : store(api, o, entry, p, &object_id, e);

	if (r == 0)
		r = api_publish(api, p, event_id, e);
	if (r < 0 && stored_before && object_is_gone(p, e)) {
		say_detail(1, "%s; storing the payload anew", e->text);
		*e = (struct err){ 0 };
		r = store(api, o, entry, p, &object_id, e);
		if (r == 0)
			r = api_publish(api, p, event_id, e);
	}
	p->payload_object_id = NULL;
	free(object_id);
	return r;
}

int send_entry(struct api *api, const struct outbox *o,
	struct outbox_entry *entry, const struct dialect_publication *p,
	char **event_id, struct err *e)
{
	struct outbox_event ev = kept_event(p);
	struct dialect_publication adapted = *p;
	struct err why = { 0 };

	adapt(api, &adapted);
	if (publish_kept(api, o, entry, &adapted, event_id, e) == 0) {
		/* It is published whatever becomes of the file. */
		if (outbox_remove(o, entry, &why) < 0)
			say("%s; remove it, or it will be sent again",
				why.text);
		return 1;
	}
	if (event_is_refused(api, e)) {
		if (outbox_refuse(o, entry, &ev, e->text, &why) == 0)
			return tell(e, o, "dead/outbox/", entry->name);
		say("%s", why.text);
		return tell(e, o, "outbox/", entry->name);
	}
	outbox_leave(entry);
	if (e->code == EX_TEMPFAIL || e->code == ERR_STOPPED)
		return 0;
	return tell(e, o, "outbox/", entry->name);
}

int send_event(struct api *api, const struct dialect_publication *p,
	char **event_id, char **path, struct err *e)
{
	struct dialect_publication keyed = *p;
	struct outbox_entry entry = OUTBOX_NONE;
	char key[API_KEY_MAX];
	struct outbox box;
	int r = -1;

	/* Never to be sent, so not kept either. */
	if (api_may_publish(api, p, e) < 0)
		return -1;
	if (outbox_open(&box, &api->home, e) == 0 &&
		send_keep(&box, p, &entry, key, e) == 0) {
		if (p->idempotency_key == NULL)
			keyed.idempotency_key = key;
		r = send_entry(api, &box, &entry, &keyed, event_id, e);
	}
	if (r == 0)
		*path = outbox_path(&box, entry.name);
	outbox_close(&box);
	return r;
}

struct flush {
	struct api *api;
	struct outbox box;
	send_fn *sent;
	void *ctx;
	char **waiting; /* topics that cannot be served for now */
	size_t n_waiting;
	struct err refused; /* the first, if any */
};

static bool waits(const struct flush *f, const char *topic)
{
	size_t i;

	for (i = 0; i < f->n_waiting; i++)
		if (strcmp(f->waiting[i], topic) == 0)
			return true;
	return false;
}

static void let_wait(struct flush *f, const char *topic)
{
	f->waiting =
		xrealloc(f->waiting, (f->n_waiting + 1) * sizeof *f->waiting);
	f->waiting[f->n_waiting++] = xstrdup(topic);
	/* The others get one attempt each: the time for more is used up. */
	f->api->retry_ms = 0;
}

static void put_aside(struct flush *f, struct err *e)
{
	say("%s", e->text);
	if (f->refused.code == 0)
		f->refused = *e;
	*e = (struct err){ 0 };
}

static int flush_one(struct flush *f, const char *name, struct err *e)
{
	struct outbox_entry entry = OUTBOX_NONE;
	struct dialect_publication p;
	struct outbox_kept kept;
	char *event_id = NULL, *path;
	int r = outbox_take(&f->box, name, &entry, &kept, e);

	if (r < 0 && e->code != EX_IOERR)
		put_aside(f, e);
	if (r <= 0)
		return e->code ? -1 : 0;
	if (waits(f, kept.ev.topic)) {
		outbox_leave(&entry);
		goto out;
	}
	p = publication(&kept.ev);
	r = send_entry(f->api, &f->box, &entry, &p, &event_id, e);
	if (r == 1) {
		path = outbox_path(&f->box, name);
		r = f->sent(f->ctx, path, event_id, e);
		free(path);
	} else if (r == 0 && e->code == EX_TEMPFAIL) {
		say("%s", e->text);
		let_wait(f, kept.ev.topic);
		*e = (struct err){ 0 };
	} else if (r < 0 && event_is_refused(f->api, e)) {
		put_aside(f, e);
		r = 0;
	} else {
		r = -1; /* told to end, or no other entry would fare better */
	}
out:
	outbox_kept_release(&kept);
	free(event_id);
	return r < 0 ? -1 : 0;
}

static int flush_all(struct flush *f, struct err *e)
{
	char **names;
	size_t n, i;
	int r = outbox_names(&f->box, &names, &n, e);

	if (r < 0)
		return -1;
	for (i = 0; r == 0 && i < n; i++)
		r = flush_one(f, names[i], e);
	outbox_names_free(names, n);
	return r;
}

int send_flush(struct api *api, send_fn *sent, void *ctx, struct err *e)
{
	struct flush f = { .api = api, .sent = sent, .ctx = ctx };
	struct lock lock = LOCK_NONE;
	int r = lock_take(&lock, &api->home, FLUSH_LOCK, 0, e);

	if (r < 0)
		return -1;
	if (r == 0)
		return err_set(e, EX_TEMPFAIL,
			"flushing the outbox: another flush is under way");
	r = outbox_open(&f.box, &api->home, e);
	if (r == 0)
		r = flush_all(&f, e);
	if (r == 0 && f.refused.code)
		r = err_set(e, f.refused.code,
			"flushing the outbox: not all could be sent");
	else if (r == 0 && f.n_waiting)
		r = err_set(e, EX_TEMPFAIL,
			"flushing the outbox: events remain for a later flush");
	outbox_close(&f.box);
	lock_release(&lock);
	while (f.n_waiting)
		free(f.waiting[--f.n_waiting]);
	free(f.waiting);
	return r;
}
