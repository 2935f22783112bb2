/* The oauth dialect: what its requests say and what its answers mean, every
 * form of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cred.h"
#include "dialect.h"
#include "json.h"

#include <stdlib.h>
#include <string.h>

#define UUID "0b0e7c1a-1111-4222-8333-0123456789ab"

static const struct dialect *const d = &dialect_oauth;

static struct json *parse(const char *text)
{
	struct json *doc = json_parse(text, strlen(text), NULL);

	assert_non_null(doc);
	return doc;
}

static struct slice raw(const char *text)
{
	struct slice s;
	size_t bad;

	assert_int_equal(
		slice_document(text, strlen(text), SLICE_UTF8, &s, &bad), 0);
	return s;
}

/* --- activation and tokens --- */

static void a_code_is_redeemed_for_an_id_and_a_secret(void **state)
{
	struct wire_request r;
	struct json *grants, *doc;
	struct err e = { 0 };
	struct cred c = { 0 };

	(void)state;
	wire_request_init(&r, "activating");
	d->redeem_request(&r, "act_x");
	assert_string_equal(buf_text(&r.path), "/auth/redeem-activation-code");
	assert_string_equal(buf_text(&r.body), "{\"code\":\"act_x\"}");
	assert_true(r.secret);
	wire_request_release(&r);

	doc = parse("{\"client_id\":\"crd_1\",\"client_secret\":\"aks_2\","
		    "\"script_id\":\"scr_3\",\"issued_at\":\"…\"}");
	assert_int_equal(d->redeem_answer(doc, &c, &grants, &e), 0);
	assert_string_equal(c.client_id, "crd_1");
	assert_string_equal(c.secret, "aks_2");
	assert_string_equal(c.script_id, "scr_3");
	assert_null(grants);
	assert_ptr_equal(dialect_of_cred(&c), d);
	cred_release(&c);
	json_free(doc);
	/* script_id is for display only; the others are required. */
	doc = parse("{\"client_id\":\"crd_1\",\"client_secret\":\"aks_2\"}");
	assert_int_equal(d->redeem_answer(doc, &c, &grants, &e), 0);
	cred_release(&c);
	json_free(doc);
	doc = parse("{\"script_id\":\"scr_3\",\"client_secret\":\"aks_2\"}");
	assert_int_equal(d->redeem_answer(doc, &c, &grants, &e), -1);
	assert_int_equal(e.code, EX_TEMPFAIL);
	cred_release(&c);
	json_free(doc);
}

static void a_token_is_asked_for_by_an_escaped_form(void **state)
{
	struct cred c = { .client_id = (char *)"crd_a b",
		.secret = (char *)"aks_+/=&%\xc3\xa9" };
	struct wire_request r;

	(void)state;
	wire_request_init(&r, "getting a token");
	d->token_request(&r, &c);
	assert_string_equal(r.method, "POST");
	assert_string_equal(buf_text(&r.path), "/oauth/token");
	assert_string_equal(
		r.content_type, "application/x-www-form-urlencoded");
	assert_string_equal(buf_text(&r.body),
		"grant_type=client_credentials&client_id=crd_a%20b&"
		"client_secret=aks_%2B%2F%3D%26%25%C3%A9");
	assert_true(r.secret);
	assert_ptr_equal(r.hidden, c.secret);
	wire_request_release(&r);
	assert_null(d->refresh_request);
}

/* The lifetime in seconds that an `expires_in` of this JSON text means. */
static int64_t lifetime(const char *expires_in)
{
	char *text = xasprintf("{\"access_token\":\"aat_x\","
			       "\"refresh_token\":\"r\"%s%s}",
		*expires_in ? ",\"expires_in\":" : "", expires_in);
	struct json *doc = parse(text);
	struct dialect_token t = { 0 };
	int64_t ms;

	assert_int_equal(d->token_answer(doc, 0, &t, NULL), 0);
	assert_string_equal(t.refresh, "r");
	ms = t.lifetime_ms;
	dialect_token_release(&t);
	json_free(doc);
	free(text);
	return ms / 1000;
}

