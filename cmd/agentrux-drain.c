/* agentrux-drain: everything new in topics, once, in order: printed, or run
 * through a handler. What it promises is in lib/drain.h and queue.h. */
#include "api.h"
#include "drain.h"
#include "err.h"
#include "handler.h"
#include "opt.h"
#include "stop.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

static struct {
	const char *from, *key, *dedup, *type, *on_gap;
	bool dead, resident, once, peek, exclude_self, skip_busy;
	long ack_fd, jobs, attempts, timeout_ms, grace_ms, limit, max,
		lock_wait_ms, retry_ms;
} o = {
	.ack_fd = -1,
	.jobs = 1,
	.attempts = 3,
	.limit = API_PAGE_LIMIT,
	.retry_ms = API_RETRY_MS,
};

static const struct opt rows[] = {
	{ OPT_NUMBER, "ack-fd", 0, &o.ack_fd, "N",
		"count an event once its id is read from descriptor N", 0,
		INT_MAX },
	{ OPT_NUMBER, "attempts", 0, &o.attempts, "N",
		"failed attempts before an event goes to dead/ (3)", 1, 1000 },
	{ OPT_FLAG, "dead", 0, &o.dead, NULL,
		"the events that were given up, in dead/, instead of the topic",
		0, 0 },
	{ OPT_TEXT, "dedup", 0, &o.dedup, "FIELD",
		"once an event is done, pass over those with the same payload "
		"field",
		0, 0 },
	{ OPT_FLAG, "exclude-self", 0, &o.exclude_self, NULL,
		"leave out what this script published", 0, 0 },
	{ OPT_TEXT, "from", 0, &o.from, "WHERE",
		"oldest: at first contact deliver all; latest: skip what is "
		"there",
		0, 0 },
	{ OPT_DURATION, "grace", 0, &o.grace_ms, "SECONDS",
		"for running handlers when told to end (0)", 0, 0 },
	{ OPT_NUMBER, "jobs", 'j', &o.jobs, "N", "handlers at once (1)", 1,
		HANDLER_JOBS_MAX },
	{ OPT_TEXT, "key", 0, &o.key, "FIELD",
		"events with the same payload field: one at a time, in order",
		0, 0 },
	{ OPT_NUMBER, "limit", 0, &o.limit, "N", "page size, 1 to 100 (100)", 1,
		API_PAGE_LIMIT },
	{ OPT_DURATION, "lock-wait", 0, &o.lock_wait_ms, "SECONDS",
		"wait for a topic that another drain has (0)", 0, 0 },
	{ OPT_NUMBER, "max", 'n', &o.max, "N", "end after N events", 1, 0 },
	{ OPT_TEXT, "on-gap", 0, &o.on_gap, "WHAT",
		"where events were lost: oldest: go on (default); stop: end "
		"with 65",
		0, 0 },
	{ OPT_FLAG, "once", '1', &o.once, NULL,
		"a single pass; do not read hints", 0, 0 },
	{ OPT_FLAG, "peek", 0, &o.peek, NULL, "print, and save nothing", 0, 0 },
	{ OPT_FLAG, "resident", 0, &o.resident, NULL,
		"handlers stay: they read lines and answer EVENT_ID STATUS", 0,
		0 },
	{ OPT_DURATION, "retry-time", 0, &o.retry_ms, "SECONDS",
		"for temporary trouble, in a single pass (60)", 0, 0 },
	{ OPT_FLAG, "skip-busy", 0, &o.skip_busy, NULL,
		"a topic that another drain has is fine: exit 0", 0, 0 },
	{ OPT_DURATION, "timeout", 0, &o.timeout_ms, "SECONDS",
		"for one run of the handler (0: none)", 0, 0 },
	{ OPT_TEXT, "type", 't', &o.type, "TYPE", "only events of this type", 0,
		0 },
	{ OPT_END, NULL, 0, NULL, NULL, NULL, 0, 0 }
};

static const struct opt_program program = {
	.name = "agentrux-drain",
	.synopsis = "[OPTIONS] [TOPIC…] [-- HANDLER [ARG…]]",
	.about = "Print every new event of the topics, or run HANDLER for "
		 "each; then wait for hints on stdin.",
	.opts = rows,
	.max_operands = -1,
	.takes_command = true,
	.uses_home = true,
};

static int from_where(enum drain_from *from)
{
	*from = DRAIN_FROM_SAVED;
	if (o.from == NULL)
		return 0;
	if (strcmp(o.from, "oldest") == 0)
		*from = DRAIN_FROM_OLDEST;
	else if (strcmp(o.from, "latest") == 0)
		*from = DRAIN_FROM_LATEST;
	else
		return -1;
	return 0;
}

