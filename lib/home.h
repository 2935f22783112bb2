/* state: where the home is and what its files are called; the only reader of
 * the environment.
 *
 * The option wins over the environment, the environment over the default. */
#ifndef AGENTRUX_HOME_H
#define AGENTRUX_HOME_H

#include "err.h"
#include "statefile.h"

#include <stdbool.h>

#define HOME_BOOTSTRAP "BOOTSTRAP.md"
#define HOME_INFLIGHT "BOOTSTRAP.md.inflight"
#define HOME_FAILED "BOOTSTRAP.md.failed"
#define HOME_CREDENTIALS "credentials.json"
#define HOME_CONFIG "config.json"
#define HOME_RESERVED "credentials.json.new"
#define HOME_CREDENTIALS_LOCK "credentials.json.lock"
#define HOME_LOGIN "login.json"
#define HOME_LOGIN_LOCK "login.json.lock"
#define HOME_CLIENTS "clients.json"
#define HOME_WATERLINE "waterline.json"
#define HOME_LEDGER "ledger.db"
#define HOME_DEAD "dead"
#define HOME_OUTBOX "outbox"
#define HOME_TURNS "turns"

/* Opens the home: --home, AGENTRUX_HOME, ~/.agentrux. As statedir_open; with
 * neither a home directory nor a setting it is EX_CONFIG. */
int home_open(struct statedir *home, const char *option,
	enum statedir_mode mode, struct err *e);

/* --base-url, AGENTRUX_BASE_URL, or NULL: what the credentials say. The second
 * form names the source for messages. */
const char *home_base_url(const char *option);
const char *home_base_url_source(const char *option);

/* AGENTRUX_RUNTIME_DIR, or /dev/shm/agentrux-UID; the caller's to free. */
char *home_runtime_dir(void);

/* AGENTRUX_ALLOW_HTTP=1: plain http to any host, at the user's own risk. */
bool home_allow_http(void);

/* Certificates to trust besides the system's own: CURL_CA_BUNDLE or
 * SSL_CERT_FILE, and SSL_CERT_DIR, as curl reads them; NULL if unset. */
const char *home_ca_file(void);
const char *home_ca_dir(void);

/* TMPDIR or /tmp. */
const char *home_tmp_dir(void);

#endif
