/* agentrux-publish: one event, or a stream of them; waits for a reply; keeps
 * what cannot be sent. */
#include "api.h"
#include "attach.h"
#include "err.h"
#include "feed.h"
#include "hash.h"
#include "io.h"
#include "json.h"
#include "lanes.h"
#include "opt.h"
#include "payload.h"
#include "refer.h"
#include "reply.h"
#include "send.h"
#include "stop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ATTACH_MAX = 100, KEY_MAX = 200 };

static const char *type = "message", *data, *message, *file;
static const char *correlation_id, *reply_topic, *metadata, *idempotency_key;
static const char *attach_items[ATTACH_MAX];
static struct opt_list attach = { attach_items, 0, ATTACH_MAX };
static bool lines, keep_going, spool, flush;
static long jobs = 0, wait_ms = 0, retry_ms = API_RETRY_MS;

static const struct opt opts[] = { { OPT_TEXT, "type", 't', &type, "TYPE",
					   "the event's type (message)", 0, 0 },
	{ OPT_TEXT, "data", 'd', &data, "JSON", "the payload", 0, 0 },
	{ OPT_TEXT, "message", 'm', &message, "TEXT",
		"the payload {\"message\": TEXT}", 0, 0 },
	{ OPT_TEXT, "file", 'f', &file, "FILE", "the payload is in FILE", 0,
		0 },
	{ OPT_LIST, "attach", 0, &attach, "FILE",
		"upload FILE and add it to payload.attachments", 0, 0 },
	{ OPT_TEXT, "correlation-id", 0, &correlation_id, "ID",
		"what replies refer to", 0, 0 },
	{ OPT_TEXT, "reply-topic", 0, &reply_topic, "TOPIC",
		"where replies are to go", 0, 0 },
	{ OPT_TEXT, "metadata", 0, &metadata, "JSON",
		"an object that goes beside the payload (oauth)", 0, 0 },
	{ OPT_TEXT, "idempotency-key", 0, &idempotency_key, "KEY",
		"by which a repetition is known, instead of one made for it "
		"(oauth)",
		0, 0 },
	{ OPT_DURATION, "wait", 0, &wait_ms, "SECONDS",
		"wait so long for a reply, and print it", 1, 0 },
	{ OPT_FLAG, "lines", 0, &lines, NULL,
		"every line on standard input is a payload", 0, 0 },
	{ OPT_NUMBER, "jobs", 'j', &jobs, "N",
		"with --lines: N requests at once (1)", 1, LANES_MAX },
	{ OPT_FLAG, "keep-going", 0, &keep_going, NULL,
		"with --lines: past bad lines and refusals", 0, 0 },
	{ OPT_FLAG, "spool", 0, &spool, NULL,
		"keep in the outbox what cannot be sent now", 0, 0 },
	{ OPT_FLAG, "flush", 0, &flush, NULL, "send what is in the outbox", 0,
		0 },
	{ OPT_DURATION, "retry-time", 0, &retry_ms, "SECONDS",
		"how long to try in temporary trouble (60)", 0, 0 },
	{ OPT_END, NULL, 0, NULL, NULL, NULL, 0, 0 } };

static const struct opt_program program = {
	.name = "agentrux-publish",
	.synopsis = "[OPTIONS] TOPIC",
	.about = "Publishes an event: one JSON document, on standard input "
		 "unless said otherwise.",
	.opts = opts,
	.max_operands = 1,
	.uses_home = true,
};

static bool stdin_attached(void)
{
	size_t i;

	for (i = 0; i < attach.n; i++)
		if (strcmp(attach.items[i], "-") == 0)
			return true;
	return false;
}

/* It goes into a header. */
static bool key_ok(const char *key)
{
	const char *p;

	for (p = key; *p > ' ' && *p <= '~'; p++)
		;
	return *p == '\0' && p > key && p - key <= KEY_MAX;
}

