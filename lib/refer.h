/* service: payloads that are too large to stand in an event: where the dialect
 * lets an object stand for one, they are stored first. */
#ifndef AGENTRUX_REFER_H
#define AGENTRUX_REFER_H

#include "api.h"
#include "err.h"

#include <stdbool.h>

bool refer_is_due(const struct api *api, const struct dialect_publication *p);

/* Stores the payload; `object_id` is the caller's to free. */
int refer_store(struct api *api, const struct dialect_publication *p,
	char **object_id, struct err *e);

/* api_publish for a payload of any size. */
int refer_publish(struct api *api, const struct dialect_publication *p,
	char **event_id, struct err *e);

#endif
