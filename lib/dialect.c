#include "dialect.h"

#include <stdlib.h>
#include <string.h>

static const struct dialect *const all[] = { &dialect_classic };

enum { CODE_MIN = 20, CODE_MAX = 200 };

const struct dialect *dialect_of_code(const char *code)
{
	size_t i;

	for (i = 0; i < sizeof all / sizeof *all; i++)
		if (strncmp(code, all[i]->code_prefix,
			    strlen(all[i]->code_prefix)) == 0)
			return all[i];
	return NULL;
}

const struct dialect *dialect_of_cred(const struct cred *c, struct err *e)
{
	if (c->client_id == NULL)
		return &dialect_classic;
	err_set(e, EX_CONFIG,
		"reading the credentials: they are of the oauth dialect "
		"(client_id), which this version does not speak");
	return NULL;
}

bool dialect_code_ok(const char *code)
{
	const struct dialect *d = dialect_of_code(code);
	size_t len;

	if (d == NULL)
		return false;
	code += strlen(d->code_prefix);
	len = strlen(code);
	return len >= CODE_MIN && len <= CODE_MAX &&
	       strspn(code,
		       "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		       "0123456789_-") == len;
}

void dialect_token_release(struct dialect_token *t)
{
	buf_wipe_free(t->access);
	buf_wipe_free(t->refresh);
	memset(t, 0, sizeof *t);
}

void dialect_object_release(struct dialect_object *o)
{
	free(o->id);
	free(o->put_url);
	free(o->get_url);
	free(o->content_type);
	memset(o, 0, sizeof *o);
}
