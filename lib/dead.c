#include "dead.h"

#include "event.h"
#include "hash.h"
#include "home.h"
#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LETTER_MAX = 134217728 };

static char *file_name(const struct dead_letter *letter)
{
	unsigned char sum[HASH_LEN];
	char hex[HASH_HEX_MAX];

	if (letter->event_id && event_id_plain(letter->event_id))
		return xasprintf("%s.json", letter->event_id);
	if (letter->event_id)
		hash_sha256(letter->event_id, strlen(letter->event_id), sum);
	else
		hash_sha256(letter->event.p, letter->event.len, sum);
	hash_hex(sum, hex);
	return xasprintf("%s.json", hex);
}

/* A handler's words as a JSON string. They may hold any bytes, and their start
 * was cut off somewhere: what is not UTF-8 then shows as '?'. */
static char *quote_any(const char *text)
{
	char *quoted, *plain, *p;
	struct slice value;
	size_t bad;

	while (((unsigned char)*text & 0xc0) == 0x80)
		text++;
	quoted = json_quote(text);
	if (slice_document(quoted, strlen(quoted), SLICE_UTF8, &value, &bad) ==
		0)
		return quoted;
	free(quoted);
	plain = xstrdup(text);
	for (p = plain; *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	quoted = json_quote(plain);
	free(plain);
	return quoted;
}

static void build(const struct dead_letter *letter, struct buf *out)
{
	char now[32];
	time_t t = time(NULL);
	struct tm tm;
	char *stderr_end =
		letter->stderr_end ? quote_any(letter->stderr_end) : NULL;
	char *status = json_quote(letter->status);

	gmtime_r(&t, &tm);
	strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &tm);
	buf_str(out, "{\"event\":");
	slice_one_line(letter->event, out);
	buf_printf(out,
		",\"attempts\":%d,\"status\":%s,\"stderr\":%s,"
		"\"failed_at\":\"%s\"}\n",
		letter->attempts, status, stderr_end ? stderr_end : "null",
		now);
	free(status);
	free(stderr_end);
}

int dead_write(const struct statedir *home, const struct dead_letter *letter,
	struct err *e)
{
	struct statedir dead = STATEDIR_NONE, topic = STATEDIR_NONE;
	struct buf text = BUF_INIT(LETTER_MAX);
	char *name = file_name(letter);
	int r = -1;

	build(letter, &text);
	if (statedir_sub(home, HOME_DEAD, STATEDIR_CREATE, &dead, e) > 0 &&
		statedir_sub(&dead, letter->topic, STATEDIR_CREATE, &topic, e) >
			0)
		r = statefile_replace(&topic, name, text.data, text.len, e);
	if (r == 0)
		r = statedir_sync(&dead, e);
	if (r == 0)
		r = statedir_sync(home, e);
	statedir_close(&topic);
	statedir_close(&dead);
	buf_release(&text);
	free(name);
	return r;
}
