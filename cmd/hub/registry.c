#include "registry.h"

#include <stdio.h>
#include <string.h>

int action_read(const char *s)
{
	if (strcmp(s, "read") == 0)
		return ACTION_READ;
	return strcmp(s, "write") == 0 ? ACTION_WRITE : 0;
}

const char *action_text(int action)
{
	return action == ACTION_READ ? "read" : "write";
}

static int check_name(const char *name, struct err *e)
{
	unsigned char id[16];
	size_t n = strlen(name);

	if (n == 0 || n > NAME_LEN_MAX ||
		strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			     "abcdefghijklmnopqrstuvwxyz0123456789._-") != n)
		return err_set(e, EX_USAGE,
			"'%s' is not a name: 1 to %d of A-Z a-z 0-9 . _ -",
			name, NAME_LEN_MAX);
	if (sign_uuid_read(name, id) == 0 || strncmp(name, "scr_", 4) == 0 ||
		strncmp(name, "top_", 4) == 0)
		return err_set(
			e, EX_USAGE, "'%s' would be taken for an id", name);
	return 0;
}

static int take_topic(struct query *q, struct topic *t, struct err *e)
{
	int r = db_step(q, e);

	if (r == 1) {
		t->row = db_int(q, 0);
		t->last_seq = db_int(q, 1);
		snprintf(t->id, sizeof t->id, "%s", db_text(q, 2));
	}
	db_done(q);
	return r;
}

int topic_by_id(struct db *db, const char *uuid, struct topic *t, struct err *e)
{
	unsigned char raw[16];
	char id[SIGN_UUID];

	if (strncmp(uuid, "top_", 4) == 0)
		uuid += 4;
	if (sign_uuid_read(uuid, raw) < 0)
		return 0;
	sign_uuid_text(raw, id);
	return take_topic(db_query(db, e,
				  "SELECT row, last_seq, id FROM topics "
				  "WHERE id = ?",
				  "t", id),
		t, e);
}

int topic_find(
	struct db *db, const char *id_or_name, struct topic *t, struct err *e)
{
	int r = topic_by_id(db, id_or_name, t, e);

	if (r)
		return r;
	return take_topic(db_query(db, e,
				  "SELECT row, last_seq, id FROM topics "
				  "WHERE name = ?",
				  "t", id_or_name),
		t, e);
}

int topic_add(struct db *db, const char *name, struct topic *t, struct err *e)
{
	unsigned char id[16];
	char text[SIGN_UUID];
	int r;

	if (check_name(name, e) < 0)
		return -1;
	sign_uuid4(id);
	sign_uuid_text(id, text);
	r = topic_find(db, name, t, e);
	if (r > 0)
		return err_set(e, EX_CANTCREAT,
			"there is a topic '%s' already: %s", name, t->id);
	if (r < 0 ||
		db_exec(db, e, "INSERT INTO topics (id, name) VALUES (?, ?)",
			"tt", text, name) < 0)
		return -1;
	return topic_find(db, name, t, e) == 1 ? 0 : -1;
}

static int take_script(struct query *q, struct script *s, struct err *e)
{
	int r = db_step(q, e);

	if (r == 1) {
		size_t n;
		const void *secret = db_blob(q, 3, &n);

		memset(s, 0, sizeof *s);
		s->row = db_int(q, 0);
		s->generation = db_int(q, 1);
		snprintf(s->id, sizeof s->id, "%s", db_text(q, 2));
		s->active = secret && n == sizeof s->secret;
		if (s->active)
			memcpy(s->secret, secret, n);
		snprintf(s->client, sizeof s->client, "%s", db_text(q, 4));
	}
	db_done(q);
	return r;
}

int script_by_id(struct db *db, const char *id, struct script *s, struct err *e)
{
	return take_script(db_query(db, e,
				   "SELECT row, generation, id, secret, client "
				   "FROM scripts "
				   "WHERE id = ?",
				   "t", id),
		s, e);
}

int script_by_row(struct db *db, int64_t row, struct script *s, struct err *e)
{
	return take_script(db_query(db, e,
				   "SELECT row, generation, id, secret, client "
				   "FROM scripts "
				   "WHERE row = ?",
				   "i", row),
		s, e);
}

int script_by_client(
	struct db *db, const char *client, struct script *s, struct err *e)
{
	return take_script(db_query(db, e,
				   "SELECT row, generation, id, secret, client "
				   "FROM scripts WHERE client = ?",
				   "t", client),
		s, e);
}

