/* agentrux-waterline: show and move how far topics were read. */
#include "api.h"
#include "err.h"
#include "io.h"
#include "json.h"
#include "ledger.h"
#include "opt.h"
#include "position.h"
#include "reader.h"
#include "stop.h"
#include "waterline.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool with_lag;
static long lock_wait_ms, retry_ms = API_RETRY_MS;

static const struct opt rows[] = {
	{ OPT_FLAG, "lag", 0, &with_lag, NULL,
		"list: ask the service how many events lie behind (classic)", 0,
		0 },
	{ OPT_DURATION, "lock-wait", 0, &lock_wait_ms, "SECONDS",
		"wait for a topic that a drain has (0)", 0, 0 },
	{ OPT_DURATION, "retry-time", 0, &retry_ms, "SECONDS",
		"how long to try in temporary trouble (60)", 0, 0 },
	{ OPT_END, NULL, 0, NULL, NULL, NULL, 0, 0 }
};

static const struct opt_program program = {
	.name = "agentrux-waterline",
	.synopsis = "[OPTIONS] [list | get TOPIC | set TOPIC POSITION | "
		    "latest TOPIC | oldest TOPIC | forget TOPIC | "
		    "import [FILE]]",
	.about = "Show and move the positions up to which topics were read.",
	.opts = rows,
	.max_operands = 3,
	.uses_home = true,
};

struct listing {
	struct api *api;
	struct err first; /* what was the first not to be asked */
};

/* How many numbers lie behind the position. Where positions are cursors nobody
 * tells, and a topic that cannot be asked has none: the others are listed. */
static void add_lag(struct listing *l, struct slice topic,
	struct slice position, struct buf *line, struct err *e)
{
	struct buf name = BUF_INIT(EVENT_ID_MAX);
	struct buf newest = BUF_INIT(EVENT_POSITION_MAX);
	struct err why = { 0 };
	int64_t at, lag;

	if (!slice_text(topic, &name) || !slice_int(position, &at) ||
		api_check_topic(buf_text(&name), NULL) < 0)
		goto out;
	if (reader_latest(l->api, buf_text(&name), &newest, &why) < 0) {
		if (why.code == ERR_STOPPED) {
			*e = why;
			goto out;
		}
		say("asking for the end of %s: %s", buf_text(&name), why.text);
		if (l->first.code == 0)
			l->first.code = why.code;
		goto out;
	}
	lag = strtoll(buf_text(&newest), NULL, 10) - at;
	buf_printf(line, ",\"lag\":%" PRId64, lag > 0 ? lag : 0);
out:
	buf_release(&name);
	buf_release(&newest);
}

static int print_line(
	void *ctx, struct slice topic, struct slice position, struct err *e)
{
	struct buf line = BUF_INIT(WATERLINE_FILE_MAX * 2UL);
	struct listing *l = ctx;
	int r = 0;

	buf_str(&line, "{\"topic_id\":");
	buf_add(&line, topic.p, topic.len);
	buf_str(&line, ",\"position\":");
	buf_add(&line, position.p, position.len);
	if (with_lag && l->api->dialect->numeric)
		add_lag(l, topic, position, &line, e);
	buf_str(&line, "}\n");
	r = e->code ? -1 : io_put(STDOUT_FILENO, line.data, line.len, e);
	buf_release(&line);
	return r;
}

static int list(struct api *a, char **words, struct err *e)
{
	struct listing l = { .api = a };
	int r = waterline_each(
		&a->home, a->dialect->numeric, print_line, &l, e);

	(void)words;
	if (r == 0 && l.first.code) {
		*e = l.first; /* it was said */
		r = -1;
	}
	return r;
}

static int get(struct api *a, char **words, struct err *e)
{
	struct buf position = BUF_INIT(EVENT_POSITION_MAX);
	int r = position_get(&a->home, a->dialect, words[0], &position, e);

	if (r == 2)
		say("the position of %s is another dialect's and cannot carry "
		    "over",
			words[0]);
	if (r == 0)
		r = err_set(e, EX_NOINPUT,
			"looking for the position of %s: there is none; the "
			"first drain sets it",
			words[0]);
	else if (r > 0)
		r = io_put_line(STDOUT_FILENO, buf_text(&position), e);
	buf_release(&position);
	return r;
}

/* Puts the position at `to` (NULL: there is none any more). Whatever lies behind
 * it again is to be delivered again, so the ids are forgotten. */
static int move(struct api *a, const char *topic, const char *to, struct err *e)
{
	struct lock lock = LOCK_NONE;
	struct ledger *ledger = NULL;
	int r = waterline_lock(&a->home, topic, lock_wait_ms, &lock, e);

	if (r == 0)
		r = err_set(e, EX_TEMPFAIL,
			"moving the position of %s: a drain of this topic is "
			"at work; end it first, or wait with --lock-wait",
			topic);
	if (r > 0)
		ledger = ledger_open(&a->home, e);
	r = -1;
	/* The position first: a kill before the ids are forgotten then repeats
	 * nothing that was done. */
	if (ledger)
		r = to ? position_set(&a->home, a->dialect, topic, to, e)
		       : waterline_forget(
				 &a->home, topic, a->dialect->numeric, e);
	if (r == 0)
		r = ledger_forget(ledger, topic, e);
	ledger_close(ledger);
	lock_release(&lock);
	return r;
}

