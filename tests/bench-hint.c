/* From a hint on the wire to the line of agentrux-watch, for `make bench`:
 *
 *   bench-hint N COMMAND…
 *
 * is a server that knows no more than a token and one stream of hints. It runs
 * COMMAND (with AGENTRUX_BASE_URL set to itself, stdout a pipe), sends N hints
 * on the stream, each once the last one's line has come, and prints the median
 * and the 99th percentile of the time between, in ms, and how much memory and
 * processor time the command took. */
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int listen_anywhere(char *url, size_t size)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0 ||
		listen(fd, 16) < 0)
		exit(1);
	getsockname(fd, (struct sockaddr *)&at, &len);
	snprintf(url, size, "http://127.0.0.1:%d", ntohs(at.sin_port));
	return fd;
}

static void say(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) < 0)
		exit(1);
}

/* Answers requests until it is the stream's. */
static int stream(int listener)
{
	char request[65536];
	int fd;

	for (;;) {
		fd = accept(listener, NULL, NULL);
		memset(request, 0, sizeof request);
		if (read(fd, request, sizeof request - 1) <= 0)
			exit(1);
		if (strstr(request, "/stream")) {
			say(fd, "HTTP/1.1 200 OK\r\n"
				"Content-Type: text/event-stream\r\n\r\n");
			return fd;
		}
		say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 22\r\n"
			"Connection: close\r\n\r\n{\"access_token\":\"tok\"}");
		close(fd);
	}
}

static int up(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(int out, int hints, double *took, int n)
{
	char line[4096], frame[64];
	double t0;
	int i;

	if (read(out, line, sizeof line) <= 0) /* connected */
		exit(1);
	for (i = 0; i < n; i++) {
		snprintf(frame, sizeof frame,
			"data: {\"latest_sequence_no\":%d}\n\n", i);
		t0 = now_ms();
		say(hints, frame);
		if (read(out, line, sizeof line) <= 0)
			exit(1);
		took[i] = now_ms() - t0;
		usleep(500);
	}
	qsort(took, (size_t)n, sizeof *took, up);
}

int main(int argc, char **argv)
{
	int n = argc > 2 ? atoi(argv[1]) : 0, pipes[2], listener;
	double *took = calloc((size_t)n + 1, sizeof *took);
	struct rusage used;
	char url[64];
	pid_t pid;

	if (n <= 0 || took == NULL || pipe(pipes) < 0)
		return 64;
	alarm(60); /* should the command end instead */
	listener = listen_anywhere(url, sizeof url);
	pid = fork();
	if (pid == 0) {
		setenv("AGENTRUX_BASE_URL", url, 1);
		dup2(pipes[1], STDOUT_FILENO);
		close(pipes[0]);
		close(listener);
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	close(pipes[1]);
	measure(pipes[0], stream(listener), took, n);
	kill(pid, SIGTERM);
	wait4(pid, NULL, 0, &used);
	printf("%.3f ms, 99 %% under %.3f ms; %ld KiB, %.0f us of processor "
	       "time a hint\n",
		took[n / 2], took[n * 99 / 100], used.ru_maxrss,
		((double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
			(double)(used.ru_utime.tv_usec +
				 used.ru_stime.tv_usec)) /
			n);
	return 0;
}
