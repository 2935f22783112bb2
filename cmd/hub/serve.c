#include "serve.h"

#include "backoff.h"
#include "io.h"
#include "keep.h"
#include "listen.h"
#include "stop.h"
#include "stream.h"
#include "web.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	SMALL_FILE = 1 << 20,
	SPARE_FDS = 128, /* database handles, epoll, the folder */
	CONNECTIONS_MAX = 30000,
	THREADS_MIN = 2,
	THREADS_MAX = 8,
	LAST_WORDS_MS = 400 /* for answers that are on their way */
};

/* The key that signs; made once per database, so that tokens and URLs outlive
 * a restart. */
static int load_key(struct db *db, struct hub *hub, struct err *e)
{
	unsigned char fresh[SIGN_KEY];
	struct query *q;
	const void *key;
	size_t n;
	int r;

	sign_random(fresh, sizeof fresh);
	r = db_exec(db, e,
		"INSERT OR IGNORE INTO settings (name, value) "
		"VALUES ('signing-key', ?)",
		"b", fresh, sizeof fresh);
	explicit_bzero(fresh, sizeof fresh);
	if (r < 0)
		return -1;
	q = db_query(db, e,
		"SELECT value FROM settings WHERE name = 'signing-key'", "");
	r = db_step(q, e);
	if (r == 1) {
		key = db_blob(q, 0, &n);
		if (n == SIGN_KEY)
			memcpy(hub->key, key, n);
		else
			r = err_set(e, EX_CONFIG,
				"the signing key in the database is damaged");
	}
	db_done(q);
	return r < 0 ? -1 : 0;
}

/* A small text file; `secret`: that must be closed to others. */
static char *read_file(const char *path, bool secret, struct err *e)
{
	struct buf b = BUF_SECRET(SMALL_FILE);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	char *text = NULL;

	if (fd < 0) {
		err_errno(e, "opening %s", path);
		if (errno == ENOENT)
			e->code = EX_NOINPUT;
		return NULL;
	}
	if (fstat(fd, &st) < 0)
		err_errno(e, "%s", path);
	else if (secret && (st.st_mode & 077))
		err_mend(e, "chmod 600", path,
			"others may read the secret in %s; run", path);
	else if (io_read_all(fd, &b) < 0)
		err_errno(e, "reading %s", path);
	else
		text = buf_detach(&b);
	close(fd);
	buf_release(&b);
	return text;
}

static int load_files(struct hub *hub, struct err *e)
{
	const struct hub_options *o = &hub->options;

	if (o->admin_token_file) {
		hub->admin_token = read_file(o->admin_token_file, true, e);
		if (hub->admin_token == NULL)
			return -1;
		hub->admin_token[strcspn(hub->admin_token, "\r\n")] = '\0';
		if (strlen(hub->admin_token) < 16)
			return err_set(e, EX_CONFIG,
				"the admin token in %s is shorter than 16 "
				"characters",
				o->admin_token_file);
	}
	if (o->cert == NULL)
		return 0;
	hub->cert = read_file(o->cert, false, e);
	if (hub->cert)
		hub->tls_key = read_file(o->key, true, e);
	return hub->tls_key ? 0 : -1;
}

/* As many connections as the hard limit allows, each of which may be an upload
 * or a download with a descriptor for its file as well. */
static unsigned raise_limits(void)
{
	struct rlimit r = { 1024, 1024 }, none = { 0, 0 };
	rlim_t n;

	/* Secrets pass through memory: none of it into a core dump. */
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
	getrlimit(RLIMIT_NOFILE, &r);
	n = r.rlim_cur > 2 * SPARE_FDS ? r.rlim_cur - SPARE_FDS : SPARE_FDS;
	n /= 2;
	return n > CONNECTIONS_MAX ? CONNECTIONS_MAX : (unsigned)n;
}

static unsigned thread_count(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	if (n < THREADS_MIN)
		return THREADS_MIN;
	return n > THREADS_MAX ? THREADS_MAX : (unsigned)n;
}

static int open_all(struct hub *hub, const char *db_path, struct err *e)
{
	unsigned connections = raise_limits();
	struct db *db = db_open(db_path, true, e);
	int fd;

	if (db == NULL)
		return -1;
	hub->objects = objects_open(db_path, e);
	if (hub->objects == NULL || load_key(db, hub, e) < 0 ||
		objects_sweep(hub->objects, db, e) < 0 ||
		load_files(hub, e) < 0) {
		db_close(db);
		return -1;
	}
	hub->pool = db_pool_new(db_path);
	hub->streams = streams_new(hub, e);
	if (hub->streams)
		hub->work = work_start(db, streams_flush, hub->streams, e);
	else
		db_close(db);
	if (hub->work == NULL)
		return -1;
	fd = listen_on(hub->options.listen, hub->cert != NULL, &hub->origin, e);
	if (fd < 0)
		return -1;
	/* Takes the socket over; the process ends if it does not start. */
	hub->web = web_start(hub, fd, thread_count(), connections, e);
	return hub->web ? 0 : -1;
}

static int say_ready(const struct hub *hub, struct err *e)
{
	char *line = xasprintf("{\"listening\":\"%s\",\"pid\":%ld}",
		hub->origin, (long)getpid());
	int r = io_put_line(STDOUT_FILENO, line, e);

	free(line);
	return r;
}

static void pulse_until_stopped(struct hub *hub)
{
	struct keep keep = { 0 };
	long tick = hub->options.heartbeat_ms / 10;

	if (tick > keep_interval(&hub->options))
		tick = keep_interval(&hub->options);
	if (tick > 1000)
		tick = 1000;
	while (stop_sleep(tick < 20 ? 20 : tick)) {
		streams_pulse(hub->streams);
		keep_pulse(&keep, hub);
	}
}

/* Nothing may sleep when libmicrohttpd stops: streams are ended, changes
 * finished, and new ones refused, while it still runs. */
static void close_all(struct hub *hub)
{
	int64_t end = backoff_clock_ms() + LAST_WORDS_MS;

	if (hub->web)
		web_quiesce(hub->web);
	if (hub->streams) {
		streams_end(hub->streams);
		while (atomic_load(&hub->under_way) > 0 &&
			backoff_clock_ms() < end)
			usleep(2000);
	}
	if (hub->work)
		work_stop(hub->work);
	web_stop(hub->web);
	work_free(hub->work);
	streams_free(hub->streams);
	if (hub->pool)
		db_pool_free(hub->pool);
	objects_close(hub->objects);
	buf_wipe_free(hub->admin_token);
	free(hub->cert);
	buf_wipe_free(hub->tls_key);
	free(hub->origin);
	explicit_bzero(hub->key, sizeof hub->key);
	/* Leak checkers look into a process at its end, when it has no more
	 * secrets. */
	prctl(PR_SET_DUMPABLE, 1);
}

int serve(const char *db_path, const struct hub_options *options, struct err *e)
{
	struct hub hub = { .options = *options };
	int r = open_all(&hub, db_path, e);

	if (r == 0)
		r = say_ready(&hub, e);
	if (r == 0)
		pulse_until_stopped(&hub);
	close_all(&hub);
	return r;
}
