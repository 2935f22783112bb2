/* A preload shim: names and addresses of the internet, on loopback.
 *
 *     LD_PRELOAD=pretend.so PRETEND="NAME=ADDRESS,… NAME=…" PROGRAM …
 *
 * A NAME resolves to its ADDRESSes, in this order; behind a ";" stand those of
 * the next time it is looked up (the last go on for ever). Other names are the
 * system's. A connection to any IPv4 address outside 127.0.0.0/8 is made to
 * 127.0.0.1, at the port that was asked for; one to an IPv6 address that is not
 * loopback fails. Every attempt is appended to the file $PRETEND_LOG, if that is
 * set, as a line "ADDRESS PORT", before it is made. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NAMES = 16, LIST_MAX = 512 };

typedef int lookup_fn(const char *, const char *, const struct addrinfo *,
	struct addrinfo **);
typedef int connect_fn(int, const struct sockaddr *, socklen_t);

static void *next(const char *name)
{
	void *f = dlsym(RTLD_NEXT, name);

	if (f == NULL)
		abort();
	return f;
}

/* What $PRETEND says of `name`, NULL if nothing; and which of its names it is. */
static const char *said_of(const char *name, int *which)
{
	const char *p = getenv("PRETEND");
	size_t len = strlen(name);

	for (*which = 0; p && *which < NAMES; ++*which) {
		p += strspn(p, " ");
		if (strncmp(p, name, len) == 0 && p[len] == '=')
			return p + len + 1;
		p = strchr(p, ' ');
	}
	return NULL;
}

/* The addresses for this lookup, "A,B". */
static void addresses(const char *said, int which, char list[LIST_MAX])
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static int lookups[NAMES];
	int skip;
	size_t n;

	pthread_mutex_lock(&mutex);
	skip = lookups[which]++;
	pthread_mutex_unlock(&mutex);
	while (skip-- && said[n = strcspn(said, " ;")] == ';')
		said += n + 1;
	snprintf(list, LIST_MAX, "%.*s", (int)strcspn(said, " ;"), said);
}

int getaddrinfo(const char *node, const char *service,
	const struct addrinfo *hints, struct addrinfo **res)
{
	static lookup_fn *real;
	struct addrinfo numeric = { 0 };
	char list[LIST_MAX], *one, *save = NULL;
	const char *said;
	int which, r;

	if (real == NULL)
		*(void **)&real = next("getaddrinfo");
	said = node ? said_of(node, &which) : NULL;
	if (said == NULL)
		return real(node, service, hints, res);
	addresses(said, which, list);
	if (hints)
		numeric = *hints;
	numeric.ai_flags |= AI_NUMERICHOST;
	numeric.ai_family = AF_UNSPEC;
	*res = NULL;
	for (one = strtok_r(list, ",", &save); one;
		one = strtok_r(NULL, ",", &save)) {
		r = real(one, service, &numeric, res);
		if (r)
			return r;
		while (*res)
			res = &(*res)->ai_next;
	}
	return 0;
}

static void note(const struct sockaddr *to)
{
	const struct sockaddr_in *in = (const void *)to;
	const struct sockaddr_in6 *in6 = (const void *)to;
	const char *log = getenv("PRETEND_LOG");
	char address[INET6_ADDRSTRLEN], line[INET6_ADDRSTRLEN + 16];
	int fd, v6 = to->sa_family == AF_INET6;

	if (log == NULL)
		return;
	inet_ntop(to->sa_family,
		v6 ? (const void *)&in6->sin6_addr : &in->sin_addr, address,
		sizeof address);
	snprintf(line, sizeof line, "%s %d\n", address,
		ntohs(v6 ? in6->sin6_port : in->sin_port));
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, line, strlen(line)) < 0)
		abort();
	close(fd);
}

int connect(int fd, __CONST_SOCKADDR_ARG arg, socklen_t len)
{
	const struct sockaddr *to = arg.__sockaddr__;
	static connect_fn *real;
	struct sockaddr_in in;

	if (real == NULL)
		*(void **)&real = next("connect");
	if (to->sa_family == AF_INET || to->sa_family == AF_INET6)
		note(to);
	if (to->sa_family == AF_INET6 &&
		!IN6_IS_ADDR_LOOPBACK(
			&((const struct sockaddr_in6 *)(const void *)to)
				 ->sin6_addr)) {
		errno = ENETUNREACH;
		return -1;
	}
	if (to->sa_family != AF_INET)
		return real(fd, to, len);
	memcpy(&in, to, sizeof in);
	if (ntohl(in.sin_addr.s_addr) >> 24 != 127)
		in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return real(fd, (const struct sockaddr *)&in, sizeof in);
}