static void a_token_lives_as_long_as_the_answer_says(void **state)
{
	struct dialect_token t = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(lifetime("600"), 600);
	assert_int_equal(lifetime("1"), 1);
	assert_int_equal(lifetime("3600.0"), 3600);
	assert_int_equal(lifetime(""), 600);
	assert_int_equal(lifetime("null"), 600);
	assert_int_equal(lifetime("\"soon\""), 600);
	assert_int_equal(lifetime("0"), 600);
	assert_int_equal(lifetime("-5"), 600);
	assert_int_equal(lifetime("1e300"), 600);
	assert_int_equal(lifetime("9007199254740991"), 86400);
	assert_int_equal(d->token_answer(NULL, 0, &t, &e), -1);
	assert_int_equal(e.code, EX_TEMPFAIL);
}

/* --- topics --- */

static void a_device_asks_to_be_let_in(void **state)
{
	struct dialect_device v = { 0 };
	struct json *doc = parse("{\"device_code\":\"d\",\"user_code\":\"u\","
				 "\"verification_uri\":\"a\",\"interval\":0}");
	struct wire_request r;
	struct err e = { 0 };

	(void)state;
	wire_request_init(&r, "asking");
	d->device_request(&r, "cli/1");
	assert_string_equal(buf_text(&r.path), "/oauth/device/authorize");
	assert_string_equal(buf_text(&r.body), "client_id=cli%2F1");
	assert_true(r.secret);
	wire_request_release(&r);
	assert_int_equal(d->device_answer(doc, &v, &e), 0);
	assert_int_equal(v.lifetime_s, 900);
	assert_int_equal(v.interval_s, 5);
	assert_null(v.complete);
	dialect_device_release(&v);
	json_free(doc);
	doc = parse("{\"device_code\":\"d\",\"user_code\":\"u\"}");
	assert_int_equal(d->device_answer(doc, &v, &e), -1);
	dialect_device_release(&v);
	json_free(doc);
}

static void a_refusal_to_wait_is_known_by_its_word(void **state)
{
	struct wire_error we = { .status = 400 };

	(void)state;
	strcpy(we.code, "authorization_pending");
	assert_int_equal(d->wait_refused(&we), DIALECT_PENDING);
	strcpy(we.code, "slow_down");
	assert_int_equal(d->wait_refused(&we), DIALECT_SLOW_DOWN);
	strcpy(we.code, "access_denied");
	assert_int_equal(d->wait_refused(&we), DIALECT_DENIED);
	strcpy(we.code, "expired_token");
	assert_int_equal(d->wait_refused(&we), DIALECT_EXPIRED);
	strcpy(we.code, "INVALID");
	assert_int_equal(d->wait_refused(&we), DIALECT_NO_WORD);
	strcpy(we.code, "invalid_client");
	assert_true(d->is_unregistered(&we));
}

static void a_login_is_refreshed_by_an_escaped_form(void **state)
{
	struct wire_request r;

	(void)state;
	wire_request_init(&r, "refreshing");
	d->login_request(&r, "c", "a+b");
	assert_string_equal(buf_text(&r.path), "/oauth/token");
	assert_string_equal(buf_text(&r.body),
		"grant_type=refresh_token&client_id=c&refresh_token=a%2Bb");
	assert_string_equal(r.hidden, "a+b");
	wire_request_release(&r);
}