/* What does not go together; EX_OK if all does. */
static int check_usage(const struct opt_args *args)
{
	int sources = (data != NULL) + (message != NULL) + (file != NULL);
	const struct {
		bool wrong;
		const char *why;
	} rules[] = {
		{ flush && args->n_operands, "--flush takes no TOPIC" },
		{ flush && (lines || spool || sources || attach.n || wait_ms ||
				   correlation_id || reply_topic || metadata ||
				   idempotency_key),
			"--flush goes with none of the options for an event" },
		{ !flush && args->n_operands == 0, "TOPIC is missing" },
		{ sources > 1, "--data, --message and --file exclude each "
			       "other" },
		{ lines && sources, "--lines reads standard input only" },
		{ stdin_attached(), "--attach takes no standard input; "
				    "use ./- for a file of that name" },
		{ lines && attach.n, "--attach does not go with --lines" },
		{ lines && wait_ms, "--wait does not go with --lines" },
		{ !lines && keep_going, "--keep-going goes with --lines" },
		{ !lines && jobs, "--jobs goes with --lines" },
		{ wait_ms && !reply_topic, "--wait needs --reply-topic" },
		{ wait_ms && spool, "--wait does not go with --spool" },
		{ lines && idempotency_key,
			"--idempotency-key is for a single event" },
		{ idempotency_key && !key_ok(idempotency_key),
			"--idempotency-key is not 1 to 200 visible characters "
			"of ASCII" },
		{ type[0] == '\0', "--type is empty" },
		{ !payload_is_utf8(type), "--type is not UTF-8" },
		{ correlation_id && !payload_is_utf8(correlation_id),
			"--correlation-id is not UTF-8" },
	};
	struct err e = { 0 };
	size_t i;

	for (i = 0; i < sizeof rules / sizeof *rules; i++)
		if (rules[i].wrong)
			return opt_misuse(&program, "%s", rules[i].why);
	if ((args->n_operands && api_check_topic(args->operands[0], &e) < 0) ||
		(reply_topic && api_check_topic(reply_topic, &e) < 0))
		return opt_misuse(&program, "%s", e.text);
	return EX_OK;
}

