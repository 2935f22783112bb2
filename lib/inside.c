#include "inside.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void inside_path(int fd, char path[INSIDE_PATH_MAX])
{
	snprintf(path, INSIDE_PATH_MAX, "/proc/self/fd/%d", fd);
}

/* Its name, or "" where there is none that is short enough to be told. */
static void true_name(int fd, char name[PATH_MAX])
{
	char path[INSIDE_PATH_MAX];
	ssize_t n;

	inside_path(fd, path);
	n = readlink(path, name, PATH_MAX);
	name[n < 0 || n == PATH_MAX ? 0 : n] = '\0';
}

static bool lies_inside(int root, const char *name)
{
	char folder[PATH_MAX];
	size_t n;

	true_name(root, folder);
	n = strlen(folder);
	if (folder[0] != '/' || name[0] != '/')
		return false;
	if (n == 1 || strcmp(name, folder) == 0)
		return true;
	return strncmp(name, folder, n) == 0 && name[n] == '/';
}

int inside_open(int root, const char *path, char *name, struct err *e)
{
	int fd = openat(root, path, O_PATH | O_CLOEXEC);

	if (fd < 0) {
		err_set(e, EX_NOINPUT, "opening %s: %s", path, strerror(errno));
		return -1;
	}
	true_name(fd, name);
	if (lies_inside(root, name))
		return fd;
	close(fd);
	err_set(e, EX_NOINPUT,
		"opening %s: it lies outside of the folder that this server "
		"was given (--root)",
		path);
	return -1;
}
