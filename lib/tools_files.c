#include "tool.h"

#include "download.h"
#include "event.h"
#include "inside.h"
#include "mime.h"
#include "source.h"
#include "turn.h"
#include "upload.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- agentrux_upload --- */

enum { TOPIC, PATH, TURN };

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int upload(struct tool_call *c, struct api *api, int fd,
	const char *true_name, struct err *e)
{
	const char *path = c->arg[PATH].text, *turn = c->arg[TURN].text;
	struct upload up = { .api = api, .topic = c->arg[TOPIC].text };
	struct mime *mime = mime_new();
	char open_as[INSIDE_PATH_MAX], *line = NULL;
	struct source f;
	int r;

	inside_path(fd, open_as);
	r = source_open(&f, open_as, base_name(path), NULL, mime, e);
	f.path = true_name; /* for messages; and it may be replaced */
	if (r == 0)
		r = upload_run(&up, &f, &line, e);
	if (r == 0 && turn)
		r = turn_keep(&api->home, turn, line, e);
	if (r == 0) {
		buf_printf(&c->data, "\"attachment\":%s", line);
		buf_printf(&c->text, "Uploaded %s to topic %s%s:\n%s", path,
			up.topic,
			turn ? "; it goes along with the answer of this turn"
			     : ", for the attachments of an event",
			line);
	}
	source_close(&f);
	free(line);
	mime_free(mime);
	return r;
}

/* The file to upload, opened by its name only. */
static int open_file(const struct tool_call *c, const char *path,
	char *true_name, struct err *e)
{
	int fd = inside_open(c->env->root, path, true_name, e);
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		err_set(e, EX_NOINPUT, "opening %s: it is no regular file",
			path);
		return -1;
	}
	return fd;
}

static int run_upload(struct tool_call *c, struct err *e)
{
	const struct arg_value *arg = c->arg;
	char true_name[PATH_MAX];
	struct api api;
	int fd, r;

	if (api_check_topic(arg[TOPIC].text, e) < 0)
		return -1;
	if (arg[TURN].given && !event_id_plain(arg[TURN].text))
		return err_set(e, EX_DATAERR, "turn is not the id of a turn");
	fd = open_file(c, arg[PATH].text, true_name, e);
	if (fd < 0)
		return -1;
	r = tool_api(c, &api, e);
	if (r == 0)
		r = upload(c, &api, fd, true_name, e);
	api_close(&api);
	close(fd);
	return r;
}

static const struct arg upload_args[] = {
	{ .kind = ARG_TEXT,
		.name = "topic_id",
		.about = "the id of the topic where the file is to be had",
		.required = true },
	{ .kind = ARG_TEXT,
		.name = "path",
		.about = "the file, in the folder of this server",
		.required = true },
	{ .kind = ARG_TEXT,
		.name = "turn",
		.about = "the id of the turn under way, where the prompt names "
			 "one: the file then goes along with its answer" },
	{ .kind = ARG_END },
};

const struct tool tool_upload = {
	.name = "agentrux_upload",
	.title = "Upload a file",
	.about = "Stores a file for the readers of an AgenTrux topic and "
		 "tells the attachment by which they get it: put it into the "
		 "list payload.attachments of an event.",
	.args = upload_args,
	.output = "{\"type\":\"object\",\"properties\":{\"attachment\":{"
		  "\"type\":\"object\"}},\"required\":[\"attachment\"]}",
	.run = run_upload,
};

/* --- agentrux_download --- */

enum { DOWNLOAD_TOPIC, OBJECT, TARGET };

/* Where it goes: into the folder that `path` is, or else into the one that it
 * names, under its last part. */
static int open_target(const struct tool_call *c, char *path,
	struct folder *folder, const char **name, struct err *e)
{
	char open_as[INSIDE_PATH_MAX], true_name[PATH_MAX], *slash;
	struct stat st;
	int fd, r;

	*name = NULL;
	if (fstatat(c->env->root, path, &st, 0) < 0 || !S_ISDIR(st.st_mode)) {
		slash = strrchr(path, '/');
		*name = slash ? slash + 1 : path;
		folder->path = slash == NULL ? "." : slash == path ? "/" : path;
		if (slash)
			*slash = '\0';
	} else {
		folder->path = path;
	}
	fd = inside_open(c->env->root, folder->path, true_name, e);
	if (fd < 0)
		return -1;
	inside_path(fd, open_as);
	path = (char *)folder->path;
	r = folder_open(folder, open_as, e);
	folder->path = path;
	close(fd);
	return r;
}

static int download(struct tool_call *c, struct api *api,
	const struct folder *folder, const char *name, struct err *e)
{
	struct attachment a = ATTACHMENT_NONE;
	struct download d = { .api = api,
		.topic = c->arg[DOWNLOAD_TOPIC].text,
		.max_size = DOWNLOAD_MAX };
	char *path = NULL;
	int r;

	a.id = c->arg[OBJECT].text;
	a.name = (char *)name;
	r = download_into(&d, &a, folder, &path, e);
	if (r == 0) {
		tool_member(c, "path", path);
		buf_printf(&c->text, "Stored as %s.", path);
	}
	free(path);
	return r;
}

static int check_object(const char *id, struct err *e)
{
	if (event_id_plain(id))
		return 0;
	return err_set(e, EX_DATAERR, "object_id is not the id of an object");
}

static int run_download(struct tool_call *c, struct err *e)
{
	const struct arg_value *arg = c->arg;
	char *path = xstrdup(arg[TARGET].given ? arg[TARGET].text : ".");
	struct folder folder = FOLDER_NONE;
	const char *name;
	struct api api;
	int r = -1;

	if (api_check_topic(arg[DOWNLOAD_TOPIC].text, e) == 0 &&
		check_object(arg[OBJECT].text, e) == 0 &&
		open_target(c, path, &folder, &name, e) == 0) {
		r = tool_api(c, &api, e);
		if (r == 0)
			r = download(c, &api, &folder, name, e);
		api_close(&api);
	}
	folder_close(&folder);
	free(path);
	return r;
}

static const struct arg download_args[] = {
	{ .kind = ARG_TEXT,
		.name = "topic_id",
		.about = "the id of the topic where the file was attached",
		.required = true },
	{ .kind = ARG_TEXT,
		.name = "object_id",
		.about = "the attachment's object_id or payload_object_id",
		.required = true },
	{ .kind = ARG_TEXT,
		.name = "path",
		.about = "a folder, or a name for the file, in the folder of "
			 "this server; nothing is ever overwritten" },
	{ .kind = ARG_END },
};

const struct tool tool_download = {
	.name = "agentrux_download",
	.title = "Download a file",
	.about = "Fetches a file that is attached to an event of an AgenTrux "
		 "topic, stores it in the folder of this server and tells its "
		 "path.",
	.args = download_args,
	.output = "{\"type\":\"object\",\"properties\":{\"path\":{\"type\":"
		  "\"string\"}},\"required\":[\"path\"]}",
	.run = run_download,
};
