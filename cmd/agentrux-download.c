/* agentrux-download: payload objects become files, or one goes to stdout. */
#include "api.h"
#include "attachment.h"
#include "download.h"
#include "err.h"
#include "event.h"
#include "io.h"
#include "newfile.h"
#include "opt.h"
#include "payload.h"
#include "stop.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1048576 };

static const char *output;
static bool allow_url;
static long max_size = DOWNLOAD_MAX, retry_ms = API_RETRY_MS;

static const struct opt opts[] = { { OPT_TEXT, "output", 'o', &output, "DIR",
					   "the folder for the files (.)", 0,
					   0 },
	{ OPT_SIZE, "max-size", 0, &max_size, "SIZE",
		"the largest object that is taken (1G)", 0, 0 },
	{ OPT_FLAG, "allow-url", 0, &allow_url, NULL,
		"fetch URLs that lines bring, from public addresses", 0, 0 },
	{ OPT_DURATION, "retry-time", 0, &retry_ms, "SECONDS",
		"how long to try in temporary trouble (60)", 0, 0 },
	{ OPT_END, NULL, 0, NULL, NULL, NULL, 0, 0 } };

static const struct opt_program program = {
	.name = "agentrux-download",
	.synopsis = "[OPTIONS] TOPIC [OBJECT_ID]",
	.about = "Stores the objects of attachment lines as files, or prints "
		 "one.",
	.opts = opts,
	.min_operands = 1,
	.max_operands = 2,
	.uses_home = true,
};

static int check_usage(const struct opt_args *args)
{
	struct err e = { 0 };
	const char *id = args->operands[1];

	if (api_check_topic(args->operands[0], &e) < 0)
		return opt_misuse(&program, "%s", e.text);
	if (id && !event_id_plain(id))
		return opt_misuse(&program, "'%.100s' is no object id", id);
	if (id && (output || allow_url))
		return opt_misuse(&program,
			"an OBJECT_ID goes to standard output; --output and "
			"--allow-url are for attachment lines");
	if (output && (*output == '\0' || !payload_is_utf8(output)))
		return opt_misuse(&program, "--output is empty or not UTF-8");
	return EX_OK;
}

static int store(const struct download *d, const struct folder *folder,
	const char *line, size_t len, struct err *e)
{
	struct buf out = BUF_INIT(SIZE_MAX / 2);
	struct attachment a;
	struct slice whole;
	char *path = NULL;
	int r = attachment_read(line, len, &a, &whole, e);

	if (r == 0)
		r = download_into(d, &a, folder, &path, e);
	if (r == 0) {
		attachment_with_path(whole, path, &out);
		r = io_put_line(STDOUT_FILENO, buf_text(&out), e);
	}
	buf_release(&out);
	attachment_release(&a);
	free(path);
	return r;
}

/* Is it more than this attachment that is wrong? */
static bool is_final(const struct api *api, const struct err *e)
{
	return api->refused || e->code == ERR_STOPPED || e->code == EX_IOERR ||
	       e->code == EX_CONFIG;
}

static int store_all(
	const struct download *d, const struct folder *folder, struct err *e)
{
	struct io_lines in = IO_LINES(STDIN_FILENO, LINE_MAX_BYTES);
	struct err failed = { 0 }, why = { 0 };
	size_t len, number = 0;
	char *line;
	int r;

	while ((r = io_lines_next(&in, &line, &len, &why))) {
		number++;
		if (r > 0 && strspn(line, " \t\r") == len)
			continue;
		if (r > 0)
			r = store(d, folder, line, len, &why);
		if (r >= 0)
			continue;
		err_prefix(&why, "line %zu", number);
		if (failed.code == 0)
			failed = why;
		if (is_final(d->api, &why))
			break;
		say("%s", why.text);
		why = (struct err){ 0 };
	}
	io_lines_release(&in);
	if (why.code)
		*e = why;
	else if (failed.code)
		err_set(e, failed.code, "not all attachments were stored");
	return e->code ? -1 : 0;
}

static int run(const struct opt_args *args, struct err *e)
{
	struct folder folder = FOLDER_NONE;
	struct attachment a = ATTACHMENT_NONE;
	struct download d = { .topic = args->operands[0],
		.max_size = max_size,
		.allow_url = allow_url };
	struct api api;
	int r = api_open(&api, args->home, args->base_url, e);

	api.retry_ms = retry_ms;
	d.api = &api;
	a.id = args->operands[1];
	if (r == 0 && a.id)
		r = download_to(&d, &a, STDOUT_FILENO, e);
	else if (r == 0)
		r = folder_open(&folder, output ? output : ".", e);
	if (r == 0 && a.id == NULL)
		r = store_all(&d, &folder, e);
	folder_close(&folder);
	api_close(&api);
	return r;
}

int main(int argc, char **argv)
{
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
	return run(&args, &e) < 0 ? err_exit(&e) : EX_OK;
}
