/* Preload shim: ends the process right before its Nth state change, or makes
 * that change fail.
 *
 *     ABORT_AT=N LD_PRELOAD=build/tests/abort-at.so PROGRAM ...
 *
 * A state change is a call that changes a file or speaks to a network peer:
 * open and the like where they create or truncate; write and the like to a
 * regular file; rename, link, symlink, unlink, mkdir, rmdir, truncate,
 * fallocate, fsync, chmod and their relatives; and the first send on each TCP
 * connection. Not counted: standard error, /proc and /dev (but /dev/shm), memfds,
 * pipes, and SQLite's files (*.db, *.db-wal, *.db-shm, *.db-journal).
 *
 *   ABORT_AT=N        SIGKILL to itself right before change N (from 1)
 *   FAIL_AT=N         change N fails instead ...
 *   FAIL_FROM=N       ... or change N and all behind it,
 *   FAIL_ERRNO=NAME   with this error (EIO): EACCES EDQUOT EIO ENOSPC EPERM
 *                     EROFS for files; ECONNRESET EPIPE ETIMEDOUT for sends.
 *                     As in life the former leave sends alone and the latter
 *                     files, and where the disk is full (EDQUOT, ENOSPC) unlink
 *                     and rmdir go on working: such a change is counted, and
 *                     done
 *   ABORT_LOG=FILE    appends "NAME WHAT" before each change, and when the
 *                     program exits "total N". An absolute path
 *   ABORT_PROGRAM=P   only in processes of this short name
 *   ABORT_SQLITE=1    counts SQLite's files as well
 *   ABORT_SENDS=1     counts every send, not only the first of a connection
 *
 * Each process counts for itself. Calls that libc makes within itself (stdio's
 * among them) do not come by here. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FDS = 65536, EX_SETUP = 70 };

enum kind { TO_DISK, FREES_DISK, TO_PEER };

static bool on, count_sqlite, every_send;
static unsigned long abort_at, fail_at, fail_from;
static int fail_errno = EIO;
static char log_path[PATH_MAX];
static pid_t counting; /* who writes the total */
static atomic_ulong count;
static atomic_bool spoken[FDS]; /* this connection's first send is past */

/* ---- settings ---- */

static unsigned long number(const char *name)
{
	const char *s = getenv(name);

	return s ? strtoul(s, NULL, 10) : 0;
}

static void choose_errno(const char *name)
{
	static const struct {
		const char *name;
		int value;
	} known[] = { { "EACCES", EACCES }, { "EDQUOT", EDQUOT },
		{ "EIO", EIO }, { "ENOSPC", ENOSPC }, { "EPERM", EPERM },
		{ "EROFS", EROFS }, { "ECONNRESET", ECONNRESET },
		{ "EPIPE", EPIPE }, { "ETIMEDOUT", ETIMEDOUT } };
	size_t i;

	for (i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strcmp(name, known[i].name) == 0) {
			fail_errno = known[i].value;
			return;
		}
	dprintf(STDERR_FILENO, "abort-at: unknown FAIL_ERRNO: %s\n", name);
	_exit(EX_SETUP);
}

__attribute__((constructor)) static void set_up(void)
{
	const char *program = getenv("ABORT_PROGRAM");
	const char *log = getenv("ABORT_LOG"), *name = getenv("FAIL_ERRNO");

	if (program && strcmp(program, program_invocation_short_name) != 0)
		return;
	if (log && (size_t)snprintf(log_path, sizeof log_path, "%s", log) >=
			   sizeof log_path)
		_exit(EX_SETUP);
	if (name)
		choose_errno(name);
	abort_at = number("ABORT_AT");
	fail_at = number("FAIL_AT");
	fail_from = number("FAIL_FROM");
	count_sqlite = number("ABORT_SQLITE") != 0;
	every_send = number("ABORT_SENDS") != 0;
	counting = getpid();
	on = true;
}

/* ---- counting ---- */

static void log_line(const char *name, const char *what)
{
	char line[PATH_MAX + 64];
	int n, fd;

	if (log_path[0] == '\0')
		return;
	n = snprintf(line, sizeof line, "%s %s\n", name, what);
	if (n < 0 || (size_t)n >= sizeof line)
		n = (int)sizeof line - 1;
	fd = (int)syscall(SYS_openat, AT_FDCWD, log_path,
		O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0) {
		syscall(SYS_write, fd, line, (size_t)n);
		syscall(SYS_close, fd);
	}
}

