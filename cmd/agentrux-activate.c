/* agentrux-activate: an activation code becomes credentials, once. */
#include "bootstrap.h"
#include "buf.h"
#include "device.h"
#include "err.h"
#include "io.h"
#include "json.h"
#include "opt.h"
#include "outcome.h"
#include "renew.h"
#include "setup.h"
#include "stop.h"

#include <stdlib.h>
#include <unistd.h>

enum { INPUT_MAX = 65536 };

static bool from_stdin, device, recover, invite, rotate, status, as_json;

static const struct opt opts[] = { { OPT_FLAG, "stdin", 0, &from_stdin, NULL,
					   "take the code from standard input",
					   0, 0 },
	{ OPT_FLAG, "device", 0, &device, NULL,
		"join without a code: somebody lets this device in", 0, 0 },
	{ OPT_FLAG, "recover", 0, &recover, NULL,
		"finish what a crash left undone", 0, 0 },
	{ OPT_FLAG, "invite", 0, &invite, NULL,
		"redeem an invite code from standard input", 0, 0 },
	{ OPT_FLAG, "rotate", 0, &rotate, NULL,
		"exchange the secret for a new one", 0, 0 },
	{ OPT_FLAG, "status", 0, &status, NULL, "say what state the home is in",
		0, 0 },
	{ OPT_FLAG, "json", 0, &as_json, NULL, "print the result as JSON", 0,
		0 },
	{ OPT_END, NULL, 0, NULL, NULL, NULL, 0, 0 } };

static const struct opt_program program = {
	.name = "agentrux-activate",
	.synopsis = "[OPTIONS]",
	.about = "Redeems the activation code in BOOTSTRAP.md and keeps the "
		 "credentials.",
	.opts = opts,
	.uses_home = true,
};

/* Prints the object, which is taken. */
static int put(struct json *o, struct err *e)
{
	char *line = json_print(o);
	int r = io_put_line(STDOUT_FILENO, line, e);

	free(line);
	json_free(o);
	return r;
}

static void tell(const struct bootstrap *b)
{
	const char *who = b->result.cred.script_id ? b->result.cred.script_id
						   : b->result.cred.client_id;
	size_t grants = json_count(b->result.grants);

	if (b->result.kind == OUTCOME_RESTORED)
		say_info("the code is back; now run %s", program.name);
	else if (b->result.kind == OUTCOME_NO_FILE)
		say_info("nothing to do: %s is set up in %s", who, b->dir.path);
	else if (rotate)
		say_info("%s has a new secret", who);
	else if (b->result.grants)
		say_info("%s is set up, with %zu grant%s", who, grants,
			grants == 1 ? "" : "s");
	else
		say_info("%s is set up; agentrux-topics lists what it may do",
			who);
}

/* Prints the object, which is taken; the first error counts. */
static int put_after(int r, struct json *o, struct err *e)
{
	struct err own = { 0 };

	return put(o, r < 0 ? &own : e) < 0 ? -1 : r;
}

static int do_status(const struct bootstrap *b, struct err *e)
{
	struct json *o;
	int r = setup_status(b->home, &o, e);

	if (as_json)
		return put_after(r, o, e);
	if (r == 0)
		r = io_put_line(STDOUT_FILENO, json_text(o, "text"), e);
	json_free(o);
	return r;
}

static int do_invite(const struct bootstrap *b, const char *text, struct err *e)
{
	struct json *granted;

	if (renew_grant(b->home, b->base_url, text, &granted, e) < 0)
		return -1;
	return put(granted, e);
}

static int do_change(struct bootstrap *b, const char *text, struct err *e)
{
	int r;

	if (from_stdin)
		b->text = text;
	if (rotate)
		r = renew_secret(b->home, b->base_url, &b->result.cred, e);
	else if (device)
		r = device_activate(b, e);
	else if (recover)
		r = bootstrap_recover(b, e);
	else
		r = bootstrap_activate(b, e);
	if (r == 0)
		tell(b);
	if (as_json && !(rotate && r < 0))
		r = put_after(r, outcome_report(&b->result, e), e);
	return r;
}

int main(int argc, char **argv)
{
	struct buf input = BUF_SECRET(INPUT_MAX);
	struct bootstrap b = BOOTSTRAP_NONE;
	struct opt_args args;
	struct err e = { 0 };
	int code, done;

	if (!opt_parse(&program, argc, argv, &args, &code))
		return code;
	if (from_stdin + device + recover + invite + rotate + status > 1)
		return opt_misuse(&program,
			"--stdin, --device, --recover, --invite, --rotate and "
			"--status exclude each other");
	stop_install();
	b.home = args.home;
	b.base_url = args.base_url;
	done = from_stdin || invite
		       ? io_slurp(STDIN_FILENO, &input, "standard input", &e)
		       : 0;
	if (done == 0) {
		if (status)
			done = do_status(&b, &e);
		else if (invite)
			done = do_invite(&b, buf_text(&input), &e);
		else
			done = do_change(&b, buf_text(&input), &e);
	}
	bootstrap_release(&b);
	buf_release(&input);
	return done < 0 ? err_exit(&e) : EX_OK;
}
