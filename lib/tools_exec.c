#include "tool.h"

#include "backoff.h"
#include "exec.h"
#include "home.h"
#include "rpc.h"

#include <inttypes.h>
#include <string.h>

enum { COMMAND, TIMEOUT, TIMEOUT_MAX_S = 60, OUTPUT_MAX = 65536 };

static void describe(const struct exec_result *x, long seconds, struct buf *how)
{
	switch (x->end) {
	case EXEC_EXITED:
		buf_printf(how, "exit status %d", x->value);
		break;
	case EXEC_SIGNALED:
		buf_printf(how, "ended by signal %d", x->value);
		break;
	case EXEC_TIMED_OUT:
		buf_printf(how, "ended after %ld s, its time was up", seconds);
		break;
	case EXEC_NOT_STARTED:
		buf_printf(how, "it cannot be run: %s", strerror(x->value));
		break;
	}
}

/* Without the start of a character that the cut left in two. */
static size_t whole(const struct buf *output)
{
	size_t n = slice_utf8(buf_text(output), output->len);

	return output->len - n < 4 ? n : output->len;
}

static void tell(
	struct tool_call *c, const struct exec_result *x, const char *how)
{
	bool cut = x->written > (int64_t)x->output.len;
	size_t n = cut ? whole(&x->output) : x->output.len;

	buf_add(&c->text, buf_text(&x->output), n);
	if (n && c->text.data[n - 1] != '\n')
		buf_char(&c->text, '\n');
	if (cut)
		buf_printf(&c->text,
			"[cut: these are the first %zu of %" PRId64 " bytes]\n",
			n, x->written);
	buf_printf(&c->text, "[%s]", how);
	if (x->end == EXEC_EXITED)
		buf_printf(&c->data, "\"exit_status\":%d,", x->value);
	buf_str(&c->data, "\"output\":");
	rpc_text(&c->data, buf_text(&x->output), n);
	buf_printf(&c->data, ",\"truncated\":%s", cut ? "true" : "false");
}

/* By the policy as it stands now: what an owner has taken back while the server
 * runs is not to be had any more. */
static int is_allowed(
	const struct tool_call *c, const char *line, struct err *e)
{
	struct statedir home = STATEDIR_NONE;
	struct policy policy = { 0 };
	int r = home_open(&home, c->env->home, STATEDIR_FIND, e);

	if (r >= 0)
		r = policy_load(&home, &policy, e);
	if (r == 0)
		r = policy_allows(&policy, line, e);
	policy_release(&policy);
	statedir_close(&home);
	return r;
}

static int run_exec(struct tool_call *c, struct err *e)
{
	const struct words *command = &c->arg[COMMAND].words;
	long seconds =
		c->arg[TIMEOUT].given ? c->arg[TIMEOUT].number : TIMEOUT_MAX_S;
	struct exec_job job = { .argv = command->v,
		.dir_fd = c->env->root,
		.timeout_ms = seconds * 1000 };
	struct exec_result x = { .output = BUF_INIT(OUTPUT_MAX) };
	struct buf line = BUF_INIT(WORDS_LINE_MAX), how = BUF_INIT(512);
	int64_t start = backoff_clock_ms();
	int r;

	r = words_join(command, &line) < 0
		    ? err_set(e, EX_DATAERR, "not allowed: it is over %d bytes",
			      WORDS_LINE_MAX)
		    : is_allowed(c, buf_text(&line), e);
	if (r < 0) {
		say("exec: refused: %.400s", buf_text(&line));
		goto out;
	}
	r = exec_run(&job, &x, e);
	if (r == 0)
		describe(&x, seconds, &how);
	else
		buf_str(&how, e->code == ERR_STOPPED ? "ended with the call"
						     : e->text);
	say("exec: %.400s: %s, %" PRId64 " bytes in %" PRId64 " ms",
		buf_text(&line), buf_text(&how), x.written,
		backoff_clock_ms() - start);
	if (r == 0) {
		tell(c, &x, buf_text(&how));
		c->failed =
			x.end == EXEC_TIMED_OUT || x.end == EXEC_NOT_STARTED;
	}
out:
	buf_release(&x.output);
	buf_release(&line);
	buf_release(&how);
	return r;
}

static const struct arg exec_args[] = {
	{ .kind = ARG_COMMAND,
		.name = "command",
		.about = "the program and its arguments, each a string: "
			 "[\"df\",\"-h\"]. A line is split at blanks and "
			 "quotes; there is no shell: no pipes, redirections, "
			 "variables or wildcards",
		.required = true },
	{ .kind = ARG_NUMBER,
		.name = "timeout_seconds",
		.about = "it is ended after so long (60)",
		.min = 1,
		.max = TIMEOUT_MAX_S },
	{ .kind = ARG_END },
};

const struct tool tool_exec = {
	.name = "exec",
	.title = "Run an allowed command",
	.about = "Runs one command without a shell, in the folder of this "
		 "server, and tells what it printed and how it ended.",
	.args = exec_args,
	.output = "{\"type\":\"object\",\"properties\":{\"exit_status\":{"
		  "\"type\":\"integer\"},\"output\":{\"type\":\"string\"},"
		  "\"truncated\":{\"type\":\"boolean\"}},\"required\":["
		  "\"output\",\"truncated\"]}",
	.destructive = true,
	.local = true,
	.run = run_exec,
};
