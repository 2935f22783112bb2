#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

/* Both ends of each range, and for an IPv6 address its text. */
static const char *const kept[] = {
	"0.0.0.0",
	"0.255.255.255",
	"10.0.0.0",
	"10.1.2.3",
	"10.255.255.255",
	"100.64.0.0",
	"100.127.255.255",
	"127.0.0.0",
	"127.0.0.1",
	"127.0.1.1",
	"127.255.255.255",
	"169.254.0.0",
	"169.254.169.254",
	"169.254.255.255",
	"172.16.0.0",
	"172.31.255.255",
	"192.0.0.0",
	"192.0.0.255",
	"192.0.2.1",
	"192.88.99.1",
	"192.168.0.0",
	"192.168.255.255",
	"198.18.0.0",
	"198.19.255.255",
	"198.51.100.7",
	"203.0.113.7",
	"224.0.0.1",
	"239.255.255.255",
	"240.0.0.1",
	"255.255.255.255",
	/* IPv6 */
	"::",
	"::1",
	"::2",
	"::127.0.0.1",
	"::8.8.8.8",
	"::ffff:127.0.0.1",
	"::ffff:10.0.0.1",
	"::ffff:8.8.8.8",
	"64:ff9b::127.0.0.1",
	"64:ff9b::10.0.0.1",
	"64:ff9b::169.254.169.254",
	"64:ff9b:1::1",
	"100::1",
	"fc00::1",
	"fd00::1",
	"fdff::1",
	"fe80::1",
	"febf::1",
	"fec0::1",
	"feff::1",
	"ff00::1",
	"ff02::1",
	"ff05::2",
	"2001::1",
	"2001:0:4136:e378:8000:63bf:3fff:fdd2",
	"2001:10::1",
	"2001:20::1",
	"2001:1ff:ffff::1",
	"2001:db8::1",
	"2002::1",
	"2002:7f00:1::1",
	"3fff::1",
	"3fff:fff::1",
	"1fff::1",
	"4000::1",
	"5f00::1",
	"e000::1",
	"::7f00:1",
	"0:0:0:0:0:ffff:7f00:1",
};

static const char *const open_to_all[] = {
	"1.0.0.1",
	"8.8.8.8",
	"9.255.255.255",
	"11.0.0.0",
	"100.63.255.255",
	"100.128.0.0",
	"126.255.255.255",
	"128.0.0.0",
	"169.253.255.255",
	"169.255.0.0",
	"172.15.255.255",
	"172.32.0.0",
	"192.0.1.0",
	"192.167.255.255",
	"192.169.0.0",
	"198.17.255.255",
	"198.20.0.0",
	"223.255.255.255",
	"2001:200::1",
	"2001:4860:4860::8888",
	"2003::1",
	"2606:4700::1111",
	"2a00:1450::1",
	"3ffe:ffff::1",
	"64:ff9b::8.8.8.8",
};

static bool judged(const char *text)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		return address_is_public((const struct sockaddr *)&in);
	if (inet_pton(AF_INET6, text, &in6.sin6_addr) != 1)
		fail_msg("%s is no address", text);
	return address_is_public((const struct sockaddr *)&in6);
}

static void what_is_not_everybodys_is_known(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof kept / sizeof *kept; i++)
		if (judged(kept[i]))
			fail_msg("%s is taken for public", kept[i]);
}

static void the_neighbours_of_each_range_are_public(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof open_to_all / sizeof *open_to_all; i++)
		if (!judged(open_to_all[i]))
			fail_msg("%s is not taken for public", open_to_all[i]);
}

static void other_families_are_not_public(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	(void)state;
	assert_false(address_is_public((const struct sockaddr *)&un));
	assert_false(address_is_public(&none));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_everybodys_is_known),
		cmocka_unit_test(the_neighbours_of_each_range_are_public),
		cmocka_unit_test(other_families_are_not_public),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
