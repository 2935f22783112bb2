/* state: a new file in a folder of the user's, which appears whole and never in
 * place of another.
 *
 * It is written as .NAME.part and gets its name, or the first of NAME-2, NAME-3
 * and so on that nobody has, once it is synced. A kill leaves the .part, which
 * the next file of that name takes over; of two processes with the same name at
 * the same time, each has a .part of its own. */
#ifndef AGENTRUX_NEWFILE_H
#define AGENTRUX_NEWFILE_H

#include "err.h"
#include "filename.h"

#include <stdbool.h>

enum { NEWFILE_PART_SIZE = FILENAME_SIZE + 16 };

/* A folder that is there; EX_NOINPUT if it is not. */
struct folder {
	const char *path; /* borrowed, for messages */
	int fd;		  /* -1: none */
};

#define FOLDER_NONE                                                            \
	{                                                                      \
		NULL, -1                                                       \
	}

int folder_open(struct folder *d, const char *path, struct err *e);
void folder_close(struct folder *d);

struct newfile {
	const struct folder *folder; /* borrowed */
	char name[FILENAME_SIZE];    /* in the end, the one it has got */
	char part[NEWFILE_PART_SIZE];
	int fd; /* to write to; -1: none */
};

/* `name` is a safe one (filename.h). newfile_drop in any case. */
int newfile_open(struct newfile *f, const struct folder *d, const char *name,
	struct err *e);

/* Syncs it and gives it its name. */
int newfile_keep(struct newfile *f, struct err *e);

/* Removes what was not kept. */
void newfile_drop(struct newfile *f);

#endif
