/* state: the login of a device, which has no secret of its own: a refresh token
 * that works once and brings the next one, kept in login.json; and the clients
 * that this home was registered as, by base URL, in clients.json.
 *
 * A refresh token that is seen twice ends the login for good, and nobody can
 * tell afterwards whether a lost answer meant that it was seen. So it is taken
 * out of the file, synced, before it is sent, and the one that came for it is
 * there, synced, before the access token beside it is used. Order of calls, under
 * login_lock: login_spend, the request, login_keep. A kill in between leaves a
 * login that has ended: people have to log in again. */
#ifndef AGENTRUX_LOGIN_H
#define AGENTRUX_LOGIN_H

#include "err.h"
#include "statefile.h"

#define LOGIN_REMEDY "run agentrux-activate --device"

/* Waits for its turn; EX_TEMPFAIL if another takes too long. */
int login_lock(const struct statedir *home, struct lock *l, struct err *e);

/* Takes the refresh token out, the caller's to wipe and free. EX_NOPERM if the
 * login of this client has ended; EX_IOERR leaves it as it was, or says that not
 * even that could be done. */
int login_spend(const struct statedir *home, const char *client_id,
	char **refresh, struct err *e);
int login_keep(const struct statedir *home, const char *client_id,
	const char *refresh, struct err *e);

/* 1: there is a login of this client. 0: there is none, or it has ended. */
int login_look(
	const struct statedir *home, const char *client_id, struct err *e);

/* The client that is registered there, the caller's to free. 1: found. 0: there
 * is none. To be changed under the lock of the credentials only. */
int login_client(const struct statedir *home, const char *base_url,
	char **client_id, struct err *e);
int login_set_client(const struct statedir *home, const char *base_url,
	const char *client_id, struct err *e);

#endif
