/* format: documents that are ours, and small answers, by field. The only user
 * of cJSON, which holds the tree and prints it; slice.h reads the text, so that
 * trailing garbage and bad UTF-8 are refused, names are compared exactly, of
 * double ones the last counts, and numbers stay as they are written.
 *
 * Still not for events and payloads: a string with \u0000 in it becomes null, a
 * member whose name has one is left out, a lone surrogate becomes U+FFFD, and
 * nesting ends at 1000 levels.
 *
 * `struct json` is opaque; a root belongs to the caller until json_free. Members
 * borrow from it. Documents may hold secrets: whatever memory is given up here
 * is wiped first. */
#ifndef AGENTRUX_JSON_H
#define AGENTRUX_JSON_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json;

/* NULL with EX_DATAERR in `e`, telling line and column, never content. */
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

/* A number member that is an integer within 2^53 (1.5e3 is one, too). Leaves
 * `*v` as it was if there is none. */
bool json_int(const struct json *o, const char *name, int64_t *v);

/* true or false member; `fallback` if it is not there or neither. */
bool json_bool(const struct json *o, const char *name, bool fallback);

size_t json_count(const struct json *array_or_object);
const struct json *json_item(const struct json *array_or_object, size_t i);
const char *json_item_name(const struct json *object, size_t i);

/* Setting replaces. A NULL text is JSON null; bytes of a text that are not UTF-8
 * become U+FFFD, here and in json_quote. json_set and json_add take `v`. */
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
