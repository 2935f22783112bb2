#include "json.h"

#include "buf.h"
#include "slice.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 1000 };

static const int64_t int_max = INT64_C(1) << 53;

/* Only cJSON knows what it allocates: nodes, strings, and the growing text of a
 * print. Any of it may hold a secret, so all of it is wiped. */
static void *take(size_t n)
{
	return xcalloc(n, 1);
}

static void give_back(void *p)
{
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

/* Before main, for cJSON keeps these in globals, which threads share. */
__attribute__((constructor)) static void set_memory(void)
{
	cJSON_Hooks hooks = { take, give_back };

	cJSON_InitHooks(&hooks);
}

/* `struct json` is a cJSON under another name. */
static cJSON *node(const struct json *v)
{
	return (cJSON *)v;
}

static struct json *json(cJSON *v)
{
	return (struct json *)v;
}

static cJSON *build(struct slice v, int depth);

static cJSON *build_container(struct slice v, int depth)
{
	bool object = slice_kind(v) == '{';
	cJSON *c = object ? cJSON_CreateObject() : cJSON_CreateArray(), *child;
	struct buf key = BUF_SECRET(SIZE_MAX / 2);
	struct slice_walk w;
	struct slice name;

	slice_walk_start(&w, v, NULL);
	while (slice_walk_next(&w, &name, &v)) {
		buf_clear(&key);
		/* A name with U+0000 in it is none that is asked for. */
		if (object && !slice_text(name, &key))
			continue;
		child = build(v, depth + 1);
		if (child == NULL) {
			cJSON_Delete(c);
			c = NULL;
			break;
		}
		if (object)
			cJSON_AddItemToObject(c, buf_text(&key), child);
		else
			cJSON_AddItemToArray(c, child);
	}
	buf_release(&key);
	return c;
}

/* NULL: a string with U+0000 in it, which no C string can hold. */
static cJSON *build_string(struct slice v)
{
	struct buf text = BUF_SECRET(SIZE_MAX / 2);
	cJSON *c = NULL;

	if (slice_text(v, &text))
		c = cJSON_CreateString(buf_text(&text));
	buf_release(&text);
	return c ? c : cJSON_CreateNull();
}

/* Numbers stay as they are written: a double would lose digits. */
static cJSON *build_number(struct slice v)
{
	struct buf text = BUF_SECRET(SIZE_MAX / 2);
	cJSON *c;

	buf_add(&text, v.p, v.len);
	c = cJSON_CreateRaw(buf_text(&text));
	buf_release(&text);
	return c;
}

/* NULL: nested too deeply. */
static cJSON *build(struct slice v, int depth)
{
	switch (slice_kind(v)) {
	case '{':
	case '[':
		return depth < DEPTH_MAX ? build_container(v, depth) : NULL;
	case '"':
		return build_string(v);
	case 't':
		return cJSON_CreateTrue();
	case 'f':
		return cJSON_CreateFalse();
	case 'n':
		return cJSON_CreateNull();
	default:
		return build_number(v);
	}
}

struct json *json_parse(const char *text, size_t len, struct err *e)
{
	size_t bad, line, column;
	struct slice v;
	cJSON *root;

	if (slice_document(text, len, SLICE_UTF8, &v, &bad) < 0) {
		slice_line_column(text, bad, &line, &column);
		err_set(e, EX_DATAERR,
			bad == len ? "no JSON: ends too early, line %zu, "
				     "column %zu"
				   : "no JSON: line %zu, column %zu",
			line, column);
		return NULL;
	}
	root = build(v, 0);
	if (root == NULL)
		err_set(e, EX_DATAERR, "JSON nested more than %d levels deep",
			DEPTH_MAX);
	return json(root);
}

struct json *json_object(void)
{
	return json(cJSON_CreateObject());
}

struct json *json_array(void)
{
	return json(cJSON_CreateArray());
}

struct json *json_copy(const struct json *v)
{
	return json(cJSON_Duplicate(node(v), true));
}

void json_free(struct json *root)
{
	cJSON_Delete(node(root));
}

bool json_is_object(const struct json *v)
{
	return cJSON_IsObject(node(v));
}

bool json_is_array(const struct json *v)
{
	return cJSON_IsArray(node(v));
}

/* The last of that name, as slice.h has it; cJSON would find the first. */
static cJSON *find(const struct json *o, const char *name)
{
	cJSON *found = NULL, *c;

	if (!json_is_object(o))
		return NULL;
	for (c = node(o)->child; c; c = c->next)
		if (strcmp(c->string, name) == 0)
			found = c;
	return found;
}

const struct json *json_member(const struct json *o, const char *name)
{
	return json(find(o, name));
}

const char *json_text(const struct json *o, const char *name)
{
	return cJSON_GetStringValue(find(o, name));
}

const char *json_string(const struct json *v)
{
	return cJSON_GetStringValue(node(v));
}

bool json_int(const struct json *o, const char *name, int64_t *v)
{
	const cJSON *c = find(o, name);
	struct slice text;
	int64_t i;
	double d;

	if (!cJSON_IsRaw(c))
		return false;
	text = (struct slice){ c->valuestring, strlen(c->valuestring) };
	if (!slice_int(text, &i)) {
		if (strpbrk(text.p, ".eE") == NULL)
			return false; /* beyond int64_t */
		d = strtod(text.p, NULL);
		/* At 2^53 a double may have been rounded to be whole. */
		if (!(d > (double)-int_max && d < (double)int_max))
			return false;
		i = (int64_t)d;
		if ((double)i != d)
			return false;
	}
	if (i < -int_max || i > int_max)
		return false;
	*v = i;
	return true;
}

bool json_bool(const struct json *o, const char *name, bool fallback)
{
	const cJSON *c = find(o, name);

	return cJSON_IsBool(c) ? cJSON_IsTrue(c) : fallback;
}

size_t json_count(const struct json *array_or_object)
{
	return (size_t)cJSON_GetArraySize(node(array_or_object));
}

const struct json *json_item(const struct json *array_or_object, size_t i)
{
	if (i > INT_MAX)
		return NULL;
	return json(cJSON_GetArrayItem(node(array_or_object), (int)i));
}

const char *json_item_name(const struct json *object, size_t i)
{
	const cJSON *c = node(json_item(object, i));

	return c && json_is_object(object) ? c->string : NULL;
}

/* A string of what is valid UTF-8 in `text`, U+FFFD for each other byte: what
 * goes out is JSON, whatever comes in. */
static cJSON *new_string(const char *text)
{
	struct buf clean = BUF_SECRET(SIZE_MAX / 2);
	size_t len = strlen(text), n = slice_utf8(text, len);
	cJSON *c;

	if (n == len)
		return cJSON_CreateString(text);
	for (;;) {
		buf_add(&clean, text, n);
		if (n == len)
			break;
		buf_str(&clean, "\xef\xbf\xbd");
		text += n + 1;
		len -= n + 1;
		n = slice_utf8(text, len);
	}
	c = cJSON_CreateString(buf_text(&clean));
	buf_release(&clean);
	return c;
}

static void set(struct json *o, const char *name, cJSON *v)
{
	cJSON *was;

	while ((was = find(o, name)))
		cJSON_Delete(cJSON_DetachItemViaPointer(node(o), was));
	if (!json_is_object(o) || !cJSON_AddItemToObject(node(o), name, v))
		cJSON_Delete(v);
}

void json_set_text(struct json *o, const char *name, const char *text)
{
	set(o, name, text ? new_string(text) : cJSON_CreateNull());
}

void json_set_int(struct json *o, const char *name, int64_t v)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRId64, v);
	set(o, name, cJSON_CreateRaw(text));
}

void json_set_bool(struct json *o, const char *name, bool v)
{
	set(o, name, cJSON_CreateBool(v));
}

void json_set(struct json *o, const char *name, struct json *v)
{
	set(o, name, v ? node(v) : cJSON_CreateNull());
}

void json_add(struct json *array, struct json *v)
{
	if (!json_is_array(array) ||
		!cJSON_AddItemToArray(node(array), node(v)))
		json_free(v);
}

char *json_print(const struct json *v)
{
	return cJSON_PrintUnformatted(node(v));
}

char *json_quote(const char *text)
{
	cJSON *c = new_string(text);
	char *quoted = cJSON_PrintUnformatted(c);

	cJSON_Delete(c);
	return quoted;
}
