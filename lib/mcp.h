/* service: the Model Context Protocol, version 2025-06-18 and the two before it,
 * spoken over two descriptors, one JSON-RPC message a line.
 *
 * Calls of tools are answered as they end, each by its id, and hold up nothing
 * else. What is no message is answered with an error and passed over. When the
 * other side closes either descriptor, or we are told to end, all calls are
 * ended and nothing of them is left. */
#ifndef AGENTRUX_MCP_H
#define AGENTRUX_MCP_H

#include "err.h"
#include "tools.h"

/* For a process of one thread. 0: the other side is done. -1: told to end. */
int mcp_serve(const struct tools *tools, int in_fd, int out_fd, struct err *e);

#endif
