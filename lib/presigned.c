#include "presigned.h"

#include "backoff.h"
#include "stop.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { RETRY_BASE_MS = 500, RETRY_CAP_MS = 10000 };

/* What S3 and its like say: <Code>SignatureDoesNotMatch</Code>. */
static void storage_code(const struct http_answer *a, struct wire_error *we)
{
	static const char tag[] = "<Code>";
	const char *at = strstr(buf_text(&a->body), tag);
	size_t n;

	if (at == NULL)
		return;
	at += sizeof tag - 1;
	n = strcspn(at, "<");
	if (n < sizeof we->code)
		snprintf(we->code, sizeof we->code, "%.*s", (int)n, at);
}

int presigned_refusal(const struct http_answer *a, struct err *e)
{
	/* Storage says 403 to an expired URL, some say 400, some 410. */
	bool expired = a->status == 410 ||
		       memmem(buf_text(&a->body), a->body.len, "xpired", 6);
	int code = expired ? EX_TEMPFAIL : wire_exit_code(a->status);
	struct wire_error we = { 0 };

	wire_error_read(a, &we);
	storage_code(a, &we);
	err_set(e, code, "the storage answered %d%s%s%s%s", a->status,
		we.code[0] ? " " : "", we.code,
		expired ? " (the URL has expired)" : "",
		code == EX_TEMPFAIL ? "; try again later" : "");
	if (a->retry_after_ms > 0)
		e->retry_ms = a->retry_after_ms;
	return expired || a->status == 401 || a->status == 403 ||
			       a->status == 404
		       ? 0
		       : -1;
}

/* Attempts with one URL. */
static int try_url(const struct presigned *p, struct err *e)
{
	struct backoff pause = { .base_ms = RETRY_BASE_MS,
		.cap_ms = RETRY_CAP_MS };
	int64_t end = 0;
	long wait;
	int r;

	for (;;) {
		r = p->attempt(p->ctx, e);
		if (r >= 0 || e->code != EX_TEMPFAIL)
			return r;
		/* An hour may have passed: what counts is from now on. */
		if (end == 0)
			end = backoff_clock_ms() + p->api->retry_ms;
		wait = backoff_next(&pause, e->retry_ms);
		if (backoff_clock_ms() + wait > end)
			return -1;
		say_detail(
			1, "%s: %s; again in %ld ms", p->what, e->text, wait);
		if (!stop_sleep(wait))
			return err_stopped(e);
	}
}

int presigned_run(const struct presigned *p, struct err *e)
{
	int tries, r = 0;

	for (tries = 0; r == 0 && tries < PRESIGNED_URLS; tries++) {
		if (tries)
			say_detail(1, "%s: %s; with a new URL once more",
				p->what, e->text);
		r = p->ask(p->ctx, e);
		if (r == 0)
			r = try_url(p, e);
	}
	if (r < 1)
		return err_prefix(e, "%s", p->what);
	*e = (struct err){ 0 }; /* of an earlier attempt */
	return 0;
}
