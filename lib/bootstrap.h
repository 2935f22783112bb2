/* service: from an activation code to credentials, once and for all.
 *
 * The ritual (bootstrap_activate) claims BOOTSTRAP.md, looks at it, makes room
 * for the credentials on the disk, sends the code in exactly one request and
 * puts the answer in place. Whatever happens in between, a code that was not
 * spent goes back, one that is of no use is kept aside with the reason, and a
 * secret that came is on the disk. Of several runs at once one works and the
 * others find it done.
 *
 * Order of calls: start with BOOTSTRAP_NONE, fill the first members, call one of
 * the functions, look at the result, bootstrap_release. A function returns 0 or -1
 * with the exit code in `e`; the result is filled in either case. */
#ifndef AGENTRUX_BOOTSTRAP_H
#define AGENTRUX_BOOTSTRAP_H

#include "err.h"
#include "outcome.h"
#include "statefile.h"

struct bootstrap {
	const char *home, *base_url; /* as the options have them, or NULL */
	const char *text; /* holds the code, instead of BOOTSTRAP.md; or NULL */

	struct outcome result;

	struct statedir dir; /* its own */
	struct lock lock;
};

#define BOOTSTRAP_NONE                                                         \
	{                                                                      \
		.dir = STATEDIR_NONE, .lock = LOCK_NONE                        \
	}

int bootstrap_activate(struct bootstrap *b, struct err *e);

/* Finishes what a crash left: a secret that arrived, else a claimed code. */
int bootstrap_recover(struct bootstrap *b, struct err *e);

/* The pieces, for a ritual of another kind (device.h). Takes the lock and looks
 * what is there, in a home that is open. */
int bootstrap_begin(struct bootstrap *b, struct err *e);
/* Ends a run that never came to its request, or that brought nothing. */
int bootstrap_refused(struct bootstrap *b, struct err *e);
/* There are credentials already. */
int bootstrap_present(struct bootstrap *b, struct err *e);
/* Puts b->result.cred in place; `fresh`: never over others. */
int bootstrap_keep(
	struct bootstrap *b, struct cred_slot *slot, bool fresh, struct err *e);

void bootstrap_release(struct bootstrap *b);

#endif
