#include "source.h"

#include "home.h"
#include "io.h"
#include "payload.h"
#include "stop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 262144 };

/* An unnamed file of our own. */
static int private_file(struct err *e)
{
	const char *dir = home_tmp_dir();
	char *path;
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0)
		return fd;
	/* Not every file system can. */
	path = xasprintf("%s/agentrux-XXXXXX", dir);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		err_errno(e, "making a temporary file in %s", dir);
	else
		unlink(path);
	free(path);
	return fd;
}

static int copy(int from, int to, const char *what, struct err *e)
{
	struct pollfd in = { .fd = from, .events = POLLIN };
	char *block = xcalloc(1, BLOCK);
	ssize_t n;
	int r = -1;

	for (;;) {
		if (stop_poll(&in, 1, -1) < 0) {
			if (errno == ECANCELED)
				err_stopped(e);
			else
				err_errno(e, "waiting for %s", what);
			break;
		}
		n = read(from, block, BLOCK);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0) {
			err_errno(e, "reading %s", what);
			break;
		}
		if (n == 0) {
			r = 0;
			break;
		}
		if (io_write(to, block, (size_t)n) < 0) {
			err_errno(e, "copying %s to %s", what, home_tmp_dir());
			break;
		}
	}
	free(block);
	return r;
}

/* Puts a private copy of what `f` has open in its place. */
static int take_copy(struct source *f, struct err *e)
{
	int fd = private_file(e);

	if (fd < 0)
		return -1;
	if (copy(f->fd, fd, f->path ? f->path : "standard input", e) < 0 ||
		fstat(fd, &f->st) < 0) {
		close(fd);
		return -1;
	}
	if (f->path)
		close(f->fd);
	f->fd = fd;
	f->copied = true;
	return 0;
}

static int open_path(struct source *f, struct err *e)
{
	/* O_NONBLOCK: opening a FIFO must not wait for its writer. */
	f->fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (f->fd < 0 && (errno == ENOENT || errno == ENOTDIR ||
				 errno == EACCES || errno == ELOOP))
		return err_set(e, EX_NOINPUT, "opening %s: %s", f->path,
			strerror(errno));
	if (f->fd < 0 || fstat(f->fd, &f->st) < 0)
		return err_errno(e, "opening %s", f->path);
	if (S_ISDIR(f->st.st_mode))
		return err_set(
			e, EX_NOINPUT, "opening %s: it is a folder", f->path);
	return S_ISREG(f->st.st_mode) ? 0 : take_copy(f, e);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int find_type(struct source *f, const char *content_type,
	struct mime *mime, struct err *e)
{
	char *head;
	ssize_t n;

	if (content_type) {
		f->content_type = xstrdup(content_type);
		return 0;
	}
	head = xcalloc(1, MIME_HEAD);
	n = pread(f->fd, head, MIME_HEAD, 0);
	if (n < 0)
		err_errno(e, "reading %s", f->name);
	else
		f->content_type = mime_type(mime, f->name, head, (size_t)n);
	free(head);
	return n < 0 ? -1 : 0;
}

int source_open(struct source *f, const char *path, const char *name,
	const char *content_type, struct mime *mime, struct err *e)
{
	bool from_stdin = strcmp(path, "-") == 0;

	*f = (struct source){ .path = from_stdin ? NULL : path, .fd = -1 };
	f->name = xstrdup(name ? name : base_name(path));
	if (!payload_is_utf8(f->name))
		return err_set(e, EX_DATAERR,
			"uploading %s: its name is not UTF-8; give it another "
			"with --name",
			f->name);
	if (from_stdin)
		f->fd = STDIN_FILENO;
	if ((from_stdin ? take_copy(f, e) : open_path(f, e)) < 0)
		return -1;
	return find_type(f, content_type, mime, e);
}

int source_memory(struct source *f, const char *name, const char *content_type,
	const void *bytes, size_t n, struct err *e)
{
	*f = (struct source){ .fd = private_file(e), .copied = true };
	if (f->fd < 0)
		return -1;
	f->name = xstrdup(name);
	f->content_type = xstrdup(content_type);
	if (io_write(f->fd, bytes, n) < 0 || fstat(f->fd, &f->st) < 0)
		return err_errno(e, "copying %s to %s", name, home_tmp_dir());
	return 0;
}

void source_close(struct source *f)
{
	if (f->fd > STDIN_FILENO)
		close(f->fd);
	free(f->name);
	free(f->content_type);
	*f = (struct source){ .fd = -1 };
}

int source_unchanged(const struct source *f, struct err *e)
{
	struct stat now;

	if (f->copied)
		return 0;
	if (fstat(f->fd, &now) < 0)
		return err_errno(e, "looking at %s", f->path);
	if (now.st_size != f->st.st_size ||
		now.st_mtim.tv_sec != f->st.st_mtim.tv_sec ||
		now.st_mtim.tv_nsec != f->st.st_mtim.tv_nsec)
		return err_set(
			e, EX_DATAERR, "%s was written to meanwhile", f->path);
	if (stat(f->path, &now) == 0 &&
		(now.st_ino != f->st.st_ino || now.st_dev != f->st.st_dev))
		return err_set(e, EX_DATAERR,
			"another file was put in the place of %s meanwhile",
			f->path);
	return 0;
}
