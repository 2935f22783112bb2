/* base: files that have to lie inside a folder, wherever links lead.
 *
 * What is judged is the file that was opened, by the name that the kernel knows
 * it under; so nothing can be put in its place between look and use. */
#ifndef AGENTRUX_INSIDE_H
#define AGENTRUX_INSIDE_H

#include "err.h"

/* Opens what is at `path`, relative ones from the folder `root` on, with O_PATH.
 * `name`, of PATH_MAX bytes, gets its true name, for messages. -1 with EX_NOINPUT
 * if it is not there, or lies outside. */
int inside_open(int root, const char *path, char *name, struct err *e);

enum { INSIDE_PATH_MAX = 32 };

/* A path to what a descriptor refers to, as long as it is open. */
void inside_path(int fd, char path[INSIDE_PATH_MAX]);

#endif