__attribute__((destructor)) static void total(void)
{
	char n[32];

	if (!on || getpid() != counting)
		return;
	snprintf(n, sizeof n, "%lu", atomic_load(&count));
	log_line("total", n);
}

static bool spared(enum kind kind)
{
	bool peer_errno = fail_errno == ECONNRESET || fail_errno == EPIPE ||
			  fail_errno == ETIMEDOUT;

	if (kind == TO_PEER || peer_errno)
		return !(kind == TO_PEER && peer_errno);
	return kind == FREES_DISK &&
	       (fail_errno == ENOSPC || fail_errno == EDQUOT);
}

/* One state change is about to happen. true: it shall fail, errno is set. */
static bool change(enum kind kind, const char *name, const char *what)
{
	int saved = errno;
	unsigned long n = atomic_fetch_add(&count, 1) + 1;

	log_line(name, what);
	if (n == abort_at)
		syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
	errno = saved;
	if ((n != fail_at && (fail_from == 0 || n < fail_from)) || spared(kind))
		return false;
	errno = fail_errno;
	return true;
}

static bool begins(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

static bool ends(const char *s, const char *with)
{
	size_t n = strlen(s), m = strlen(with);

	return n >= m && strcmp(s + n - m, with) == 0;
}

static bool of_interest(const char *path)
{
	static const char *const sqlite[] = { ".db", ".db-wal", ".db-shm",
		".db-journal" };
	size_t i;

	if (begins(path, "/proc/") || begins(path, "/memfd:"))
		return false;
	if (begins(path, "/dev/") && !begins(path, "/dev/shm/"))
		return false;
	for (i = 0; !count_sqlite && i < sizeof sqlite / sizeof sqlite[0]; i++)
		if (ends(path, sqlite[i]))
			return false;
	return true;
}

static bool change_path(enum kind kind, const char *name, const char *path)
{
	int saved = errno;
	bool fails = on && of_interest(path) && change(kind, name, path);

	if (!fails)
		errno = saved;
	return fails;
}

/* The path behind a descriptor, "" if there is none. */
static void path_of(int fd, char path[PATH_MAX])
{
	static const char deleted[] = " (deleted)";
	char link[64];
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, PATH_MAX - 1);
	path[n > 0 ? n : 0] = '\0';
	if (ends(path, deleted))
		path[strlen(path) - (sizeof deleted - 1)] = '\0';
}

static bool change_file(const char *name, int fd)
{
	char path[PATH_MAX];
	int saved = errno;
	bool fails = false;
	struct stat st;

	if (!on)
		return false;
	if (fd != STDERR_FILENO && fstat(fd, &st) == 0 &&
		(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) {
		path_of(fd, path);
		fails = of_interest(path) && change(TO_DISK, name, path);
	}
	if (!fails)
		errno = saved;
	return fails;
}

static bool is_tcp(int fd)
{
	int type = 0, domain = 0;
	socklen_t len = sizeof type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
	       type == SOCK_STREAM && (domain == AF_INET || domain == AF_INET6);
}

static bool change_peer(const char *name, int fd)
{
	int saved = errno;
	bool fails = false;

	if (on && fd >= 0 && fd < FDS &&
		(every_send || !atomic_load(&spoken[fd])) && is_tcp(fd)) {
		atomic_store(&spoken[fd], true);
		fails = change(TO_PEER, name, "to a peer");
	}
	if (!fails)
		errno = saved;
	return fails;
}

/* For calls that serve files and sockets alike. */
static bool change_fd(const char *name, int fd)
{
	return change_file(name, fd) || change_peer(name, fd);
}

static void forget(int fd)
{
	if (fd >= 0 && fd < FDS)
		atomic_store(&spoken[fd], false);
}

/* ---- the calls ---- */

/* libc's own function of this name, as `real`. ISO C has no cast for it. */
#define REAL(type, name, ...)                                                  \
	static type (*real)(__VA_ARGS__);                                      \
	if (real == NULL) {                                                    \
		void *found = dlsym(RTLD_NEXT, name);                          \
		memcpy(&real, &found, sizeof found);                           \
	}                                                                      \
	_Static_assert(sizeof(void *) == sizeof real, "POSIX")

static bool creates(int flags)
{
	return (flags & (O_CREAT | O_TRUNC)) ||
	       (flags & O_TMPFILE) == O_TMPFILE;
}

/* The mode follows where a file may be made. */
#define MODE_ARGUMENT(mode, flags)                                             \
	mode_t mode = 0;                                                       \
	if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) {           \
		va_list ap;                                                    \
		va_start(ap, flags);                                           \
		mode = va_arg(ap, mode_t);                                     \
		va_end(ap);                                                    \
	}

