/* A loopback HTTP/1.1 server that misbehaves by plan.
 *
 *     faults PLAN LOGDIR [PORT]
 *
 * prints its URL, http://127.0.0.1:PORT, and a newline when it is ready (the
 * kernel chooses the port unless one is given) and serves until SIGTERM, or
 * until its parent dies. One thread a connection.
 *
 * Every request is logged as LOGDIR/NNNN.req, numbered from 0001 in order of
 * arrival: request line, headers, an empty line, body; lines of the head end
 * with a bare newline and a chunked body is logged as what it carries. The file
 * appears whole, before the request is answered. A request that broke off in
 * its body is NNNN.part instead.
 *
 * THE PLAN is a text file, one rule a line; empty lines and those that begin
 * with # are passed over:
 *
 *     METHOD PATHGLOB key=value ...
 *
 * METHOD may be *. PATHGLOB is a fnmatch(3) pattern (* matches / too) that has
 * to match the path, or the path with its query. The first line whose METHOD
 * and PATHGLOB match a request decides; of the lines with the very same METHOD
 * and PATHGLOB the first answers the first such request, the second the second,
 * and the last goes on for ever. A request that no line matches is answered
 * with 404 {"error":{"code":"NOT_FOUND","message":"no rule"}}.
 *
 * A value is a word, or "text" with the escapes \" \\ \n \r \t, or 'text' taken
 * as it is. The keys:
 *
 *   status=N          200 unless said otherwise
 *   header="Name: v"  may be repeated; takes the place of what is sent unasked
 *                     (Date, Content-Type: application/json if there is a body,
 *                     Content-Length). "Name:" alone leaves that one out;
 *                     "Connection: close" is also done
 *   body=TEXT         the body; none unless said otherwise
 *   file=PATH         the body, as it is in a file of up to 64 MiB, read anew
 *                     for each request
 *   delay=MS          before anything is sent
 *   until=FILE        nothing is sent before that file is there
 *   no-read           the request's body is left unread (and unlogged)
 *   no-log            it is read, and thrown away
 *
 * and for misbehaviour, which may be combined:
 *
 *   close             end of connection without an answer
 *   reset             the same by RST; with cut or hold: by RST after the answer
 *   hang              no answer, until the client closes
 *   headers-only      the head announces a body that never comes
 *   drip=MS           one byte of the body each MS
 *   cut=N             end of connection after N bytes of the body, of which
 *                     more are announced
 *   chunked           Transfer-Encoding: chunked (in pieces of 16 KiB, or of
 *                     one byte with drip); cut then omits the end
 *   endless           the body again and again, until the client closes
 *   hold, hold=MS     the connection stays open behind the body, for MS or until
 *                     the client closes; no Content-Length (an event stream)
 *
 * $URL in body= and header= stands for the server's URL. Connections are kept
 * alive as HTTP/1.1 has it; Expect: 100-continue is answered. */
#include "buf.h"
#include "err.h"
#include "io.h"
#include "opt.h"
#include "stop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	RULES_MAX = 4096,
	RULE_HEADERS_MAX = 32,
	PLAN_MAX = 1048576,
	BODY_MAX = 67108864,
	HEAD_MAX = 262144,
	BLOCK = 16384,
	MS_MAX = 86400000,
	LINGER_MS = 1000,
	THREAD_STACK = 524288
};

struct rule {
	const char *method, *glob;
	char *headers[RULE_HEADERS_MAX];
	size_t n_headers;
	char *body, *file, *until;
	long status, delay, drip, cut, hold_ms; /* drip, cut, hold_ms: -1 not */
	bool close, reset, hang, headers_only, chunked, endless, hold, no_read,
		no_log;
	bool used;
};

static struct rule *rules;
static size_t n_rules;
static char url[64];
static const char *log_dir;
static pthread_mutex_t choosing = PTHREAD_MUTEX_INITIALIZER;
static unsigned long n_requests;

static const struct rule no_rule = { .status = 404,
	.body = "{\"error\":{\"code\":\"NOT_FOUND\",\"message\":\"no rule\"}}",
	.drip = -1,
	.cut = -1,
	.hold_ms = -1 };
