#include "sse.h"

#include <string.h>

enum {
	/* The longest line that is of use, and one byte to tell it by. */
	LINE_MAX_BYTES = sizeof "data: " + SSE_DATA_MAX,
	RETRY_MAX_MS = 3600000,
};

static const char bom[] = "\xef\xbb\xbf";
enum { BOM_LEN = sizeof bom - 1, BOM_PASSED = -1 };

void sse_init(struct sse *s, sse_frame_fn *on_frame, void *ctx)
{
	*s = (struct sse){
		.on_frame = on_frame,
		.ctx = ctx,
		.retry_ms = -1,
		.line = BUF_INIT(LINE_MAX_BYTES),
		.event = BUF_INIT(SSE_NAME_MAX),
		.data = BUF_INIT(SSE_DATA_MAX),
		.id = BUF_INIT(SSE_ID_MAX),
		.new_id = BUF_INIT(SSE_ID_MAX),
	};
}

/* What fits; if that was not all, the buffer says that it is full. */
static void add_some(struct buf *b, const char *p, size_t n)
{
	size_t room = b->max - b->len;

	buf_add(b, p, n < room ? n : room);
	if (n > room)
		b->full = true;
}

static void set(struct buf *b, const char *p, size_t n)
{
	buf_clear(b);
	buf_add(b, p, n);
}

/* The end of a frame. Its id counts even if it has no data. */
static void dispatch(struct sse *s)
{
	struct sse_frame frame;

	set(&s->id, buf_text(&s->new_id), s->new_id.len);
	if (s->has_data) {
		frame = (struct sse_frame){
			.event = buf_text(&s->event),
			.data = buf_text(&s->data),
			.data_len = s->data.len,
			.id = buf_text(&s->id),
			.cut = s->event.full || s->data.full,
		};
		s->on_frame(s->ctx, &frame);
	}
	buf_clear(&s->event);
	buf_clear(&s->data);
	s->has_data = false;
}

static void set_event(struct sse *s, const char *value, size_t n)
{
	char *nul;

	buf_clear(&s->event);
	add_some(&s->event, value, n);
	/* Cut there, it would read as another name. */
	while ((nul = memchr(s->event.data, '\0', s->event.len)))
		*nul = '?';
}

static void add_data(struct sse *s, const char *value, size_t n)
{
	if (s->has_data)
		add_some(&s->data, "\n", 1);
	s->has_data = true;
	add_some(&s->data, value, n);
}

static void set_retry(struct sse *s, const char *value, size_t n)
{
	long ms = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (value[i] < '0' || value[i] > '9')
			return;
		ms = ms * 10 + (value[i] - '0');
		if (ms > RETRY_MAX_MS)
			ms = RETRY_MAX_MS;
	}
	if (n)
		s->retry_ms = ms;
}

static void field(struct sse *s, const char *name, size_t name_len,
	const char *value, size_t n)
{
	if (name_len == 4 && memcmp(name, "data", 4) == 0)
		add_data(s, value, n);
	else if (name_len == 5 && memcmp(name, "event", 5) == 0)
		set_event(s, value, n);
	else if (name_len == 5 && memcmp(name, "retry", 5) == 0)
		set_retry(s, value, n);
	else if (name_len == 2 && memcmp(name, "id", 2) == 0 &&
		 n <= SSE_ID_MAX && memchr(value, '\0', n) == NULL)
		set(&s->new_id, value, n);
}

static void end_line(struct sse *s)
{
	const char *line = buf_text(&s->line), *value;
	size_t len = s->line.len, name_len;
	const char *colon = memchr(line, ':', len);

	if (len == 0) {
		dispatch(s);
		return;
	}
	name_len = colon ? (size_t)(colon - line) : len;
	value = line + name_len;
	if (colon)
		value++;
	if (colon && *value == ' ')
		value++;
	field(s, line, name_len, value, len - (size_t)(value - line));
	buf_clear(&s->line);
}

/* Passes over a BOM, which may come in pieces. What looked like the start of
 * one and is none was the start of the first line. */
static const char *skip_bom(struct sse *s, const char *p, const char *end)
{
	while (s->bom != BOM_PASSED && p < end) {
		if (*p != bom[s->bom]) {
			buf_add(&s->line, bom, (size_t)s->bom);
			s->bom = BOM_PASSED;
		} else {
			p++;
			s->bom++;
			if (s->bom == BOM_LEN)
				s->bom = BOM_PASSED;
		}
	}
	return p;
}

void sse_feed(struct sse *s, const char *bytes, size_t n)
{
	const char *end = bytes + n;
	const char *p = skip_bom(s, bytes, end), *stop;

	while (p < end) {
		if (s->after_cr && *p == '\n') {
			s->after_cr = false;
			p++;
			continue;
		}
		s->after_cr = false;
		stop = p;
		while (stop < end && *stop != '\n' && *stop != '\r')
			stop++;
		/* A line too long for its buffer is too long for the field,
		 * which is where that shows. */
		add_some(&s->line, p, (size_t)(stop - p));
		if (stop == end)
			break;
		s->after_cr = *stop == '\r';
		p = stop + 1;
		end_line(s);
	}
}

void sse_restart(struct sse *s)
{
	buf_release(&s->line);
	buf_release(&s->data);
	buf_clear(&s->event);
	set(&s->new_id, buf_text(&s->id), s->id.len);
	s->has_data = s->after_cr = false;
	s->bom = 0;
}

const char *sse_last_id(const struct sse *s)
{
	return buf_text(&s->id);
}

void sse_release(struct sse *s)
{
	buf_release(&s->line);
	buf_release(&s->event);
	buf_release(&s->data);
	buf_release(&s->id);
	buf_release(&s->new_id);
}
