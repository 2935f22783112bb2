/* state: what was handled, and what failed how often.
 *
 * The ledger remembers, per topic, the ids of the last LEDGER_WINDOW events that
 * were done (so that none is delivered twice), and the failed attempts of those
 * that are not. It is exact where the saved position lags behind: an event done
 * beyond it is not run again. What ledger_record() was given is on disk when it
 * returns 0. Several processes may use one ledger. */
#ifndef AGENTRUX_LEDGER_H
#define AGENTRUX_LEDGER_H

#include "err.h"
#include "statefile.h"

#include <stddef.h>

enum { LEDGER_WINDOW = 10000 };

struct ledger;

/* NULL: refused or damaged (EX_CONFIG), or this machine's trouble. */
struct ledger *ledger_open(const struct statedir *home, struct err *e);
void ledger_close(struct ledger *l);

/* Around many look-ups, so that they share one view and its locks. */
int ledger_look_begin(struct ledger *l, struct err *e);
void ledger_look_end(struct ledger *l);

/* 1: done already. 0: not. -1: error. */
int ledger_seen(struct ledger *l, const char *topic, const char *event_id,
	struct err *e);

/* Failed attempts so far; -1 on error. */
int ledger_attempts(struct ledger *l, const char *topic, const char *event_id,
	struct err *e);

enum ledger_outcome { LEDGER_DONE, LEDGER_FAILED };

struct ledger_mark {
	const char *event_id;
	enum ledger_outcome outcome;
};

/* Records all of them, or none: one transaction, synced. */
int ledger_record(struct ledger *l, const char *topic,
	const struct ledger_mark *marks, size_t n, struct err *e);

/* Forgets all of a topic: what comes again is delivered again. */
int ledger_forget(struct ledger *l, const char *topic, struct err *e);

#endif
