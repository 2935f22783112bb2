/* format: which network addresses are everybody's. Pure code, no I/O.
 *
 * For URLs that a stranger wrote: whoever fetches them must not be led to this
 * machine, its neighbours or a cloud's metadata. */
#ifndef AGENTRUX_ADDRESS_H
#define AGENTRUX_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/* Is this an address of the public internet? Not so: loopback, private,
 * link-local, shared (CGNAT), multicast, unspecified, reserved and documentation
 * ranges, addresses that stand for another (v4-mapped, 6to4, Teredo; NAT64
 * counts as what it stands for), and whatever is neither IPv4 nor IPv6. */
bool address_is_public(const struct sockaddr *a);

#endif