static int on_gap(bool *stop)
{
	*stop = o.on_gap && strcmp(o.on_gap, "stop") == 0;
	return *stop || o.on_gap == NULL || strcmp(o.on_gap, "oldest") == 0
		       ? 0
		       : -1;
}

static int check_ack_fd(const struct opt_args *args, bool hints)
{
	if (o.ack_fd < 0)
		return EX_OK;
	if (args->command || o.peek)
		return opt_misuse(&program, "--ack-fd is for printed events "
					    "that are to count");
	if (o.ack_fd == STDOUT_FILENO || o.ack_fd == STDERR_FILENO ||
		(o.ack_fd == STDIN_FILENO && hints))
		return opt_misuse(&program,
			"--ack-fd: %ld serves another purpose", o.ack_fd);
	if (fcntl((int)o.ack_fd, F_GETFD) < 0)
		return opt_misuse(&program,
			"--ack-fd: there is no descriptor %ld", o.ack_fd);
	return EX_OK;
}

/* Wrong use that the table cannot express; EX_OK if it is right. */
static int check(const struct opt_args *args, bool hints)
{
	struct err e = { 0 };
	int i;

	for (i = 0; i < args->n_operands; i++)
		if (api_check_topic(args->operands[i], &e) < 0)
			return opt_misuse(&program, "%s", e.text);
	if (args->n_operands == 0 && !hints)
		return opt_misuse(&program,
			"a topic must be named where no hints are read");
	if (o.peek && args->command)
		return opt_misuse(&program, "--peek prints; it takes no "
					    "handler");
	if (o.dead && (o.from || o.on_gap || o.dedup))
		return opt_misuse(&program, "--dead takes no --from, --on-gap "
					    "or --dedup");
	if (o.resident && args->command == NULL)
		return opt_misuse(&program, "--resident needs a handler");
	return check_ack_fd(args, hints);
}

static void take_options(struct drain *d, const struct opt_args *args)
{
	d->retry_ms = o.retry_ms;
	d->ack_fd = (int)o.ack_fd;
	d->topics = args->operands;
	d->handler = args->command;
	d->dead = o.dead;
	d->peek = o.peek;
	d->resident = o.resident;
	d->jobs = o.jobs;
	d->key = o.key;
	d->dedup = o.dedup;
	d->type = o.type;
	d->exclude_self = o.exclude_self;
	d->limit = o.limit;
	d->max = o.max;
	d->attempts = o.attempts;
	d->timeout_ms = o.timeout_ms;
	d->grace_ms = o.grace_ms;
	d->lock_wait_ms = o.lock_wait_ms;
	d->skip_busy = o.skip_busy;
}

static void run(struct drain *d, const struct opt_args *args, struct err *e)
{
	struct api setup, pages;
	int r;

	memset(&pages, 0, sizeof pages);
	pages.auth.cache.dir = pages.home = (struct statedir)STATEDIR_NONE;
	if (d->dead)
		r = api_open_home(&setup, args->home, e);
	else
		r = api_open(&setup, args->home, args->base_url, e);
	if (r == 0 && !d->dead)
		r = api_open(&pages, args->home, args->base_url, e);
	setup.retry_ms = pages.retry_ms = 0;
	d->setup = &setup;
	d->api = &pages;
	if (r == 0 && d->stop_at_gap && d->type && setup.dialect->numeric)
		err_set(e, EX_USAGE,
			"--on-gap stop: among the events of one --type no gap "
			"shows; leave one of them out");
	else if (r == 0)
		drain_run(d, e);
	api_close(&pages);
	api_close(&setup);
}

int main(int argc, char **argv)
{
	struct drain d = { .hints_fd = -1, .out_fd = STDOUT_FILENO };
	struct opt_args args;
	struct err e = { 0 };
	int status;

	if (!opt_parse(&program, argc, argv, &args, &status))
		return status;
	if (from_where(&d.from) < 0)
		return opt_misuse(&program,
			"--from: '%s' is neither oldest nor latest", o.from);
	if (on_gap(&d.stop_at_gap) < 0)
		return opt_misuse(&program,
			"--on-gap: '%s' is neither oldest nor stop", o.on_gap);
	if (!o.once && !o.dead && !isatty(STDIN_FILENO))
		d.hints_fd = STDIN_FILENO;
	status = check(&args, d.hints_fd >= 0);
	if (status != EX_OK)
		return status;
	take_options(&d, &args);
	stop_install();
	/* One that acknowledges may do so after it has closed. */
	if (args.command == NULL && o.ack_fd < 0)
		stop_when_reader_closes(STDOUT_FILENO);
	run(&d, &args, &e);
	return err_exit(&e);
}
