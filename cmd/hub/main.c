/* agentrux-hub: a self-hosted AgenTrux. Options, one command, exit code. */
#include "admin.h"
#include "serve.h"

#include "opt.h"
#include "stop.h"

#include <string.h>
#include <sys/stat.h>

enum { GRANTS_MAX = 256, ROWS_MAX = 24 };

#define MINUTE_MS 60000L
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)

static const char *grant_items[GRANTS_MAX];
static const char *db_path;
static struct admin_options admin = { .grants = { grant_items, 0, GRANTS_MAX },
	.ttl_ms = HOUR_MS };
static struct hub_options hub = { .listen = "127.0.0.1:8787",
	.retention_ms = 7 * DAY_MS,
	.presign_ms = 15 * MINUTE_MS,
	.heartbeat_ms = 15000 };

#define DB_ROW                                                                 \
	{                                                                      \
		OPT_TEXT, "db", 0, &db_path, "FILE",                           \
			"the database; its objects lie in FILE.objects", 0, 0  \
	}
#define TTL_ROW                                                                \
	{                                                                      \
		OPT_DURATION, "ttl", 0, &admin.ttl_ms, "TIME",                 \
			"issue: how long the code works (1h)", 1000,           \
			365 * DAY_MS                                           \
	}
#define END_ROW                                                                \
	{                                                                      \
		OPT_END, NULL, 0, NULL, NULL, NULL, 0, 0                       \
	}

static const struct opt plain_rows[] = { DB_ROW, END_ROW };
static const struct opt script_rows[] = { DB_ROW,
	{ OPT_LIST, "grant", 0, &admin.grants, "TOPIC:ACTION",
		"script add: grant it read or write; repeatable", 0, 0 },
	END_ROW };
static const struct opt code_rows[] = { DB_ROW, TTL_ROW,
	{ OPT_FLAG, "oauth", 0, &admin.oauth, NULL,
		"code issue: a code of the oauth dialect (act_...)", 0, 0 },
	END_ROW };
static const struct opt invite_rows[] = { DB_ROW, TTL_ROW, END_ROW };
static const struct opt serve_rows[] = { DB_ROW,
	{ OPT_TEXT, "listen", 0, &hub.listen, "HOST:PORT",
		"serve: where (127.0.0.1:8787); port 0: any", 0, 0 },
	{ OPT_TEXT, "cert", 0, &hub.cert, "FILE", "serve: TLS, PEM chain", 0,
		0 },
	{ OPT_TEXT, "key", 0, &hub.key, "FILE", "serve: TLS, PEM key", 0, 0 },
	{ OPT_DURATION, "retention", 0, &hub.retention_ms, "TIME",
		"serve: keep events and objects (7d); 0: for ever", 0, 0 },
	{ OPT_NUMBER, "retention-count", 0, &hub.retention_count, "N",
		"serve: keep the newest N of a topic; 0: all", 0, 0 },
	{ OPT_DURATION, "presign-ttl", 0, &hub.presign_ms, "TIME",
		"serve: how long signed URLs work (15m)", 1000, 7 * DAY_MS },
	{ OPT_DURATION, "heartbeat", 0, &hub.heartbeat_ms, "TIME",
		"serve: a sign of life on streams every (15s)", 1000,
		10 * MINUTE_MS },
	{ OPT_DURATION, "token-ttl", 0, &hub.token_ms, "TIME",
		"serve: how long access tokens work (1h; oauth: 10m)", 1000,
		30 * DAY_MS },
	{ OPT_TEXT, "admin-token-file", 0, &hub.admin_token_file, "FILE",
		"serve: the console's token; without it, no console", 0, 0 },
	{ OPT_FLAG, "require-user-agent", 0, &hub.require_user_agent, NULL,
		"serve: 403 without one, as the service's front end", 0, 0 },
	{ OPT_FLAG, "no-rate-limits", 0, &hub.no_rate_limits, NULL,
		"serve: any number of tokens an hour, for tests", 0, 0 },
	END_ROW };

static const char about[] =
	"A self-hosted AgenTrux: topics, scripts, events, hints, files.\n\n"
	"Commands (names serve wherever ids do):\n"
	"  serve                              until SIGTERM\n"
	"  topic add NAME                     prints its id\n"
	"  topic list                         JSON lines\n"
	"  script add NAME [--grant GRANT]    prints its id\n"
	"  script list                        JSON lines\n"
	"  script remove SCRIPT               with its grants and tokens\n"
	"  grant add SCRIPT TOPIC:ACTION...   ACTION is read or write\n"
	"  grant remove SCRIPT TOPIC:ACTION...\n"
	"  code issue SCRIPT [--ttl TIME] [--oauth]\n"
	"                                     prints an activation code, once\n"
	"  device approve USER_CODE SCRIPT    lets a program in that shows it\n"
	"  device deny USER_CODE\n"
	"  invite issue TOPIC:ACTION          prints an invite code, once";

#define MAX_ANY 1000

