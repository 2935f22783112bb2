#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backoff.h"
#include "http.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SOON_MS = 2000 };

/* --- which URLs may be asked --- */

static void allowed(const char *url, bool allow_http)
{
	struct err e = { 0 };

	if (http_check_url(url, allow_http, &e) < 0)
		fail_msg("%s: %s", url, e.text);
}

static void refused(const char *url, bool allow_http)
{
	struct err e = { 0 };

	if (http_check_url(url, allow_http, &e) == 0)
		fail_msg("%s was allowed", url);
	assert_int_equal(e.code, EX_CONFIG);
	assert_true(strlen(e.text) > 0);
}

static void https_is_allowed_to_any_host(void **state)
{
	(void)state;
	allowed("https://api.agentrux.com", false);
	allowed("https://10.0.0.7:8443/base", false);
	allowed("HTTPS://example.org/x?y=z", false);
	allowed("https://[2001:db8::1]/", false);
}

static void plain_http_is_for_loopback(void **state)
{
	(void)state;
	allowed("http://localhost:8787", false);
	allowed("http://LocalHost", false);
	allowed("http://127.0.0.1:1", false);
	allowed("http://127.9.9.9/", false);
	allowed("http://[::1]:80/", false);
	refused("http://example.org", false);
	refused("http://127.0.0.1.example.org", false);
	refused("http://localhost.example.org", false);
	refused("http://10.0.0.1", false);
	refused("http://0.0.0.0", false);
	refused("http://[::2]/", false);
	allowed("http://example.org", true);
}

static void other_schemes_are_refused(void **state)
{
	(void)state;
	refused("ftp://127.0.0.1/x", true);
	refused("file:///etc/passwd", true);
	refused("gopher://127.0.0.1/", true);
	refused("ws://127.0.0.1/", true);
}

static void what_is_no_url_is_refused(void **state)
{
	(void)state;
	refused("", true);
	refused("example.org", true);
	refused("/topics", true);
	refused("https://", true);
	refused("https://exa mple.org", true);
	refused("https://example.org:99999", true);
	refused("https://example.org\r\nX: y", true);
}

static void credentials_in_a_url_are_refused(void **state)
{
	(void)state;
	refused("https://user@example.org", false);
	refused("https://user:secret@example.org", false);
	refused("https://:secret@example.org", false);
	refused("http://127.0.0.1@example.org", true);
}

static void text_is_escaped_for_a_path(void **state)
{
	struct buf b = BUF_INIT(100);

	(void)state;
	http_escape(&b, "a/b c?\xc3\xa9&-._~");
	assert_string_equal(buf_text(&b), "a%2Fb%20c%3F%C3%A9%26-._~");
	buf_release(&b);
}

/* --- bounds, against a server in a child process --- */

static struct {
	int fd;
	pid_t pid;
	char url[64];
} server;

static void nap(long ms)
{
	poll(NULL, 0, (int)ms);
}

static void send_text(int fd, const char *s)
{
	if (send(fd, s, strlen(s), MSG_NOSIGNAL) < 0)
		_exit(0);
}

/* Accepts once and does as told by `how`. */
static void serve(const char *how)
{
	char request[4096];
	int fd = accept(server.fd, NULL, NULL);

	if (recv(fd, request, sizeof request, 0) < 0)
		_exit(1);
	if (strcmp(how, "hang") == 0)
		nap(60000);
	send_text(fd, "HTTP/1.1 200 OK\r\nRetry-After: "
		      "Sun, 06 Nov 1994 08:49:47 GMT\r\n"
		      "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
		      "Content-Length: 100\r\n\r\n");
	if (strcmp(how, "head") == 0)
		nap(60000);
	if (strcmp(how, "cut") == 0)
		_exit(0);
	for (;;) {
		send_text(fd, "x");
		nap(strcmp(how, "drip") == 0 ? 50 : 0);
	}
}

