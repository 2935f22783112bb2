#include "refer.h"

#include "upload.h"

#include <stdlib.h>

bool refer_is_due(const struct api *api, const struct dialect_publication *p)
{
	return api->dialect->takes_objects && p->payload_object_id == NULL &&
	       p->payload.len > api->dialect->inline_max;
}

int refer_store(struct api *api, const struct dialect_publication *p,
	char **object_id, struct err *e)
{
	struct upload u = { .api = api, .topic = p->topic };
	struct dialect_object o = { 0 };
	struct source f;
	int r = source_memory(&f, "payload.json", "application/json",
		p->payload.p, p->payload.len, e);

	if (r == 0)
		r = upload_object(&u, &f, &o, e);
	if (r == 0) {
		*object_id = o.id;
		o.id = NULL;
	} else {
		err_prefix(e, "publishing to %s", p->topic);
	}
	dialect_object_release(&o);
	source_close(&f);
	return r;
}

int refer_publish(struct api *api, const struct dialect_publication *p,
	char **event_id, struct err *e)
{
	struct dialect_publication referring = *p;
	char *object_id = NULL;
	int r;

	if (!refer_is_due(api, p))
		return api_publish(api, p, event_id, e);
	if (api_may_publish(api, p, e) < 0 ||
		refer_store(api, p, &object_id, e) < 0)
		return -1;
	referring.payload_object_id = object_id;
	r = api_publish(api, &referring, event_id, e);
	free(object_id);
	return r;
}