#define OPEN(name)                                                             \
	int name(const char *path, int flags, ...)                             \
	{                                                                      \
		REAL(int, #name, const char *, int, ...);                      \
		MODE_ARGUMENT(mode, flags)                                     \
		if (creates(flags) && change_path(TO_DISK, "open", path))      \
			return -1;                                             \
		return real(path, flags, mode);                                \
	}
#define OPENAT(name)                                                           \
	int name(int dirfd, const char *path, int flags, ...)                  \
	{                                                                      \
		REAL(int, #name, int, const char *, int, ...);                 \
		MODE_ARGUMENT(mode, flags)                                     \
		if (creates(flags) && change_path(TO_DISK, "openat", path))    \
			return -1;                                             \
		return real(dirfd, path, flags, mode);                         \
	}
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

/* What FORTIFY makes of an open without a mode. */
#define OPEN_2(name)                                                           \
	int name(const char *path, int flags);                                 \
	int name(const char *path, int flags)                                  \
	{                                                                      \
		REAL(int, #name, const char *, int);                           \
		if (creates(flags) && change_path(TO_DISK, "open", path))      \
			return -1;                                             \
		return real(path, flags);                                      \
	}
#define OPENAT_2(name)                                                         \
	int name(int dirfd, const char *path, int flags);                      \
	int name(int dirfd, const char *path, int flags)                       \
	{                                                                      \
		REAL(int, #name, int, const char *, int);                      \
		if (creates(flags) && change_path(TO_DISK, "openat", path))    \
			return -1;                                             \
		return real(dirfd, path, flags);                               \
	}
OPEN_2(__open_2)
OPEN_2(__open64_2)
OPENAT_2(__openat_2)
OPENAT_2(__openat64_2)

/* DEFINE(result, name, (parameters), (arguments), does it fail?) */
#define BARE(...) __VA_ARGS__
#define DEFINE(result, name, parameters, arguments, fails)                     \
	result name parameters                                                 \
	{                                                                      \
		REAL(result, #name, BARE parameters);                          \
		if (fails)                                                     \
			return -1;                                             \
		return real arguments;                                         \
	}
#define ON_PATH(name, path, parameters, arguments)                             \
	DEFINE(int, name, parameters, arguments,                               \
		change_path(TO_DISK, #name, path))
#define ON_FILE(result, name, parameters, arguments)                           \
	DEFINE(result, name, parameters, arguments, change_file(#name, fd))
#define ON_FD(name, parameters, arguments)                                     \
	DEFINE(ssize_t, name, parameters, arguments, change_fd(#name, fd))
#define ON_PEER(name, parameters, arguments)                                   \
	DEFINE(ssize_t, name, parameters, arguments, change_peer(#name, fd))

ON_PATH(creat, path, (const char *path, mode_t mode), (path, mode))
ON_PATH(creat64, path, (const char *path, mode_t mode), (path, mode))

ON_FD(write, (int fd, const void *p, size_t n), (fd, p, n))
ON_FD(writev, (int fd, const struct iovec *v, int n), (fd, v, n))
ON_FILE(ssize_t, pwrite, (int fd, const void *p, size_t n, off_t at),
	(fd, p, n, at))
ON_FILE(ssize_t, pwrite64, (int fd, const void *p, size_t n, off64_t at),
	(fd, p, n, at))
ON_FILE(ssize_t, pwritev, (int fd, const struct iovec *v, int n, off_t at),
	(fd, v, n, at))
ON_FILE(ssize_t, pwritev64, (int fd, const struct iovec *v, int n, off64_t at),
	(fd, v, n, at))
ON_FILE(ssize_t, copy_file_range,
	(int in, off64_t *in_at, int fd, off64_t *at, size_t n, unsigned flags),
	(in, in_at, fd, at, n, flags))
ON_FD(sendfile, (int fd, int in, off_t *at, size_t n), (fd, in, at, n))
ON_FD(sendfile64, (int fd, int in, off64_t *at, size_t n), (fd, in, at, n))

ON_PATH(rename, from, (const char *from, const char *to), (from, to))
ON_PATH(renameat, from, (int fd, const char *from, int to_fd, const char *to),
	(fd, from, to_fd, to))
ON_PATH(renameat2, from,
	(int fd, const char *from, int to_fd, const char *to, unsigned flags),
	(fd, from, to_fd, to, flags))
ON_PATH(link, from, (const char *from, const char *to), (from, to))
ON_PATH(linkat, from,
	(int fd, const char *from, int to_fd, const char *to, int flags),
	(fd, from, to_fd, to, flags))
ON_PATH(symlink, to, (const char *from, const char *to), (from, to))
ON_PATH(symlinkat, to, (const char *from, int fd, const char *to),
	(from, fd, to))
ON_PATH(mkdir, path, (const char *path, mode_t mode), (path, mode))
ON_PATH(mkdirat, path, (int fd, const char *path, mode_t mode),
	(fd, path, mode))

DEFINE(int, unlink, (const char *path), (path),
	change_path(FREES_DISK, "unlink", path))
DEFINE(int, unlinkat, (int fd, const char *path, int flags), (fd, path, flags),
	change_path(FREES_DISK, "unlinkat", path))
DEFINE(int, rmdir, (const char *path), (path),
	change_path(FREES_DISK, "rmdir", path))
DEFINE(int, remove, (const char *path), (path),
	change_path(FREES_DISK, "remove", path))

ON_PATH(truncate, path, (const char *path, off_t n), (path, n))
ON_PATH(truncate64, path, (const char *path, off64_t n), (path, n))
ON_FILE(int, ftruncate, (int fd, off_t n), (fd, n))
ON_FILE(int, ftruncate64, (int fd, off64_t n), (fd, n))
ON_FILE(int, fallocate, (int fd, int mode, off_t at, off_t n),
	(fd, mode, at, n))
ON_FILE(int, fallocate64, (int fd, int mode, off64_t at, off64_t n),
	(fd, mode, at, n))
ON_FILE(int, fsync, (int fd), (fd))
ON_FILE(int, fdatasync, (int fd), (fd))
ON_FILE(int, fchmod, (int fd, mode_t mode), (fd, mode))
ON_PATH(chmod, path, (const char *path, mode_t mode), (path, mode))
ON_PATH(fchmodat, path, (int fd, const char *path, mode_t mode, int flags),
	(fd, path, mode, flags))

ON_PEER(send, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags))
ON_PEER(sendto,
	(int fd, const void *p, size_t n, int flags, __CONST_SOCKADDR_ARG to,
		socklen_t len),
	(fd, p, n, flags, to, len))
ON_PEER(sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags))

/* These two return the error and leave errno alone. */
int posix_fallocate(int fd, off_t at, off_t n)
{
	REAL(int, "posix_fallocate", int, off_t, off_t);
	int saved = errno;

	if (change_file("posix_fallocate", fd)) {
		errno = saved;
		return fail_errno;
	}
	return real(fd, at, n);
}

int posix_fallocate64(int fd, off64_t at, off64_t n)
{
	REAL(int, "posix_fallocate64", int, off64_t, off64_t);
	int saved = errno;

	if (change_file("posix_fallocate", fd)) {
		errno = saved;
		return fail_errno;
	}
	return real(fd, at, n);
}

/* A descriptor's next connection has its own first send. */
int connect(int fd, __CONST_SOCKADDR_ARG to, socklen_t len)
{
	REAL(int, "connect", int, __CONST_SOCKADDR_ARG, socklen_t);

	forget(fd);
	return real(fd, to, len);
}

int close(int fd)
{
	REAL(int, "close", int);

	forget(fd);
	return real(fd);
}
