/* hub: programs that join without a code (RFC 7591, 8628): they register, show a
 * code to a person, and wait until the operator has said which script they are.
 *
 * All of it has to stand between db_begin and db_commit. */
#ifndef AGENTRUX_HUB_DEVICES_H
#define AGENTRUX_HUB_DEVICES_H

#include "registry.h"

enum { CLIENT_NAME_MAX = 256, USER_CODE = 10 /* room for ABCD-EFGH */ };

enum device_state {
	DEVICE_PENDING,
	DEVICE_TOO_FAST, /* pending, and asked again too soon */
	DEVICE_DENIED,
	DEVICE_APPROVED, /* and the code is spent */
	DEVICE_EXPIRED,
	DEVICE_UNKNOWN,
	DEVICE_ERROR = -1
};

/* Registers a program; `id` is made. 1, or 0 if there are too many that nobody
 * uses, or -1. */
int client_add(struct db *db, const char *name, char id[ID_MAX], struct err *e);

/* 1, 0, -1. */
int client_is_there(struct db *db, const char *id, struct err *e);

struct device {
	char code[SIGN_SECRET];
	char user_code[USER_CODE];
	long life_s, interval_s; /* in: how often it may ask; out: how long */
};

/* A program of the client `client` begins to wait. 1, or 0 if too many do, or
 * -1. */
int device_add(
	struct db *db, const char *client, struct device *d, struct err *e);

/* The program asks. */
enum device_state device_poll(struct db *db, const char *client,
	const char *code, int64_t *script, struct err *e);

/* The operator answers: `script` is a row, 0 denies. The code may be written in
 * any case, with or without its dash. 1, 0 nobody waits with this code, -1. */
int device_answer(
	struct db *db, const char *user_code, int64_t script, struct err *e);

/* The families of refresh tokens. Whatever ends a script's secret ends them as
 * well (registry.h). */
int family_add(struct db *db, const char *client, int64_t script,
	int64_t *family, struct err *e);
int family_is_there(struct db *db, int64_t family, const char *client,
	struct err *e);					       /* 1, 0, -1 */
int family_used(struct db *db, int64_t family, struct err *e); /* lives on */
int family_end(struct db *db, int64_t family, struct err *e);

#define FAMILY_MS (30 * 24 * (int64_t)3600 * 1000)

/* Drops what nobody will ask for any more. */
int device_sweep(struct db *db, struct err *e);

#endif
