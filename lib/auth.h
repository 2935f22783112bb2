/* service: from a code to credentials, and from credentials to a token that is
 * valid now.
 *
 * One token request for many callers: whoever needs a token and finds none in
 * the shared cache takes its lock, looks again, and only then asks (DESIGN 4).
 * A refresh token is forgotten by all before it is sent; that of a device login
 * is all there is (login.h), so without an answer to it people have to log in
 * again: EX_NOPERM, saying how. A 429 is remembered
 * for all until its end. */
#ifndef AGENTRUX_AUTH_H
#define AGENTRUX_AUTH_H

#include "cred.h"
#include "dialect.h"
#include "err.h"
#include "http.h"
#include "token.h"
#include "wire.h"

#include <stdbool.h>

struct auth {
	struct http *http; /* borrowed, as are the next four */
	const char *base_url;
	const struct cred *cred;
	const struct dialect *dialect;
	const struct statedir *home; /* where a device login is kept */
	struct token_cache cache;
	struct token token; /* what this process knows */
};

/* The others are set by the caller; opens the cache. */
void auth_open(struct auth *a);
void auth_close(struct auth *a);

/* A valid access token, borrowed until the next call here. EX_TEMPFAIL, with
 * the time left in retry_ms, while the service allows none. */
int auth_token(struct auth *a, const char **token, struct err *e);

/* Does the service allow no token for now (a 429, ours or another process's)? */
bool auth_is_blocked(const struct auth *a);

/* A server answered 401 to this token: drop it, unless another has taken its
 * place meanwhile. */
int auth_rejected(struct auth *a, const char *token, struct err *e);

/* Drops what is cached, the refresh token too. */
int auth_forget(struct auth *a, struct err *e);

/* Puts a token that came with credentials where all who have these find it. */
void auth_share(const char *base_url, const struct cred *cred,
	const struct token *token);

/* Reads the cache into a->token, for a look: takes no lock, asks nobody. */
void auth_look(struct auth *a);

/* Redeems an activation code: one request, never repeated. On 0 `cred` has id
 * and secret (its base_url is the caller's affair) and `grants` is an array to
 * be freed, or NULL. On -1 `we` tells what the service said, if anything. */
int auth_redeem(struct http *http, const char *base_url, const char *code,
	struct cred *cred, struct json **grants, struct wire_error *we,
	struct err *e);

/* Redeems an invite code, and exchanges the secret: one request each, for a
 * dialect that has them. As their answers in dialect.h. */
int auth_invite(struct auth *a, const char *code, char **topic_id,
	char **action, struct err *e);
int auth_rotate(struct auth *a, char **secret, struct token *token,
	struct wire_error *we, struct err *e);

#endif
