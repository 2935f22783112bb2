/* state: what was handled, and what failed how often.
 *
 * The ledger remembers, per topic, the ids of at least the last LEDGER_WINDOW
 * events that were done (so that none is delivered twice), and the failed
 * attempts of those that are not. Of a payload field it can remember the values in the same way.
 * It is exact where the saved position lags behind: an event done beyond it is
 * not run again. Several processes may use one ledger, but the entries of one
 * topic belong to whoever holds the topic's lock: so they are read once, into a
 * window, and then only added to.
 *
 * Texts are remembered as digests (window.h). What ledger_record() was given
 * outlasts a kill when it returns 0, and with `sync` the loss of power. */
#ifndef AGENTRUX_LEDGER_H
#define AGENTRUX_LEDGER_H

#include "err.h"
#include "statefile.h"
#include "window.h"

#include <stddef.h>

enum { LEDGER_WINDOW = 20000 };

struct ledger;

/* NULL: refused or damaged (EX_CONFIG), or this machine's trouble. */
struct ledger *ledger_open(const struct statedir *home, struct err *e);
void ledger_close(struct ledger *l);

/* Adds what is remembered of a topic to an empty window: its ids (`field` NULL),
 * or the values of a payload field. */
int ledger_load(struct ledger *l, const char *topic, const char *field,
	struct window *w, struct err *e);

/* Failed attempts so far of one event; of all that have any, how many there
 * are. -1 on error. */
int ledger_attempts(struct ledger *l, const char *topic, const char *event_id,
	struct err *e);
int ledger_tried(struct ledger *l, const char *topic, struct err *e);

enum ledger_outcome { LEDGER_DONE, LEDGER_FAILED };

struct ledger_mark {
	enum ledger_outcome outcome;
	const char *event_id;
	struct window_sum id;		/* done: of the event id */
	const struct window_sum *value; /* done: of the field; NULL: none */
	bool tried;			/* done: attempts are recorded */
};

/* Records all of them, or none: one transaction. `field` is that of the
 * values. */
int ledger_record(struct ledger *l, const char *topic, const char *field,
	const struct ledger_mark *marks, size_t n, bool sync, struct err *e);

/* Forgets all of a topic: what comes again is delivered again. */
int ledger_forget(struct ledger *l, const char *topic, struct err *e);

#endif
