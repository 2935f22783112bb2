/* hub: payload objects, their rows and their files.
 *
 * A file is in `<db>.objects/` (0700, files 0600) under the object's id, which
 * is always made here and never taken from a request as it stands. It is
 * written under another name, synced, and renamed: under its id there is
 * either nothing or all of it. Whoever holds the folder holds a lock on it, so
 * that one server at a time works on a database. Thread-safe.
 *
 * Order of things: row first, file then; on the way out row first as well. A
 * file without a row is litter, swept at the start. */
#ifndef AGENTRUX_HUB_OBJECTS_H
#define AGENTRUX_HUB_OBJECTS_H

#include "buf.h"
#include "db.h"
#include "registry.h"
#include "sign.h"

#define OBJECT_SIZE_MAX ((int64_t)5 << 30)

enum { OBJECT_TYPE_MAX = 256, OBJECT_PART = 48, OBJECT_SUM = 72 };

struct objects;

struct object {
	char id[ID_MAX];
	int64_t topic;
	int64_t size;
	bool stored;	/* its file is there */
	bool committed; /* may be shown; oauth: an event has named it */
	char checksum[OBJECT_SUM]; /* as announced: hex or base64; "" */
	char content_type[OBJECT_TYPE_MAX];
};

/* Makes or takes the folder. EX_TEMPFAIL: another server has it; EX_CONFIG:
 * it is not ours or open to others. */
struct objects *objects_open(const char *db_path, struct err *e);
void objects_close(struct objects *o); /* NULL is fine */

/* Deletes files that no row knows, parts of uploads above all. */
int objects_sweep(struct objects *o, struct db *db, struct err *e);

/* Rows. Those that change have to stand between db_begin and db_commit. */
int object_add(struct db *db, struct object *ob, const char *filename,
	struct err *e); /* makes ob->id */
int object_find(struct db *db, const char *id, struct object *ob,
	struct err *e); /* 1, 0 there is none, -1 */
int object_stored(struct db *db, const char *id, struct err *e);
int object_commit(struct db *db, const char *id, struct err *e);

/* The id that "obj_<uuid>" and "pob_<uuid>" are the same name for. Pure. */
bool object_id_read(const char *text, char id[ID_MAX]);

/* Deletes the rows of a batch that was made before `before_ms` (or announced
 * before `pending_ms` and never stored, or stored before `named_ms` and never
 * named by an event); their ids go to `ids`, one a line, for objects_remove
 * after the commit. The number of rows, or -1. */
int object_trim(struct db *db, int64_t before_ms, int64_t pending_ms,
	int64_t named_ms, struct buf *ids, struct err *e);

/* Files. A part is opened for writing under a name of its own, then kept as
 * the object or dropped; the descriptor is the caller's to close. */
int objects_part(struct objects *o, char name[OBJECT_PART]);
int objects_keep(struct objects *o, int fd, const char *part, const char *id,
	struct err *e);
void objects_drop(struct objects *o, const char *name);
int objects_read(struct objects *o, const char *id); /* descriptor, or -1 */
void objects_remove(struct objects *o, const char *ids);

#endif
