/* state: which commands may be run: `execPolicy` of config.json. Nothing, unless
 * it is there and says so. */
#ifndef AGENTRUX_POLICY_H
#define AGENTRUX_POLICY_H

#include "err.h"
#include "statefile.h"

#include <stdbool.h>
#include <stddef.h>

struct policy {
	bool enabled;
	char **texts; /* allowedCommands, as they stand there */
	struct pattern **patterns;
	size_t n;
};

/* `home` may be one that is not there. EX_CONFIG if the file is unsafe or does
 * not hold what it must, a pattern that is none included. policy_release in any
 * case. */
int policy_load(const struct statedir *home, struct policy *p, struct err *e);
void policy_release(struct policy *p);

/* Does a pattern allow this command line, as a whole? EX_FAILED if none does,
 * saying so for whoever asked. */
int policy_allows(const struct policy *p, const char *line, struct err *e);

#endif
