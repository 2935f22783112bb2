/* state: small files that are locked, checked and replaced whole.
 *
 * A state directory is opened once (statedir_open) and everything in it is then
 * reached through its descriptor. To change a file: take its lock, load, build
 * the new contents, replace, release the lock. Replacing writes NAME.new, syncs
 * it, renames it over NAME and syncs the directory: a kill at any instant leaves
 * the old file or the new one, and at most one leftover, which the next change
 * overwrites.
 *
 * Refused with EX_CONFIG, naming the command that mends it: a file that others
 * can read or write, that is not ours, that is no regular file, or is over its
 * ceiling. Such a file is never overwritten. Disk trouble is EX_IOERR. */
#ifndef AGENTRUX_STATEFILE_H
#define AGENTRUX_STATEFILE_H

#include "buf.h"
#include "err.h"

#include <stdbool.h>

struct statedir {
	char *path; /* for messages */
	int fd;
};

#define STATEDIR_NONE                                                          \
	{                                                                      \
		NULL, -1                                                       \
	}

enum statedir_mode {
	STATEDIR_FIND,	/* 0 if it is not there: statedir.fd stays -1 */
	STATEDIR_CREATE /* make it, 0700, if it is not there */
};

/* Refused (EX_CONFIG): not a directory, not ours, writable by others.
 * 1: open. 0: not there. -1: error. */
int statedir_open(struct statedir *d, const char *path, enum statedir_mode mode,
	struct err *e);

/* A directory inside one, by the same rules. */
int statedir_sub(const struct statedir *d, const char *name,
	enum statedir_mode mode, struct statedir *sub, struct err *e);

void statedir_close(struct statedir *d);

struct lock {
	int fd;
};

#define LOCK_NONE                                                              \
	{                                                                      \
		-1                                                             \
	}

/* flock(2) on the file NAME, made if missing and never deleted. Waits at most
 * wait_ms (0: not at all; -1: without limit). 1: taken. 0: held by another.
 * -1: error or told to end. Released by lock_release, or when the process and
 * whoever inherited the descriptor have ended. */
int lock_take(struct lock *l, const struct statedir *d, const char *name,
	long wait_ms, struct err *e);
void lock_release(struct lock *l);

/* Is it held at this moment? For reports only: makes nothing, waits for
 * nothing, and may be outdated when it returns. */
bool lock_held(const struct statedir *d, const char *name);

/* Appends the file's contents to `out` (whose ceiling is the file's).
 * 1: loaded. 0: not there. -1: refused or unreadable. */
int statefile_load(const struct statedir *d, const char *name, struct buf *out,
	struct err *e);

/* Refuses the file NAME, or the directory itself (NULL), with EX_CONFIG:
 * "reading <path>: WHAT: COMMAND". A @ in the command stands for the path, in
 * quotes: what a message tells to run can be pasted as it is. Returns -1. */
int statefile_refuse(const struct statedir *d, const char *name,
	const char *what, const char *command, struct err *e);

/* Is the open file NAME what a state file must be, and no larger than max? */
int statefile_check(const struct statedir *d, const char *name, int fd,
	size_t max, struct err *e);

/* Why could it not be opened, as errno says? Returns -1. */
int statefile_unopened(
	const struct statedir *d, const char *name, struct err *e);

/* Replaces the file. The caller holds its lock. */
int statefile_replace(const struct statedir *d, const char *name,
	const void *data, size_t len, struct err *e);

/* Removes the file (fine if it is not there) and syncs the directory. */
int statefile_remove(const struct statedir *d, const char *name, struct err *e);

/* fsync of the directory: what was renamed or removed stays so. */
int statedir_sync(const struct statedir *d, struct err *e);

/* The pieces of a replacement, for rituals that act between them. The first
 * opens NAME for reading and writing, empty, 0600 whatever the umask; -1 on
 * error. The second fills a file so made and syncs it; what it cannot finish is
 * removed. The third renames without ever replacing: -1 and errno, EEXIST if
 * `to` is there. */
int statefile_create(const struct statedir *d, const char *name, struct err *e);
int statefile_write(const struct statedir *d, const char *name,
	const void *data, size_t len, struct err *e);
int statefile_move(const struct statedir *d, const char *from, const char *to);

#endif
