/* agentrux-mcp: what the other programs do, as tools for a model. */
#include "api.h"
#include "err.h"
#include "home.h"
#include "mcp.h"
#include "opt.h"
#include "policy.h"
#include "stop.h"
#include "tools.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const char *root = ".", *names;
static long retry_ms = 30000;

static const struct opt opts[] = {
	{ OPT_TEXT, "root", 0, &root, "DIR",
		"the folder for files and commands (the current one)", 0, 0 },
	{ OPT_TEXT, "tools", 0, &names, "NAMES",
		"offer these tools only, parted by commas", 0, 0 },
	{ OPT_DURATION, "retry-time", 0, &retry_ms, "SECONDS",
		"how long to try in temporary trouble (30)", 0, 0 },
	{ OPT_END, NULL, 0, NULL, NULL, NULL, 0, 0 }
};

static const struct opt_program program = {
	.name = "agentrux-mcp",
	.synopsis = "[OPTIONS]",
	.about = "Offers topics, files and allowed commands to an MCP client, "
		 "over standard input and output.",
	.opts = opts,
	.uses_home = true,
};

static int open_root(struct tools *t, struct err *e)
{
	t->env.root = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (t->env.root < 0)
		return err_set(e, EX_NOINPUT, "opening the folder %s: %s", root,
			strerror(errno));
	return 0;
}

static int read_policy(
	const struct opt_args *args, struct policy *policy, struct err *e)
{
	struct statedir home = STATEDIR_NONE;
	int r = home_open(&home, args->home, STATEDIR_FIND, e);

	if (r >= 0)
		r = policy_load(&home, policy, e);
	statedir_close(&home);
	return r;
}

int main(int argc, char **argv)
{
	struct policy policy = { 0 };
	struct tools tools = { .env = { .root = -1, .policy = &policy } };
	struct opt_args args;
	struct err e = { 0 };
	int status;

	if (!opt_parse(&program, argc, argv, &args, &status))
		return status;
	stop_install();
	stop_when_reader_closes(STDOUT_FILENO);
	tools.env.home = args.home;
	tools.env.base_url = args.base_url;
	tools.env.retry_ms = retry_ms;
	status = read_policy(&args, &policy, &e);
	if (status == 0)
		status = tools_select(&tools, names, &e);
	if (status == 0)
		status = open_root(&tools, &e);
	if (status == 0 && isatty(STDIN_FILENO))
		say_info("MCP messages are expected here; it is a client that "
			 "starts this program");
	if (status == 0)
		status = mcp_serve(&tools, STDIN_FILENO, STDOUT_FILENO, &e);
	policy_release(&policy);
	if (tools.env.root >= 0)
		close(tools.env.root);
	return status < 0 ? err_exit(&e) : EX_OK;
}
