/* format: an activation or invite code, as people keep it: somewhere in a text,
 * between backticks, with a BOM before it or a CR behind it. Pure code. */
#ifndef AGENTRUX_CODE_H
#define AGENTRUX_CODE_H

#include <stddef.h>

/* The first line that starts with one of the prefixes (NULL-terminated) once
 * blanks, backticks and a BOM are gone; its shape is not looked at. The caller's
 * to wipe and free; NULL: there is none. */
char *code_find(const char *text, size_t len, const char *const *prefixes);

#endif
