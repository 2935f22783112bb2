#include "login.h"

#include "home.h"
#include "json.h"

#include <string.h>

enum {
	FILE_MAX = 65536,
	WAIT_MS = 180000, /* longer than a request may take */
};

/* 1: loaded, the caller's to free. 0: not there. */
static int load(const struct statedir *home, const char *name,
	struct json **doc, struct err *e)
{
	struct buf text = BUF_SECRET(FILE_MAX);
	int r = statefile_load(home, name, &text, e);

	*doc = NULL;
	if (r > 0)
		*doc = json_parse(buf_text(&text), text.len, NULL);
	if (r > 0 && !json_is_object(*doc)) {
		json_free(*doc);
		*doc = NULL;
		r = statefile_refuse(home, name,
			"it is damaged; move it away, then " LOGIN_REMEDY,
			"mv @ @.damaged", e);
	}
	buf_release(&text);
	return r;
}

/* Replaces the file by the document, which is taken. */
static int save(const struct statedir *home, const char *name, struct json *doc,
	struct err *e)
{
	char *text = json_print(doc);
	int r = statefile_replace(home, name, text, strlen(text), e);

	/* A disk that was full may have room for it by now. */
	if (r < 0)
		r = statefile_replace(home, name, text, strlen(text), e);
	buf_wipe_free(text);
	json_free(doc);
	return r;
}

int login_lock(const struct statedir *home, struct lock *l, struct err *e)
{
	int r = lock_take(l, home, HOME_LOGIN_LOCK, WAIT_MS, e);

	if (r == 0)
		return err_set(e, EX_TEMPFAIL,
			"waiting for the token that another process gets: it "
			"takes too long");
	return r < 0 ? -1 : 0;
}

static int load_token(const struct statedir *home, const char *client_id,
	char **refresh, struct err *e)
{
	const char *id, *token;
	struct json *doc;
	int r = load(home, HOME_LOGIN, &doc, e);

	id = json_text(doc, "client_id");
	token = json_text(doc, "refresh_token");
	*refresh = NULL;
	if (r > 0 && (id == NULL || strcmp(id, client_id)))
		r = 0; /* of another client, at another service say */
	else if (r > 0 && (token == NULL || *token == '\0'))
		r = 0;
	else if (r > 0)
		*refresh = xstrdup(token);
	json_free(doc);
	return r;
}

static int save_token(const struct statedir *home, const char *client_id,
	const char *refresh, struct err *e)
{
	struct json *doc = json_object();

	json_set_text(doc, "client_id", client_id);
	if (refresh)
		json_set_text(doc, "refresh_token", refresh);
	return save(home, HOME_LOGIN, doc, e);
}

/* It will not be sent, and is for whoever comes next. */
static void put_back(const struct statedir *home, const char *client_id,
	const char *refresh, struct err *e)
{
	struct err why = { 0 };

	if (save_token(home, client_id, refresh, &why) < 0 &&
		login_look(home, client_id, &why) < 1)
		err_prefix(e, "the login in %s is lost; %s", home->path,
			LOGIN_REMEDY);
}

int login_spend(const struct statedir *home, const char *client_id,
	char **refresh, struct err *e)
{
	int r = load_token(home, client_id, refresh, e);

	if (r == 0)
		return err_set(e, EX_NOPERM,
			"refreshing the token: the login in %s has ended; %s",
			home->path, LOGIN_REMEDY);
	if (r > 0) {
		r = save_token(home, client_id, NULL, e);
		if (r < 0)
			put_back(home, client_id, *refresh, e);
	}
	if (r < 0) {
		buf_wipe_free(*refresh);
		*refresh = NULL;
	}
	return r;
}

int login_keep(const struct statedir *home, const char *client_id,
	const char *refresh, struct err *e)
{
	return save_token(home, client_id, refresh, e);
}

int login_look(
	const struct statedir *home, const char *client_id, struct err *e)
{
	char *refresh;
	int r = load_token(home, client_id, &refresh, e);

	buf_wipe_free(refresh);
	return r;
}

int login_client(const struct statedir *home, const char *base_url,
	char **client_id, struct err *e)
{
	struct json *doc;
	int r = load(home, HOME_CLIENTS, &doc, e);
	const char *id = json_text(doc, base_url);

	*client_id = id && *id ? xstrdup(id) : NULL;
	json_free(doc);
	return r < 0 ? -1 : *client_id != NULL;
}

int login_set_client(const struct statedir *home, const char *base_url,
	const char *client_id, struct err *e)
{
	struct json *doc;
	int r = load(home, HOME_CLIENTS, &doc, e);

	if (r < 0)
		return -1;
	if (r == 0)
		doc = json_object();
	json_set_text(doc, base_url, client_id);
	return save(home, HOME_CLIENTS, doc, e);
}
