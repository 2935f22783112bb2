#include "family.h"

#include "err.h"
#include "io.h"

#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct family {
	struct relative {
		pid_t pid, parent;
		bool ours;
	} * all;
	size_t n, cap;
};

static pid_t parent_of(const char *pid)
{
	char path[64], stat[512];
	const char *p;
	int fd, parent = 0;
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
	fd = io_open(AT_FDCWD, path, O_RDONLY, 0);
	if (fd < 0)
		return 0;
	n = read(fd, stat, sizeof stat - 1);
	close(fd);
	if (n <= 0)
		return 0;
	stat[n] = '\0';
	/* pid (name) state ppid …: the name may hold anything. */
	p = strrchr(stat, ')');
	if (p == NULL || sscanf(p + 1, " %*c %d", &parent) != 1)
		return 0;
	return parent;
}

static void list_processes(struct family *f)
{
	DIR *proc = opendir("/proc");
	struct dirent *d;

	while (proc && (d = readdir(proc))) {
		if (d->d_name[0] < '1' || d->d_name[0] > '9')
			continue;
		if (f->n == f->cap) {
			f->cap = f->cap ? f->cap * 2 : 256;
			f->all = xrealloc(f->all, f->cap * sizeof *f->all);
		}
		f->all[f->n++] = (struct relative){
			.pid = (pid_t)atol(d->d_name),
			.parent = parent_of(d->d_name),
		};
	}
	if (proc)
		closedir(proc);
}

static bool is_ours(const struct family *f, pid_t parent)
{
	size_t i;

	if (parent == getpid())
		return true;
	for (i = 0; i < f->n; i++)
		if (f->all[i].pid == parent)
			return f->all[i].ours;
	return false;
}

void family_signal(int sig)
{
	struct family f = { 0 };
	bool grown = true;
	size_t i;

	list_processes(&f);
	while (grown) {
		grown = false;
		for (i = 0; i < f.n; i++)
			if (!f.all[i].ours && is_ours(&f, f.all[i].parent))
				grown = f.all[i].ours = true;
	}
	for (i = 0; i < f.n; i++)
		if (f.all[i].ours)
			kill(f.all[i].pid, sig);
	free(f.all);
}
