#include "feed.h"

#include "home.h"
#include "io.h"
#include "json.h"
#include "lanes.h"
#include "outbox.h"
#include "payload.h"
#include "refer.h"
#include "send.h"
#include "stop.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job {
	struct lanes_job lane;
	size_t line;
	char *text;
	struct slice payload;
	struct outbox_entry entry;
	char key[API_KEY_MAX];
	/* What became of it. */
	char *event_id;
	bool kept;	/* it waits in the outbox */
	bool final;	/* what went wrong concerns all lines */
	struct err err; /* code 0: nothing went wrong */
};

struct state {
	const struct feed *f;
	struct statedir home;
	struct outbox box;
	struct err failed; /* the first failure, in the order of lines */
	size_t n_failed;
	bool over;
	struct job *rest; /* read, but too late to be put */
	/* The last entry that was left in the outbox: what comes behind waits
	 * there too until it is gone, or it would overtake. */
	pthread_mutex_t mutex;
	char left[OUTBOX_NAME_MAX];
};

int feed_answer(int fd, const char *name, const char *value, struct err *e)
{
	char *quoted = json_quote(value);
	char *line = xasprintf("{\"%s\":%s}", name, quoted);
	int r = io_put_line(fd, line, e);

	free(line);
	free(quoted);
	return r;
}

static bool must_wait(struct state *s)
{
	bool waits;

	pthread_mutex_lock(&s->mutex);
	waits = s->left[0] && outbox_has(&s->box, s->left);
	if (!waits)
		s->left[0] = '\0';
	pthread_mutex_unlock(&s->mutex);
	return waits;
}

static void leave(struct state *s, struct job *j)
{
	outbox_leave(&j->entry);
	j->kept = true;
	pthread_mutex_lock(&s->mutex);
	memcpy(s->left, j->entry.name, sizeof s->left);
	pthread_mutex_unlock(&s->mutex);
}

static void work(void *ctx, struct api *api, struct lanes_job *lane)
{
	struct job *j = (struct job *)lane;
	struct state *s = ctx;
	struct dialect_publication p = s->f->event;
	int r;

	if (j->err.code)
		return;
	p.payload = j->payload;
	if (!s->f->spool) {
		r = refer_publish(api, &p, &j->event_id, &j->err);
		if (r < 0)
			err_prefix(&j->err, "line %zu", j->line);
		j->final = api->refused || j->err.code == EX_TEMPFAIL;
	} else if (must_wait(s)) {
		leave(s, j);
	} else {
		p.idempotency_key = j->key;
		r = send_entry(
			api, &s->box, &j->entry, &p, &j->event_id, &j->err);
		if (r == 0) {
			if (j->err.code == EX_TEMPFAIL)
				say("line %zu: %s; it waits in the outbox",
					j->line, j->err.text);
			leave(s, j);
			j->err.code = 0;
		} else if (r < 0) {
			err_prefix(&j->err, "line %zu", j->line);
		}
		j->final = api->refused;
	}
	/* Not needed for the answer, which may have to wait for its turn. */
	free(j->text);
	j->text = NULL;
}

static int answer_failure(const struct state *s, struct job *j, struct err *e)
{
	char *quoted = json_quote(j->err.text);
	char *line = xasprintf("{\"event_id\":null,\"error\":%s}", quoted);
	int r = io_put_line(s->f->out_fd, line, e);

	free(line);
	free(quoted);
	return r;
}

/* A line behind one that put an end to all. */
static void end_late(struct state *s, struct job *j)
{
	struct err e = { 0 };

	if (j->event_id)
		say("line %zu had been sent before: it is event %s", j->line,
			j->event_id);
	else if (j->kept)
		say("line %zu had been tried before: it waits in the outbox",
			j->line);
	else if (stop_asked())
		outbox_leave(&j->entry); /* nobody asked to forget it */
	else if (j->entry.fd >= 0 && outbox_remove(&s->box, &j->entry, &e) < 0)
		say("%s; remove it, or it will be sent", e.text);
}

/* It goes on only past what concerns this line alone. */
static bool is_final(const struct state *s, const struct job *j)
{
	if (!s->f->keep_going || j->final)
		return true;
	return j->err.code == EX_IOERR || j->err.code == EX_CONFIG ||
	       j->err.code == EX_TEMPFAIL || j->err.code == ERR_STOPPED;
}

static int answer(struct state *s, struct job *j, struct err *e)
{
	char *path;
	int r;

	if (j->event_id)
		return feed_answer(s->f->out_fd, "event_id", j->event_id, e);
	if (j->kept) {
		path = outbox_path(&s->box, j->entry.name);
		r = feed_answer(s->f->out_fd, "spooled", path, e);
		free(path);
		return r;
	}
	if (j->err.code == 0)
		return err_stopped(e); /* before it was begun */
	if (s->failed.code == 0)
		s->failed = j->err;
	s->n_failed++;
	if (is_final(s, j)) {
		*e = j->err;
		return -1;
	}
	say("%s", j->err.text);
	return answer_failure(s, j, e);
}

