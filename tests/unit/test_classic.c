/* The classic dialect's answers: every form of expires_at, and what is missing
 * or odd. The requests are seen on the wire by the bats tests. */
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

enum { HOUR_MS = 3600000 };

static const struct dialect *const d = &dialect_classic;

/* 2026-04-08T12:45:23Z, which is what the server's clock shows. */
static const time_t date = 1775652323;

static struct json *parse(const char *text)
{
	struct json *doc = json_parse(text, strlen(text), NULL);

	assert_non_null(doc);
	return doc;
}

/* The lifetime that an `expires_at` of this JSON text means. */
static int64_t lifetime(const char *expires_at, time_t when)
{
	char *text = xasprintf("{\"access_token\":\"tok\"%s%s}",
		*expires_at ? ",\"expires_at\":" : "", expires_at);
	struct json *doc = parse(text);
	struct dialect_token t = { 0 };
	int64_t ms;

	assert_int_equal(d->token_answer(doc, when, &t, NULL), 0);
	ms = t.lifetime_ms;
	dialect_token_release(&t);
	json_free(doc);
	free(text);
	return ms;
}

static void an_iso_time_is_read_in_every_form(void **state)
{
	static const char *const forms[] = { "\"2026-04-08T13:45:23Z\"",
		"\"2026-04-08T13:45:23z\"", "\"2026-04-08T13:45:23\"",
		"\"2026-04-08T13:45:23.1Z\"", "\"2026-04-08T13:45:23.123Z\"",
		"\"2026-04-08T13:45:23.123456789Z\"",
		"\"2026-04-08T13:45:23,5Z\"", "\"2026-04-08T13:45:23+00:00\"",
		"\"2026-04-08T13:45:23-00:00\"",
		"\"2026-04-08T22:45:23+09:00\"", "\"2026-04-08T22:45:23+0900\"",
		"\"2026-04-08T22:45:23+09\"", "\"2026-04-08T19:15:23+05:30\"",
		"\"2026-04-08T08:45:23.999999-05:00\"",
		"\"2026-04-08T05:45:23-08:00\"",
		"\"2026-04-09T01:45:23+12:00\"",
		/* milliseconds since the epoch */
		"1775655923000", "1775655923000.0", "1.775655923e12" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof forms / sizeof *forms; i++)
		assert_int_equal(lifetime(forms[i], date), HOUR_MS);
}

static void other_ends_are_taken_as_they_are(void **state)
{
	(void)state;
	assert_int_equal(lifetime("\"2026-04-08T12:45:24Z\"", date), 1000);
	assert_int_equal(lifetime("\"2026-04-08T12:50:23Z\"", date), 300000);
	assert_int_equal(
		lifetime("\"2026-04-09T12:45:23Z\"", date), 24 * HOUR_MS);
	assert_int_equal(lifetime("1775652324500", date), 1500);
	/* A leap day, and the end of a year. */
	assert_int_equal(
		lifetime("\"2028-02-29T00:00:10Z\"", 1835395200), 10000);
	assert_int_equal(
		lifetime("\"2027-01-01T00:00:01Z\"", 1798761599), 2000);
}

static void what_cannot_be_read_means_an_hour(void **state)
{
	static const char *const forms[] = { "", "null", "true", "\"\"",
		"\"soon\"", "\"garbage\"", "[]", "{}", "0", "-1", "1e300",
		"\"2026-04-08\"", "\"2026-04-08 13:45:23Z\"",
		"\" 2026-04-08T13:45:23Z\"", "\"2026-04-08T13:45:23 Z\"",
		"\"2026-04-08T13:45:23+9\"", "\"2026-04-08T13:45:23+09:0\"",
		"\"2026-04-08T13:45:23+09:000\"", "\"2026-04-08T13:45:23+ab\"",
		"\"2026-04-08T13:45:23UTC\"", "\"2026-13-08T13:45:23Z\"",
		"\"+2026-04-08T13:45:23Z\"", "\"1775655923000\"",
		/* in the past: seconds instead of milliseconds, say */
		"1775655923", "\"2026-04-08T12:45:23Z\"",
		"\"2020-01-01T00:00:00Z\"", "1775652323000" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof forms / sizeof *forms; i++)
		assert_int_equal(lifetime(forms[i], date), HOUR_MS);
}

static void without_a_date_our_clock_is_not_believed_for_long(void **state)
{
	(void)state;
	assert_int_equal(lifetime("\"2099-01-01T00:00:00Z\"", 0), HOUR_MS);
	assert_int_equal(lifetime("\"1999-01-01T00:00:00Z\"", 0), HOUR_MS);
	assert_int_equal(lifetime("", 0), HOUR_MS);
}

/* 0, or the code of the error. */
static int token(const char *text)
{
	struct json *doc = parse(text);
	struct dialect_token t = { 0 };
	struct err e = { 0 };

	if (d->token_answer(doc, date, &t, &e) == 0)
		assert_int_equal(e.code, 0);
	dialect_token_release(&t);
	json_free(doc);
	return e.code;
}

