#include "page.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 256 << 10, BLOCK_MAX = BLOCK + EVENT_ROOM_MAX };

/* An answer that is made block by block while it is sent. */
struct page {
	struct hub *hub;
	struct topic topic;
	const struct page_form *form;
	struct event_run run;
	struct buf block;
	size_t given; /* of the block */
	size_t held;  /* counted in hub->held */
	bool over;    /* the block is the last one */
};

static void page_free(void *arg)
{
	struct page *p = arg;

	atomic_fetch_sub(&p->hub->held, p->held);
	buf_release(&p->block);
	free(p->run.type);
	free(p);
}

static int page_fill(struct page *p, struct db *db, struct err *e)
{
	int more = event_more(db, &p->run, BLOCK, &p->block, e);

	if (more == 0) {
		p->over = true;
		p->form->tail(&p->block, &p->run, p->topic.last_seq);
	}
	if (p->block.cap > p->held) {
		atomic_fetch_add(&p->hub->held, p->block.cap - p->held);
		p->held = p->block.cap;
	}
	return more < 0 ? -1 : 0;
}

static ssize_t page_read(void *arg, uint64_t pos, char *out, size_t max)
{
	struct page *p = arg;
	struct err e = { 0 };

	(void)pos;
	if (p->given == p->block.len && !p->over) {
		struct db *db = db_take(p->hub->pool, &e);
		int ok;

		buf_clear(&p->block);
		p->given = 0;
		ok = db ? page_fill(p, db, &e) : -1;
		db_give(p->hub->pool, db);
		if (ok < 0) {
			say("%s", e.text);
			return MHD_CONTENT_READER_END_WITH_ERROR;
		}
	}
	if (p->given == p->block.len)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (max > p->block.len - p->given)
		max = p->block.len - p->given;
	memcpy(out, p->block.data + p->given, max);
	p->given += max;
	return (ssize_t)max;
}

void page_send(struct req *r, struct db *db, struct event_run *run,
	const struct page_form *form)
{
	struct page *p = xcalloc(1, sizeof *p);
	struct err e = { 0 };
	struct MHD_Response *m;

	p->hub = r->hub;
	p->topic = r->topic;
	p->form = form;
	p->run = *run;
	p->run.where = &p->topic;
	p->block = (struct buf)BUF_INIT(BLOCK_MAX);
	buf_str(&p->block, form->head);
	if (page_fill(p, db, &e) < 0) {
		page_free(p);
		answer_trouble(r, &e);
		return;
	}
	if (!web_hold(r, 0)) {
		page_free(p);
		return;
	}
	if (p->over) {
		buf_release(&r->out);
		r->out = p->block;
		p->block.data = NULL;
		r->held += p->held;
		p->held = 0;
		r->status = MHD_HTTP_OK;
		page_free(p);
		return;
	}
	m = MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, 64 << 10, page_read, p, page_free);
	if (m == NULL) {
		page_free(p);
		err_set(&e, EX_IOERR, "out of memory");
		answer_trouble(r, &e);
		return;
	}
	MHD_add_response_header(
		m, "Content-Type", "application/json; charset=utf-8");
	MHD_add_response_header(m, "Cache-Control", "no-store");
	answer_response(r, MHD_HTTP_OK, m);
}
