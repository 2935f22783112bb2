#include "devices.h"

#include <stdio.h>
#include <string.h>

enum {
	LIFE_S = 900,
	SLACK_MS = 500, /* for clocks and networks */
	SLOWER_MS = 5000,
	WAITING_MAX = 1000,
	IDLE_CLIENTS_MAX = 5000
};

/* A client that came to nothing is forgotten after a day. */
#define CLIENT_MS (24 * (int64_t)3600 * 1000)

static int64_t count(struct db *db, struct err *e, const char *sql)
{
	struct query *q = db_query(db, e, sql, "");
	int64_t n = db_step(q, e) == 1 ? db_int(q, 0) : -1;

	db_done(q);
	return n;
}

static int is_there(struct query *q, struct err *e)
{
	int r = db_step(q, e);

	db_done(q);
	return r;
}

static int changed(int n)
{
	return n < 0 ? -1 : 0;
}

int client_add(struct db *db, const char *name, char id[ID_MAX], struct err *e)
{
	int64_t n = count(db, e, "SELECT count(*) FROM clients");
	unsigned char raw[16];
	char uuid[SIGN_UUID];

	if (n < 0 || n >= IDLE_CLIENTS_MAX)
		return n < 0 ? -1 : 0;
	sign_uuid4(raw);
	sign_uuid_text(raw, uuid);
	snprintf(id, ID_MAX, "cli_%s", uuid);
	return db_exec(db, e,
		       "INSERT INTO clients (id, name, at) VALUES (?, ?, ?)",
		       "tti", id, name, db_now()) < 0
		       ? -1
		       : 1;
}

int client_is_there(struct db *db, const char *id, struct err *e)
{
	return is_there(
		db_query(db, e, "SELECT 1 FROM clients WHERE id = ?", "t", id),
		e);
}

/* Eight letters that make no words and are not mistaken for each other. */
static void make_user_code(char out[USER_CODE])
{
	static const char letters[] = "BCDFGHJKLMNPQRSTVWXZ"; /* 20 */
	unsigned char c;
	int i;

	for (i = 0; i < USER_CODE - 1; i++) {
		do
			sign_random(&c, 1);
		while (c >= 240);
		out[i] = letters[c % 20];
	}
	out[4] = '-';
	out[USER_CODE - 1] = '\0';
}

int device_add(
	struct db *db, const char *client, struct device *d, struct err *e)
{
	int64_t n = count(db, e, "SELECT count(*) FROM devices");
	unsigned char hash[SIGN_KEY];

	if (n < 0 || n >= WAITING_MAX)
		return n < 0 ? -1 : 0;
	sign_secret("dvc_", d->code);
	sign_hash(d->code, strlen(d->code), hash);
	make_user_code(d->user_code);
	d->life_s = LIFE_S;
	return db_exec(db, e,
		       "INSERT INTO devices (hash, user_code, client, expires, "
		       "interval) VALUES (?, ?, ?, ?, ?)",
		       "bttii", hash, sizeof hash, d->user_code, client,
		       db_now() + LIFE_S * 1000,
		       (int64_t)d->interval_s * 1000) < 0
		       ? -1
		       : 1;
}

static int forget(
	struct db *db, const unsigned char hash[SIGN_KEY], struct err *e)
{
	return changed(db_exec(db, e, "DELETE FROM devices WHERE hash = ?", "b",
		hash, (size_t)SIGN_KEY));
}

/* Asked once more; too soon makes the interval longer, as RFC 8628 wants it. */
static enum device_state ask_again(struct db *db,
	const unsigned char hash[SIGN_KEY], int64_t interval, int64_t polled,
	struct err *e)
{
	int64_t now = db_now();
	bool fast = now >= polled && now - polled < interval - SLACK_MS;

	if (db_exec(db, e,
		    "UPDATE devices SET polled = ?, interval = ? "
		    "WHERE hash = ?",
		    "iib", now, fast ? interval + SLOWER_MS : interval, hash,
		    (size_t)SIGN_KEY) < 0)
		return DEVICE_ERROR;
	return fast ? DEVICE_TOO_FAST : DEVICE_PENDING;
}

