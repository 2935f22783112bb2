/* agentrux-token: the access token that all processes of a user share. */
#include "api.h"
#include "auth.h"
#include "backoff.h"
#include "buf.h"
#include "err.h"
#include "io.h"
#include "json.h"
#include "opt.h"
#include "stop.h"
#include "token.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool as_header, as_json, status, rejected, forget;
static long retry_ms = API_RETRY_MS;

static const struct opt opts[] = {
	{ OPT_FLAG, "header", 0, &as_header, NULL,
		"print it as an Authorization header", 0, 0 },
	{ OPT_FLAG, "json", 0, &as_json, NULL, "print it as JSON, with its end",
		0, 0 },
	{ OPT_FLAG, "status", 0, &status, NULL,
		"say what is cached, without the token", 0, 0 },
	{ OPT_FLAG, "rejected", 0, &rejected, NULL,
		"drop the token on standard input: a server refused it", 0, 0 },
	{ OPT_FLAG, "forget", 0, &forget, NULL,
		"drop what is cached, the refresh token too", 0, 0 },
	{ OPT_DURATION, "retry-time", 0, &retry_ms, "SECONDS",
		"how long to try in temporary trouble (60)", 0, 0 },
	{ OPT_END, NULL, 0, NULL, NULL, NULL, 0, 0 }
};

static const struct opt_program program = {
	.name = "agentrux-token",
	.synopsis = "[OPTIONS]",
	.about = "Prints a valid access token.",
	.opts = opts,
	.uses_home = true,
};

/* Prints a line that may hold the token, and wipes it. */
static int put(char *line, struct err *e)
{
	int r = io_put_line(STDOUT_FILENO, line, e);

	buf_wipe_free(line);
	return r;
}

/* An instant of our clock as one of the wall's, RFC 3339. */
static void wall(int64_t at_ms, char text[32])
{
	time_t at = time(NULL) + (time_t)((at_ms - backoff_clock_ms()) / 1000);
	struct tm tm;

	gmtime_r(&at, &tm);
	strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static int print_token(struct api *a, struct err *e)
{
	const char *token;
	struct json *o;
	char when[32];
	char *line;

	if (api_token(a, &token, e) < 0)
		return -1;
	if (as_header)
		return put(xasprintf("Authorization: Bearer %s", token), e);
	if (!as_json)
		return put(xstrdup(token), e);
	o = json_object();
	wall(a->auth.token.expires_ms, when);
	json_set_text(o, "access_token", token);
	json_set_text(o, "expires_at", when);
	line = json_print(o);
	json_free(o);
	return put(line, e);
}

static int print_status_json(const struct token *t, const char *state,
	long left, long blocked, struct err *e)
{
	struct json *o = json_object();
	char when[32];
	char *line;

	json_set_text(o, "state", state);
	if (t->access) {
		wall(t->expires_ms, when);
		json_set_text(o, "expires_at", when);
		json_set_int(o, "expires_in", left);
	}
	json_set_bool(o, "refreshable", t->refresh != NULL);
	if (blocked)
		json_set_int(o, "blocked_for", blocked);
	line = json_print(o);
	json_free(o);
	return put(line, e);
}

static int print_status(struct api *a, struct err *e)
{
	const struct token *t = &a->auth.token;
	int64_t now = backoff_clock_ms();
	const char *state = "none";
	long left = 0, blocked = 0;

	auth_look(&a->auth);
	if (t->access)
		state = token_fresh(t, now) ? "fresh" : "stale";
	if (t->access && t->expires_ms > now)
		left = (long)((t->expires_ms - now) / 1000);
	if (t->blocked_ms > now)
		blocked = (long)((t->blocked_ms - now + 999) / 1000);
	if (as_json)
		return print_status_json(t, state, left, blocked, e);
	if (blocked)
		return put(xasprintf("%s; the service allows no more for %ld s",
				   state, blocked),
			e);
	if (t->access)
		return put(xasprintf("%s; ends in %ld s%s", state, left,
				   t->refresh ? "; can be refreshed" : ""),
			e);
	return put(xstrdup(state), e);
}

static int drop_rejected(struct api *a, struct err *e)
{
	struct buf input = BUF_SECRET(TOKEN_MAX);
	int r = io_slurp(STDIN_FILENO, &input, "standard input", e);

	while (input.len && strchr(" \t\r\n", input.data[input.len - 1]))
		input.data[--input.len] = '\0';
	if (r == 0)
		r = auth_rejected(&a->auth, buf_text(&input), e);
	buf_release(&input);
	return r;
}

int main(int argc, char **argv)
{
	struct opt_args args;
	struct err e = { 0 };
	struct api a;
	int code, done;

	if (!opt_parse(&program, argc, argv, &args, &code))
		return code;
	if (status + rejected + forget > 1 ||
		as_header + as_json + rejected + forget > 1)
		return opt_misuse(&program,
			"--header, --json, --status, --rejected and --forget "
			"exclude each other");
	stop_install();
	done = api_open(&a, args.home, args.base_url, &e);
	a.retry_ms = retry_ms;
	if (done == 0) {
		if (status)
			done = print_status(&a, &e);
		else if (rejected)
			done = drop_rejected(&a, &e);
		else if (forget)
			done = auth_forget(&a.auth, &e);
		else
			done = print_token(&a, &e);
	}
	api_close(&a);
	return done < 0 ? err_exit(&e) : EX_OK;
}
