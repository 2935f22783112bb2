#include "newfile.h"

#include "io.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NUMBERS = 10000 /* that are tried */ };

int folder_open(struct folder *d, const char *path, struct err *e)
{
	d->path = path;
	d->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->fd >= 0)
		return 0;
	if (errno == ENOENT || errno == ENOTDIR)
		return err_set(e, EX_NOINPUT, "opening the folder %s: %s", path,
			strerror(errno));
	return err_errno(e, "opening the folder %s", path);
}

void folder_close(struct folder *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

/* Is the locked file still the one with the name, and one of ours to write to?
 * Its owner may have given it its final name while we were at the lock. */
static bool is_part(const struct newfile *f, int fd)
{
	struct stat open, named;

	return fstat(fd, &open) == 0 &&
	       fstatat(f->folder->fd, f->part, &named, AT_SYMLINK_NOFOLLOW) ==
		       0 &&
	       open.st_ino == named.st_ino && open.st_dev == named.st_dev &&
	       S_ISREG(open.st_mode) && open.st_uid == geteuid() &&
	       open.st_nlink == 1;
}

/* 1: f->part is ours. 0: another has it. -1 and errno. */
static int take_part(struct newfile *f)
{
	int fd = io_open(
		f->folder->fd, f->part, O_WRONLY | O_CREAT | O_NONBLOCK, 0666);

	if (fd < 0) /* a link, a folder, somebody else's */
		return errno == ELOOP || errno == EISDIR || errno == EACCES ||
				       errno == ENXIO
			       ? 0
			       : -1;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || !is_part(f, fd)) {
		close(fd);
		return 0;
	}
	f->fd = fd;
	return ftruncate(fd, 0) < 0 ? -1 : 1;
}

int newfile_open(struct newfile *f, const struct folder *d, const char *name,
	struct err *e)
{
	char numbered[FILENAME_SIZE];
	unsigned i;
	int r = 0;

	*f = (struct newfile){ .folder = d, .fd = -1 };
	snprintf(f->name, sizeof f->name, "%s", name);
	for (i = 1; r == 0 && i < NUMBERS; i++) {
		filename_numbered(name, i, numbered);
		snprintf(f->part, sizeof f->part, ".%s.part", numbered);
		r = take_part(f);
	}
	if (r == 1)
		return 0;
	if (f->fd < 0)
		f->part[0] = '\0'; /* not ours to remove */
	if (r == 0)
		errno = EEXIST;
	return err_errno(e, "making a file in %s", d->path);
}

/* Renames without ever replacing. */
static int move(int dir, const char *from, const char *to)
{
	if (renameat2(dir, from, dir, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	/* Not every file system knows the flag; links it may know. */
	if (linkat(dir, from, dir, to, 0) < 0)
		return -1;
	return unlinkat(dir, from, 0);
}

int newfile_keep(struct newfile *f, struct err *e)
{
	char name[FILENAME_SIZE];
	unsigned i = 1;

	if (fsync(f->fd) < 0)
		return err_errno(e, "syncing %s/%s", f->folder->path, f->part);
	do {
		filename_numbered(f->name, i, name);
		if (move(f->folder->fd, f->part, name) == 0)
			break;
		if (errno != EEXIST || ++i == NUMBERS)
			return err_errno(
				e, "naming %s/%s", f->folder->path, name);
	} while (true);
	snprintf(f->name, sizeof f->name, "%s", name);
	f->part[0] = '\0';
	if (fsync(f->folder->fd) < 0)
		return err_errno(e, "syncing %s", f->folder->path);
	return 0;
}

void newfile_drop(struct newfile *f)
{
	/* Removed while it is locked: nobody takes over what is going. */
	if (f->part[0])
		unlinkat(f->folder->fd, f->part, 0);
	if (f->fd >= 0)
		close(f->fd);
	f->part[0] = '\0';
	f->fd = -1;
}
