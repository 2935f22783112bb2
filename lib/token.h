/* state: the access token that all processes of a user share, in memory only.
 *
 * One file per credentials (base URL, id and secret, hashed) in the runtime
 * directory, which must be on a memory file system, ours and 0700. Reading takes
 * no lock. To change it: token_lock, token_load again, token_save, and release
 * the lock. Where there is no such directory the cache is `off`: the token then
 * stays in the process, and the user has been warned.
 *
 * A damaged cache is as good as none. Times are those of backoff_clock_ms. */
#ifndef AGENTRUX_TOKEN_H
#define AGENTRUX_TOKEN_H

#include "cred.h"
#include "err.h"
#include "statefile.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	TOKEN_STALE_MS = 60000,
	TOKEN_MAX = 16384,
	/* Longer than two requests may take: a refresh and one anew. */
	TOKEN_LOCK_MS = 260000,
};

struct token_cache {
	struct statedir dir;
	char name[80];
	char lock_name[90];
	bool off;
};

struct token {
	char *access;	    /* NULL: none */
	char *refresh;	    /* NULL: none */
	int64_t expires_ms; /* end of the access token */
	int64_t stale_ms;   /* not to be used from then on */
	int64_t blocked_ms; /* no request before that (429); 0: none */
	/* The last request's failure, for those who waited for it: when, the
	 * exit code and the text. 0 and NULL: it did not fail. */
	int64_t failed_ms, failed_code;
	char *failed;
};

/* `base_url` as requests use it. Never fails: a directory that is not what it
 * must be is not used, which the user is told. */
void token_cache_open(
	struct token_cache *t, const char *base_url, const struct cred *c);
void token_cache_close(struct token_cache *t);

/* Fills `t`; all empty if there is nothing usable. Release it in any case. */
void token_load(const struct token_cache *c, struct token *t);
int token_save(
	const struct token_cache *c, const struct token *t, struct err *e);
int token_forget(const struct token_cache *c, struct err *e);

/* Waits for its turn, EX_TEMPFAIL after TOKEN_LOCK_MS; fine (and nothing to
 * release) where the cache is off. A directory that was removed under a running
 * program, as a logout may do, is made again. */
int token_lock(struct token_cache *c, struct lock *l, struct err *e);

/* Is there an access token that is not stale? */
bool token_fresh(const struct token *t, int64_t now_ms);

/* Takes over what an endpoint granted at `asked_ms` for `lifetime_ms`. The texts
 * are copied. Stale is TOKEN_STALE_MS before the end, or half a lifetime that is
 * too short for that. */
void token_set(struct token *t, const char *access, const char *refresh,
	int64_t asked_ms, int64_t lifetime_ms);

void token_release(struct token *t);

#endif
