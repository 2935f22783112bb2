#include "api.h"
#include "backoff.h"
#include "err.h"
#include "home.h"
#include "io.h"
#include "opt.h"
#include "stop.h"
#include "stream.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static long poll_ms = 60000;
static long idle_ms = STREAM_IDLE_MS;
static long max_backoff_ms = STREAM_MAX_BACKOFF_MS;
static bool exclude_self, once;

static const struct opt options[] = {
	{ OPT_DURATION, "poll", 0, &poll_ms, "SECONDS",
		"a poll hint so often (60; 0: never)", 0, 0 },
	{ OPT_DURATION, "idle", 0, &idle_ms, "SECONDS",
		"reconnect when no byte came for so long (120)", 1000, 0 },
	{ OPT_DURATION, "max-backoff", 0, &max_backoff_ms, "SECONDS",
		"longest random wait before reconnecting (60)", 1000, 0 },
	{ OPT_FLAG, "exclude-self", 0, &exclude_self, NULL,
		"no hints for events of our own (oauth)", 0, 0 },
	{ OPT_FLAG, "once", '1', &once, NULL,
		"end after the first hint but connected", 0, 0 },
	{ OPT_END, NULL, 0, NULL, NULL, NULL, 0, 0 },
};

static const struct opt_program program = {
	.name = "agentrux-watch",
	.synopsis = "[OPTIONS] TOPIC...",
	.about = "Print a line whenever it is time to read a topic.",
	.opts = options,
	.min_operands = 1,
	.max_operands = -1,
	.uses_home = true,
};

/* In ascending order of what they tell. */
enum hint { NONE, CONNECTED, POLL, RESYNC, EVENT };

static const char *const hint_names[] = { "", "connected", "poll", "resync",
	"event" };

struct topic {
	char *id;
	enum hint hint; /* not yet printed; NONE: it is not in the queue */
	int64_t latest; /* -1: not known */
};

/* Each topic is in the queue once at most: however slow the reader is, no more
 * than one hint is kept for each. */
struct watch {
	struct topic *topics;
	size_t n;
	size_t *queue; /* a ring of n indexes */
	size_t first, queued;
	int64_t poll_due_ms;
	bool seen;	/* a hint other than connected was printed */
	struct err err; /* what printing ran into meanwhile */
};

static void note(struct watch *w, size_t i, enum hint hint, int64_t latest)
{
	struct topic *t = &w->topics[i];

	if (t->hint == NONE) {
		w->queue[(w->first + w->queued++) % w->n] = i;
		t->latest = -1;
	}
	if (hint > t->hint)
		t->hint = hint;
	if (latest > t->latest)
		t->latest = latest;
}

/* The first of the queue as a line; false if it does not fit any more. */
static bool add_line(struct watch *w, struct buf *out)
{
	struct topic *t = &w->topics[w->queue[w->first]];
	size_t before = out->len;

	buf_printf(out, "{\"topic_id\":\"%s\",\"hint\":\"%s\"", t->id,
		hint_names[t->hint]);
	if (t->latest >= 0)
		buf_printf(out, ",\"latest\":%" PRId64, t->latest);
	buf_str(out, "}\n");
	if (out->full) {
		out->len = before;
		return false;
	}
	w->seen |= t->hint > CONNECTED;
	t->hint = NONE;
	w->first = (w->first + 1) % w->n;
	w->queued--;
	return true;
}

/* Prints what the reader takes without making us wait: a pipe that is ready
 * takes PIPE_BUF bytes whole. */
static int print(struct watch *w, struct err *e)
{
	struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };
	struct buf lines = BUF_INIT(PIPE_BUF);
	int status = 0;

	while (status == 0 && w->queued && poll(&out, 1, 0) > 0) {
		buf_clear(&lines);
		while (w->queued && !(once && w->seen) && add_line(w, &lines))
			;
		status = io_put(STDOUT_FILENO, lines.data, lines.len, e);
		if (once && w->seen)
			break;
	}
	buf_release(&lines);
	return status;
}