static const struct rule bad_request = { .status = 400,
	.body = "{\"error\":{\"code\":\"INVALID\",\"message\":\"no HTTP\"}}",
	.drip = -1,
	.cut = -1,
	.hold_ms = -1 };

/* ---- the plan ---- */

/* A value at *at, which is left behind it. NULL: a quote without its end, an
 * escape that is none, or text behind a closing quote. */
static char *plan_value(char **at)
{
	struct buf out = BUF_INIT(PLAN_MAX);
	char *p = *at;
	char quote = 0;

	if (*p == '"' || *p == '\'')
		quote = *p++;
	for (; *p && (quote ? *p != quote : *p != ' ' && *p != '\t'); p++) {
		static const char escapes[] = "\"\\nrt", meant[] = "\"\\\n\r\t";
		const char *e;

		if (quote != '"' || *p != '\\') {
			buf_char(&out, *p);
			continue;
		}
		e = *++p ? strchr(escapes, *p) : NULL;
		if (e == NULL)
			goto bad;
		buf_char(&out, meant[e - escapes]);
	}
	if (quote && *p++ != quote)
		goto bad;
	if (*p && *p != ' ' && *p != '\t')
		goto bad;
	*at = p;
	buf_add(&out, "", 0); /* an empty value is a value */
	return buf_detach(&out);
bad:
	buf_release(&out);
	return NULL;
}

/* `text` with $URL put in; frees it. */
static char *with_url(char *text)
{
	struct buf out = BUF_INIT(8 * PLAN_MAX);
	char *p = text, *found;

	while ((found = strstr(p, "$URL")) != NULL) {
		buf_add(&out, p, (size_t)(found - p));
		buf_str(&out, url);
		p = found + 4;
	}
	buf_str(&out, p);
	free(text);
	return buf_detach(&out);
}

static int plan_number(const char *s, long min, long max, long *v)
{
	char *end;

	if (*s < '0' || *s > '9')
		return -1;
	errno = 0;
	*v = strtol(s, &end, 10);
	return errno || *end || *v < min || *v > max ? -1 : 0;
}