static int end(void *ctx, struct lanes_job *lane)
{
	struct job *j = (struct job *)lane;
	struct state *s = ctx;
	struct err e = { 0 };

	if (s->over) {
		end_late(s, j);
	} else {
		/* Told to end before its turn came: the entry keeps. */
		if (j->entry.fd >= 0 && !j->event_id && j->err.code == 0)
			leave(s, j);
		if (answer(s, j, &e) < 0) {
			s->over = true;
			if (s->failed.code == 0 || j->err.code)
				s->failed = e;
		}
	}
	outbox_leave(&j->entry);
	free(j->event_id);
	free(j->text);
	free(j);
	return s->over ? -1 : 0;
}

/* The next line that is not blank. As io_lines_next, 0 also when `lanes` have
 * ended. */
static int next_line(struct io_lines *in, struct lanes *lanes, size_t *number,
	char **line, size_t *len, struct err *e)
{
	struct pollfd fds[2];
	int r;

	for (;;) {
		r = io_lines_poll(in, line, len, e);
		if (r == 1) {
			++*number;
			if (strspn(*line, " \t\r") == *len)
				continue;
			return 1;
		}
		if (r != 2)
			return r;
		fds[0] = (struct pollfd){ .fd = in->fd, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = lanes_fd(lanes),
			.events = POLLIN };
		if (stop_poll(fds, 2, -1) < 0)
			return errno == ECANCELED
				       ? err_stopped(e)
				       : err_errno(e, "waiting for input");
		if (fds[1].revents)
			return 0;
	}
}

static struct job *new_job(
	struct state *s, size_t number, const char *line, size_t len)
{
	struct job *j = xcalloc(1, sizeof *j);
	struct dialect_publication p = s->f->event;

	j->line = number;
	j->entry = (struct outbox_entry)OUTBOX_NONE;
	j->text = xcalloc(1, len + 1);
	memcpy(j->text, line, len);
	if (payload_read(j->text, len, "standard input", number, &j->payload,
		    &j->err) == 0 &&
		s->f->spool) {
		p.payload = j->payload;
		if (send_keep(&s->box, &p, &j->entry, j->key, &j->err) < 0)
			err_prefix(&j->err, "line %zu", number);
	}
	return j;
}

static int read_on(struct state *s, struct lanes *lanes, struct err *e)
{
	struct io_lines in = IO_LINES(s->f->in_fd, FEED_DOCUMENT_MAX);
	size_t number = 0, len;
	struct job *j;
	char *line;
	bool last = false;
	int r;

	while (!last &&
		(r = next_line(&in, lanes, &number, &line, &len, e)) == 1) {
		j = new_job(s, number, line, len);
		/* A line that ends all must not be followed by others. */
		last = j->err.code && is_final(s, j);
		if (lanes_put(lanes, &j->lane, len) < 0) {
			s->rest = j;
			last = true;
		}
	}
	if (!last && r < 0 && e->code == EX_DATAERR)
		err_prefix(e, "line %zu", number + 1);
	io_lines_release(&in);
	return last ? 0 : r;
}

static int open_outbox(struct state *s, struct err *e)
{
	if (!s->f->spool)
		return 0;
	if (home_open(&s->home, s->f->home, STATEDIR_CREATE, e) < 0)
		return -1;
	return outbox_open(&s->box, &s->home, e);
}

int feed_lines(const struct feed *f, struct err *e)
{
	struct state s = { .f = f,
		.home = STATEDIR_NONE,
		.box = { .dir = STATEDIR_NONE },
		.mutex = PTHREAD_MUTEX_INITIALIZER };
	struct lanes_work w = { .home = f->home,
		.base_url = f->base_url,
		.retry_ms = f->retry_ms,
		.n = f->jobs,
		.work = work,
		.end = end,
		.ctx = &s };
	struct lanes *lanes = lanes_new(&w, e);
	int r = -1;

	if (lanes && open_outbox(&s, e) == 0)
		r = read_on(&s, lanes, e);
	lanes_finish(lanes);
	if (s.rest)
		end(&s, &s.rest->lane);
	outbox_close(&s.box);
	statedir_close(&s.home);
	if (s.failed.code && (r == 0 || e->code == ERR_STOPPED)) {
		*e = s.failed;
		if (f->keep_going && !s.over)
			err_set(e, s.failed.code,
				"not all lines were published; %zu were not",
				s.n_failed);
		r = -1;
	}
	return r;
}
