/* agentrux-upload: files become payload objects, each with an attachment line. */
#include "api.h"
#include "err.h"
#include "event.h"
#include "home.h"
#include "io.h"
#include "lanes.h"
#include "mime.h"
#include "opt.h"
#include "payload.h"
#include "progress.h"
#include "stop.h"
#include "turn.h"
#include "upload.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *name, *content_type, *turn;
static bool checksum, pending;
static long jobs = 1, retry_ms = API_RETRY_MS;

static const struct opt opts[] = {
	{ OPT_TEXT, "name", 0, &name, "NAME",
		"what to call the file; needed for standard input", 0, 0 },
	{ OPT_TEXT, "content-type", 0, &content_type, "TYPE",
		"its media type, instead of finding out", 0, 0 },
	{ OPT_FLAG, "checksum", 0, &checksum, NULL,
		"have the line hold the SHA-256", 0, 0 },
	{ OPT_FLAG, "pending", 0, &pending, NULL,
		"publish no event for it: others see it once one of yours "
		"names it (oauth)",
		0, 0 },
	{ OPT_TEXT, "turn", 0, &turn, "ID",
		"keep the line for the answer of agent turn ID", 0, 0 },
	{ OPT_NUMBER, "jobs", 'j', &jobs, "N", "N files at once (1)", 1,
		LANES_MAX },
	{ OPT_DURATION, "retry-time", 0, &retry_ms, "SECONDS",
		"how long to try in temporary trouble (60)", 0, 0 },
	{ OPT_END, NULL, 0, NULL, NULL, NULL, 0, 0 }
};

static const struct opt_program program = {
	.name = "agentrux-upload",
	.synopsis = "[OPTIONS] TOPIC FILE...",
	.about = "Stores files as payload objects and prints an attachment "
		 "line for each.",
	.opts = opts,
	.min_operands = 2,
	.max_operands = -1,
	.uses_home = true,
};

struct job {
	struct lanes_job lane;
	const char *path;
	atomic_llong *sent;
	char *line;
	bool final; /* what went wrong concerns all files */
	struct err err;
};

struct state {
	const char *topic;
	struct mime *mime;
	struct statedir home;
	bool single;
	atomic_llong *sent, total;
	struct err failed; /* the first failure, in the order of the files */
	struct err last;   /* what put an end to all */
};

static int check_usage(const struct opt_args *args)
{
	int i, n_stdin = 0;
	struct err e = { 0 };

	if (api_check_topic(args->operands[0], &e) < 0)
		return opt_misuse(&program, "%s", e.text);
	for (i = 1; i < args->n_operands; i++)
		n_stdin += strcmp(args->operands[i], "-") == 0;
	if (name && args->n_operands > 2)
		return opt_misuse(&program, "--name goes with a single FILE");
	if (n_stdin && name == NULL)
		return opt_misuse(&program, "standard input needs a --name");
	if (name && (*name == '\0' || !payload_is_utf8(name)))
		return opt_misuse(&program, "--name is empty or not UTF-8");
	if (content_type && !upload_type_ok(content_type))
		return opt_misuse(&program,
			"--content-type '%s' is not one such as text/plain",
			content_type);
	if (turn && !event_id_plain(turn))
		return opt_misuse(&program, "--turn '%s' is not an id", turn);
	return EX_OK;
}

/* In one of the lanes. */
static void work(void *ctx, struct api *api, struct lanes_job *lane)
{
	struct job *j = (struct job *)lane;
	struct state *s = ctx;
	struct upload up = { .api = api,
		.topic = s->topic,
		.checksum = checksum,
		.pending = pending,
		.sent = j->sent };
	struct source f;

	if (source_open(&f, j->path, name, content_type, s->mime, &j->err) ==
		0) {
		if (f.copied)
			atomic_fetch_add(&s->total, f.st.st_size);
		upload_run(&up, &f, &j->line, &j->err);
		if (j->line == NULL) {
			atomic_fetch_sub(&s->total, f.st.st_size);
			atomic_store(j->sent, 0);
		}
	}
	source_close(&f);
	j->final = api->refused || j->err.code == ERR_STOPPED;
}

static int put_line(struct state *s, const struct job *j, struct err *e)
{
	struct err why = { 0 };
	int kept = 0;

	/* Kept first: who reads the line may rely on it. */
	if (turn)
		kept = turn_keep(&s->home, turn, j->line, &why);
	if (io_put_line(STDOUT_FILENO, j->line, e) < 0)
		return -1;
	if (kept < 0)
		*e = why;
	return kept;
}

/* In the order of the files. */
static int end(void *ctx, struct lanes_job *lane)
{
	struct job *j = (struct job *)lane;
	struct state *s = ctx;
	struct err *e = &j->err;

	if (j->line && put_line(s, j, e) < 0)
		j->final = true;
	if (e->code && s->last.code == 0) {
		if (s->failed.code == 0)
			s->failed = *e;
		if (j->final)
			s->last = *e;
		else if (!s->single)
			say("%s", e->text);
	}
	free(j->line);
	free(j);
	return s->last.code ? -1 : 0;
}

/* What the regular files come to; of the others it turns out later. */
static long long add_up(char **paths)
{
	long long all = 0;
	struct stat st;

	for (; *paths; paths++)
		if (stat(*paths, &st) == 0 && S_ISREG(st.st_mode))
			all += st.st_size;
	return all;
}

static void put_all(struct state *s, struct lanes *lanes, char **paths)
{
	struct job *j;
	size_t i;

	for (i = 0; paths[i]; i++) {
		j = xcalloc(1, sizeof *j);
		j->path = paths[i];
		j->sent = &s->sent[i];
		if (lanes_put(lanes, &j->lane, 0) < 0) {
			free(j);
			break;
		}
	}
}

static int upload_all(
	const struct opt_args *args, struct state *s, struct err *e)
{
	struct lanes_work w = { .home = args->home,
		.base_url = args->base_url,
		.retry_ms = retry_ms,
		.n = jobs,
		.work = work,
		.end = end,
		.ctx = s };
	size_t n = (size_t)args->n_operands - 1;
	struct progress *progress;
	struct lanes *lanes;

	if (w.n > (long)n)
		w.n = (long)n;
	lanes = lanes_new(&w, e);
	if (lanes == NULL ||
		home_open(&s->home, args->home, STATEDIR_FIND, e) < 0) {
		lanes_finish(lanes);
		return -1;
	}
	s->single = n == 1;
	s->sent = xcalloc(n, sizeof *s->sent);
	atomic_store(&s->total, add_up(args->operands + 1));
	progress = progress_start(s->sent, n, &s->total);
	put_all(s, lanes, args->operands + 1);
	lanes_finish(lanes);
	progress_stop(progress);
	free(s->sent);
	if (s->last.code)
		*e = s->last;
	else if (s->failed.code && !s->single)
		return err_set(e, s->failed.code, "not all files were stored");
	else
		*e = s->failed;
	return e->code ? -1 : 0;
}

int main(int argc, char **argv)
{
	struct state s = { .home = STATEDIR_NONE };
	struct opt_args args;
	struct err e = { 0 };
	int status;

	if (!opt_parse(&program, argc, argv, &args, &status))
		return status;
	status = check_usage(&args);
	if (status != EX_OK)
		return status;
	stop_install();
	stop_when_reader_closes(STDOUT_FILENO);
	s.topic = args.operands[0];
	s.mime = mime_new();
	status = upload_all(&args, &s, &e);
	statedir_close(&s.home);
	mime_free(s.mime);
	return status < 0 ? err_exit(&e) : EX_OK;
}