enum device_state device_poll(struct db *db, const char *client,
	const char *code, int64_t *script, struct err *e)
{
	unsigned char hash[SIGN_KEY];
	struct query *q;
	int64_t expires = 0, interval = 0, polled = 0;
	bool pending = false;
	int r;

	sign_hash(code, strlen(code), hash);
	q = db_query(db, e,
		"SELECT script IS NULL, script, expires, interval, polled "
		"FROM devices WHERE hash = ? AND client = ?",
		"bt", hash, sizeof hash, client);
	r = db_step(q, e);
	if (r == 1) {
		pending = db_int(q, 0) != 0;
		*script = db_int(q, 1);
		expires = db_int(q, 2);
		interval = db_int(q, 3);
		polled = db_int(q, 4);
	}
	db_done(q);
	if (r != 1)
		return r < 0 ? DEVICE_ERROR : DEVICE_UNKNOWN;
	if (expires <= db_now())
		return DEVICE_EXPIRED;
	if (pending)
		return ask_again(db, hash, interval, polled, e);
	if (*script == 0)
		return DEVICE_DENIED;
	return forget(db, hash, e) < 0 ? DEVICE_ERROR : DEVICE_APPROVED;
}

/* As it was shown; -1: it cannot be one. */
static int read_user_code(const char *text, char out[USER_CODE])
{
	size_t n = 0;

	for (; *text; text++) {
		char c = *text;

		if (c == '-' || c == ' ')
			continue;
		if (c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		if (n == 4)
			out[n++] = '-';
		if (c < 'A' || c > 'Z' || n == USER_CODE - 1)
			return -1;
		out[n++] = c;
	}
	out[n] = '\0';
	return n == USER_CODE - 1 ? 0 : -1;
}

int device_answer(
	struct db *db, const char *user_code, int64_t script, struct err *e)
{
	char code[USER_CODE];

	if (read_user_code(user_code, code) < 0)
		return 0;
	return db_exec(db, e,
		"UPDATE devices SET script = ? WHERE user_code = ? "
		"AND script IS NULL AND expires > ?",
		"iti", script, code, db_now());
}

int family_add(struct db *db, const char *client, int64_t script,
	int64_t *family, struct err *e)
{
	struct query *q = db_query(db, e,
		"INSERT INTO families (client, script, at) VALUES (?, ?, ?) "
		"RETURNING row",
		"tii", client, script, db_now());
	int r = db_step(q, e);

	if (r == 1) {
		*family = db_int(q, 0);
		r = db_step(q, e); /* to its end, or nothing is changed */
	}
	return r < 0 ? -1 : 0;
}

int family_is_there(
	struct db *db, int64_t family, const char *client, struct err *e)
{
	return is_there(db_query(db, e,
				"SELECT 1 FROM families WHERE row = ?1 "
				"AND (?2 IS NULL OR client = ?2)",
				"it", family, client),
		e);
}

int family_used(struct db *db, int64_t family, struct err *e)
{
	return changed(
		db_exec(db, e, "UPDATE families SET at = ? WHERE row = ?", "ii",
			db_now(), family));
}

int family_end(struct db *db, int64_t family, struct err *e)
{
	return changed(db_exec(
		db, e, "DELETE FROM families WHERE row = ?", "i", family));
}

int device_sweep(struct db *db, struct err *e)
{
	int64_t now = db_now();

	/* An expired code is told from an unknown one for as long again. */
	if (db_exec(db, e, "DELETE FROM devices WHERE expires < ?", "i",
		    now - LIFE_S * 1000) < 0 ||
		db_exec(db, e, "DELETE FROM families WHERE at < ?", "i",
			now - FAMILY_MS) < 0)
		return -1;
	return changed(db_exec(db, e,
		"DELETE FROM clients WHERE at < ? AND id NOT IN "
		"(SELECT client FROM families) AND id NOT IN "
		"(SELECT client FROM devices)",
		"i", now - CLIENT_MS));
}
