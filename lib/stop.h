/* base: being told to end, as one flag and as descriptors to poll.
 *
 * stop_install() once, early in main. From then on SIGTERM, SIGINT and SIGHUP
 * (unless ignored when we were started, as under nohup) only raise the flag;
 * SIGPIPE is ignored. A program whose stdout is read by others also calls
 * stop_when_reader_closes(STDOUT_FILENO): a closed reader then counts as being
 * told to end, even while the program is idle. Every wait in the toolkit goes
 * through here or polls stop_fds(), so that it ends at once. Thread-safe.
 *
 * stop_install() also sees to it that a crash leaves no core dump: memory holds
 * secrets. */
#ifndef AGENTRUX_STOP_H
#define AGENTRUX_STOP_H

#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>

enum { STOP_FDS = 2 };

void stop_install(void);
void stop_when_reader_closes(int fd);

/* Has it been asked for? Looks at the reader as well. */
bool stop_asked(void);

/* The signal that asked, or 0. */
int stop_signal(void);

/* Asks from within (another thread's failure, say). */
void stop_ask(void);

/* Fills STOP_FDS entries for poll(2); unused ones have fd -1. Any revents that
 * is not 0 means: told to end. */
void stop_fds(struct pollfd fds[STOP_FDS]);

/* poll(2) on `n` (at most 14) descriptors that also ends when told to end.
 * Returns like poll; told to end is -1 with errno ECANCELED. EINTR does not
 * show. timeout_ms -1: none. */
int stop_poll(struct pollfd *fds, unsigned n, long timeout_ms);

/* Sleeps. false if it was cut short because we were told to end. */
bool stop_sleep(long ms);

/* fork(2) for a child that goes on as a program of its own kind: what it is told
 * concerns it alone, and nobody reads from it yet. In a process of one thread. */
pid_t stop_fork(void);

/* In a child before exec: default signal dispositions, empty mask. */
void stop_reset_child(void);

#endif
