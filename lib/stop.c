#include "stop.h"

#include "backoff.h"
#include "err.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { POLL_MAX = 14 };

static int event_fd = -1; /* becomes readable for good once asked */
static int reader_fd = -1;
static atomic_int asked; /* 0, a signal, or -1 from within */

static const int caught[] = { SIGTERM, SIGINT, SIGHUP };
static bool taken[sizeof caught / sizeof caught[0]]; /* not those ignored */

static void ask(int why)
{
	static const uint64_t one = 1;
	int none = 0;

	atomic_compare_exchange_strong(&asked, &none, why);
	if (event_fd >= 0 && write(event_fd, &one, sizeof one) < 0) {
		/* The counter is at its end: it is readable already. */
	}
}

static void on_signal(int sig)
{
	int saved = errno;

	ask(sig);
	errno = saved;
}

/* A crash must not write tokens and secrets to the disk. Programs that we start
 * are not concerned: exec makes them dumpable again. */
static void keep_memory_private(void)
{
#if defined(__SANITIZE_ADDRESS__)
	/* Its search for leaks has to look into the process. */
#else
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

/* A standard descriptor that was closed when we were started would become some
 * file of ours. Opened for reading: what is written there then fails. */
static void fill_standard_fds(void)
{
	int fd;

	for (fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) < 0)
			_exit(EX_IOERR);
}

void stop_install(void)
{
	struct sigaction act, was;
	size_t i;

	fill_standard_fds();
	keep_memory_private();
	event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	memset(&act, 0, sizeof act);
	act.sa_handler = on_signal;
	for (i = 0; i < sizeof caught / sizeof caught[0]; i++) {
		if (sigaction(caught[i], NULL, &was) == 0 &&
			was.sa_handler == SIG_IGN && caught[i] != SIGTERM)
			continue;
		taken[i] = sigaction(caught[i], &act, NULL) == 0;
	}
	act.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &act, NULL);
}

void stop_when_reader_closes(int fd)
{
	reader_fd = fd;
}

void stop_ask(void)
{
	ask(-1);
}

int stop_signal(void)
{
	int why = atomic_load(&asked);

	return why > 0 ? why : 0;
}

void stop_fds(struct pollfd fds[STOP_FDS])
{
	/* No events asked of the reader's end: POLLERR and POLLHUP come
	 * unasked, and a writable pipe must not wake us. */
	fds[0] = (struct pollfd){ .fd = event_fd, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = reader_fd, .events = 0 };
}

bool stop_asked(void)
{
	struct pollfd fd = { .fd = reader_fd, .events = 0 };

	if (atomic_load(&asked))
		return true;
	return reader_fd >= 0 && poll(&fd, 1, 0) > 0 &&
	       (fd.revents & (POLLERR | POLLHUP));
}

int stop_poll(struct pollfd *fds, unsigned n, long timeout_ms)
{
	struct pollfd all[POLL_MAX + STOP_FDS];
	int64_t end = backoff_clock_ms() + timeout_ms;
	unsigned i;
	int ready;

	if (n > POLL_MAX) {
		errno = EINVAL;
		return -1;
	}
	stop_fds(all);
	if (n)
		memcpy(all + STOP_FDS, fds, n * sizeof *fds);
	do {
		if (atomic_load(&asked)) {
			errno = ECANCELED;
			return -1;
		}
		if (timeout_ms >= 0) {
			int64_t left = end - backoff_clock_ms();

			timeout_ms = left > 0 ? (long)left : 0;
		}
		ready = poll(all, n + STOP_FDS,
			timeout_ms > 60000 ? 60000 : (int)timeout_ms);
	} while ((ready < 0 && errno == EINTR) ||
		 (ready == 0 && timeout_ms > 60000));
	if (ready < 0)
		return -1;
	if (all[0].revents || all[1].revents) {
		errno = ECANCELED;
		return -1;
	}
	for (i = 0; i < n; i++)
		fds[i].revents = all[STOP_FDS + i].revents;
	return ready;
}

bool stop_sleep(long ms)
{
	return stop_poll(NULL, 0, ms > 0 ? ms : 0) >= 0;
}

pid_t stop_fork(void)
{
	sigset_t caught_now, was;
	size_t i;
	pid_t pid;

	/* Both share the descriptor: the child must not be told to end before
	 * it has its own. */
	sigemptyset(&caught_now);
	for (i = 0; i < sizeof caught / sizeof caught[0]; i++)
		sigaddset(&caught_now, caught[i]);
	sigprocmask(SIG_BLOCK, &caught_now, &was);
	pid = fork();
	if (pid == 0) {
		close(event_fd);
		event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		reader_fd = -1;
		atomic_store(&asked, 0);
	}
	sigprocmask(SIG_SETMASK, &was, NULL);
	return pid;
}

void stop_reset_child(void)
{
	struct sigaction act;
	sigset_t none;
	size_t i;

	memset(&act, 0, sizeof act);
	act.sa_handler = SIG_DFL;
	for (i = 0; i < sizeof caught / sizeof caught[0]; i++)
		if (taken[i])
			sigaction(caught[i], &act, NULL);
	sigaction(SIGPIPE, &act, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}
