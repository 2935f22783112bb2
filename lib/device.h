/* service: joining without a code. This device asks the service to be let in,
 * shows an address and a code to people, and waits until one of them has decided
 * (RFC 8628). What comes is a login (login.h) and credentials without a secret.
 *
 * It is a ritual of bootstrap.h, with its lock, its reservation and its
 * outcomes, and called in the same order; BOOTSTRAP.md is not looked at.
 * Credentials that are there are left alone, but for those of a login that has
 * ended, in whose place the new one comes. */
#ifndef AGENTRUX_DEVICE_H
#define AGENTRUX_DEVICE_H

#include "bootstrap.h"
#include "err.h"

int device_activate(struct bootstrap *b, struct err *e);

#endif
