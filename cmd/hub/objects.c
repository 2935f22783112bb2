#include "objects.h"

#include "io.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRIM_ROWS = 200 };

static const char part_prefix[] = "part-";

struct objects {
	int dir;
};

static int check_folder(const char *path, int fd, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, "folder %s", path);
	if (st.st_uid != geteuid())
		return err_set(e, EX_CONFIG,
			"the folder %s belongs to another user", path);
	if (st.st_mode & 077)
		return err_mend(e, "chmod 700", path,
			"the folder %s is open to others; run", path);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return err_set(e, EX_TEMPFAIL,
			"another agentrux-hub serves this database");
	return err_errno(e, "locking %s", path);
}

struct objects *objects_open(const char *db_path, struct err *e)
{
	char *path = xasprintf("%s.objects", db_path);
	struct objects *o = NULL;
	int fd = -1, r = -1;

	if (mkdir(path, 0700) < 0 && errno != EEXIST) {
		err_errno(e, "making the folder %s", path);
		goto out;
	}
	fd = io_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		err_errno(e, "opening the folder %s", path);
	else
		r = check_folder(path, fd, e);
	if (r == 0) {
		o = xcalloc(1, sizeof *o);
		o->dir = fd;
	} else if (fd >= 0) {
		close(fd);
	}
out:
	free(path);
	return o;
}

void objects_close(struct objects *o)
{
	if (o) {
		close(o->dir);
		free(o);
	}
}

int objects_sweep(struct objects *o, struct db *db, struct err *e)
{
	int fd = io_open(o->dir, ".", O_RDONLY | O_DIRECTORY, 0), r = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	struct object ob;

	if (dir == NULL) {
		err_errno(e, "reading the objects' folder");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while (r >= 0 && (entry = readdir(dir))) {
		/* Only what has one of our names can be our litter. */
		if (strncmp(entry->d_name, "obj_", 4) != 0 &&
			strncmp(entry->d_name, part_prefix,
				sizeof part_prefix - 1) != 0)
			continue;
		r = object_find(db, entry->d_name, &ob, e);
		if (r == 0)
			objects_drop(o, entry->d_name);
	}
	closedir(dir);
	return r < 0 ? -1 : 0;
}

int object_add(
	struct db *db, struct object *ob, const char *filename, struct err *e)
{
	unsigned char raw[16];
	char uuid[SIGN_UUID];

	sign_uuid4(raw);
	sign_uuid_text(raw, uuid);
	snprintf(ob->id, sizeof ob->id, "obj_%s", uuid);
	return db_exec(db, e,
		       "INSERT INTO objects (id, topic, content_type, "
		       "filename, size, checksum, committed, created) "
		       "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		       "tittitii", ob->id, ob->topic, ob->content_type,
		       filename, ob->size,
		       ob->checksum[0] ? ob->checksum : NULL,
		       (int64_t)ob->committed, db_now()) < 0
		       ? -1
		       : 0;
}

bool object_id_read(const char *text, char id[ID_MAX])
{
	unsigned char raw[16];
	char uuid[SIGN_UUID];

	id[0] = '\0';
	if ((strncmp(text, "obj_", 4) != 0 && strncmp(text, "pob_", 4) != 0) ||
		sign_uuid_read(text + 4, raw) < 0)
		return false;
	sign_uuid_text(raw, uuid);
	snprintf(id, ID_MAX, "obj_%s", uuid);
	return true;
}

int object_find(struct db *db, const char *id, struct object *ob, struct err *e)
{
	struct query *q = db_query(db, e,
		"SELECT id, topic, size, stored, content_type, committed, "
		"checksum FROM objects WHERE id = ?",
		"t", id);
	int r = db_step(q, e);

	if (r == 1) {
		memset(ob, 0, sizeof *ob);
		snprintf(ob->id, sizeof ob->id, "%s", db_text(q, 0));
		ob->topic = db_int(q, 1);
		ob->size = db_int(q, 2);
		ob->stored = db_int(q, 3) != 0;
		snprintf(ob->content_type, sizeof ob->content_type, "%s",
			db_text(q, 4));
		ob->committed = db_int(q, 5) != 0;
		snprintf(
			ob->checksum, sizeof ob->checksum, "%s", db_text(q, 6));
	}
	db_done(q);
	return r;
}

int object_stored(struct db *db, const char *id, struct err *e)
{
	return db_exec(
		db, e, "UPDATE objects SET stored = 1 WHERE id = ?", "t", id);
}

int object_commit(struct db *db, const char *id, struct err *e)
{
	return db_exec(db, e, "UPDATE objects SET committed = 1 WHERE id = ?",
		"t", id);
}

int object_trim(struct db *db, int64_t before_ms, int64_t pending_ms,
	int64_t named_ms, struct buf *ids, struct err *e)
{
	struct query *q = db_query(db, e,
		"SELECT id FROM objects WHERE created < ?1 UNION "
		"SELECT id FROM objects WHERE stored = 0 AND created < ?2 "
		"UNION SELECT id FROM objects WHERE committed = 0 "
		"AND created < ?3 LIMIT ?4",
		"iiii", before_ms, pending_ms, named_ms, (int64_t)TRIM_ROWS);
	size_t from = ids->len;
	int n = 0, r;

	while ((r = db_step(q, e)) == 1) {
		buf_printf(ids, "%s\n", db_text(q, 0));
		n++;
	}
	while (r == 0 && from < ids->len) {
		char id[ID_MAX];
		size_t len = strcspn(ids->data + from, "\n");

		snprintf(id, sizeof id, "%.*s", (int)len, ids->data + from);
		r = db_exec(db, e, "DELETE FROM objects WHERE id = ?", "t",
			    id) < 0
			    ? -1
			    : 0;
		from += len + 1;
	}
	return r < 0 ? -1 : n;
}

int objects_part(struct objects *o, char name[OBJECT_PART])
{
	unsigned char raw[16];
	char uuid[SIGN_UUID];

	sign_uuid4(raw);
	sign_uuid_text(raw, uuid);
	snprintf(name, OBJECT_PART, "%s%s", part_prefix, uuid);
	return io_open(o->dir, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
}

int objects_keep(struct objects *o, int fd, const char *part, const char *id,
	struct err *e)
{
	if (fsync(fd) < 0)
		return err_errno(e, "syncing an object");
	if (renameat(o->dir, part, o->dir, id) < 0)
		return err_errno(e, "renaming an object");
	if (fsync(o->dir) < 0)
		return err_errno(e, "syncing the objects' folder");
	return 0;
}

void objects_drop(struct objects *o, const char *name)
{
	unlinkat(o->dir, name, 0);
}

int objects_read(struct objects *o, const char *id)
{
	return io_open(o->dir, id, O_RDONLY, 0);
}

void objects_remove(struct objects *o, const char *ids)
{
	char id[ID_MAX];

	while (*ids) {
		size_t len = strcspn(ids, "\n");

		snprintf(id, sizeof id, "%.*s", (int)len, ids);
		objects_drop(o, id);
		ids += len + (ids[len] == '\n');
	}
}
