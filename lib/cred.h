/* state: the credentials of a script, as kept in credentials.json.
 *
 * Read are our own form and those of the Node plugin: `clientSecret` for
 * `client_secret`, with or without `client_id` (which makes them oauth ones).
 * Those of a device login have a `client_id` and no such member at all.
 * The secret is wiped by cred_release and never part of a message.
 *
 * New credentials arrive once and cannot be asked for again. So whoever is
 * about to ask takes the lock (cred_lock), has room made for them on the disk
 * (cred_reserve), asks, and then has them put in place (cred_commit) or gives
 * the room back (cred_unreserve). A kill in between leaves the reservation,
 * which is padding only and goes with the next one, or the secret in it, which
 * cred_recover puts in place and nothing overwrites. */
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
	char *secret;	 /* NULL: a device login (login.h), by client_id */
};

/* 1: loaded. 0: there are none. -1: refused or damaged (EX_CONFIG). */
int cred_load(const struct statedir *home, struct cred *c, struct err *e);

/* The file's contents for these credentials, the caller's to wipe and free. */
char *cred_document(const struct cred *c);

/* The contents of the present file with another secret, under the member name
 * that is found there; every other byte stays. NULL on error. */
char *cred_document_with(
	const struct statedir *home, const char *secret, struct err *e);

/* Adds what may be shown: script_id, client_id, base_url, as far as known. */
struct json;
void cred_describe(const struct cred *c, struct json *o);

/* The id that the token endpoint knows us by; NULL: there are no credentials. */
const char *cred_id(const struct cred *c);

/* A URL as given, without trailing slashes; the caller's to free. */
char *cred_trim_url(const char *url);

void cred_release(struct cred *c);

/* The lock of whoever changes the credentials; waits at most wait_ms. 1: taken.
 * 0: held by another. -1: error or told to end. */
int cred_lock(const struct statedir *home, struct lock *l, long wait_ms,
	struct err *e);
bool cred_locked(const struct statedir *home); /* at this moment, by anyone */

/* What a run that was cut short has left in the place of new credentials. */
enum cred_left {
	CRED_LEFT_NOTHING,
	CRED_LEFT_PADDING, /* a reservation that was never used */
	CRED_LEFT_SECRET,  /* or what may be one */
};
int cred_left(const struct statedir *home, enum cred_left *left, struct err *e);
/* Removes what is padding. */
void cred_tidy(const struct statedir *home);

struct cred_slot {
	int fd;
	char *map;    /* the file's bytes, should writing to it fail; or NULL */
	bool written; /* after a failed commit: the secret is in the file */
};

#define CRED_SLOT_NONE                                                         \
	{                                                                      \
		.fd = -1                                                       \
	}

/* Room for a document of CRED_FILE_MAX bytes, on disk when this returns 0.
 * EX_CANTCREAT if a secret lies there already; it is left alone. */
int cred_reserve(
	const struct statedir *home, struct cred_slot *s, struct err *e);
void cred_unreserve(const struct statedir *home, struct cred_slot *s);

/* Puts the document in place, durably; every step that fails is tried once
 * more. `fresh`: never over credentials that have come there meanwhile. */
int cred_commit(const struct statedir *home, struct cred_slot *s,
	const char *document, bool fresh, struct err *e);

/* Puts in place what a cut-short run left, and loads it. 1: done. 0: nothing
 * is left. -1: EX_CONFIG if it is not whole, EX_CANTCREAT if it is another
 * script's than the credentials that are there. */
int cred_recover(const struct statedir *home, struct cred *c, struct err *e);

#endif
