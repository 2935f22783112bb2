#include "cred.h"

#include "home.h"
#include "json.h"

#include <stdlib.h>
#include <string.h>

static char *copy(const struct json *o, const char *name)
{
	const char *s = json_text(o, name);

	return s && *s ? xstrdup(s) : NULL;
}

char *cred_trim_url(const char *url)
{
	size_t len = strlen(url);

	while (len && url[len - 1] == '/')
		len--;
	return xstrndup(url, len);
}

/* Fields of a parsed file. -1: something required is missing. */
static int take(const struct json *doc, struct cred *c)
{
	const char *url = json_text(doc, "base_url");

	c->base_url = url && *url ? cred_trim_url(url) : NULL;
	c->script_id = copy(doc, "script_id");
	c->client_id = copy(doc, "client_id");
	c->secret = copy(doc, "client_secret");
	if (c->secret == NULL)
		c->secret = copy(doc, "clientSecret");
	return c->secret && (c->script_id || c->client_id) ? 0 : -1;
}

int cred_load(const struct statedir *home, struct cred *c, struct err *e)
{
	struct buf text = BUF_SECRET(CRED_FILE_MAX);
	struct err why = { 0 };
	struct json *doc = NULL;
	int r;

	memset(c, 0, sizeof *c);
	r = statefile_load(home, HOME_CREDENTIALS, &text, e);
	if (r <= 0)
		goto out;
	doc = json_parse(buf_text(&text), text.len, &why);
	if (doc == NULL || take(doc, c) < 0) {
		cred_release(c);
		r = err_set(e, EX_CONFIG,
			"reading %s/%s: it is damaged%s%s; restore it from a "
			"backup, or move it away and activate again",
			home->path, HOME_CREDENTIALS, doc ? "" : ": ",
			doc ? "" : why.text);
	}
out:
	json_free(doc);
	buf_release(&text);
	return r;
}

char *cred_document(const struct cred *c)
{
	struct json *doc = json_object();
	char *text;

	json_set_text(doc, "base_url", c->base_url);
	if (c->client_id)
		json_set_text(doc, "client_id", c->client_id);
	if (c->script_id)
		json_set_text(doc, "script_id", c->script_id);
	json_set_text(doc, "client_secret", c->secret);
	text = json_print(doc);
	json_free(doc);
	return text;
}

const char *cred_id(const struct cred *c)
{
	return c->client_id ? c->client_id : c->script_id;
}

void cred_release(struct cred *c)
{
	free(c->base_url);
	free(c->script_id);
	free(c->client_id);
	buf_wipe_free(c->secret);
	memset(c, 0, sizeof *c);
}
