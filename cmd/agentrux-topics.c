/* agentrux-topics: the topics that these credentials know. */
#include "api.h"
#include "err.h"
#include "io.h"
#include "json.h"
#include "opt.h"
#include "stop.h"

#include <stdlib.h>
#include <unistd.h>

static long retry_ms = API_RETRY_MS;

static const struct opt opts[] = {
	{ OPT_DURATION, "retry-time", 0, &retry_ms, "SECONDS",
		"how long to try in temporary trouble (60)", 0, 0 },
	{ OPT_END, NULL, 0, NULL, NULL, NULL, 0, 0 }
};

static const struct opt_program program = {
	.name = "agentrux-topics",
	.synopsis = "[OPTIONS]",
	.about = "List the topics that these credentials know, and what they "
		 "may do there.",
	.opts = opts,
	.uses_home = true,
};

static int print(const struct json *topics, struct err *e)
{
	char *line;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < json_count(topics); i++) {
		line = json_print(json_item(topics, i));
		r = io_put_line(STDOUT_FILENO, line, e);
		free(line);
	}
	return r;
}

int main(int argc, char **argv)
{
	struct json *topics = NULL;
	struct opt_args args;
	struct err e = { 0 };
	struct api api;
	int status;

	if (!opt_parse(&program, argc, argv, &args, &status))
		return status;
	stop_install();
	stop_when_reader_closes(STDOUT_FILENO);
	status = api_open(&api, args.home, args.base_url, &e);
	api.retry_ms = retry_ms;
	if (status == 0)
		status = api_topics(&api, &topics, &e);
	if (status == 0)
		status = print(topics, &e);
	json_free(topics);
	api_close(&api);
	return status < 0 ? err_exit(&e) : EX_OK;
}