static void a_token_answer_without_a_token_is_temporary(void **state)
{
	struct err e = { 0 };
	struct dialect_token t = { 0 };

	(void)state;
	assert_int_equal(token("{\"access_token\":\"x\"}"), 0);
	assert_int_equal(token("{}"), EX_TEMPFAIL);
	assert_int_equal(token("[]"), EX_TEMPFAIL);
	assert_int_equal(token("{\"access_token\":\"\"}"), EX_TEMPFAIL);
	assert_int_equal(token("{\"access_token\":7}"), EX_TEMPFAIL);
	assert_int_equal(token("{\"Access_Token\":\"x\"}"), EX_TEMPFAIL);
	assert_int_equal(d->token_answer(NULL, date, &t, &e), -1);
	assert_int_equal(e.code, EX_TEMPFAIL);
}

static int redeem(const char *text, struct cred *c, struct json **grants)
{
	struct json *doc = text ? parse(text) : NULL;
	struct err e = { 0 };
	int r;

	memset(c, 0, sizeof *c);
	*grants = NULL;
	r = d->redeem_answer(doc, c, grants, &e);
	json_free(doc);
	return r < 0 ? e.code : 0;
}

static void an_activation_needs_id_and_secret_and_may_lack_grants(void **state)
{
	struct json *grants;
	struct cred c;

	(void)state;
	assert_int_equal(redeem("{\"script_id\":\"s\",\"client_secret\":\"x\"}",
				 &c, &grants),
		0);
	assert_string_equal(c.script_id, "s");
	assert_string_equal(c.secret, "x");
	assert_null(c.client_id);
	assert_null(grants);
	cred_release(&c);
	assert_int_equal(redeem("{\"script_id\":\"s\",\"client_secret\":\"x\","
				"\"grants\":[{\"action\":\"read\"}]}",
				 &c, &grants),
		0);
	assert_int_equal(json_count(grants), 1);
	json_free(grants);
	cred_release(&c);
	assert_int_equal(
		redeem("{\"script_id\":\"s\"}", &c, &grants), EX_TEMPFAIL);
	cred_release(&c);
	assert_int_equal(
		redeem("{\"client_secret\":\"x\"}", &c, &grants), EX_TEMPFAIL);
	cred_release(&c);
	assert_int_equal(redeem(NULL, &c, &grants), EX_TEMPFAIL);
	cred_release(&c);
}

static void a_rotation_needs_a_secret_and_may_lack_a_token(void **state)
{
	struct json *doc = parse("{\"client_secret\":\"x\"}");
	struct dialect_token t = { 0 };
	char *secret = NULL;

	(void)state;
	assert_int_equal(d->rotate_answer(doc, date, &secret, &t, NULL), 0);
	assert_string_equal(secret, "x");
	assert_null(t.access);
	free(secret);
	json_free(doc);
	doc = parse("{\"access_token\":\"x\"}");
	assert_int_equal(d->rotate_answer(doc, date, &secret, &t, NULL), -1);
	json_free(doc);
}

static void codes_have_a_shape(void **state)
{
	char code[256] = "ac_";

	(void)state;
	memset(code + 3, 'x', 19);
	assert_false(dialect_code_ok(code));
	code[3 + 19] = 'x';
	assert_true(dialect_code_ok(code));
	memset(code + 3, 'x', 200);
	assert_true(dialect_code_ok(code));
	code[3 + 200] = 'x';
	assert_false(dialect_code_ok(code));
	assert_true(dialect_code_ok("ac_ABCxyz0189-_ABCxyz0189-_"));
	assert_false(dialect_code_ok("ac_ABCxyz0189-_ABCxyz018 -_"));
	assert_false(dialect_code_ok("ac_ABCxyz0189-_ABCxyz018\n-_"));
	assert_false(dialect_code_ok("xx_ABCxyz0189-_ABCxyz0189-_"));
	assert_false(dialect_code_ok(""));
	assert_true(dialect_code_shape("inv_ABCxyz0189-_ABCxyz0189", "inv_"));
	assert_false(dialect_code_shape("ac_ABCxyz0189-_ABCxyz0189", "inv_"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_iso_time_is_read_in_every_form),
		cmocka_unit_test(other_ends_are_taken_as_they_are),
		cmocka_unit_test(what_cannot_be_read_means_an_hour),
		cmocka_unit_test(
			without_a_date_our_clock_is_not_believed_for_long),
		cmocka_unit_test(a_token_answer_without_a_token_is_temporary),
		cmocka_unit_test(
			an_activation_needs_id_and_secret_and_may_lack_grants),
		cmocka_unit_test(
			a_rotation_needs_a_secret_and_may_lack_a_token),
		cmocka_unit_test(codes_have_a_shape),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
