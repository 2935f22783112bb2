/* hub: the tables.
 *
 * Rows of topics and scripts are never numbered twice (AUTOINCREMENT): a
 * signed token names its script by row. Times are ms since the epoch. Hashes are SHA-256 of what only
 * its owner knows. */
#ifndef AGENTRUX_HUB_SCHEMA_H
#define AGENTRUX_HUB_SCHEMA_H

enum { SCHEMA_VERSION = 3, SCHEMA_APPLICATION = 0x41475558 };

/* Each makes of one version the next. */
extern const char *const schema_steps[SCHEMA_VERSION];

#endif