static int start_server(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof a;

	(void)state;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	server.pid = -1;
	if (bind(server.fd, (struct sockaddr *)&a, sizeof a) < 0 ||
		listen(server.fd, 10) < 0 ||
		getsockname(server.fd, (struct sockaddr *)&a, &len) < 0)
		return -1;
	snprintf(server.url, sizeof server.url, "http://127.0.0.1:%u/",
		ntohs(a.sin_port));
	return 0;
}

static int stop_server(void **state)
{
	(void)state;
	if (server.pid > 0) {
		kill(server.pid, SIGKILL);
		waitpid(server.pid, NULL, 0);
	}
	close(server.fd);
	return 0;
}

/* One request to a server that behaves so; the ms it took. */
static int64_t ask(const char *how, long idle_ms, long total_ms,
	struct http_answer *a, struct err *e)
{
	struct http_request r = {
		.method = "GET",
		.url = server.url,
		.idle_ms = idle_ms,
		.total_ms = total_ms,
	};
	int64_t start = backoff_clock_ms();
	struct http *h;

	server.pid = fork();
	if (server.pid == 0)
		serve(how);
	h = http_new(false);
	if (http_do(h, &r, a, e) == 0)
		e->code = 0;
	http_free(h);
	return backoff_clock_ms() - start;
}

static void no_answer_ends_the_wait(void **state)
{
	struct err e = { 0 };
	struct http_answer a;
	int64_t took = ask("hang", 300, 0, &a, &e);

	(void)state;
	assert_int_equal(e.code, EX_TEMPFAIL);
	assert_non_null(strstr(e.text, "no byte came within 0.3 s"));
	assert_int_equal(a.status, 0);
	assert_true(took >= 300 && took < SOON_MS);
	http_answer_release(&a);
}

static void a_head_alone_ends_the_wait(void **state)
{
	struct err e = { 0 };
	struct http_answer a;
	int64_t took = ask("head", 300, 0, &a, &e);

	(void)state;
	assert_int_equal(e.code, EX_TEMPFAIL);
	assert_true(took >= 300 && took < SOON_MS);
	http_answer_release(&a);
}

static void a_byte_now_and_then_does_not_go_on_for_ever(void **state)
{
	struct err e = { 0 };
	struct http_answer a;
	int64_t took = ask("drip", 300, 700, &a, &e);

	(void)state;
	assert_int_equal(e.code, EX_TEMPFAIL);
	assert_non_null(strstr(e.text, "not done within 0.7 s"));
	assert_true(took >= 700 && took < SOON_MS);
	http_answer_release(&a);
}

static void a_body_cut_short_is_no_answer(void **state)
{
	struct err e = { 0 };
	struct http_answer a;

	(void)state;
	ask("cut", 300, 0, &a, &e);
	assert_int_equal(e.code, EX_TEMPFAIL);
	assert_int_equal(a.status, 0);
	http_answer_release(&a);
}

static void a_retry_after_date_goes_by_the_servers_clock(void **state)
{
	struct err e = { 0 };
	struct http_answer a;

	(void)state;
	ask("whole", 300, 0, &a, &e);
	assert_int_equal(e.code, 0);
	assert_int_equal(a.status, 200);
	assert_int_equal(a.body.len, 100);
	assert_int_equal(a.retry_after_ms, 10000);
	http_answer_release(&a);
}

#define WITH_SERVER(test)                                                      \
	cmocka_unit_test_setup_teardown(test, start_server, stop_server)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(https_is_allowed_to_any_host),
		cmocka_unit_test(plain_http_is_for_loopback),
		cmocka_unit_test(other_schemes_are_refused),
		cmocka_unit_test(what_is_no_url_is_refused),
		cmocka_unit_test(credentials_in_a_url_are_refused),
		cmocka_unit_test(text_is_escaped_for_a_path),
		WITH_SERVER(no_answer_ends_the_wait),
		WITH_SERVER(a_head_alone_ends_the_wait),
		WITH_SERVER(a_byte_now_and_then_does_not_go_on_for_ever),
		WITH_SERVER(a_body_cut_short_is_no_answer),
		WITH_SERVER(a_retry_after_date_goes_by_the_servers_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
