#include "outcome.h"

#include <stdlib.h>
#include <time.h>

const char *outcome_name(enum outcome_kind kind)
{
	static const char *const names[] = {
		[OUTCOME_OK] = "ok",
		[OUTCOME_NO_FILE] = "no-file",
		[OUTCOME_CREDS_PRESENT] = "creds-already-present",
		[OUTCOME_INVALID] = "validation-failure",
		[OUTCOME_PERMANENT] = "permanent-failure",
		[OUTCOME_TRANSIENT] = "transient-failure",
		[OUTCOME_RESCUED] = "secret-rescued",
		[OUTCOME_NOT_SET_UP] = "not-set-up",
		[OUTCOME_RESTORED] = "restored",
		[OUTCOME_NEWER] = "newer-file",
	};

	return names[kind];
}

void outcome_release(struct outcome *r)
{
	cred_release(&r->cred);
	json_free(r->grants);
	free(r->failed_file);
	r->grants = NULL;
	r->failed_file = NULL;
}

struct json *outcome_report(const struct outcome *r, const struct err *e)
{
	struct json *o = json_object();

	json_set_text(o, "outcome", outcome_name(r->kind));
	cred_describe(&r->cred, o);
	if (r->grants)
		json_set(o, "grants", json_copy(r->grants));
	if (r->service.status)
		json_set_int(o, "http_status", r->service.status);
	if (r->service.code[0])
		json_set_text(o, "error_code", r->service.code);
	if (r->service.message[0])
		json_set_text(o, "error_message", r->service.message);
	if (e->code)
		json_set_text(o, "reason", e->text);
	if (r->failed_file)
		json_set_text(o, "failed_file", r->failed_file);
	return o;
}

static void set_when(struct json *o, const char *name)
{
	time_t now = time(NULL);
	char text[32];
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	json_set_text(o, name, text);
}

static void set_service(struct json *o, const struct wire_error *we)
{
	if (we->status)
		json_set_int(o, "http_status", we->status);
	else
		json_set_text(o, "http_status", NULL);
	json_set_text(o, "error_code", we->code[0] ? we->code : NULL);
	json_set_text(o, "error_message", we->message[0] ? we->message : NULL);
}

char *outcome_words(const struct outcome *r, const struct err *e)
{
	char *reason = xasprintf("%s: %s", outcome_name(r->kind), e->text);
	struct json *o = json_object();
	char *text;

	json_set_text(o, "reason", reason);
	set_service(o, &r->service);
	set_when(o, "failed_at");
	text = json_print(o);
	json_free(o);
	free(reason);
	return text;
}
