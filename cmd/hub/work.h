/* hub: changes to the database, many to a commit.
 *
 * One thread does all the changes of the server. It takes whatever waits into
 * one transaction, so that a hundred publishers share one fsync; who waits
 * longer for the disk finds more company. A second thread does slow work on
 * files (syncing an upload), so that no commit waits for it.
 *
 * A job is its owner's struct with a `struct job` in it. work_submit lends it
 * until `done` was called, on one of the two threads, exactly once:
 *
 *   prepare  (may be NULL) on the file thread, before `run`
 *   run      inside the transaction: 0 keep its changes, 1 undo them (a
 *            refusal; the job's owner knows why), -1 undo them (an error)
 *   done     after the commit; e->code is not 0 if prepare, run or the commit
 *            failed, and then nothing of the job is in the database
 *
 * After the `done`s of a commit, the `settled` of work_start is called once. */
#ifndef AGENTRUX_HUB_WORK_H
#define AGENTRUX_HUB_WORK_H

#include "db.h"

struct job {
	int (*prepare)(struct job *j, struct err *e);
	int (*run)(struct job *j, struct db *db, struct err *e);
	void (*done)(struct job *j, const struct err *e);
	size_t weight; /* bytes it writes, roughly */
	int outcome;
	struct err *error; /* of prepare and run, while it lasts */
	struct job *next;
};

struct work;

/* Takes `db` over. */
struct work *work_start(
	struct db *db, void (*settled)(void *arg), void *arg, struct err *e);

/* -1: it is closing and the job is still the caller's. */
int work_submit(struct work *w, struct job *j);

/* For a thread of its own: submits, waits and says how it went. */
int work_wait(struct work *w, struct job *j, struct err *e);

/* Takes no more jobs from here on, does those that wait, ends the threads.
 * Once we were told to end (stop.h), slow work on files is not begun. */
void work_stop(struct work *w);

/* After work_stop, when nobody can submit any more. NULL is fine. */
void work_free(struct work *w);

#endif
