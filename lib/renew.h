/* service: what changes a home that is set up already: a new secret, a further
 * grant. Not every dialect has them: EX_USAGE where it does not.
 *
 * `home` and `base_url` as the options have them, or NULL. */
#ifndef AGENTRUX_RENEW_H
#define AGENTRUX_RENEW_H

#include "cred.h"
#include "err.h"
#include "json.h"

/* Exchanges the secret for a new one, with the discipline of cred.h: one
 * request, and a secret that came is on the disk. `now` gets the credentials,
 * the caller's to release in either case. */
int renew_secret(const char *home, const char *base_url, struct cred *now,
	struct err *e);

/* Redeems the invite code that stands in `text`, and drops the cached token,
 * whose scope is older than the grant. `granted` gets {"topic_id","action"},
 * the caller's. */
int renew_grant(const char *home, const char *base_url, const char *text,
	struct json **granted, struct err *e);

#endif