static int check_position(
	const struct api *a, const char *position, struct err *e)
{
	if (!a->dialect->numeric ||
		(*position && strlen(position) <= 18 &&
			strspn(position, "0123456789") == strlen(position)))
		return 0;
	return err_set(e, EX_DATAERR,
		"moving a position: '%.40s' is not a sequence number",
		position);
}

static int set(struct api *a, char **words, struct err *e)
{
	return check_position(a, words[1], e) < 0
		       ? -1
		       : move(a, words[0], words[1], e);
}

static int oldest(struct api *a, char **words, struct err *e)
{
	return move(a, words[0], a->dialect->oldest, e);
}

static int forget(struct api *a, char **words, struct err *e)
{
	return move(a, words[0], NULL, e);
}

static int latest(struct api *a, char **words, struct err *e)
{
	struct buf position = BUF_INIT(EVENT_POSITION_MAX);
	int r = reader_latest(a, words[0], &position, e);

	if (r == 0)
		r = move(a, words[0], buf_text(&position), e);
	buf_release(&position);
	return r;
}

/* One entry of a foreign file: `move_it`, or only see whether it can be. */
static int take_entry(struct api *a, struct slice topic, struct slice position,
	bool move_it, struct err *e)
{
	struct buf name = BUF_INIT(EVENT_ID_MAX);
	struct buf to = BUF_INIT(EVENT_POSITION_MAX);
	int r = -1, kind = waterline_text(position, a->dialect->numeric, &to);
	char *id;

	if (!slice_text(topic, &name) || !event_id_plain(buf_text(&name)))
		err_set(e, EX_DATAERR,
			"reading positions: %.*s is not a topic id",
			(int)(topic.len > 100 ? 100 : topic.len), topic.p);
	else if (kind != 1)
		err_set(e, EX_DATAERR,
			"reading positions: %.*s is none of the %s dialect",
			(int)(position.len > 100 ? 100 : position.len),
			position.p, a->dialect->name);
	else
		r = check_position(a, buf_text(&to), e);
	if (r == 0 && move_it) {
		id = api_topic(a, buf_text(&name));
		r = move(a, id, buf_text(&to), e);
		if (r == 0)
			say_info("%s is at '%s'", id, buf_text(&to));
		free(id);
	}
	buf_release(&name);
	buf_release(&to);
	return r;
}

static int check_entry(
	void *ctx, struct slice topic, struct slice position, struct err *e)
{
	return take_entry(ctx, topic, position, false, e);
}

static int import_entry(
	void *ctx, struct slice topic, struct slice position, struct err *e)
{
	return take_entry(ctx, topic, position, true, e);
}

static int import(struct api *a, char **words, struct err *e)
{
	struct buf text = BUF_INIT(WATERLINE_FILE_MAX);
	int fd = STDIN_FILENO, r;

	if (words[0] && strcmp(words[0], "-")) {
		fd = io_open(AT_FDCWD, words[0], O_RDONLY, 0);
		if (fd < 0) {
			err_errno(e, "opening %s", words[0]);
			e->code = EX_NOINPUT;
			return -1;
		}
	}
	r = io_slurp(fd, &text, words[0] ? words[0] : "standard input", e);
	/* All of it is looked at before anything is moved. */
	if (r == 0)
		r = waterline_parse(buf_text(&text), text.len,
			a->dialect->numeric, check_entry, a, e);
	if (r == 0)
		r = waterline_parse(buf_text(&text), text.len,
			a->dialect->numeric, import_entry, a, e);
	if (fd != STDIN_FILENO)
		close(fd);
	buf_release(&text);
	return r;
}

static const struct command {
	const char *name;
	int min, max; /* words behind it, the first a topic if there must be */
	int (*run)(struct api *a, char **words, struct err *e);
} commands[] = {
	{ "list", 0, 0, list },
	{ "get", 1, 1, get },
	{ "set", 2, 2, set },
	{ "latest", 1, 1, latest },
	{ "oldest", 1, 1, oldest },
	{ "forget", 1, 1, forget },
	{ "import", 0, 1, import },
};

static const struct command *find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static void run(
	struct api *a, const struct command *c, char **words, struct err *e)
{
	char *topic = c->min ? api_topic(a, words[0]) : NULL;
	char *as_known[] = { topic, c->min > 1 ? words[1] : NULL, NULL };

	c->run(a, topic ? as_known : words, e);
	free(topic);
}

int main(int argc, char **argv)
{
	const struct command *c;
	struct opt_args args;
	struct err e = { 0 };
	struct api api;
	int status, n;

	if (!opt_parse(&program, argc, argv, &args, &status))
		return status;
	c = find(args.n_operands ? args.operands[0] : "list");
	if (c == NULL)
		return opt_misuse(
			&program, "no such command: '%s'", args.operands[0]);
	n = args.n_operands ? args.n_operands - 1 : 0;
	if (n < c->min || n > c->max)
		return opt_misuse(&program, "'%s' takes %s", c->name,
			c->max == 0   ? "nothing"
			: c->min == 0 ? "a file, or nothing"
			: c->max == 1 ? "a topic"
				      : "a topic and a position");
	if (with_lag && c->run != list)
		return opt_misuse(&program, "--lag is for 'list'");
	if (c->min && api_check_topic(args.operands[1], &e) < 0)
		return opt_misuse(&program, "%s", e.text);
	stop_install();
	stop_when_reader_closes(STDOUT_FILENO);
	if (api_open(&api, args.home, args.base_url, &e) == 0) {
		api.retry_ms = retry_ms;
		run(&api, c, args.operands + (args.n_operands > 0), &e);
	}
	api_close(&api);
	return err_exit(&e);
}
