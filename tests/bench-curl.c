/* What a C programmer would write with libcurl alone, for `make bench` to
 * compare with: no checks, no state, bytes thrown away.
 *
 *   bench-curl pages URL N     reads N pages: URL with %ld for the position,
 *                              which goes up by 100 a page
 *   bench-curl cjson URL N     the same, and prints each event with cJSON
 *   bench-curl post URL N      posts the JSON document on stdin N times
 *
 * The access token is read from the environment variable BENCH_TOKEN. */
#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t throw_away(char *p, size_t size, size_t n, void *ctx)
{
	(void)p;
	(void)ctx;
	return size * n;
}

static char page[16777216];
static size_t page_len;

static size_t keep(char *p, size_t size, size_t n, void *ctx)
{
	(void)ctx;
	if (page_len + size * n >= sizeof page)
		return 0;
	memcpy(page + page_len, p, size * n);
	page_len += size * n;
	return size * n;
}

static void print_page(void)
{
	cJSON *doc = cJSON_ParseWithLength(page, page_len), *event;
	char *line;

	cJSON_ArrayForEach(event, cJSON_GetObjectItem(doc, "items"))
	{
		line = cJSON_PrintUnformatted(event);
		puts(line);
		free(line);
	}
	cJSON_Delete(doc);
	page_len = 0;
}

static int all(CURL *q, char **argv)
{
	static char body[1048576], url[4096];
	const char *percent = strstr(argv[2], "%ld");
	int cjson = strcmp(argv[1], "cjson") == 0;
	long i, n = strtol(argv[3], NULL, 10);
	size_t len = 0;

	if (strcmp(argv[1], "post") == 0) {
		len = fread(body, 1, sizeof body - 1, stdin);
		curl_easy_setopt(q, CURLOPT_POSTFIELDS, body);
		curl_easy_setopt(q, CURLOPT_POSTFIELDSIZE, (long)len);
	}
	if (cjson)
		curl_easy_setopt(q, CURLOPT_WRITEFUNCTION, keep);
	for (i = 0; i < n; i++) {
		if (percent)
			snprintf(url, sizeof url, "%.*s%ld%s",
				(int)(percent - argv[2]), argv[2], i * 100,
				percent + 3);
		else
			snprintf(url, sizeof url, "%s", argv[2]);
		curl_easy_setopt(q, CURLOPT_URL, url);
		if (curl_easy_perform(q) != CURLE_OK)
			return 1;
		if (cjson)
			print_page();
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *token = getenv("BENCH_TOKEN");
	struct curl_slist *headers = NULL;
	char auth[8192];
	CURL *q;
	int status;

	if (argc != 4 || token == NULL)
		return 64;
	snprintf(auth, sizeof auth, "Authorization: Bearer %s", token);
	headers = curl_slist_append(headers, auth);
	headers = curl_slist_append(headers, "Content-Type: application/json");
	q = curl_easy_init();
	curl_easy_setopt(q, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(q, CURLOPT_USERAGENT, "bench");
	curl_easy_setopt(q, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(q, CURLOPT_WRITEFUNCTION, throw_away);
	status = all(q, argv);
	curl_easy_cleanup(q);
	curl_slist_free_all(headers);
	return status;
}
