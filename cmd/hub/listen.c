#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

static bool is_loopback(const struct sockaddr *sa)
{
	const struct sockaddr_in *in = (const void *)sa;
	const struct sockaddr_in6 *in6 = (const void *)sa;

	if (sa->sa_family == AF_INET)
		return ntohl(in->sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

/* Splits "HOST:PORT" at the last colon; brackets go. */
static int split(const char *address, char **host, char **port, struct err *e)
{
	const char *colon = strrchr(address, ':');
	size_t n = colon ? (size_t)(colon - address) : 0;

	if (n >= 2 && address[0] == '[' && address[n - 1] == ']') {
		address++;
		n -= 2;
	} else if (memchr(address, ':', n)) {
		n = 0; /* an IPv6 address without its brackets */
	}
	if (n == 0 || colon[1] == '\0' || strlen(colon + 1) > 5 ||
		strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
		atoi(colon + 1) > 65535)
		return err_set(e, EX_USAGE,
			"--listen: '%s' is not HOST:PORT, such as "
			"127.0.0.1:8787 or [::1]:8787",
			address);
	*host = xstrndup(address, n);
	*port = xstrdup(colon + 1);
	return 0;
}

static int port_of(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;

	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		return 0;
	if (sa.ss_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)&sa)->sin_port);
	return ntohs(((const struct sockaddr_in6 *)&sa)->sin6_port);
}

static int bind_to(const struct addrinfo *a, const char *address, struct err *e)
{
	int fd = socket(
		a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1;

	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
		if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 &&
			listen(fd, BACKLOG) == 0)
			return fd;
	}
	err_errno(e, "listening on %s", address);
	if (errno == EADDRINUSE)
		e->code = EX_TEMPFAIL;
	else if (errno == EACCES)
		e->code = EX_NOPERM;
	if (fd >= 0)
		close(fd);
	return -1;
}

int listen_on(const char *address, bool tls, char **origin, struct err *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE };
	struct addrinfo *found = NULL;
	char *host = NULL, *port = NULL;
	int fd = -1, r;

	if (split(address, &host, &port, e) < 0)
		return -1;
	r = getaddrinfo(host, port, &hints, &found);
	if (r)
		err_set(e, EX_USAGE, "--listen %s: %s", address,
			gai_strerror(r));
	else
		fd = bind_to(found, address, e);
	if (fd >= 0) {
		bool v6 = strchr(host, ':') != NULL;

		if (!tls && !is_loopback(found->ai_addr))
			say("WARNING: %s is not a loopback address and there "
			    "is no --cert: secrets and events cross the "
			    "network in plain text",
				address);
		*origin = xasprintf("%s://%s%s%s:%d", tls ? "https" : "http",
			v6 ? "[" : "", host, v6 ? "]" : "", port_of(fd));
	}
	if (found)
		freeaddrinfo(found);
	free(host);
	free(port);
	return fd;
}
