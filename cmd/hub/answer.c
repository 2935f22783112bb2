/* The answers of web.h: what an endpoint says, before it is sent. */
#include "web.h"

#include "routes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void answer(struct req *r, unsigned status, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	r->status = status;
	buf_str(&r->out, text);
	explicit_bzero(text, sizeof text);
}

void answer_error(
	struct req *r, unsigned status, const char *code, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	answer_none(r);
	r->status = status;
	r->dialect->error(&r->out, code, text);
}

void answer_failure(struct req *r, const struct err *e)
{
	/* What went wrong here is for the operator, on stderr. */
	answer_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "TEMPORARY",
		e->code == ERR_STOPPED ? "The server is shutting down"
				       : "The server has a problem, try again");
	r->retry_after = 1;
}

void answer_trouble(struct req *r, const struct err *e)
{
	say("%s", e->text);
	answer_failure(r, e);
}

void answer_response(struct req *r, unsigned status, struct MHD_Response *m)
{
	r->status = status;
	r->response = m;
}

void answer_none(struct req *r)
{
	r->status = 0;
	r->retry_after = 0;
	r->replayed = false;
	buf_clear(&r->out);
	if (r->response)
		MHD_destroy_response(r->response);
	r->response = NULL;
}