int script_find(
	struct db *db, const char *id_or_name, struct script *s, struct err *e)
{
	return take_script(db_query(db, e,
				   "SELECT row, generation, id, secret, client "
				   "FROM scripts "
				   "WHERE id = ?1 OR name = ?1",
				   "t", id_or_name),
		s, e);
}

int script_add(struct db *db, const char *name, struct script *s, struct err *e)
{
	unsigned char raw[16];
	char uuid[SIGN_UUID], id[ID_MAX];
	int r;

	if (check_name(name, e) < 0)
		return -1;
	r = script_find(db, name, s, e);
	if (r > 0)
		return err_set(e, EX_CANTCREAT,
			"there is a script '%s' already: %s", name, s->id);
	sign_uuid4(raw);
	sign_uuid_text(raw, uuid);
	snprintf(id, sizeof id, "scr_%s", uuid);
	if (r < 0 ||
		db_exec(db, e, "INSERT INTO scripts (id, name) VALUES (?, ?)",
			"tt", id, name) < 0)
		return -1;
	return script_by_id(db, id, s, e) == 1 ? 0 : -1;
}

/* Everything that a script may have got its tokens by. */
static int end_access(struct db *db, int64_t script, struct err *e)
{
	return db_exec(db, e,
		       "DELETE FROM codes WHERE script = ? AND kind IN "
		       "('refresh', 'oauth-refresh')",
		       "i", script) < 0 ||
			       db_exec(db, e,
				       "DELETE FROM families WHERE script = ?",
				       "i", script) < 0 ||
			       db_exec(db, e,
				       "DELETE FROM devices WHERE script = ?",
				       "i", script) < 0
		       ? -1
		       : 0;
}

int script_remove(struct db *db, const struct script *s, struct err *e)
{
	if (end_access(db, s->row, e) < 0 ||
		db_exec(db, e, "DELETE FROM grants WHERE script = ?", "i",
			s->row) < 0 ||
		db_exec(db, e, "DELETE FROM codes WHERE script = ?", "i",
			s->row) < 0 ||
		db_exec(db, e, "DELETE FROM uses WHERE script = ?", "i",
			s->row) < 0 ||
		db_exec(db, e, "DELETE FROM scripts WHERE row = ?", "i",
			s->row) < 0)
		return -1;
	return 0;
}

int script_renew(struct db *db, struct script *s, const char *client,
	char secret[SIGN_SECRET], struct err *e)
{
	unsigned char hash[SIGN_KEY];

	sign_secret(client ? "aks_" : "sec_", secret);
	sign_hash(secret, strlen(secret), hash);
	if (db_exec(db, e,
		    "UPDATE scripts SET secret = ?, client = ?, "
		    "generation = generation + 1 WHERE row = ?",
		    "bti", hash, sizeof hash, client, s->row) != 1 ||
		end_access(db, s->row, e) < 0)
		return -1;
	s->generation++;
	s->active = true;
	snprintf(s->client, sizeof s->client, "%s", client ? client : "");
	memcpy(s->secret, hash, sizeof hash);
	return 0;
}

int grant_bits(struct db *db, int64_t script, int64_t topic, struct err *e)
{
	struct query *q = db_query(db, e,
		"SELECT action FROM grants WHERE script = ? AND topic = ?",
		"ii", script, topic);
	int bits = 0, r;

	while ((r = db_step(q, e)) == 1)
		bits |= action_read(db_text(q, 0));
	return r < 0 ? -1 : bits;
}

int grant_add(
	struct db *db, int64_t script, int64_t topic, int action, struct err *e)
{
	unsigned char raw[16];
	char uuid[SIGN_UUID], id[ID_MAX];

	sign_uuid4(raw);
	sign_uuid_text(raw, uuid);
	snprintf(id, sizeof id, "grt_%s", uuid);
	return db_exec(db, e,
		       "INSERT OR IGNORE INTO grants "
		       "(script, topic, action, id) VALUES (?, ?, ?, ?)",
		       "iitt", script, topic, action_text(action), id) < 0
		       ? -1
		       : 0;
}

int grant_remove(
	struct db *db, int64_t script, int64_t topic, int action, struct err *e)
{
	return db_exec(db, e,
		"DELETE FROM grants WHERE script = ? AND topic = ? "
		"AND action = ?",
		"iit", script, topic, action_text(action));
}