static const struct command {
	const char *noun, *verb;
	const char *synopsis;
	const struct opt *rows;
	int min, max;	    /* operands behind the command words */
	bool creates;	    /* makes the database if there is none */
	admin_command *run; /* NULL: serve */
} commands[] = {
	{ "serve", NULL, "--db FILE serve [OPTIONS]", serve_rows, 0, 0, true,
		NULL },
	{ "topic", "add", "--db FILE topic add NAME", plain_rows, 1, 1, true,
		admin_topic_add },
	{ "topic", "list", "--db FILE topic list", plain_rows, 0, 0, false,
		admin_topic_list },
	{ "script", "add", "--db FILE script add NAME [--grant TOPIC:ACTION]",
		script_rows, 1, 1, true, admin_script_add },
	{ "script", "list", "--db FILE script list", plain_rows, 0, 0, false,
		admin_script_list },
	{ "script", "remove", "--db FILE script remove SCRIPT", plain_rows, 1,
		1, false, admin_script_remove },
	{ "grant", "add", "--db FILE grant add SCRIPT TOPIC:ACTION...",
		plain_rows, 2, MAX_ANY, false, admin_grant_add },
	{ "grant", "remove", "--db FILE grant remove SCRIPT TOPIC:ACTION...",
		plain_rows, 2, MAX_ANY, false, admin_grant_remove },
	{ "code", "issue", "--db FILE code issue SCRIPT [--ttl TIME] [--oauth]",
		code_rows, 1, 1, false, admin_code_issue },
	{ "device", "approve", "--db FILE device approve USER_CODE SCRIPT",
		plain_rows, 2, 2, false, admin_device_approve },
	{ "device", "deny", "--db FILE device deny USER_CODE", plain_rows, 1, 1,
		false, admin_device_deny },
	{ "invite", "issue", "--db FILE invite issue TOPIC:ACTION [--ttl TIME]",
		invite_rows, 1, 1, false, admin_invite_issue },
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

/* The command is the first word that is neither an option nor the value of
 * --db, which is the only one that stands before it. */
static char **first_word(char **argv)
{
	while (*++argv && (*argv)[0] == '-')
		if ((strcmp(*argv, "--db") == 0 || strcmp(*argv, "--d") == 0) &&
			argv[1])
			argv++;
	return argv;
}

static const struct command *find_command(char **argv)
{
	char **word = first_word(argv);
	size_t i;

	for (i = 0; *word && i < COMMANDS; i++)
		if (strcmp(commands[i].noun, word[0]) == 0 &&
			(commands[i].verb == NULL ||
				(word[1] && strcmp(commands[i].verb, word[1]) ==
						    0)))
			return &commands[i];
	return NULL;
}

/* Without a command: every option, for --help and --list-options. */
static int general(int argc, char **argv)
{
	static struct opt rows[ROWS_MAX];
	const struct opt *tables[] = { plain_rows, script_rows + 1,
		code_rows + 1, serve_rows + 1 };
	struct opt_program p = { "agentrux-hub", "--db FILE COMMAND [OPTIONS]",
		about, rows, 0, -1, false, false };
	struct opt_args args;
	size_t n = 0, i;
	int status;

	for (i = 0; i < sizeof tables / sizeof tables[0]; i++) {
		const struct opt *o = tables[i];

		for (; o->kind != OPT_END && n + 1 < ROWS_MAX; o++)
			rows[n++] = *o;
	}
	rows[n].kind = OPT_END;
	if (!opt_parse(&p, argc, argv, &args, &status))
		return status;
	if (args.n_operands == 0)
		return opt_misuse(&p, "a command is missing");
	return opt_misuse(&p, "no such command: '%s%s%s'", args.operands[0],
		args.n_operands > 1 ? " " : "",
		args.n_operands > 1 ? args.operands[1] : "");
}

static int run_command(const struct command *c, char **operands, struct err *e)
{
	struct db *db = db_open(db_path, c->creates, e);
	int r = db ? c->run(db, operands, &admin, e) : -1;

	db_close(db);
	return r;
}

int main(int argc, char **argv)
{
	const struct command *c = find_command(argv);
	int words = c && c->verb ? 2 : 1, status;
	struct opt_program p = { .name = "agentrux-hub", .about = about };
	struct opt_args args;
	struct err e = { 0 };

	if (c == NULL)
		return general(argc, argv);
	p.synopsis = c->synopsis;
	p.opts = c->rows;
	p.min_operands = c->min + words;
	p.max_operands = c->max + words;
	if (!opt_parse(&p, argc, argv, &args, &status))
		return status;
	if (db_path == NULL)
		return opt_misuse(&p, "--db FILE is missing");
	if ((hub.cert == NULL) != (hub.key == NULL))
		return opt_misuse(&p, "--cert and --key go together");
	umask(077);
	stop_install();
	if (c->run)
		run_command(c, args.operands + words, &e);
	else
		serve(db_path, &hub, &e);
	return err_exit(&e);
}
