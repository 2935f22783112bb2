#include "admin.h"

#include "codes.h"
#include "devices.h"
#include "io.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 16 << 20 };

/* Ends a change: commits it, then prints what it gave, if anything. */
static int finish(struct db *db, int r, const char *line, struct err *e)
{
	if (r < 0) {
		db_rollback(db);
		return -1;
	}
	if (db_commit(db, e) < 0)
		return -1;
	return line ? io_put_line(STDOUT_FILENO, line, e) : 0;
}

static int find_script(
	struct db *db, const char *name, struct script *s, struct err *e)
{
	int r = script_find(db, name, s, e);

	if (r == 0)
		return err_set(e, EX_NOINPUT, "there is no script '%s'", name);
	return r < 0 ? -1 : 0;
}

/* "TOPIC:ACTION" */
static int find_grant(struct db *db, const char *text, struct topic *t,
	int *action, struct err *e)
{
	const char *colon = strrchr(text, ':');
	char *name;
	int r;

	*action = colon ? action_read(colon + 1) : 0;
	if (*action == 0)
		return err_set(e, EX_USAGE,
			"'%s' is not TOPIC:read or TOPIC:write", text);
	name = xstrndup(text, (size_t)(colon - text));
	r = topic_find(db, name, t, e);
	if (r == 0)
		r = err_set(e, EX_NOINPUT, "there is no topic '%s'", name);
	free(name);
	return r < 0 ? -1 : 0;
}

static int grant(struct db *db, int64_t script, const char *text, struct err *e)
{
	struct topic t;
	int action;

	if (find_grant(db, text, &t, &action, e) < 0)
		return -1;
	return grant_add(db, script, t.row, action, e);
}

int admin_topic_add(struct db *db, char **operands,
	const struct admin_options *o, struct err *e)
{
	struct topic t;

	(void)o;
	if (db_begin(db, e) < 0)
		return -1;
	return finish(db, topic_add(db, operands[0], &t, e), t.id, e);
}

int admin_topic_list(struct db *db, char **operands,
	const struct admin_options *o, struct err *e)
{
	struct buf out = BUF_INIT(LINE_MAX_BYTES);
	struct query *q = db_query(db, e,
		"SELECT id, name, last_seq, "
		"(SELECT count(*) FROM events WHERE topic = topics.row) "
		"FROM topics ORDER BY name",
		"");
	int r;

	(void)operands;
	(void)o;
	while ((r = db_step(q, e)) == 1) {
		buf_printf(
			&out, "{\"topic_id\":\"%s\",\"name\":", db_text(q, 0));
		json_text(&out, db_text(q, 1));
		buf_printf(&out,
			",\"latest_sequence_no\":%lld,\"events\":%lld}\n",
			(long long)db_int(q, 2), (long long)db_int(q, 3));
	}
	if (r == 0)
		r = io_put(STDOUT_FILENO, buf_text(&out), out.len, e);
	buf_release(&out);
	return r;
}

int admin_script_add(struct db *db, char **operands,
	const struct admin_options *o, struct err *e)
{
	struct script s;
	size_t i;
	int r;

	if (db_begin(db, e) < 0)
		return -1;
	r = script_add(db, operands[0], &s, e);
	for (i = 0; r == 0 && i < o->grants.n; i++)
		r = grant(db, s.row, o->grants.items[i], e);
	return finish(db, r, s.id, e);
}

int admin_script_list(struct db *db, char **operands,
	const struct admin_options *o, struct err *e)
{
	struct buf out = BUF_INIT(LINE_MAX_BYTES);
	struct query *q = db_query(db, e,
		"SELECT row, id, name, secret IS NOT NULL FROM scripts "
		"ORDER BY name",
		"");
	int r;

	(void)operands;
	(void)o;
	while ((r = db_step(q, e)) == 1) {
		buf_printf(
			&out, "{\"script_id\":\"%s\",\"name\":", db_text(q, 1));
		json_text(&out, db_text(q, 2));
		buf_printf(&out, ",\"activated\":%s,\"grants\":",
			db_int(q, 3) ? "true" : "false");
		r = json_grants(&out, db, db_int(q, 0), e);
		if (r < 0)
			break;
		buf_str(&out, "}\n");
	}
	db_done(q);
	if (r == 0)
		r = io_put(STDOUT_FILENO, buf_text(&out), out.len, e);
	buf_release(&out);
	return r;
}