static void only_a_bare_uuid_gets_the_prefix(void **state)
{
	static const char *const pairs[][2] = {
		{ UUID, "top_" UUID },
		{ "0B0E7C1A-1111-4222-8333-0123456789AB",
			"top_0B0E7C1A-1111-4222-8333-0123456789AB" },
		{ "top_" UUID, "top_" UUID },
		{ "0b0e7c1a11114222833301234567890b", NULL },
		{ UUID "0", NULL },
		{ "xb0e7c1a-1111-4222-8333-0123456789ab", NULL },
		{ "commands", NULL },
		{ "", NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		char *id = d->topic_id(pairs[i][0]);

		assert_string_equal(
			id, pairs[i][1] ? pairs[i][1] : pairs[i][0]);
		free(id);
	}
}

static void topics_are_listed_by_id_name_and_actions(void **state)
{
	struct json *doc = parse(
		"{\"items\":[{\"topic_id\":\"top_1\",\"display_name\":\"one\","
		"\"name\":\"uno\",\"actions\":[\"read\",\"write\"],\"x\":1},"
		"{\"topic_id\":\"top_2\",\"name\":\"two\"},"
		"{\"topic_id\":\"top_3\",\"actions\":[]},{\"name\":\"no\"}]}");
	struct json *topics;
	struct err e = { 0 };
	char *text;

	(void)state;
	assert_int_equal(d->topics_answer(doc, &topics, &e), 0);
	text = json_print(topics);
	assert_string_equal(text,
		"[{\"topic_id\":\"top_1\",\"name\":\"one\",\"actions\":["
		"\"read\","
		"\"write\"]},{\"topic_id\":\"top_2\",\"name\":\"two\","
		"\"actions\":"
		"[]},{\"topic_id\":\"top_3\",\"actions\":[]}]");
	free(text);
	json_free(topics);
	json_free(doc);
	doc = parse("{\"topics\":[]}");
	assert_int_equal(d->topics_answer(doc, &topics, &e), -1);
	assert_int_equal(e.code, EX_TEMPFAIL);
	json_free(doc);
}

/* --- events --- */

static void expect_path(const struct dialect_page *p, const char *path)
{
	struct wire_request r;

	wire_request_init(&r, "reading");
	d->page_request(&r, p);
	assert_string_equal(buf_text(&r.path), path);
	wire_request_release(&r);
}

static void a_page_is_asked_for_behind_a_cursor(void **state)
{
	(void)state;
	expect_path(
		&(struct dialect_page){
			.topic = UUID, .after = "c/1+&=", .limit = 100 },
		"/topics/top_" UUID
		"/events?order=asc&limit=100&after=c%2F1%2B%26%3D");
	expect_path(&(struct dialect_page){ .topic = "top_x",
			    .after = "",
			    .limit = 2,
			    .type = "a b",
			    .exclude_self = true },
		"/topics/top_x/events?order=asc&limit=2&exclude_self=true&"
		"type=a%20b");
	expect_path(&(struct dialect_page){ .topic = "top_x", .limit = 1 },
		"/topics/top_x/events?order=desc&limit=1");
}

static int read_page(const char *text, struct dialect_listing *l, struct err *e)
{
	struct slice_walk members;

	slice_walk_start(&members, raw(text), NULL);
	return d->page_answer(&members, l, e);
}

static void a_page_says_where_it_goes_on(void **state)
{
	struct dialect_listing l = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(
		read_page("{\"events\":[{}],\"next\":{\"after\":\"a\","
			  "\"has_more\":true,\"frontier_cursor\":\"f\"}}",
			&l, &e),
		0);
	assert_true(slice_is(l.next, "a"));
	assert_true(slice_is(l.frontier, "f"));
	assert_int_equal(slice_kind(l.has_more), 't');
	l = (struct dialect_listing){ 0 };
	assert_int_equal(read_page("{\"events\":[]}", &l, &e), 0);
	assert_null(l.next.p);
	assert_int_equal(read_page("{\"events\":[],\"next\":null}", &l, &e), 0);
	l = (struct dialect_listing){ 0 };
	assert_int_equal(read_page("{\"items\":[]}", &l, &e), -1);
	assert_int_equal(e.code, EX_TEMPFAIL);
	assert_int_equal(read_page("{\"events\":{}}", &l, &e), -1);
}

static bool is_lost(int status, const char *body)
{
	struct http_answer a = { .status = status, .body = BUF_INIT(65536) };
	struct wire_error we = { 0 };
	bool lost;

	buf_str(&a.body, body);
	wire_error_read(&a, &we);
	lost = d->is_lost(&we);
	buf_release(&a.body);
	return lost;
}

static void every_form_of_an_aged_out_position_is_known(void **state)
{
	(void)state;
	assert_true(is_lost(404,
		"{\"detail\":{\"error\":\"NOT_FOUND\",\"details\":{\"reason\":"
		"\"ttl_expired\",\"oldest_available_evt_id\":null},"
		"\"next_action\":\"cursor_advance\"}}"));
	assert_true(
		is_lost(404, "{\"detail\":{\"error\":\"RETENTION_MISS\"}}"));
	assert_true(is_lost(404, "{\"detail\":{\"code\":\"RETENTION_MISS\"}}"));
	assert_true(is_lost(404, "{\"error\":\"RETENTION_MISS\"}"));
	assert_true(is_lost(404, "{\"error\":{\"code\":\"RETENTION_MISS\"}}"));
	assert_true(
		is_lost(404, "{\"error\":{\"code\":\"NOT_FOUND\",\"details\":"
			     "{\"reason\":\"ttl_expired\"}}}"));
	assert_false(is_lost(404, "{\"error\":{\"code\":\"NOT_FOUND\"}}"));
	assert_false(is_lost(404, "{\"detail\":\"RETENTION_MISS\"}"));
	assert_false(is_lost(404, "gone"));
	assert_false(is_lost(500, "{\"error\":\"RETENTION_MISS\"}"));
}

static void an_event_without_cursor_has_its_id_for_a_position(void **state)
{
	struct event ev;

	(void)state;
	event_read(raw("{\"event_id\":\"evt_1\",\"cursor\":\"c\"}"), NULL,
		&d->names, &ev);
	assert_true(slice_is(ev.position, "c"));
	event_read(raw("{\"event_id\":\"evt_1\",\"event_type\":\"t\"}"), NULL,
		&d->names, &ev);
	assert_true(slice_is(ev.position, "evt_1"));
	assert_true(slice_is(ev.type, "t"));
	event_read(raw("{\"event_id\":\"evt_1\",\"cursor\":null}"), NULL,
		&d->names, &ev);
	assert_true(slice_is(ev.position, "evt_1"));
}

static void expect_body(
	const struct dialect_publication *p, const char *body, const char *key)
{
	struct wire_request r;

	wire_request_init(&r, "publishing");
	d->publish_request(&r, p);
	assert_string_equal(buf_text(&r.path), "/topics/top_x/events");
	assert_string_equal(buf_text(&r.body), body);
	assert_int_equal(r.n_headers, key ? 1 : 0);
	if (key)
		assert_string_equal(r.headers[0], key);
	wire_request_release(&r);
}

static void an_event_is_published_inline_or_by_object(void **state)
{
	struct dialect_publication p = { .topic = "top_x",
		.type = "t\"",
		.payload = raw("9007199254740993") };

	(void)state;
	expect_body(&p,
		"{\"event_type\":\"t\\\"\",\"payload\":9007199254740993}",
		NULL);
	p.idempotency_key = "idk_1";
	expect_body(&p,
		"{\"event_type\":\"t\\\"\",\"payload\":9007199254740993}",
		"Idempotency-Key: idk_1");
	p.payload_object_id = "pob_1";
	expect_body(&p,
		"{\"event_type\":\"t\\\"\",\"payload_object_id\":\"pob_1\"}",
		"Idempotency-Key: idk_1");
}

static void replies_are_asked_for_in_the_metadata(void **state)
{
	struct dialect_publication p = { .topic = "top_x",
		.type = "t",
		.payload = raw("1"),
		.correlation_id = "c" };

	(void)state;
#define BEFORE "{\"event_type\":\"t\",\"payload\":1"
	expect_body(
		&p, BEFORE ",\"metadata\":{\"correlation_id\":\"c\"}}", NULL);
	p.reply_topic = "top_r";
	expect_body(&p,
		BEFORE ",\"metadata\":{\"correlation_id\":\"c\","
		       "\"reply_topic\":\"top_r\"}}",
		NULL);
	p.metadata = raw("{ \"n\": 1.0, \"correlation_id\":\"mine\" }");
	expect_body(&p,
		BEFORE ",\"metadata\":{\"n\":1.0,\"correlation_id\":\"c\","
		       "\"reply_topic\":\"top_r\"}}",
		NULL);
	p.correlation_id = p.reply_topic = NULL;
	expect_body(&p,
		BEFORE ",\"metadata\":{\"n\":1.0,\"correlation_id\":\"mine\"}}",
		NULL);
	p.metadata = raw("{}");
	expect_body(&p, BEFORE "}", NULL);
#undef BEFORE
}

/* --- hints --- */

static void a_stream_resumes_by_header_only(void **state)
{
	struct wire_request r;

	(void)state;
	wire_request_init(&r, "watching");
	d->stream_request(&r, &(struct dialect_stream){ .topic = UUID,
				      .position = "c\r\nX: y",
				      .exclude_self = true });
	assert_string_equal(buf_text(&r.path),
		"/topics/top_" UUID "/events/stream?exclude_self=true");
	assert_int_equal(r.n_headers, 3);
	assert_string_equal(r.headers[2], "Last-Event-ID: c");
	wire_request_release(&r);
}

static enum dialect_hint hint(
	const char *name, const char *data, struct dialect_news *news)
{
	struct sse_frame f = {
		.event = name, .data = data, .data_len = strlen(data), .id = ""
	};

	*news = (struct dialect_news){ .latest = -1 };
	return d->hint(&f, news);
}

static void frames_are_known_by_their_names(void **state)
{
	struct dialect_news n;

	(void)state;
	assert_int_equal(hint("hint", "{\"cursor\":\"c\"}", &n), DIALECT_EVENT);
	assert_int_equal(n.latest, -1);
	assert_int_equal(hint("", "x", &n), DIALECT_EVENT);
	assert_int_equal(hint("message", "", &n), DIALECT_EVENT);
	assert_int_equal(hint("ready", "{}", &n), DIALECT_ALIVE);
	assert_int_equal(hint("heartbeat", "{}", &n), DIALECT_ALIVE);
	assert_int_equal(hint("other", "{}", &n), DIALECT_ALIVE);
	assert_int_equal(hint("resync_required",
				 "{\"reason\":\"replay_gap\",\"next_action\":"
				 "\"who knows\"}",
				 &n),
		DIALECT_RESYNC);
	assert_int_equal(
		hint("error", "{\"code\":\"SUSPENDED\",\"reason\":\"why\"}",
			&n),
		DIALECT_REFUSED);
	assert_int_equal(n.error.status, 403);
	assert_string_equal(n.error.message, "why");
	assert_int_equal(
		hint("error", "{\"code\":\"NEW\"}", &n), DIALECT_REFUSED);
	assert_int_equal(n.error.status, 503);
}

/* --- files --- */

static void a_place_is_reserved_with_the_checksum(void **state)
{
	struct dialect_reservation want = { .topic = "top_x",
		.name = "a.txt",
		.content_type = "text/plain",
		.size = 5,
		.checksum = "c2Vj" };
	struct dialect_object o = { 0 };
	struct err e = { 0 };
	struct wire_request r;
	struct json *doc;

	(void)state;
	wire_request_init(&r, "reserving");
	d->reserve_request(&r, &want);
	assert_string_equal(buf_text(&r.path), "/topics/top_x/payloads");
	assert_string_equal(buf_text(&r.body),
		"{\"size_bytes\":5,\"content_type\":\"text/plain\","
		"\"checksum_sha256\":\"c2Vj\"}");
	wire_request_release(&r);

	doc = parse("{\"payload_object_id\":\"pob_1\",\"presigned_put_url\":"
		    "\"http://h/p?x=%2f\",\"required_headers\":{"
		    "\"Content-Type\":\"text/plain\","
		    "\"x-amz-checksum-sha256\":\"c2Vj\"}}");
	assert_int_equal(d->reserve_answer(doc, &want, &o, &e), 0);
	assert_string_equal(o.id, "pob_1");
	assert_string_equal(o.put_url, "http://h/p?x=%2f");
	assert_string_equal(o.put_headers[0], "Content-Type: text/plain");
	assert_string_equal(o.put_headers[1], "x-amz-checksum-sha256: c2Vj");
	assert_null(o.put_headers[2]);
	dialect_object_release(&o);
	json_free(doc);
	doc = parse("{\"payload_object_id\":\"pob_1\",\"presigned_put_url\":"
		    "\"http://h/\"}");
	assert_int_equal(d->reserve_answer(doc, &want, &o, &e), 0);
	assert_null(o.put_headers[0]);
	dialect_object_release(&o);
	json_free(doc);
}

static void headers_that_are_none_are_refused(void **state)
{
	static const char *const bad[] = { "[]", "\"x\"", "{\"a\":1}",
		"{\"a\":\"b\\r\\nX: y\"}", "{\"a b\":\"c\"}", "{\"\":\"c\"}",
		"{\"a:\":\"c\"}" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof *bad; i++) {
		char *text = xasprintf("{\"payload_object_id\":\"pob_1\","
				       "\"presigned_put_url\":\"http://h/\","
				       "\"required_headers\":%s}",
			bad[i]);
		struct json *doc = parse(text);
		struct dialect_object o = { 0 };
		struct err e = { 0 };

		assert_int_equal(d->reserve_answer(doc, NULL, &o, &e), -1);
		assert_int_equal(e.code, EX_TEMPFAIL);
		dialect_object_release(&o);
		json_free(doc);
		free(text);
	}
}

static void an_object_is_committed_and_listed(void **state)
{
	struct dialect_object o = { .id = (char *)"pob_1",
		.content_type = (char *)"text/plain",
		.checksum = (char *)"00ff",
		.size = 5 };
	struct json *line = d->attachment("a \"b\".txt", &o);
	char *text = json_print(line), *meta = d->commit_metadata("a.txt", &o);

	(void)state;
	assert_string_equal(text,
		"{\"name\":\"a \\\"b\\\".txt\",\"payload_object_id\":\"pob_1\","
		"\"content_type\":\"text/plain\",\"size\":5,"
		"\"checksum_sha256\":\"00ff\"}");
	assert_string_equal(meta,
		"{\"filename\":\"a.txt\",\"content_type\":\"text/plain\","
		"\"size_bytes\":5}");
	assert_string_equal(d->commit_type, "composer.upload");
	json_free(line);
	free(text);
	free(meta);
}

static void an_object_is_looked_up(void **state)
{
	struct json *doc = parse("{\"presigned_get_url\":\"http://h/g\","
				 "\"content_type\":\"text/plain\","
				 "\"size_bytes\":5}");
	struct dialect_object o = { 0 };
	struct err e = { 0 };
	struct wire_request r;

	(void)state;
	wire_request_init(&r, "looking");
	d->object_request(&r, UUID, "pob/1");
	assert_string_equal(
		buf_text(&r.path), "/topics/top_" UUID "/payloads/pob%2F1");
	wire_request_release(&r);
	assert_int_equal(d->object_answer(doc, &o, &e), 0);
	assert_string_equal(o.get_url, "http://h/g");
	assert_int_equal(o.size, 5);
	dialect_object_release(&o);
	json_free(doc);
	doc = parse("{\"download_url\":\"http://h/g\"}");
	assert_int_equal(d->object_answer(doc, &o, &e), -1);
	dialect_object_release(&o);
	json_free(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_code_is_redeemed_for_an_id_and_a_secret),
		cmocka_unit_test(a_token_is_asked_for_by_an_escaped_form),
		cmocka_unit_test(a_token_lives_as_long_as_the_answer_says),
		cmocka_unit_test(a_device_asks_to_be_let_in),
		cmocka_unit_test(a_refusal_to_wait_is_known_by_its_word),
		cmocka_unit_test(a_login_is_refreshed_by_an_escaped_form),
		cmocka_unit_test(only_a_bare_uuid_gets_the_prefix),
		cmocka_unit_test(topics_are_listed_by_id_name_and_actions),
		cmocka_unit_test(a_page_is_asked_for_behind_a_cursor),
		cmocka_unit_test(a_page_says_where_it_goes_on),
		cmocka_unit_test(every_form_of_an_aged_out_position_is_known),
		cmocka_unit_test(
			an_event_without_cursor_has_its_id_for_a_position),
		cmocka_unit_test(an_event_is_published_inline_or_by_object),
		cmocka_unit_test(replies_are_asked_for_in_the_metadata),
		cmocka_unit_test(a_stream_resumes_by_header_only),
		cmocka_unit_test(frames_are_known_by_their_names),
		cmocka_unit_test(a_place_is_reserved_with_the_checksum),
		cmocka_unit_test(headers_that_are_none_are_refused),
		cmocka_unit_test(an_object_is_committed_and_listed),
		cmocka_unit_test(an_object_is_looked_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
