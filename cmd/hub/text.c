#include "text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

void time_text(int64_t ms, bool fine, char out[TIME_TEXT])
{
	time_t s = (time_t)(ms / 1000);
	struct tm tm;
	size_t n;

	gmtime_r(&s, &tm);
	n = strftime(out, TIME_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
	if (fine)
		snprintf(out + n, TIME_TEXT - n, ".%03dZ", (int)(ms % 1000));
	else
		snprintf(out + n, TIME_TEXT - n, "Z");
}

void json_text(struct buf *b, const char *s)
{
	buf_char(b, '"');
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			buf_printf(b, "\\%c", c);
		else if (c < 0x20 || c == 0x7F)
			buf_printf(b, "\\u%04x", c);
		else
			buf_char(b, *s);
	}
	buf_char(b, '"');
}

int json_topics(struct buf *b, struct db *db, int64_t script,
	const char *prefix, const char *name, struct err *e)
{
	struct query *q = db_query(db, e,
		"SELECT topics.id, name, group_concat(action) FROM grants "
		"JOIN topics ON topics.row = grants.topic WHERE script = ? "
		"GROUP BY topics.row ORDER BY name",
		"i", script);
	const char *comma = "";
	int r;

	buf_char(b, '[');
	while ((r = db_step(q, e)) == 1) {
		const char *actions = db_text(q, 2);

		buf_printf(b, "%s{\"topic_id\":\"%s%s\",\"%s\":", comma, prefix,
			db_text(q, 0), name);
		json_text(b, db_text(q, 1));
		buf_printf(b, ",\"actions\":[%s%s%s]}",
			strstr(actions, "read") ? "\"read\"" : "",
			strchr(actions, ',') ? "," : "",
			strstr(actions, "write") ? "\"write\"" : "");
		comma = ",";
	}
	buf_char(b, ']');
	return r;
}

int json_grants(struct buf *b, struct db *db, int64_t script, struct err *e)
{
	struct query *q = db_query(db, e,
		"SELECT grants.id, topics.id, action FROM grants "
		"JOIN topics ON topics.row = grants.topic "
		"WHERE script = ? ORDER BY topics.name, action",
		"i", script);
	const char *comma = "";
	int r;

	buf_char(b, '[');
	while ((r = db_step(q, e)) == 1) {
		buf_printf(b, "%s{\"grant_id\":", comma);
		json_text(b, db_text(q, 0));
		buf_str(b, ",\"topic_id\":");
		json_text(b, db_text(q, 1));
		buf_str(b, ",\"action\":");
		json_text(b, db_text(q, 2));
		buf_char(b, '}');
		comma = ",";
	}
	buf_char(b, ']');
	return r;
}
