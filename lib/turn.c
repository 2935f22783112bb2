#include "turn.h"

#include "hash.h"
#include "home.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int turn_keep(const struct statedir *home, const char *id, const char *line,
	struct err *e)
{
	struct statedir turns = STATEDIR_NONE, turn = STATEDIR_NONE;
	char *text = xasprintf("%s\n", line), *name;
	struct timespec now;
	char unique[37];
	int r = -1;

	clock_gettime(CLOCK_REALTIME, &now);
	hash_uuid(unique);
	name = xasprintf("%010" PRId64 ".%09ld-%.8s.json", (int64_t)now.tv_sec,
		now.tv_nsec, unique);
	if (statedir_sub(home, HOME_TURNS, STATEDIR_CREATE, &turns, e) > 0 &&
		statedir_sub(&turns, id, STATEDIR_CREATE, &turn, e) > 0 &&
		statedir_sync(home, e) == 0 && statedir_sync(&turns, e) == 0)
		r = statefile_replace(&turn, name, text, strlen(text), e);
	statedir_close(&turn);
	statedir_close(&turns);
	free(name);
	free(text);
	return r;
}
