/* state: the credentials of a script, as kept in credentials.json.
 *
 * Read are our own form and those of the Node plugin: `clientSecret` for
 * `client_secret`, with or without `client_id` (which makes them oauth ones).
 * The secret is wiped by cred_release and never part of a message. */
#ifndef AGENTRUX_CRED_H
#define AGENTRUX_CRED_H

#include "err.h"
#include "statefile.h"

#include <stdbool.h>

enum { CRED_FILE_MAX = 65536 };

#define CRED_DEFAULT_URL "https://api.agentrux.com"

struct cred {
	char *base_url; /* no trailing slash; NULL if the file has none */
	char *script_id;
	char *client_id; /* oauth only, else NULL */
	char *secret;
};

/* 1: loaded. 0: there are none. -1: refused or damaged (EX_CONFIG). */
int cred_load(const struct statedir *home, struct cred *c, struct err *e);

/* The file's contents for these credentials, the caller's to wipe and free. */
char *cred_document(const struct cred *c);

/* The id that the token endpoint knows us by. */
const char *cred_id(const struct cred *c);

/* A URL as given, without trailing slashes; the caller's to free. */
char *cred_trim_url(const char *url);

void cred_release(struct cred *c);

#endif
