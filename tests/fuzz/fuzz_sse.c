/* A stream gives the same frames however it is cut, and those that a plain
 * reading of the standard gives. Aborts where it does not. */
#include "sse.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RETRY_MAX = 3600000 };

static void need(bool holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "does not hold: %s\n", what);
		abort();
	}
}

static void frame_out(struct buf *seen, const char *event, const char *data,
	size_t data_len, const char *id)
{
	buf_printf(seen, "[%s|%zu|", event, data_len);
	buf_add(seen, data, data_len);
	buf_printf(seen, "|%s]\n", id);
}

static void note(void *ctx, const struct sse_frame *f)
{
	need(f->data[f->data_len] == '\0', "data ends in a NUL");
	need(!f->cut || strlen(f->event) == SSE_NAME_MAX,
		"nothing else is cut");
	frame_out(ctx, f->event, f->data, f->data_len, f->id);
}

/* By the letter of the standard, over the whole text. */
struct plain {
	struct buf event, data, id, last_id;
	long retry;
};

static void set(struct buf *b, const char *p, size_t n)
{
	buf_clear(b);
	buf_add(b, p, n);
}

static void plain_field(
	struct plain *s, const char *name, const char *value, size_t n)
{
	size_t i;

	if (strcmp(name, "event") == 0) {
		set(&s->event, value, n > SSE_NAME_MAX ? SSE_NAME_MAX : n);
		for (i = 0; i < s->event.len; i++)
			if (s->event.data[i] == '\0')
				s->event.data[i] = '?';
	} else if (strcmp(name, "data") == 0) {
		buf_add(&s->data, value, n);
		buf_char(&s->data, '\n');
	} else if (strcmp(name, "id") == 0) {
		if (!memchr(value, '\0', n) && n <= SSE_ID_MAX)
			set(&s->id, value, n);
	} else if (strcmp(name, "retry") == 0) {
		for (i = 0; i < n; i++)
			if (value[i] < '0' || value[i] > '9')
				return;
		if (n == 0)
			return;
		for (; n > 1 && *value == '0'; n--)
			value++;
		s->retry = n > 7 ? RETRY_MAX : atol(value);
		if (s->retry > RETRY_MAX)
			s->retry = RETRY_MAX;
	}
}

static void plain_line(
	struct plain *s, char *line, size_t len, struct buf *seen)
{
	char *colon = memchr(line, ':', len), *value;

	if (len == 0) {
		set(&s->last_id, buf_text(&s->id), s->id.len);
		if (s->data.len)
			frame_out(seen, buf_text(&s->event), s->data.data,
				s->data.len - 1, buf_text(&s->last_id));
		buf_clear(&s->data);
		buf_clear(&s->event);
		return;
	}
	if (colon == NULL) {
		if (memchr(line, '\0', len) == NULL)
			plain_field(s, line, "", 0);
		return;
	}
	*colon = '\0';
	value = colon + 1;
	if (value < line + len && *value == ' ')
		value++;
	if (strlen(line) == (size_t)(colon - line))
		plain_field(s, line, value, (size_t)(line + len - value));
}

static void plain_stream(
	struct plain *s, const char *text, size_t size, struct buf *seen)
{
	struct buf b = BUF_INIT(1 << 24);
	char *p, *end, *line;

	buf_add(&b, text, size);
	p = line = b.data;
	end = p + size;
	if (size >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		p = line = p + 3;
	while (p < end) {
		if (*p != '\n' && *p != '\r') {
			p++;
			continue;
		}
		size = *p == '\r' && p + 1 < end && p[1] == '\n' ? 2 : 1;
		*p = '\0';
		plain_line(s, line, (size_t)(p - line), seen);
		p += size;
		line = p;
	}
	buf_release(&b);
}

static void feed(struct sse *s, const uint8_t *data, size_t n)
{
	char *copy = malloc(n ? n : 1);

	if (copy == NULL)
		abort();
	memcpy(copy, data, n);
	sse_feed(s, copy, n);
	free(copy);
}

/* In pieces of `step` bytes (0: at once). */
static void run(const uint8_t *data, size_t size, size_t step,
	const struct buf *want, const struct plain *plain)
{
	struct buf seen = BUF_INIT(1 << 24);
	struct sse s;
	size_t n, at;

	sse_init(&s, note, &seen);
	for (at = 0; at < size; at += n) {
		n = step && step < size - at ? step : size - at;
		feed(&s, data + at, n);
	}
	need(seen.len == want->len &&
			memcmp(buf_text(&seen), buf_text(want), seen.len) == 0,
		"the frames are those of the standard");
	need(strcmp(sse_last_id(&s), buf_text(&plain->last_id)) == 0,
		"so is the last id");
	need(s.retry_ms == plain->retry, "so is the delay");
	sse_restart(&s);
	need(strcmp(sse_last_id(&s), buf_text(&plain->last_id)) == 0,
		"a restart keeps the id");
	sse_release(&s);
	buf_release(&seen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t steps[] = { 0, 1, 2, 3, 7 };
	struct plain s = {
		.event = BUF_INIT(1 << 24),
		.data = BUF_INIT(1 << 24),
		.id = BUF_INIT(1 << 24),
		.last_id = BUF_INIT(1 << 24),
		.retry = -1,
	};
	struct buf want = BUF_INIT(1 << 24);
	size_t i;

	plain_stream(&s, (const char *)data, size, &want);
	for (i = 0; i < sizeof steps / sizeof *steps; i++)
		run(data, size, steps[i], &want, &s);
	buf_release(&s.event);
	buf_release(&s.data);
	buf_release(&s.id);
	buf_release(&s.last_id);
	buf_release(&want);
	return 0;
}
