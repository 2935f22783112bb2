/* hub: application/x-www-form-urlencoded, as token endpoints get it. Pure. */
#ifndef AGENTRUX_HUB_FORM_H
#define AGENTRUX_HUB_FORM_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>

enum { FORM_VALUE_MAX = 1024 };

struct form_want {
	const char *name;
	char *value; /* out: decoded; NULL if it is not there or empty */
};

/* Fills in the wanted fields, which form_release wipes and frees, also after
 * -1. EX_DATAERR: it is no form, or a wanted field is there twice. */
int form_read(const char *body, size_t len, struct form_want *want, size_t n,
	struct err *e);
void form_release(struct form_want *want, size_t n);

#endif
