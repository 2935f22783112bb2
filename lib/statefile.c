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

#define ASIDE "mv @ @.aside"
#define FIT_AGAIN "; mend it with"

int statefile_refuse(const struct statedir *d, const char *name,
	const char *what, const char *command, struct err *e)
{
	char *path =
		name ? xasprintf("%s/%s", d->path, name) : xstrdup(d->path);
	char *word = xquote(path);
	struct buf text = BUF_INIT(ERR_TEXT_MAX * 4);

	for (; *command; command++)
		if (*command == '@')
			buf_str(&text, word);
		else
			buf_char(&text, *command);
	err_set(e, EX_CONFIG, "%s %s: %s: %s", name ? "reading" : "using", path,
		what, buf_text(&text));
	buf_release(&text);
	free(word);
	free(path);
	return -1;
}

/* Nobody but root and its owner can mend that. */
static int not_ours(const struct statedir *d, const char *name, struct err *e)
{
	char *command = xasprintf(
		"%schown %u @", geteuid() ? "sudo " : "", (unsigned)geteuid());

	statefile_refuse(
		d, name, "it belongs to another user" FIT_AGAIN, command, e);
	free(command);
	return -1;
}

static int check_dir(const struct statedir *d, struct err *e)
{
	struct stat st;

	if (fstat(d->fd, &st) < 0)
		return err_errno(e, "looking at %s", d->path);
	if (st.st_uid != geteuid())
		return not_ours(d, NULL, e);
	if (st.st_mode & OTHERS_WRITE)
		return statefile_refuse(d, NULL,
			"others may write there" FIT_AGAIN, "chmod 700 @", e);
	return 0;
}

/* Why could the directory not be opened, as errno says? */
static int unopened_dir(
	const struct statedir *d, int at, const char *name, struct err *e)
{
	struct stat st;

	if (errno == ENOTDIR || errno == ELOOP)
		return statefile_refuse(
			d, NULL, "it is not a folder" FIT_AGAIN, ASIDE, e);
	if (errno == EACCES && fstatat(at, name, &st, 0) == 0)
		return st.st_uid == geteuid()
			       ? statefile_refuse(d, NULL,
					 "it is closed to you" FIT_AGAIN,
					 "chmod 700 @", e)
			       : not_ours(d, NULL, e);
	if (errno == EACCES)
		return err_set(e, EX_CONFIG, "opening the folder %s: %s",
			d->path, strerror(errno));
	return err_errno(e, "opening the folder %s", d->path);
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
	if (d->fd < 0)
		unopened_dir(d, at, name, e);
	else if (check_dir(d, e) == 0)
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

/* Where a file of ours belongs. */
static int in_the_way(const struct statedir *d, const char *name, struct err *e)
{
	return statefile_refuse(d, name,
		"it is not a regular file and in the way" FIT_AGAIN, ASIDE, e);
}

int lock_take(struct lock *l, const struct statedir *d, const char *name,
	long wait_ms, struct err *e)
{
	long waited = 0, nap = 1;

	l->fd = io_open(d->fd, name, O_RDWR | O_CREAT, 0600);
	if (l->fd < 0 && (errno == ELOOP || errno == EISDIR))
		return in_the_way(d, name, e);
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

int statefile_check(const struct statedir *d, const char *name, int fd,
	size_t max, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, "looking at %s/%s", d->path, name);
	if (!S_ISREG(st.st_mode))
		return statefile_refuse(d, name,
			"it is not a regular file" FIT_AGAIN, ASIDE, e);
	if (st.st_uid != geteuid())
		return not_ours(d, name, e);
	if (st.st_mode & OTHERS)
		return statefile_refuse(d, name,
			"others may read or write it" FIT_AGAIN, "chmod 600 @",
			e);
	if (st.st_size < 0 || (size_t)st.st_size > max)
		return statefile_refuse(d, name,
			"it is larger than it could be" FIT_AGAIN, ASIDE, e);
	return 0;
}

int statefile_unopened(
	const struct statedir *d, const char *name, struct err *e)
{
	struct stat st;

	if (errno == ELOOP)
		return statefile_refuse(d, name,
			"it is a symbolic link; put the file itself there with",
			"cp -p --remove-destination \"$(readlink -f @)\" @", e);
	if (errno == ENXIO || errno == EISDIR)
		return statefile_refuse(d, name,
			"it is not a regular file" FIT_AGAIN, ASIDE, e);
	if (errno == EACCES && fstatat(d->fd, name, &st, 0) == 0)
		return st.st_uid == geteuid()
			       ? statefile_refuse(d, name,
					 "it is closed to you" FIT_AGAIN,
					 "chmod 600 @", e)
			       : not_ours(d, name, e);
	return err_errno(e, "opening %s/%s", d->path, name);
}

int statefile_load(const struct statedir *d, const char *name, struct buf *out,
	struct err *e)
{
	/* O_NONBLOCK: a FIFO of that name must not hang us. */
	int fd = io_open(d->fd, name, O_RDONLY | O_NONBLOCK, 0);
	int r = -1;

	if (fd < 0)
		return errno == ENOENT ? 0 : statefile_unopened(d, name, e);
	if (statefile_check(d, name, fd, out->max - out->len, e) < 0)
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

	if (fd < 0 && (errno == ELOOP || errno == ENXIO || errno == EISDIR))
		return in_the_way(d, name, e);
	if (fd < 0)
		return err_errno(e, "creating %s/%s", d->path, name);
	if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) {
		close(fd);
		return in_the_way(d, name, e);
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