static int read_file(const char *path, struct buf *text, struct err *e)
{
	/* O_NONBLOCK: opening a FIFO must not wait for its writer. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	int r;

	if (fd < 0)
		return err_set(
			e, EX_NOINPUT, "opening %s: %s", path, strerror(errno));
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		r = err_set(e, EX_NOINPUT, "opening %s: it is a folder", path);
	else
		r = io_slurp(fd, text, path, e);
	close(fd);
	return r;
}

/* The payload as it was given: nothing of it is changed on the way. */
static int read_payload(struct buf *text, struct slice *payload, struct err *e)
{
	const char *what = "standard input";
	int r;

	if (data) {
		what = "--data";
		r = buf_str(text, data);
	} else if (message) {
		what = "--message";
		r = payload_message(message, text, e);
	} else if (file) {
		what = file;
		r = read_file(file, text, e);
	} else {
		r = io_slurp(STDIN_FILENO, text, what, e);
	}
	if (r == 0)
		r = payload_read(
			buf_text(text), text->len, what, 1, payload, e);
	if (r == 0 && attach.n)
		r = payload_may_attach(*payload, e);
	return r;
}

/* Before anything is kept or uploaded: what is asked for, in this dialect. */
static int check_options(const struct opt_args *args,
	struct dialect_publication *p, struct err *e)
{
	struct api api;
	int r;

	if (metadata == NULL && idempotency_key == NULL)
		return 0;
	if (metadata && payload_read(metadata, strlen(metadata), "--metadata",
				1, &p->metadata, e) < 0)
		return -1;
	if (metadata && slice_kind(p->metadata) != '{')
		return err_set(e, EX_DATAERR,
			"reading --metadata: it is no JSON object");
	p->idempotency_key = idempotency_key;
	r = api_open(&api, args->home, args->base_url, e);
	if (r == 0)
		r = api_may_publish(&api, p, e);
	api_close(&api);
	return r;
}

static int publish(struct api *api, const struct dialect_publication *p,
	char **event_id, struct err *e)
{
	char *path = NULL;
	int r;

	if (spool)
		r = send_event(api, p, event_id, &path, e);
	else
		r = refer_publish(api, p, event_id, e);
	if (path) {
		if (e->code == EX_TEMPFAIL)
			say("%s; it waits in the outbox", e->text);
		*e = (struct err){ 0 };
		r = feed_answer(STDOUT_FILENO, "spooled", path, e);
	} else if (r >= 0) {
		r = feed_answer(STDOUT_FILENO, "event_id", *event_id, e);
	}
	free(path);
	return r;
}

static int print_reply(struct reply *reply, const struct opt_args *args,
	const struct dialect_publication *p, const char *event_id,
	struct err *e)
{
	struct reply_want want = { .event_id = event_id,
		.correlation_id = p->correlation_id };
	struct buf line = BUF_INIT(SIZE_MAX / 2);
	int r;

	slice_member(p->payload, "request_id", &want.request_id);
	r = reply_wait(
		reply, args->home, args->base_url, &want, wait_ms, &line, e);
	if (r == 1)
		r = io_put(STDOUT_FILENO, line.data, line.len, e);
	else if (r == 0)
		r = err_set(e, EX_TIMEOUT,
			"waiting for a reply to event %s in %s: none came "
			"within %g s",
			event_id, reply_topic, (double)wait_ms / 1000);
	buf_release(&line);
	return r;
}

static int run_one(const struct opt_args *args, struct dialect_publication *p,
	struct err *e)
{
	struct buf text = BUF_INIT(FEED_DOCUMENT_MAX);
	struct api api;
	struct reply reply = { 0 };
	char own_id[37], *event_id = NULL;
	int r = read_payload(&text, &p->payload, e);

	if (r < 0) {
		buf_release(&text);
		return -1;
	}
	r = api_open(&api, args->home, args->base_url, e);
	api.retry_ms = retry_ms;
	if (r == 0 && wait_ms) {
		if (p->correlation_id == NULL) {
			hash_uuid(own_id);
			p->correlation_id = own_id;
		}
		r = reply_prepare(&reply, &api, reply_topic, e);
	}
	if (r == 0)
		r = attach_files(&api, p->topic, attach.items, attach.n, &text,
			&p->payload, e);
	if (r == 0)
		r = publish(&api, p, &event_id, e);
	if (r == 0 && wait_ms)
		r = print_reply(&reply, args, p, event_id, e);
	reply_release(&reply);
	api_close(&api);
	buf_release(&text);
	free(event_id);
	return r;
}

static int print_flushed(
	void *ctx, const char *path, const char *event_id, struct err *e)
{
	struct json *o = json_object();
	char *line;
	int r;

	(void)ctx;
	json_set_text(o, "event_id", event_id);
	json_set_text(o, "spooled", path);
	line = json_print(o);
	r = io_put_line(STDOUT_FILENO, line, e);
	free(line);
	json_free(o);
	return r;
}

static int run_flush(const struct opt_args *args, struct err *e)
{
	struct api api;
	int r = api_open(&api, args->home, args->base_url, e);

	api.retry_ms = retry_ms;
	if (r == 0)
		r = send_flush(&api, print_flushed, NULL, e);
	api_close(&api);
	return r;
}

int main(int argc, char **argv)
{
	struct dialect_publication p = { 0 };
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
	p.topic = args.operands[0];
	p.type = type;
	p.correlation_id = correlation_id;
	p.reply_topic = reply_topic;
	if (check_options(&args, &p, &e) < 0)
		status = -1;
	else if (flush)
		status = run_flush(&args, &e);
	else if (lines)
		status = feed_lines(&(struct feed){ .home = args.home,
					    .base_url = args.base_url,
					    .retry_ms = retry_ms,
					    .jobs = jobs ? jobs : 1,
					    .event = p,
					    .spool = spool,
					    .keep_going = keep_going,
					    .in_fd = STDIN_FILENO,
					    .out_fd = STDOUT_FILENO },
			&e);
	else
		status = run_one(&args, &p, &e);
	return status < 0 ? err_exit(&e) : EX_OK;
}
