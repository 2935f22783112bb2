#include "args.h"

#include "rpc.h"

#include <stdlib.h>
#include <string.h>

static const char *const schemas[] = {
	[ARG_TEXT] = "\"type\":\"string\"",
	[ARG_NUMBER] = "\"type\":\"integer\"",
	[ARG_JSON] = "\"type\":\"object\",\"additionalProperties\":true",
	[ARG_COMMAND] = "\"anyOf\":[{\"type\":\"array\",\"minItems\":1,"
			"\"items\":{\"type\":\"string\"}},"
			"{\"type\":\"string\"}]",
};

void args_schema(const struct arg *table, struct buf *out)
{
	const struct arg *a;
	const char *comma = "";

	buf_str(out, "{\"type\":\"object\",\"properties\":{");
	for (a = table; a->kind != ARG_END; a++) {
		buf_printf(out, "%s\"%s\":{%s", a == table ? "" : ",", a->name,
			schemas[a->kind]);
		if (a->kind == ARG_NUMBER)
			buf_printf(out, ",\"minimum\":%ld,\"maximum\":%ld",
				a->min, a->max);
		buf_str(out, ",\"description\":");
		rpc_text(out, a->about, strlen(a->about));
		buf_char(out, '}');
	}
	buf_str(out, "},\"required\":[");
	for (a = table; a->kind != ARG_END; a++)
		if (a->required) {
			buf_printf(out, "%s\"%s\"", comma, a->name);
			comma = ",";
		}
	buf_str(out, "],\"additionalProperties\":false}");
}

static int wrong(const struct arg *a, const char *what, struct err *e)
{
	return err_set(e, EX_DATAERR, "argument %s %s", a->name, what);
}

static int read_text(
	const struct arg *a, struct slice value, char **text, struct err *e)
{
	struct buf plain = { .max = value.len, .secret = a->secret };

	if (slice_kind(value) != '"')
		return wrong(a, "has to be a string", e);
	if (!slice_text(value, &plain)) {
		buf_release(&plain);
		return wrong(a, "holds the character U+0000", e);
	}
	*text = plain.data ? buf_detach(&plain) : xstrdup("");
	return 0;
}

static int read_command(const struct arg *a, struct slice value,
	struct words *words, struct err *e)
{
	struct slice_walk walk;
	struct slice item;
	char *text = NULL;
	int r = 0;

	if (slice_kind(value) == '"') {
		r = read_text(a, value, &text, e);
		if (r == 0)
			r = words_split(text, words, e);
		free(text);
		return r;
	}
	if (slice_kind(value) != '[')
		return wrong(a, "has to be a list of strings, or a string", e);
	slice_walk_start(&walk, value, NULL);
	while (r == 0 && slice_walk_next(&walk, NULL, &item)) {
		r = read_text(a, item, &text, e);
		if (r == 0)
			r = words_add(words, text, e);
		free(text);
		text = NULL;
	}
	if (r == 0 && words->n == 0)
		return wrong(a, "is empty", e);
	return r;
}

static int read_value(const struct arg *a, struct slice value,
	struct arg_value *v, struct err *e)
{
	int64_t n;

	v->given = slice_kind(value) != 'n' || a->kind == ARG_JSON;
	if (!v->given)
		return 0;
	switch (a->kind) {
	case ARG_TEXT:
		return read_text(a, value, &v->text, e);
	case ARG_NUMBER:
		if (!slice_int(value, &n) || n < a->min || n > a->max)
			return err_set(e, EX_DATAERR,
				"argument %s has to be an integer from %ld to "
				"%ld",
				a->name, a->min, a->max);
		v->number = (long)n;
		return 0;
	case ARG_JSON:
		v->json = value;
		return 0;
	default:
		return read_command(a, value, &v->words, e);
	}
}

static int no_strangers(
	const struct arg *table, struct slice arguments, struct err *e)
{
	struct slice_walk walk;
	struct slice name, value;
	const struct arg *a;

	slice_walk_start(&walk, arguments, NULL);
	while (slice_walk_next(&walk, &name, &value)) {
		for (a = table; a->kind != ARG_END; a++)
			if (slice_is(name, a->name))
				break;
		if (a->kind == ARG_END)
			return err_set(e, EX_DATAERR,
				"there is no argument %.*s",
				name.len < 80 ? (int)name.len : 80, name.p);
	}
	return 0;
}

int args_read(const struct arg *table, struct slice arguments,
	struct arg_value values[ARGS_MAX], struct err *e)
{
	struct slice value;
	size_t i;

	memset(values, 0, ARGS_MAX * sizeof *values);
	if (arguments.p && slice_kind(arguments) != '{')
		return err_set(e, EX_DATAERR, "arguments has to be an object");
	if (no_strangers(table, arguments, e) < 0)
		return -1;
	for (i = 0; table[i].kind != ARG_END; i++) {
		if (slice_member(arguments, table[i].name, &value) &&
			read_value(&table[i], value, &values[i], e) < 0)
			return -1;
		if (table[i].required && !values[i].given)
			return wrong(&table[i], "is missing", e);
	}
	return 0;
}

void args_release(const struct arg *table, struct arg_value values[ARGS_MAX])
{
	size_t i;

	for (i = 0; table[i].kind != ARG_END; i++) {
		if (table[i].secret)
			buf_wipe_free(values[i].text);
		else
			free(values[i].text);
		words_release(&values[i].words);
	}
	memset(values, 0, ARGS_MAX * sizeof *values);
}
