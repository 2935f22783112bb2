/* hub: a run of events as an answer.
 *
 * One that fits into a block, as most do, is sent whole and with its length;
 * what is longer is made block by block while it is sent. */
#ifndef AGENTRUX_HUB_PAGE_H
#define AGENTRUX_HUB_PAGE_H

#include "events.h"
#include "web.h"

/* What a dialect puts around the events. `tail` is called once the run is
 * over, with what became of it. */
struct page_form {
	const char *head;
	void (*tail)(
		struct buf *b, const struct event_run *run, int64_t latest);
};

/* Answers with the run, and takes run->type over; run->where is r->topic. */
void page_send(struct req *r, struct db *db, struct event_run *run,
	const struct page_form *form);

#endif
