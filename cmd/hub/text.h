/* hub: small things in the text of answers. Pure but for the tables read. */
#ifndef AGENTRUX_HUB_TEXT_H
#define AGENTRUX_HUB_TEXT_H

#include "buf.h"
#include "registry.h"

/* An RFC 3339 time, UTC; with ms if `fine`. */
enum { TIME_TEXT = 32 };
void time_text(int64_t ms, bool fine, char out[TIME_TEXT]);

/* Appends a JSON string. `s` is UTF-8. */
void json_text(struct buf *b, const char *s);

/* Appends the array of the topics that a script has grants in: topic_id with
 * `prefix`, the name as a member `name`, actions. */
int json_topics(struct buf *b, struct db *db, int64_t script,
	const char *prefix, const char *name, struct err *e);

/* Appends the array of a script's grants: grant_id, topic_id, action. */
int json_grants(struct buf *b, struct db *db, int64_t script, struct err *e);

#endif
