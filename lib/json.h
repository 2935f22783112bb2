/* format: documents that are ours, and small answers, by field. The only user
 * of cJSON.
 *
 * Not for events and payloads: cJSON loses integers above 2^53, cuts strings at
 * \u0000 and looks names up without regard to case. What is parsed here was
 * checked by slice.h first, so trailing garbage and bad UTF-8 are refused, and
 * names are compared exactly. Depth is limited by cJSON (1000).
 *
 * `struct json` is opaque; a root belongs to the caller until json_free (which
 * wipes every string in it, for it may hold secrets). Members borrow from it. */
#ifndef AGENTRUX_JSON_H
#define AGENTRUX_JSON_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json;

/* NULL with EX_DATAERR in `e`, telling line and column, not content. */
struct json *json_parse(const char *text, size_t len, struct err *e);
struct json *json_object(void);
struct json *json_array(void);
struct json *json_copy(const struct json *v); /* a root of the caller's own */
void json_free(struct json *root);

bool json_is_object(const struct json *v);
bool json_is_array(const struct json *v);

/* NULL if it is not there (or `o` is NULL or not an object). */
const struct json *json_member(const struct json *o, const char *name);

/* A string member's text; NULL if it is not there or not a string. */
const char *json_text(const struct json *o, const char *name);

/* A value that is a string itself; NULL if it is none. */
const char *json_string(const struct json *v);

/* A number member that is an integer within 2^53. */
bool json_int(const struct json *o, const char *name, int64_t *v);

/* true or false member; `fallback` if it is not there or neither. */
bool json_bool(const struct json *o, const char *name, bool fallback);

size_t json_count(const struct json *array_or_object);
const struct json *json_item(const struct json *array_or_object, size_t i);
const char *json_item_name(const struct json *object, size_t i);

/* Setting replaces. A NULL text is JSON null. `json_set` takes `v`. */
void json_set_text(struct json *o, const char *name, const char *text);
void json_set_int(struct json *o, const char *name, int64_t v);
void json_set_bool(struct json *o, const char *name, bool v);
void json_set(struct json *o, const char *name, struct json *v);
void json_add(struct json *array, struct json *v);

/* On one line, the caller's to free (buf_wipe_free if it holds a secret). */
char *json_print(const struct json *v);

/* A text as a JSON string with its quotes, the caller's to free. */
char *json_quote(const char *text);

#endif
