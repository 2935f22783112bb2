#include "events.h"

#include <string.h>

enum { TRIM_ROWS = 500, TRIM_BYTES = 8 << 20 };

/* What event_text.c reads, in its order. */
#define COLUMNS                                                                \
	"SELECT seq, id, at, type, producer, correlation, reply, ref, "        \
	"payload, metadata FROM events "

int event_add(struct db *db, struct event *ev, struct err *e)
{
	int64_t now = db_now();
	struct query *q = db_query(db, e,
		"UPDATE topics SET last_seq = last_seq + 1 WHERE row = ? "
		"RETURNING last_seq",
		"i", ev->topic);
	int r = db_step(q, e);

	if (r == 1) {
		ev->seq = db_int(q, 0);
		r = db_step(q, e); /* to its end, or nothing is changed */
	} else if (r == 0) {
		r = err_set(e, EX_NOINPUT, "the topic is gone");
	}
	if (r < 0)
		return -1;
	sign_uuid7(now, ev->id);
	return db_exec(db, e,
		       "INSERT INTO events (topic, seq, id, at, type, "
		       "producer, correlation, reply, ref, payload, "
		       "metadata) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		       "iibittbbbbb", ev->topic, ev->seq, ev->id, sizeof ev->id,
		       now, ev->type, ev->producer, ev->correlation.at,
		       ev->correlation.len, ev->reply.at, ev->reply.len,
		       ev->ref.at, ev->ref.len, ev->payload.at, ev->payload.len,
		       ev->metadata.at, ev->metadata.len) < 0
		       ? -1
		       : 0;
}

static struct query *run_query(
	struct db *db, const struct event_run *run, struct err *e)
{
	static const char *const sql[2][2] = {
		{ COLUMNS "WHERE topic = ? AND seq >= ? AND seq <= ? "
			  "ORDER BY seq LIMIT ?",
			COLUMNS "WHERE topic = ? AND seq >= ? AND seq <= ? "
				"ORDER BY seq DESC LIMIT ?" },
		{ COLUMNS "WHERE topic = ? AND type = ? AND seq >= ? "
			  "AND seq <= ? ORDER BY seq LIMIT ?",
			COLUMNS "WHERE topic = ? AND type = ? AND seq >= ? "
				"AND seq <= ? ORDER BY seq DESC LIMIT ?" }
	};
	const char *text = sql[run->type != NULL][run->backwards];
	int64_t most =
		run->not_by[0] ? EVENT_LOOK_MAX - run->passed : run->left;

	/* One more tells whether there is more. */
	if (run->type)
		return db_query(db, e, text, "itiii", run->where->row,
			run->type, run->from, run->to, most + 1);
	return db_query(db, e, text, "iiii", run->where->row, run->from,
		run->to, most + 1);
}

/* Is the event of the row left out? */
static bool is_left_out(struct event_run *run, struct query *q)
{
	if (run->not_by[0] == '\0')
		return false;
	run->passed++;
	return strcmp(db_text(q, 4), run->not_by) == 0;
}

static void write_row(struct event_run *run, struct query *q, struct buf *out)
{
	if (run->any)
		buf_char(out, ',');
	run->write(out, q, run);
	run->any = true;
	run->left--;
}

int event_more(struct db *db, struct event_run *run, size_t enough,
	struct buf *out, struct err *e)
{
	struct query *q;
	int r;

	if (run->left <= 0 || run->from > run->to)
		return 0;
	q = run_query(db, run, e);
	while ((r = db_step(q, e)) == 1) {
		if (run->left == 0 || run->passed == EVENT_LOOK_MAX) {
			run->left = 0;
			run->more = true;
			break;
		}
		run->reached = db_int(q, 0);
		if (run->backwards)
			run->to = run->reached - 1;
		else
			run->from = run->reached + 1;
		if (!is_left_out(run, q))
			write_row(run, q, out);
		if (out->len >= enough && run->left)
			break;
	}
	db_done(q);
	if (r == 0)
		run->left = 0;
	if (r >= 0 && out->full)
		return err_set(e, EX_SOFTWARE, "an event is too large");
	return r < 0 ? -1 : run->left > 0;
}

int event_newest(struct db *db, const struct event_run *run, int64_t n,
	int64_t *seq, struct err *e)
{
	struct query *q;
	int r;

	if (run->type)
		q = db_query(db, e,
			"SELECT min(seq) FROM (SELECT seq FROM events "
			"WHERE topic = ? AND type = ? AND seq <= ? "
			"ORDER BY seq DESC LIMIT ?)",
			"itii", run->where->row, run->type, run->to, n);
	else
		q = db_query(db, e,
			"SELECT min(seq) FROM (SELECT seq FROM events "
			"WHERE topic = ? AND seq <= ? "
			"ORDER BY seq DESC LIMIT ?)",
			"iii", run->where->row, run->to, n);
	r = db_step(q, e);
	/* Of no rows the minimum is NULL, which reads as 0: not a number. */
	*seq = r == 1 ? db_int(q, 0) : 0;
	db_done(q);
	return r < 0 ? -1 : *seq > 0;
}