/* One `key` or `key=value`; takes `value`, NULL if there is none. */
static int plan_key(struct rule *r, const char *key, char *value)
{
	const struct {
		const char *name;
		bool *flag;
	} flags[] = { { "close", &r->close }, { "reset", &r->reset },
		{ "hang", &r->hang }, { "headers-only", &r->headers_only },
		{ "chunked", &r->chunked }, { "endless", &r->endless },
		{ "hold", &r->hold }, { "no-read", &r->no_read },
		{ "no-log", &r->no_log } };
	const struct {
		const char *name;
		long *number, min, max;
	} numbers[] = { { "status", &r->status, 100, 999 },
		{ "delay", &r->delay, 0, MS_MAX },
		{ "drip", &r->drip, 0, MS_MAX },
		{ "cut", &r->cut, 0, BODY_MAX },
		{ "hold", &r->hold_ms, 0, MS_MAX } };
	int result = -1;
	size_t i;

	for (i = 0; value == NULL && i < sizeof flags / sizeof flags[0]; i++)
		if (strcmp(key, flags[i].name) == 0) {
			*flags[i].flag = true;
			return 0;
		}
	if (value == NULL)
		return -1;
	for (i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		if (strcmp(key, numbers[i].name) == 0)
			result = plan_number(value, numbers[i].min,
				numbers[i].max, numbers[i].number);
	if (strcmp(key, "hold") == 0)
		r->hold = true;
	if (strcmp(key, "header") == 0 && r->n_headers < RULE_HEADERS_MAX &&
		strchr(value, ':')) {
		r->headers[r->n_headers++] = with_url(value);
		return 0;
	}
	if (strcmp(key, "body") == 0 && !r->body && !r->file) {
		r->body = with_url(value);
		return 0;
	}
	if (strcmp(key, "until") == 0 && !r->until) {
		r->until = value;
		return 0;
	}
	if (strcmp(key, "file") == 0 && !r->body && !r->file &&
		access(value, R_OK) == 0) {
		r->file = value;
		return 0;
	}
	free(value);
	return result;
}

static char *skip_blanks(char *p)
{
	return p + strspn(p, " \t");
}

/* The next word, NUL-terminated in place; NULL at the end of the line. */
static char *plan_word(char **at)
{
	char *word = skip_blanks(*at);
	size_t n = strcspn(word, " \t");

	if (n == 0)
		return NULL;
	*at = word + n;
	if (**at)
		*(*at)++ = '\0';
	return word;
}

static bool is_method(const char *s)
{
	return strcmp(s, "*") == 0 ||
	       s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")] == '\0';
}

static int plan_rule(char *line, struct rule *r, struct err *e)
{
	char *at = line;

	*r = (struct rule){
		.status = 200, .drip = -1, .cut = -1, .hold_ms = -1
	};
	r->method = plan_word(&at);
	r->glob = plan_word(&at);
	if (r->glob == NULL || !is_method(r->method))
		return err_set(e, EX_DATAERR, "METHOD PATHGLOB is expected");
	for (at = skip_blanks(at); *at; at = skip_blanks(at)) {
		char *key = at, *value = NULL;
		char after;

		at += strcspn(at, "= \t");
		after = *at;
		if (after)
			*at++ = '\0';
		if (after == '=') {
			value = plan_value(&at);
			if (value == NULL)
				return err_set(e, EX_DATAERR,
					"the value of '%s' cannot be read",
					key);
		}
		if (plan_key(r, key, value) < 0)
			return err_set(e, EX_DATAERR,
				"'%s' is no key, or not with this value", key);
	}
	return 0;
}

/* The lines stay in memory for ever: the rules borrow from them. */
static int plan_load(const char *path, struct err *e)
{
	struct buf text = BUF_INIT(PLAN_MAX);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *line, *next;
	size_t number = 0;

	if (fd < 0 || io_read_all(fd, &text) < 0)
		return err_errno(e, "reading the plan %s", path);
	close(fd);
	rules = xcalloc(RULES_MAX, sizeof *rules);
	for (line = text.len ? buf_detach(&text) : NULL; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		number++;
		line = skip_blanks(line);
		if (*line == '\0' || *line == '#')
			continue;
		if (n_rules == RULES_MAX)
			return err_set(e, EX_DATAERR, "%s: over %d rules", path,
				RULES_MAX);
		if (plan_rule(line, &rules[n_rules++], e) < 0)
			return err_prefix(e, "%s:%zu", path, number);
	}
	buf_release(&text);
	return 0;
}

static bool rule_matches(
	const struct rule *r, const char *method, const char *target)
{
	size_t path_len = strcspn(target, "?");
	char *path;
	bool match;

	if (strcmp(r->method, "*") != 0 && strcmp(r->method, method) != 0)
		return false;
	path = xstrndup(target, path_len);
	match = fnmatch(r->glob, path, 0) == 0 ||
		fnmatch(r->glob, target, 0) == 0;
	free(path);
	return match;
}

static const struct rule *rule_for(const char *method, const char *target)
{
	struct rule *first = NULL, *r, *chosen = NULL;

	for (r = rules; r < rules + n_rules; r++) {
		if (first == NULL && rule_matches(r, method, target))
			first = r;
		if (first == NULL || strcmp(r->method, first->method) != 0 ||
			strcmp(r->glob, first->glob) != 0)
			continue;
		chosen = r;
		if (!r->used)
			break;
	}
	if (chosen == NULL)
		return &no_rule;
	chosen->used = true;
	return chosen;
}

/* ---- requests ---- */

struct conn {
	int fd;
	struct buf in;	 /* received, not yet consumed */
	struct buf line; /* the last line */
};

struct request {
	struct buf head; /* as it is logged */
	char *method, *target;
	uint64_t length; /* of the body, if it is not chunked */
	bool chunked, expects, closes;
	unsigned long number;
	const struct rule *rule;
};

static bool receive(struct conn *c)
{
	char *room = buf_room(&c->in, BLOCK);
	ssize_t n;

	if (room == NULL)
		return false;
	do {
		n = recv(c->fd, room, BLOCK, 0);
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		c->in.len += (size_t)n;
	return n > 0;
}

/* The next line, without its end, in c->line. */
static bool receive_line(struct conn *c)
{
	const char *end;
	size_t len;

	while (c->in.len == 0 ||
		(end = memchr(c->in.data, '\n', c->in.len)) == NULL)
		if (c->in.len > HEAD_MAX || !receive(c))
			return false;
	len = (size_t)(end - c->in.data);
	buf_clear(&c->line);
	buf_add(&c->line, c->in.data,
		len && c->in.data[len - 1] == '\r' ? len - 1 : len);
	buf_shift(&c->in, len + 1);
	return true;
}

/* Does the list `value` hold `token`? */
static bool lists(const char *value, const char *token)
{
	size_t n = strlen(token);

	while (*value) {
		value += strspn(value, " \t,");
		if (strncasecmp(value, token, n) == 0 &&
			(value[n] == '\0' || strchr(" \t,;", value[n])))
			return true;
		value += strcspn(value, ",");
	}
	return false;
}

/* The value of a header line if it is `name`, else NULL. */
static const char *header_value(const char *line, const char *name)
{
	size_t n = strlen(name);

	if (strncasecmp(line, name, n) != 0 || line[n] != ':')
		return NULL;
	return line + n + 1 + strspn(line + n + 1, " \t");
}

static bool note_header(struct request *q, const char *line)
{
	const char *v;
	char *end;

	if ((v = header_value(line, "Content-Length")) != NULL) {
		errno = 0;
		q->length = strtoull(v, &end, 10);
		return *v >= '0' && *v <= '9' && !errno && !*end;
	}
	if ((v = header_value(line, "Transfer-Encoding")) != NULL)
		q->chunked = lists(v, "chunked");
	else if ((v = header_value(line, "Expect")) != NULL)
		q->expects = lists(v, "100-continue");
	else if ((v = header_value(line, "Connection")) != NULL)
		q->closes = lists(v, "close") ||
			    (q->closes && !lists(v, "keep-alive"));
	return true;
}

/* 1: a request. 0: the end of the connection. -1: no HTTP. */
static int receive_head(struct conn *c, struct request *q)
{
	char *words, *save = NULL, *version;

	do {
		if (!receive_line(c))
			return 0;
	} while (c->line.len == 0);
	words = xstrdup(buf_text(&c->line));
	buf_printf(&q->head, "%s\n", words);
	q->method = strtok_r(words, " ", &save);
	q->target = strtok_r(NULL, " ", &save);
	version = strtok_r(NULL, " ", &save);
	if (q->method == NULL || q->method != words || version == NULL ||
		strncmp(version, "HTTP/1.", 7) != 0) {
		free(words);
		q->method = NULL;
		return -1;
	}
	q->closes = version[7] == '0';
	do {
		if (!receive_line(c))
			return 0;
		buf_printf(&q->head, "%s\n", buf_text(&c->line));
		if (!note_header(q, buf_text(&c->line)))
			return -1;
	} while (c->line.len);
	return q->head.full ? -1 : 1;
}

/* `n` bytes of the body into the log. */
static bool receive_bytes(struct conn *c, uint64_t n, int log)
{
	while (n) {
		size_t now = c->in.len < n ? c->in.len : (size_t)n;

		if (now == 0) {
			if (!receive(c))
				return false;
			continue;
		}
		if (log >= 0 && io_write(log, c->in.data, now) < 0)
			say("the log: %s", strerror(errno));
		buf_shift(&c->in, now);
		n -= now;
	}
	return true;
}

static bool receive_chunks(struct conn *c, int log)
{
	uint64_t n;
	char *end;

	for (;;) {
		if (!receive_line(c))
			return false;
		errno = 0;
		n = strtoull(buf_text(&c->line), &end, 16);
		if (errno || end == c->line.data || (*end && *end != ';'))
			return false;
		if (n == 0)
			break;
		if (!receive_bytes(c, n, log) || !receive_line(c) ||
			c->line.len)
			return false;
	}
	do {
		if (!receive_line(c))
			return false;
	} while (c->line.len);
	return true;
}

static bool send_all(struct conn *c, const void *p, size_t n)
{
	return io_write(c->fd, p, n) == 0;
}

static bool send_text(struct conn *c, const char *s)
{
	return send_all(c, s, strlen(s));
}

/* The rest of the request, and its file in the log. */
static bool receive_rest(struct conn *c, struct request *q)
{
	char *hidden = xasprintf("%s/.%04lu", log_dir, q->number);
	char *shown;
	bool whole = true;
	int log = open(hidden, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int body; /* where that goes; -1: nowhere */

	if (log < 0 || io_write(log, q->head.data, q->head.len) < 0)
		say("%s: %s", hidden, strerror(errno));
	body = q->rule->no_log ? -1 : log;
	if (!q->rule->no_read) {
		if (q->expects && (q->length || q->chunked))
			send_text(c, "HTTP/1.1 100 Continue\r\n\r\n");
		whole = q->chunked ? receive_chunks(c, body)
				   : receive_bytes(c, q->length, body);
	}
	if (log >= 0)
		close(log);
	shown = xasprintf(
		"%s/%04lu.%s", log_dir, q->number, whole ? "req" : "part");
	if (rename(hidden, shown) < 0)
		say("%s: %s", shown, strerror(errno));
	free(shown);
	free(hidden);
	return whole;
}

/* ---- answers ---- */

/* What the rule says of header `name`: NULL nothing, "" leave it out. */
static const char *rule_header(const struct rule *r, const char *name)
{
	const char *v;
	size_t i;

	for (i = 0; i < r->n_headers; i++)
		if ((v = header_value(r->headers[i], name)) != NULL)
			return v;
	return NULL;
}

static const char *reason(long status)
{
	static const struct {
		long status;
		const char *reason;
	} reasons[] = { { 200, "OK" }, { 201, "Created" },
		{ 204, "No Content" }, { 301, "Moved Permanently" },
		{ 302, "Found" }, { 304, "Not Modified" },
		{ 307, "Temporary Redirect" }, { 308, "Permanent Redirect" },
		{ 400, "Bad Request" }, { 401, "Unauthorized" },
		{ 403, "Forbidden" }, { 404, "Not Found" }, { 409, "Conflict" },
		{ 413, "Content Too Large" }, { 422, "Unprocessable Content" },
		{ 429, "Too Many Requests" }, { 500, "Internal Server Error" },
		{ 502, "Bad Gateway" }, { 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" } };
	size_t i;

	for (i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Status";
}

struct answer {
	struct buf body;
	bool bodyless; /* the status or the method allows none */
	bool ends;     /* the end of the connection is the end of the body */
};

static int load_body(const struct rule *r, struct buf *body)
{
	int fd, result;

	if (r->body)
		return buf_str(body, r->body);
	if (r->file == NULL)
		return 0;
	fd = open(r->file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	result = io_read_all(fd, body);
	close(fd);
	return result;
}

/* How the body's end is told, as header lines. */
static void frame(const struct rule *r, struct answer *a, struct buf *head)
{
	const char *said = rule_header(r, "Content-Length");
	size_t length = a->body.len;

	if (r->cut >= 0 && (size_t)r->cut >= length)
		length = (size_t)r->cut + 1;
	if (r->headers_only && length == 0)
		length = 1;
	if (r->status < 200 || r->status == 204)
		return;
	if (r->chunked) {
		buf_str(head, "Transfer-Encoding: chunked\r\n");
	} else if (said) {
		/* "Content-Length:", or what may be a lie. */
		a->ends =
			!a->bodyless && strtoull(said, NULL, 10) != a->body.len;
		a->ends = a->ends || *said == '\0';
	} else if (r->hold || r->endless) {
		a->ends = true;
	} else {
		buf_printf(head, "Content-Length: %zu\r\n", length);
	}
}

static bool send_head(struct conn *c, const struct rule *r,
	const struct request *q, struct answer *a)
{
	struct buf head = BUF_INIT(8 * PLAN_MAX);
	time_t now = time(NULL);
	struct tm tm;
	char date[64];
	size_t i;
	bool ok;

	buf_printf(&head, "HTTP/1.1 %ld %s\r\n", r->status, reason(r->status));
	if (rule_header(r, "Date") == NULL) {
		gmtime_r(&now, &tm);
		strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
		buf_printf(&head, "Date: %s\r\n", date);
	}
	if (a->body.len && rule_header(r, "Content-Type") == NULL)
		buf_str(&head, "Content-Type: application/json\r\n");
	if (q->closes && rule_header(r, "Connection") == NULL)
		buf_str(&head, "Connection: close\r\n");
	frame(r, a, &head);
	for (i = 0; i < r->n_headers; i++) {
		const char *v = strchr(r->headers[i], ':') + 1;

		if (v[strspn(v, " \t")])
			buf_printf(&head, "%s\r\n", r->headers[i]);
	}
	buf_str(&head, "\r\n");
	ok = !head.full && send_all(c, head.data, head.len);
	buf_release(&head);
	return ok;
}

/* Waits until the client has closed, at most `ms` (-1: however long). */
static void wait_closed(struct conn *c, long ms)
{
	struct pollfd end = { .fd = c->fd, .events = POLLRDHUP };

	while (poll(&end, 1, (int)ms) < 0 && errno == EINTR)
		;
}

static bool send_piece(
	struct conn *c, const struct rule *r, const char *p, size_t n)
{
	struct buf b = BUF_INIT(BLOCK + 32);
	bool ok;

	if (!r->chunked)
		return send_all(c, p, n);
	buf_printf(&b, "%zx\r\n", n);
	buf_add(&b, p, n);
	buf_str(&b, "\r\n");
	ok = send_all(c, b.data, b.len);
	buf_release(&b);
	return ok;
}

static void sleep_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

static bool send_body(struct conn *c, const struct rule *r, struct answer *a)
{
	size_t end = a->body.len, piece = r->drip >= 0 ? 1 : BLOCK, at = 0;

	if (r->cut >= 0 && (size_t)r->cut < end)
		end = (size_t)r->cut;
	while (at < end) {
		size_t n = end - at < piece ? end - at : piece;

		if (!send_piece(c, r, a->body.data + at, n))
			return false;
		at += n;
		if (r->drip > 0 && at < end)
			sleep_ms(r->drip);
	}
	return true;
}

/* true: the connection goes on. */
static bool answer(
	struct conn *c, const struct rule *r, const struct request *q)
{
	struct answer a = { .body = BUF_INIT(BODY_MAX) };
	const char *connection = rule_header(r, "Connection");
	bool goes_on = false;

	sleep_ms(r->delay);
	while (r->until && access(r->until, F_OK) < 0)
		sleep_ms(10);
	if (r->hang)
		wait_closed(c, -1);
	if (r->hang || r->close)
		return false;
	if (r->reset && r->cut < 0 && !r->hold)
		return false;
	if (load_body(r, &a.body) < 0) {
		say("%s: %s", r->file, strerror(errno));
		goto out;
	}
	a.bodyless = (q->method && strcmp(q->method, "HEAD") == 0) ||
		     r->status < 200 || r->status == 204 || r->status == 304;
	if (!send_head(c, r, q, &a))
		goto out;
	if (r->headers_only)
		wait_closed(c, -1);
	if (r->headers_only)
		goto out;
	do {
		if (!a.bodyless && !send_body(c, r, &a))
			goto out;
	} while (r->endless && a.body.len);
	if (r->hold)
		wait_closed(c, r->hold_ms);
	if (r->cut >= 0 || r->hold || a.ends)
		goto out;
	if (r->chunked && !a.bodyless && !send_text(c, "0\r\n\r\n"))
		goto out;
	goes_on = !q->closes && !(connection && lists(connection, "close")) &&
		  !(r->no_read && (q->length || q->chunked));
out:
	buf_release(&a.body);
	return goes_on;
}

/* Serves one request; false ends the connection, with an RST if *reset. */
static bool serve(struct conn *c, bool *reset)
{
	struct request q = { .head = BUF_INIT(HEAD_MAX) };
	int one = receive_head(c, &q);
	bool goes_on = false;

	if (one > 0) {
		pthread_mutex_lock(&choosing);
		q.number = ++n_requests;
		q.rule = rule_for(q.method, q.target);
		pthread_mutex_unlock(&choosing);
		*reset = q.rule->reset;
		goes_on = receive_rest(c, &q) && answer(c, q.rule, &q);
	} else if (one < 0) {
		q.closes = true;
		answer(c, &bad_request, &q);
	}
	free(q.method);
	buf_release(&q.head);
	return goes_on;
}

/* So that the client sees all that was sent before the end: close(2) with
 * unread bytes of it in our queue would be an RST. */
static void close_gently(int fd)
{
	struct pollfd in = { .fd = fd, .events = POLLIN };
	char rest[BLOCK];

	shutdown(fd, SHUT_WR);
	while (poll(&in, 1, LINGER_MS) > 0 &&
		recv(fd, rest, sizeof rest, 0) > 0)
		;
	close(fd);
}

static void *connection(void *arg)
{
	struct conn c = { .fd = (int)(intptr_t)arg,
		.in = BUF_INIT(HEAD_MAX + 2 * BLOCK),
		.line = BUF_INIT(HEAD_MAX + 2 * BLOCK) };
	const struct linger rst = { 1, 0 };
	bool reset = false;

	while (serve(&c, &reset))
		;
	if (reset) {
		setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &rst, sizeof rst);
		close(c.fd);
	} else {
		close_gently(c.fd);
	}
	buf_release(&c.in);
	buf_release(&c.line);
	return NULL;
}

/* ---- the program ---- */

static int listen_at(long port, struct err *e)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_errno(e, "opening a socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
		listen(fd, SOMAXCONN) < 0 ||
		getsockname(fd, (struct sockaddr *)&a, &len) < 0) {
		err_errno(e, "listening on 127.0.0.1:%ld", port);
		close(fd);
		return -1;
	}
	snprintf(url, sizeof url, "http://127.0.0.1:%d", ntohs(a.sin_port));
	return fd;
}

static void accept_all(int listener)
{
	struct pollfd in = { .fd = listener, .events = POLLIN };
	const int on = 1;
	pthread_attr_t attr;
	pthread_t thread;
	int fd;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, THREAD_STACK);
	while (stop_poll(&in, 1, -1) >= 0) {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0) {
			stop_sleep(10);
			continue;
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		if (pthread_create(
			    &thread, &attr, connection, (void *)(intptr_t)fd))
			close(fd);
	}
}

/* For tests of many streams. */
static void raise_descriptor_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

int main(int argc, char **argv)
{
	static const struct opt none[] = { { .kind = OPT_END } };
	static const struct opt_program program = { .name = "faults",
		.synopsis = "PLAN LOGDIR [PORT]",
		.about = "An HTTP server that misbehaves by plan.",
		.opts = none,
		.min_operands = 2,
		.max_operands = 3 };
	struct opt_args args;
	struct err e = { 0 };
	struct stat st;
	pid_t parent = getppid();
	long port = 0;
	int status, listener;

	if (!opt_parse(&program, argc, argv, &args, &status))
		return status;
	if (args.operands[2] &&
		plan_number(args.operands[2], 0, 65535, &port) < 0)
		return opt_misuse(&program, "no port: %s", args.operands[2]);
	stop_install();
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		return EX_OK;
	raise_descriptor_limit();
	log_dir = args.operands[1];
	if (stat(log_dir, &st) < 0 || !S_ISDIR(st.st_mode)) {
		err_set(&e, EX_NOINPUT, "%s is no directory", log_dir);
		return err_exit(&e);
	}
	listener = listen_at(port, &e);
	if (listener < 0 || plan_load(args.operands[0], &e) < 0 ||
		io_put_line(STDOUT_FILENO, url, &e) < 0)
		return err_exit(&e);
	accept_all(listener);
	return EX_OK;
}
