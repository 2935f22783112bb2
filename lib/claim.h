/* state: BOOTSTRAP.md, from the moment a run claims it to what becomes of it.
 *
 * Claiming renames it to BOOTSTRAP.md.inflight, which also holds against a
 * claimant that knows nothing of our locks. Then one of three: it goes back
 * (claim_restore), it is spent and goes away (claim_drop), or it is kept for
 * people to look at, beside a few words why (claim_quarantine). A newer
 * BOOTSTRAP.md that was written meanwhile always wins and is never touched.
 *
 * All of this under the lock of cred.h. A kill at any instant leaves the file
 * under one of its names. */
#ifndef AGENTRUX_CLAIM_H
#define AGENTRUX_CLAIM_H

#include "buf.h"
#include "err.h"
#include "statefile.h"

#include <stdbool.h>

enum { CLAIM_FILE_MAX = 65536 };

/* What is there, without touching it: any of these bits. */
enum claim_seen {
	CLAIM_WAITING = 1,  /* BOOTSTRAP.md */
	CLAIM_INFLIGHT = 2, /* claimed: by a run under way, or one cut short */
	CLAIM_LEFTOVER = 4, /* for claim_sweep */
};
unsigned claim_look(const struct statedir *home);

/* 1: claimed. 0: there is none. -1: error, nothing changed. */
int claim_take(const struct statedir *home, struct err *e);

/* What was claimed, appended to `text`. 1: read. 0: it is none that may be read
 * (no regular file, not ours, over CLAIM_FILE_MAX), `e` telling why. -1: disk
 * trouble. `exposed`: others could read it; they no longer can. */
int claim_read(const struct statedir *home, struct buf *text, bool *exposed,
	struct err *e);

/* Back to BOOTSTRAP.md. 1: it is back. 0: a newer one is there and stays; the
 * claimed one is dropped, if `drop` says so. -1: error; it is where it was. */
int claim_restore(const struct statedir *home, bool drop, struct err *e);

/* Spent: it goes. */
int claim_drop(const struct statedir *home, struct err *e);

/* Out of the way as BOOTSTRAP.md.failed-<local time>, with `why` (a JSON text)
 * in a file beside it. `path` gets its absolute path, the caller's to free. -1
 * if it could not be moved; words that could not be kept only cost a warning. */
int claim_quarantine(const struct statedir *home, const char *why, char **path,
	struct err *e);

/* Removes what a run that was cut short during claim_quarantine left. */
void claim_sweep(const struct statedir *home);

#endif
