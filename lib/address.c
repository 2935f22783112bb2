#include "address.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct range4 {
	uint32_t first;
	unsigned bits;
};

/* From IANA's registry of special-purpose IPv4 addresses, and all behind the
 * unicast ones. */
static const struct range4 special4[] = {
	{ 0x00000000, 8 },  /* this network */
	{ 0x0a000000, 8 },  /* private */
	{ 0x64400000, 10 }, /* shared (CGNAT) */
	{ 0x7f000000, 8 },  /* loopback */
	{ 0xa9fe0000, 16 }, /* link-local */
	{ 0xac100000, 12 }, /* private */
	{ 0xc0000000, 24 }, /* protocol assignments */
	{ 0xc0000200, 24 }, /* documentation */
	{ 0xc0586300, 24 }, /* once 6to4 relays */
	{ 0xc0a80000, 16 }, /* private */
	{ 0xc6120000, 15 }, /* benchmarks */
	{ 0xc6336400, 24 }, /* documentation */
	{ 0xcb007100, 24 }, /* documentation */
	{ 0xe0000000, 3 },  /* multicast, reserved, broadcast */
};

struct range6 {
	unsigned char first[4];
	unsigned bits;
};

/* Within 2000::/3, all that is unicast for everybody. */
static const struct range6 special6[] = {
	{ { 0x20, 0x01, 0x00, 0x00 }, 23 }, /* protocols, Teredo, ORCHID */
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32 }, /* documentation */
	{ { 0x20, 0x02, 0x00, 0x00 }, 16 }, /* 6to4 */
	{ { 0x3f, 0xff, 0x00, 0x00 }, 20 }, /* documentation */
};

static const unsigned char nat64[12] = { 0x00, 0x64, 0xff, 0x9b };

static uint32_t big_endian(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

static bool is_public4(uint32_t a)
{
	size_t i;

	for (i = 0; i < sizeof special4 / sizeof *special4; i++)
		if ((a ^ special4[i].first) >> (32 - special4[i].bits) == 0)
			return false;
	return true;
}

static bool is_public6(const unsigned char a[16])
{
	uint32_t head = big_endian(a);
	size_t i;

	if (memcmp(a, nat64, sizeof nat64) == 0)
		return is_public4(big_endian(a + 12));
	if (head >> 29 != 1)
		return false;
	for (i = 0; i < sizeof special6 / sizeof *special6; i++)
		if ((head ^ big_endian(special6[i].first)) >>
				(32 - special6[i].bits) ==
			0)
			return false;
	return true;
}

bool address_is_public(const struct sockaddr *a)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (a->sa_family == AF_INET) {
		memcpy(&in, a, sizeof in);
		return is_public4(ntohl(in.sin_addr.s_addr));
	}
	if (a->sa_family == AF_INET6) {
		memcpy(&in6, a, sizeof in6);
		return is_public6(in6.sin6_addr.s6_addr);
	}
	return false;
}
