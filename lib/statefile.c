#include "statefile.h"

#include "io.h"
#include "stop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OTHERS = S_IRWXG | S_IRWXO, OTHERS_WRITE = S_IWGRP | S_IWOTH };

static int check_dir(const struct statedir *d, struct err *e)
{
	struct stat st;

	if (fstat(d->fd, &st) < 0)
		return err_errno(e, "looking at %s", d->path);
	if (st.st_uid != geteuid())
		return err_set(e, EX_CONFIG,
			"using %s: it belongs to another user; choose another "
			"with --home, or: chown %u '%s'",
			d->path, (unsigned)geteuid(), d->path);
	if (st.st_mode & OTHERS_WRITE)
		return err_set(e, EX_CONFIG,
			"using %s: others may write there; mend it with: "
			"chmod 700 '%s'",
			d->path, d->path);
	return 0;
}

/* Opens `name` at `at`; `path` is what people know it as, and is taken. */
static int open_at(struct statedir *d, int at, const char *name, char *path,
	enum statedir_mode mode, struct err *e)
{
	const int flags = O_RDONLY | O_DIRECTORY;

	d->path = path;
	/* The home itself may be a symbolic link, say onto a larger disk. */
	d->fd = openat(at, name, flags | O_CLOEXEC);
	if (d->fd < 0 && errno == ENOENT) {
		if (mode == STATEDIR_FIND)
			return 0;
		if (mkdirat(at, name, 0700) < 0 && errno != EEXIST) {
			err_errno(e, "making the folder %s", path);
			goto fail;
		}
		d->fd = openat(at, name, flags | O_CLOEXEC);
	}
	if (d->fd < 0) {
		if (errno == ENOTDIR || errno == EACCES || errno == ELOOP)
			err_set(e, EX_CONFIG, "opening the folder %s: %s", path,
				strerror(errno));
		else
			err_errno(e, "opening the folder %s", path);
		goto fail;
	}
	if (check_dir(d, e) == 0)
		return 1;
fail:
	statedir_close(d);
	return -1;
}

int statedir_open(struct statedir *d, const char *path, enum statedir_mode mode,
	struct err *e)
{
	return open_at(d, AT_FDCWD, path, xstrdup(path), mode, e);
}

int statedir_sub(const struct statedir *d, const char *name,
	enum statedir_mode mode, struct statedir *sub, struct err *e)
{
	return open_at(
		sub, d->fd, name, xasprintf("%s/%s", d->path, name), mode, e);
}

void statedir_close(struct statedir *d)
{
	if (d->fd >= 0)
		close(d->fd);
	free(d->path);
	d->fd = -1;
	d->path = NULL;
}

int lock_take(struct lock *l, const struct statedir *d, const char *name,
	long wait_ms, struct err *e)
{
	long waited = 0, nap = 1;

	l->fd = io_open(d->fd, name, O_RDWR | O_CREAT, 0600);
	if (l->fd < 0)
		return err_errno(e, "opening the lock %s/%s", d->path, name);
	/* Polled rather than waited for: flock(2) knows no time limit, and a
	 * signal that arrives just before it sleeps would not wake it. */
	while (flock(l->fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK) {
			err_errno(e, "locking %s/%s", d->path, name);
			goto fail;
		}
		if (wait_ms >= 0 && waited >= wait_ms) {
			lock_release(l);
			return 0;
		}
		if (!stop_sleep(nap)) {
			err_stopped(e);
			goto fail;
		}
		waited += nap;
		if (nap < 32)
			nap *= 2;
	}
	return 1;
fail:
	lock_release(l);
	return -1;
}

bool lock_held(const struct statedir *d, const char *name)
{
	int fd = io_open(d->fd, name, O_RDONLY | O_NONBLOCK, 0);
	bool held;

	if (fd < 0)
		return false;
	held = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	close(fd);
	return held;
}

void lock_release(struct lock *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}

static int check_file(int fd, const struct statedir *d, const char *name,
	size_t max, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, "looking at %s/%s", d->path, name);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EX_CONFIG,
			"reading %s/%s: it is not a regular file; move it away",
			d->path, name);
	if (st.st_uid != geteuid())
		return err_set(e, EX_CONFIG,
			"reading %s/%s: it belongs to another user; mend it "
			"with: chown %u '%s/%s'",
			d->path, name, (unsigned)geteuid(), d->path, name);
	if (st.st_mode & OTHERS)
		return err_set(e, EX_CONFIG,
			"reading %s/%s: others may read or write it; mend it "
			"with: chmod 600 '%s/%s'",
			d->path, name, d->path, name);
	if (st.st_size < 0 || (size_t)st.st_size > max)
		return err_set(e, EX_CONFIG,
			"reading %s/%s: it is larger than %zu bytes, so it is "
			"not what it should be; move it away",
			d->path, name, max);
	return 0;
}

