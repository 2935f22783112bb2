#include "refuse.h"

#include "events.h"

void refuse_invalid(struct req *r, const char *why)
{
	answer_error(r, MHD_HTTP_UNPROCESSABLE_CONTENT, "INVALID", "%s", why);
}

int refuse_code(struct req *r, enum code_state state)
{
	switch (state) {
	case CODE_GOOD:
		return 0;
	case CODE_SPENT:
		refuse_invalid(r, "Token has expired");
		return 1;
	case CODE_UNKNOWN:
		answer_error(r, MHD_HTTP_NOT_FOUND, "NOT_FOUND",
			"There is no such code");
		return 1;
	case CODE_ERROR:
		break;
	}
	return -1;
}

void refuse_for(struct req *r, long seconds)
{
	answer_error(r, MHD_HTTP_TOO_MANY_REQUESTS, "RATE_LIMITED",
		"Too many of these within an hour; next in %ld s", seconds);
	r->retry_after = seconds;
}

int refuse_limited(struct req *r, struct db *db, int64_t script,
	const char *kind, int limit, struct err *e)
{
	long wait = 0;

	if (!r->hub->options.no_rate_limits)
		wait = code_limit(db, script, kind, limit, e);
	if (wait > 0)
		refuse_for(r, wait);
	return wait > 0 ? 1 : (int)wait;
}

bool refuse_no_type(struct req *r, const struct raw_want *w, struct buf *type)
{
	size_t n = 0;

	*type = (struct buf)BUF_INIT(4 * EVENT_TYPE_MAX);
	if (raw_text(w->value, type) == 0)
		n = raw_characters(buf_text(type));
	if (n >= 1 && n <= EVENT_TYPE_MAX)
		return true;
	answer_error(r, MHD_HTTP_UNPROCESSABLE_CONTENT, "INVALID",
		"%s has to be a string of 1 to %d characters", w->name,
		EVENT_TYPE_MAX);
	return false;
}
