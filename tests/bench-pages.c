/* A service that costs next to nothing, for `make bench` to see what its clients
 * cost: pages of events, rendered before the first request, over HTTP/1.1 that
 * keeps its connections; and whoever posts gets a token, or an event's id.
 *
 *   bench-pages N <PAYLOAD     N events with the payload on stdin
 *
 * Prints its URL, and serves until it is ended. Positions are those of whole
 * pages, 100 events each, with a last and empty one. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAGE = 100, HEAD_MAX = 16384 };

struct answer {
	char *text;
	size_t len;
};

static struct answer *pages, posted;
static long n_pages;

static void render(struct answer *a, char *body, size_t len)
{
	char head[128];
	int n = snprintf(head, sizeof head,
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
		"Content-Length: %zu\r\n\r\n",
		len);

	a->len = (size_t)n + len;
	a->text = malloc(a->len);
	if (a->text == NULL)
		exit(1);
	memcpy(a->text, head, (size_t)n);
	memcpy(a->text + n, body, len);
	free(body);
}

static void render_page(
	struct answer *a, long first, long last, const char *payload)
{
	char *body;
	size_t len;
	FILE *f = open_memstream(&body, &len);
	long i;

	if (f == NULL)
		exit(1);
	fputs("{\"items\":[", f);
	for (i = first; i <= last; i++)
		fprintf(f,
			"%s{\"event_id\":\"00000000-0000-7000-8000-%012lx\","
			"\"topic_id\":\"a0ae1e0c-7d0c-4c8e-9b1f-6a4f5ad03b3d\","
			"\"sequence_no\":%ld,\"type\":\"openclaw.request\","
			"\"payload_mode\":\"inline\",\"payload\":%s,"
			"\"payload_ref\":null,\"producer_script\":"
			"\"scr_6b7d0d0e-3c0b-4f3e-8a4b-0f7e6a0b9c11\","
			"\"correlation_id\":null,\"reply_topic\":null,"
			"\"timestamp\":\"2026-01-01T00:00:00.000Z\"}",
			i > first ? "," : "", i, i, payload);
	fputs("],\"next_cursor\":null}", f);
	fclose(f);
	render(a, body, len);
}

static void render_all(long n, const char *payload)
{
	long i, last;
	char *body;

	n_pages = (n + PAGE - 1) / PAGE;
	pages = calloc((size_t)n_pages + 1, sizeof *pages);
	if (pages == NULL)
		exit(1);
	for (i = 0; i <= n_pages; i++) {
		last = (i + 1) * PAGE;
		render_page(
			&pages[i], i * PAGE + 1, last < n ? last : n, payload);
	}
	body = strdup("{\"access_token\":\"tok\",\"event_id\":"
		      "\"00000000-0000-7000-8000-000000000001\"}");
	render(&posted, body, strlen(body));
}

static const struct answer *find(const char *request)
{
	static const char name[] = "after_sequence_no=";
	const char *after = strstr(request, name);
	long page = after ? strtol(after + strlen(name), NULL, 10) / PAGE : 0;

	if (strncmp(request, "POST", 4) == 0)
		return &posted;
	return &pages[page < 0 || page > n_pages ? n_pages : page];
}

static bool put(int fd, const struct answer *a)
{
	size_t done = 0;
	ssize_t n;

	while (done < a->len) {
		n = send(fd, a->text + done, a->len - done, MSG_NOSIGNAL);
		if (n < 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

/* The length of a request whose head is whole; 0: there is none yet. */
static size_t whole(const char *request)
{
	const char *end = strstr(request, "\r\n\r\n");
	const char *body = strcasestr(request, "Content-Length:");

	if (end == NULL)
		return 0;
	end += 4;
	if (body && body < end)
		end += strtol(body + strlen("Content-Length:"), NULL, 10);
	return (size_t)(end - request);
}

static void *serve(void *ctx)
{
	int fd = (int)(long)ctx;
	char in[HEAD_MAX];
	size_t len = 0, used;
	ssize_t n;

	while (len < sizeof in - 1 &&
		(n = recv(fd, in + len, sizeof in - 1 - len, 0)) > 0) {
		len += (size_t)n;
		in[len] = '\0';
		while ((used = whole(in)) && used <= len) {
			if (!put(fd, find(in)))
				goto out;
			memmove(in, in + used, len - used + 1);
			len -= used;
		}
	}
out:
	close(fd);
	return NULL;
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	pthread_t thread;

	static char payload[65536];

	if (argc != 2 || fread(payload, 1, sizeof payload - 1, stdin) == 0)
		return 64;
	payload[strcspn(payload, "\n")] = '\0';
	render_all(strtol(argv[1], NULL, 10), payload);
	if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0 ||
		listen(fd, 16) < 0 ||
		getsockname(fd, (struct sockaddr *)&at, &len) < 0)
		return 71;
	printf("http://127.0.0.1:%d\n", ntohs(at.sin_port));
	fflush(stdout);
	for (;;) {
		int client = accept(fd, NULL, NULL);

		if (client < 0)
			return 71;
		setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		if (pthread_create(&thread, NULL, serve, (void *)(long)client))
			return 71;
		pthread_detach(thread);
	}
}