int statefile_load(const struct statedir *d, const char *name, struct buf *out,
	struct err *e)
{
	/* O_NONBLOCK: a FIFO of that name must not hang us. */
	int fd = io_open(d->fd, name, O_RDONLY | O_NONBLOCK, 0);
	int r = -1;

	if (fd < 0) {
		if (errno == ENOENT)
			return 0;
		if (errno == ELOOP)
			return err_set(e, EX_CONFIG,
				"reading %s/%s: it is a symbolic link; put the "
				"file itself there",
				d->path, name);
		if (errno == EACCES || errno == ENXIO)
			return err_set(e, EX_CONFIG, "reading %s/%s: %s",
				d->path, name, strerror(errno));
		return err_errno(e, "opening %s/%s", d->path, name);
	}
	if (check_file(fd, d, name, out->max - out->len, e) < 0)
		goto out;
	if (io_read_all(fd, out) < 0) {
		err_errno(e, "reading %s/%s", d->path, name);
		goto out;
	}
	r = 1;
out:
	close(fd);
	return r;
}

int statefile_create(const struct statedir *d, const char *name, struct err *e)
{
	/* O_NONBLOCK: a FIFO of that name must not hang us. */
	int fd = io_open(
		d->fd, name, O_RDWR | O_CREAT | O_TRUNC | O_NONBLOCK, 0600);

	struct stat st;

	if (fd < 0)
		return err_errno(e, "creating %s/%s", d->path, name);
	if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) {
		close(fd);
		return err_set(e, EX_CONFIG,
			"creating %s/%s: something that is not a regular file "
			"is in the way; move it away",
			d->path, name);
	}
	/* A leftover may have other bits, and a umask may take ours. */
	if (fchmod(fd, 0600) < 0) {
		err_errno(e, "protecting %s/%s", d->path, name);
		close(fd);
		unlinkat(d->fd, name, 0);
		return -1;
	}
	return fd;
}

int statedir_sync(const struct statedir *d, struct err *e)
{
	if (fsync(d->fd) < 0 && errno != EINVAL)
		return err_errno(e, "syncing the folder %s", d->path);
	return 0;
}

int statefile_write(const struct statedir *d, const char *name,
	const void *data, size_t len, struct err *e)
{
	int fd = statefile_create(d, name, e);
	int r;

	if (fd < 0)
		return -1;
	if (io_write(fd, data, len) < 0 || fsync(fd) < 0) {
		err_errno(e, "writing %s/%s", d->path, name);
		close(fd);
		r = -1;
	} else {
		r = io_close(fd, name, e);
	}
	/* On a full disk even a torn leftover is in the way. */
	if (r < 0)
		unlinkat(d->fd, name, 0);
	return r;
}

int statefile_replace(const struct statedir *d, const char *name,
	const void *data, size_t len, struct err *e)
{
	char *fresh = xasprintf("%s.new", name);
	int r = statefile_write(d, fresh, data, len, e);

	if (r < 0)
		goto out;
	if (renameat(d->fd, fresh, d->fd, name) < 0) {
		r = err_errno(e, "putting %s/%s in place", d->path, name);
		unlinkat(d->fd, fresh, 0);
		goto out;
	}
	r = statedir_sync(d, e);
out:
	free(fresh);
	return r;
}

int statefile_move(const struct statedir *d, const char *from, const char *to)
{
	if (renameat2(d->fd, from, d->fd, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno == EEXIST || errno == ENOENT)
		return -1;
	/* Not every file system knows the flag; links it may know. */
	if (linkat(d->fd, from, d->fd, to, 0) < 0)
		return -1;
	return unlinkat(d->fd, from, 0);
}

int statefile_remove(const struct statedir *d, const char *name, struct err *e)
{
	if (unlinkat(d->fd, name, 0) < 0) {
		if (errno == ENOENT)
			return 0;
		return err_errno(e, "removing %s/%s", d->path, name);
	}
	return statedir_sync(d, e);
}