int admin_script_remove(struct db *db, char **operands,
	const struct admin_options *o, struct err *e)
{
	struct script s;
	int r;

	(void)o;
	if (db_begin(db, e) < 0)
		return -1;
	r = find_script(db, operands[0], &s, e);
	return finish(db, r < 0 ? r : script_remove(db, &s, e), NULL, e);
}

int admin_grant_add(struct db *db, char **operands,
	const struct admin_options *o, struct err *e)
{
	struct script s;
	int r;

	(void)o;
	if (db_begin(db, e) < 0)
		return -1;
	r = find_script(db, operands[0], &s, e);
	while (r == 0 && *++operands)
		r = grant(db, s.row, *operands, e);
	return finish(db, r, NULL, e);
}

int admin_grant_remove(struct db *db, char **operands,
	const struct admin_options *o, struct err *e)
{
	struct script s;
	struct topic t;
	int r, action;

	(void)o;
	if (db_begin(db, e) < 0)
		return -1;
	r = find_script(db, operands[0], &s, e);
	while (r >= 0 && *++operands) {
		r = find_grant(db, *operands, &t, &action, e);
		if (r == 0)
			r = grant_remove(db, s.row, t.row, action, e);
		if (r == 0)
			r = err_set(e, EX_NOINPUT, "'%s' was not granted",
				*operands);
	}
	return finish(db, r, NULL, e);
}

static int issue(struct db *db, const char *kind, const struct code *c,
	const struct admin_options *o, struct err *e)
{
	char text[SIGN_SECRET] = "";
	int r = code_issue(db, kind, c, db_now() + o->ttl_ms, text, e);

	r = finish(db, r, text, e);
	explicit_bzero(text, sizeof text);
	return r;
}

int admin_code_issue(struct db *db, char **operands,
	const struct admin_options *o, struct err *e)
{
	struct script s;
	struct code c = { 0 };

	if (db_begin(db, e) < 0)
		return -1;
	if (find_script(db, operands[0], &s, e) < 0)
		return finish(db, -1, NULL, e);
	c.script = s.row;
	return issue(
		db, o->oauth ? "oauth-activation" : "activation", &c, o, e);
}

int admin_invite_issue(struct db *db, char **operands,
	const struct admin_options *o, struct err *e)
{
	struct topic t;
	struct code c = { 0 };

	if (db_begin(db, e) < 0)
		return -1;
	if (find_grant(db, operands[0], &t, &c.action, e) < 0)
		return finish(db, -1, NULL, e);
	c.topic = t.row;
	return issue(db, "invite", &c, o, e);
}

static int answer_device(
	struct db *db, const char *code, int64_t script, struct err *e)
{
	int n = device_answer(db, code, script, e);

	if (n == 0)
		n = err_set(e, EX_NOINPUT,
			"nobody waits with the code '%s': it is answered, "
			"expired, or mistyped",
			code);
	return finish(db, n, NULL, e);
}

int admin_device_approve(struct db *db, char **operands,
	const struct admin_options *o, struct err *e)
{
	struct script s;

	(void)o;
	if (db_begin(db, e) < 0)
		return -1;
	if (find_script(db, operands[1], &s, e) < 0)
		return finish(db, -1, NULL, e);
	return answer_device(db, operands[0], s.row, e);
}

int admin_device_deny(struct db *db, char **operands,
	const struct admin_options *o, struct err *e)
{
	(void)o;
	if (db_begin(db, e) < 0)
		return -1;
	return answer_device(db, operands[0], 0, e);
}
