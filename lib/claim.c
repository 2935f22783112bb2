#include "claim.h"

#include "home.h"
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WORDS HOME_FAILED ".new" /* of a quarantine, before it has its name */

enum { NAME_TRIES = 1000, NAME_SIZE = 96 };

static bool there(const struct statedir *home, const char *name)
{
	struct stat st;

	return fstatat(home->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

unsigned claim_look(const struct statedir *home)
{
	/* In this order: a claim that happens between the two is seen. */
	unsigned seen = there(home, HOME_BOOTSTRAP) ? CLAIM_WAITING : 0;

	if (there(home, HOME_INFLIGHT))
		seen |= CLAIM_INFLIGHT;
	if (there(home, WORDS))
		seen |= CLAIM_LEFTOVER;
	return seen;
}

void claim_sweep(const struct statedir *home)
{
	unlinkat(home->fd, WORDS, 0);
}

/* Both names on one file: a run was cut short while it put the file back. */
static bool one_file(const struct statedir *home)
{
	struct stat a, b;

	return fstatat(home->fd, HOME_BOOTSTRAP, &a, AT_SYMLINK_NOFOLLOW) ==
		       0 &&
	       fstatat(home->fd, HOME_INFLIGHT, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* BOOTSTRAP.md.failed-20260408-134523, -2, -3 …: the first that is free, with
 * what belongs beside it. False when there is none. */
static bool free_name(
	const struct statedir *home, char name[NAME_SIZE], int *number)
{
	time_t now = time(NULL);
	char when[32], beside[NAME_SIZE + 8];
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(when, sizeof when, "%Y%m%d-%H%M%S", &tm);
	for (; *number < NAME_TRIES; ++*number) {
		if (*number < 2)
			snprintf(name, NAME_SIZE, HOME_FAILED "-%s", when);
		else
			snprintf(name, NAME_SIZE, HOME_FAILED "-%s-%d", when,
				*number);
		snprintf(beside, sizeof beside, "%s.json", name);
		if (!there(home, name) && !there(home, beside))
			return true;
	}
	return false;
}

/* Renames the inflight, whatever it is, to a name of its own. */
static int set_aside(
	const struct statedir *home, char name[NAME_SIZE], struct err *e)
{
	int number = 1;

	errno = EEXIST;
	while (free_name(home, name, &number)) {
		if (statefile_move(home, HOME_INFLIGHT, name) == 0)
			return 0;
		if (errno != EEXIST)
			break;
		number++;
	}
	return err_errno(e, "setting %s/%s aside", home->path, HOME_INFLIGHT);
}

static int rename_to_inflight(const struct statedir *home)
{
	return renameat(home->fd, HOME_BOOTSTRAP, home->fd, HOME_INFLIGHT);
}

int claim_take(const struct statedir *home, struct err *e)
{
	char name[NAME_SIZE];

	/* rename(2) between two names of one file does nothing. */
	if (one_file(home) && unlinkat(home->fd, HOME_INFLIGHT, 0) < 0)
		return err_errno(e, "tidying %s", home->path);
	if (rename_to_inflight(home) == 0)
		return 1;
	if (errno == ENOENT)
		return 0;
	/* A folder of that name, or one where the inflight belongs. */
	if (errno == EISDIR || errno == ENOTDIR || errno == ENOTEMPTY ||
		errno == EEXIST) {
		if (set_aside(home, name, e) < 0)
			return -1;
		if (rename_to_inflight(home) == 0)
			return 1;
	}
	return err_errno(e, "claiming %s/%s", home->path, HOME_BOOTSTRAP);
}

static int unfit(const struct stat *st, struct err *e)
{
	if (!S_ISREG(st->st_mode))
		return err_set(e, EX_DATAERR, "%s is not a regular file",
			HOME_BOOTSTRAP);
	if (st->st_uid != geteuid())
		return err_set(e, EX_DATAERR, "%s belongs to another user",
			HOME_BOOTSTRAP);
	if (st->st_size > CLAIM_FILE_MAX)
		return err_set(e, EX_DATAERR, "%s is larger than %d bytes",
			HOME_BOOTSTRAP, CLAIM_FILE_MAX);
	return 0;
}

int claim_read(const struct statedir *home, struct buf *text, bool *exposed,
	struct err *e)
{
	struct stat st;
	int fd, r = -1;

	*exposed = false;
	/* By its name first: what is not ours may not be ours to open. */
	if (fstatat(home->fd, HOME_INFLIGHT, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(
			e, "looking at %s/%s", home->path, HOME_INFLIGHT);
	if (unfit(&st, e) < 0)
		return 0;
	/* O_NONBLOCK: should it be a FIFO by now, it must not hang us. */
	fd = io_open(home->fd, HOME_INFLIGHT, O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0 || fstat(fd, &st) < 0) {
		err_errno(e, "opening %s/%s", home->path, HOME_INFLIGHT);
		goto out;
	}
	if (unfit(&st, e) < 0) {
		r = 0;
		goto out;
	}
	*exposed = (st.st_mode & (S_IRWXG | S_IRWXO)) != 0;
	if (*exposed && fchmod(fd, 0600) < 0)
		err_errno(e, "protecting %s/%s", home->path, HOME_INFLIGHT);
	else if (io_read_all(fd, text) < 0)
		err_errno(e, "reading %s/%s", home->path, HOME_INFLIGHT);
	else
		r = 1;
out:
	if (fd >= 0)
		close(fd);
	return r;
}

int claim_drop(const struct statedir *home, struct err *e)
{
	return statefile_remove(home, HOME_INFLIGHT, e);
}

int claim_restore(const struct statedir *home, bool drop, struct err *e)
{
	bool back = true;

	/* link(2) never replaces, so a newer file stays; and there is no
	 * moment at which the claimed one is under neither name. */
	if (linkat(home->fd, HOME_INFLIGHT, home->fd, HOME_BOOTSTRAP, 0) < 0) {
		if (errno != EEXIST) {
			/* A file system without links, or a folder. */
			if (statefile_move(
				    home, HOME_INFLIGHT, HOME_BOOTSTRAP) == 0)
				return 1;
		}
		if (errno != EEXIST)
			return err_errno(e, "putting %s/%s back", home->path,
				HOME_BOOTSTRAP);
		back = one_file(home);
	}
	/* If this fails, the next claim finds one file under both names. */
	if (back || drop)
		claim_drop(home, NULL);
	return back;
}

/* The folder's path from the root, for whoever reads it elsewhere. */
static char *absolute(const struct statedir *home, const char *name)
{
	char *dir = realpath(home->path, NULL);
	char *path = xasprintf("%s/%s", dir ? dir : home->path, name);

	free(dir);
	return path;
}

/* What is kept is nobody else's business either. */
static void protect(const struct statedir *home)
{
	int fd = io_open(home->fd, HOME_INFLIGHT, O_RDONLY | O_NONBLOCK, 0);
	struct stat st;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
		(st.st_mode & 07777) != 0600)
		fchmod(fd, 0600);
	close(fd);
}

int claim_quarantine(const struct statedir *home, const char *why, char **path,
	struct err *e)
{
	char name[NAME_SIZE], beside[NAME_SIZE + 8];
	struct err own = { 0 };
	int kept = statefile_write(home, WORDS, why, strlen(why), &own);

	protect(home);
	if (set_aside(home, name, e) < 0) {
		claim_sweep(home);
		return -1;
	}
	snprintf(beside, sizeof beside, "%s.json", name);
	if (kept == 0 && statefile_move(home, WORDS, beside) < 0)
		kept = err_errno(&own, "writing %s/%s", home->path, beside);
	if (kept == 0)
		kept = statedir_sync(home, &own);
	if (kept < 0)
		say("keeping why %s failed: %s", HOME_BOOTSTRAP, own.text);
	*path = absolute(home, name);
	return 0;
}