static void on_hint(void *ctx, size_t i, enum stream_hint hint, int64_t latest)
{
	static const enum hint ours[] = {
		[STREAM_CONNECTED] = CONNECTED,
		[STREAM_RESYNC] = RESYNC,
		[STREAM_EVENT] = EVENT,
	};
	struct watch *w = ctx;

	note(w, i, ours[hint], latest);
	/* At once, or the first event, which may come along, hides it. */
	if (hint == STREAM_CONNECTED && w->err.code == 0)
		print(w, &w->err);
}

/* Poll hints, when they are due; returns the ms until they are. */
static long polls(struct watch *w, const struct stream_set *streams)
{
	int64_t now = backoff_clock_ms();
	size_t i;

	if (poll_ms == 0)
		return LONG_MAX;
	if (now >= w->poll_due_ms) {
		for (i = 0; i < w->n; i++)
			if (stream_is_kept(streams, i))
				note(w, i, POLL, -1);
		w->poll_due_ms += poll_ms;
		if (w->poll_due_ms <= now) /* the machine slept */
			w->poll_due_ms = now + poll_ms;
	}
	return (long)(w->poll_due_ms - now);
}

static int run(struct watch *w, struct api *api, struct stream_set *streams,
	struct err *e)
{
	struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };
	long wait, due;

	w->poll_due_ms = backoff_clock_ms() + poll_ms;
	for (;;) {
		if (stream_turn(streams, e) < 0)
			return -1;
		due = polls(w, streams);
		if (w->err.code) {
			*e = w->err;
			return -1;
		}
		if (print(w, e) < 0)
			return -1;
		if (once && w->seen)
			return 0;
		wait = stream_wait_ms(streams);
		if (due < wait)
			wait = due;
		if (http_poll(api->http, &out, w->queued > 0, wait, e) < 0)
			return -1;
	}
}

static int check_topics(const struct opt_args *args, struct err *e)
{
	int i;

	for (i = 0; i < args->n_operands; i++)
		if (api_check_topic(args->operands[i], e) < 0)
			return -1;
	return 0;
}

/* The operands, each topic once. */
static void take_topics(
	struct watch *w, const struct api *api, const struct opt_args *args)
{
	char *id;
	size_t j;
	int i;

	w->topics = xcalloc((size_t)args->n_operands, sizeof *w->topics);
	w->queue = xcalloc((size_t)args->n_operands, sizeof *w->queue);
	for (i = 0; i < args->n_operands; i++) {
		id = api_topic(api, args->operands[i]);
		for (j = 0; j < w->n; j++)
			if (strcmp(w->topics[j].id, id) == 0)
				break;
		if (j == w->n)
			w->topics[w->n++].id = id;
		else
			free(id);
	}
}

static void release(struct watch *w)
{
	while (w->n)
		free(w->topics[--w->n].id);
	free(w->topics);
	free(w->queue);
}

/* Every stream may need a descriptor, and a pipe that holds one page is ready
 * exactly when the reader has taken what it was given: so hints are merged
 * here, not piled up there. Where either is not to be had, it goes on as is. */
static void prepare(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	fcntl(STDOUT_FILENO, F_SETPIPE_SZ, PIPE_BUF);
}

int main(int argc, char **argv)
{
	struct stream_set *streams = NULL;
	struct watch w = { 0 };
	struct opt_args args;
	struct err e = { 0 };
	struct api api;
	size_t i;
	int status;

	if (opt_parse(&program, argc, argv, &args, &status) == 0)
		return status;
	stop_install();
	stop_when_reader_closes(STDOUT_FILENO);
	prepare();
	if (check_topics(&args, &e) < 0)
		return err_exit(&e);
	if (api_open(&api, args.home, args.base_url, &e) < 0)
		goto out;
	if (exclude_self && !api.dialect->stream_excludes_self) {
		status = opt_misuse(&program,
			"--exclude-self needs credentials of the oauth "
			"dialect");
		e.code = 0;
		goto out;
	}
	streams = stream_new(&api,
		&(struct stream_options){
			.idle_ms = idle_ms,
			.max_backoff_ms = max_backoff_ms,
			.exclude_self = exclude_self,
		},
		on_hint, &w);
	take_topics(&w, &api, &args);
	for (i = 0; i < w.n; i++)
		stream_add(streams, w.topics[i].id);
	run(&w, &api, streams, &e);
	status = EX_OK;
out:
	stream_free(streams);
	api_close(&api);
	release(&w);
	return e.code ? err_exit(&e) : status;
}