int event_get(struct db *db, const struct event_run *run, const char *uuid,
	struct buf *out, struct err *e)
{
	unsigned char id[16];
	struct query *q;
	int r;

	if (sign_uuid_read(uuid, id) < 0)
		return 0;
	q = db_query(db, e, COLUMNS "WHERE id = ? AND topic = ?", "bi", id,
		sizeof id, run->where->row);
	r = db_step(q, e);
	if (r == 1)
		run->write(out, q, run);
	db_done(q);
	if (r == 1 && out->full)
		return err_set(e, EX_SOFTWARE, "the event is too large");
	return r;
}

int event_by_id(struct db *db, int64_t topic, const char *uuid, int64_t *seq,
	struct err *e)
{
	unsigned char id[16];
	struct query *q;
	int r;

	if (sign_uuid_read(uuid, id) < 0)
		return 0;
	q = db_query(db, e, "SELECT seq FROM events WHERE id = ? AND topic = ?",
		"bi", id, sizeof id, topic);
	r = db_step(q, e);
	if (r == 1)
		*seq = db_int(q, 0);
	db_done(q);
	return r;
}

int event_is_there(struct db *db, int64_t topic, int64_t seq, struct err *e)
{
	struct query *q = db_query(db, e,
		"SELECT 1 FROM events WHERE topic = ? AND seq = ?", "ii", topic,
		seq);
	int r = db_step(q, e);

	db_done(q);
	return r;
}

int event_oldest(struct db *db, int64_t topic, int64_t *seq,
	char uuid[SIGN_UUID], struct err *e)
{
	struct query *q = db_query(db, e,
		"SELECT seq, id FROM events WHERE topic = ? "
		"ORDER BY seq LIMIT 1",
		"i", topic);
	int r = db_step(q, e);
	size_t n;

	if (r == 1) {
		*seq = db_int(q, 0);
		sign_uuid_text(db_blob(q, 1, &n), uuid);
	}
	db_done(q);
	return r;
}

/* The topics that hold more than `keep`, with the newest number to go. */
#define CROWDED                                                                \
	"SELECT row, last_seq - ?1 FROM topics AS t WHERE "                    \
	"(SELECT min(seq) FROM events WHERE topic = t.row) "                   \
	"<= last_seq - ?1 LIMIT 1"

int event_old(struct db *db, int64_t before_ms, int64_t keep, struct err *e)
{
	struct query *q;
	int r;

	/* Rows are in the order of time: the first one tells. */
	q = db_query(db, e, "SELECT at FROM events ORDER BY row LIMIT 1", "");
	r = db_step(q, e);
	if (r == 1)
		r = db_int(q, 0) < before_ms;
	db_done(q);
	if (r || keep == 0)
		return r;
	q = db_query(db, e, CROWDED, "i", keep);
	r = db_step(q, e);
	db_done(q);
	return r;
}

/* A batch is bounded in bytes as well: to free a large payload SQLite has to
 * read all of its pages. */
static int trim_by_age(struct db *db, int64_t before_ms, struct err *e)
{
	struct query *q = db_query(db, e,
		"SELECT row, at, length(payload) FROM events "
		"ORDER BY row LIMIT ?",
		"i", (int64_t)TRIM_ROWS);
	int64_t last = 0, bytes = 0;
	int r;

	while ((r = db_step(q, e)) == 1) {
		if (db_int(q, 1) >= before_ms || bytes > TRIM_BYTES)
			break;
		last = db_int(q, 0);
		bytes += db_int(q, 2);
	}
	db_done(q);
	if (r < 0 || last == 0)
		return r < 0 ? -1 : 0;
	return db_exec(db, e, "DELETE FROM events WHERE row <= ?", "i", last);
}

static int trim_by_count(struct db *db, int64_t keep, struct err *e)
{
	struct query *q = db_query(db, e, CROWDED, "i", keep);
	int64_t topic = 0, to = 0, last = 0, bytes = 0;
	int r = db_step(q, e);

	if (r == 1) {
		topic = db_int(q, 0);
		to = db_int(q, 1);
	}
	db_done(q);
	if (r != 1)
		return r;
	q = db_query(db, e,
		"SELECT seq, length(payload) FROM events WHERE topic = ? "
		"AND seq <= ? ORDER BY seq LIMIT ?",
		"iii", topic, to, (int64_t)TRIM_ROWS);
	while ((r = db_step(q, e)) == 1 && bytes <= TRIM_BYTES) {
		last = db_int(q, 0);
		bytes += db_int(q, 1);
	}
	db_done(q);
	if (r < 0)
		return -1;
	return db_exec(db, e, "DELETE FROM events WHERE topic = ? AND seq <= ?",
		"ii", topic, last);
}

int event_trim(struct db *db, int64_t before_ms, int64_t keep, struct err *e)
{
	int n = trim_by_age(db, before_ms, e);

	if (n == 0 && keep)
		n = trim_by_count(db, keep, e);
	return n;
}
