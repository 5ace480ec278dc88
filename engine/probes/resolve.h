/* Names to addresses without blocking: literals at once, then /etc/hosts and DNS by c-ares. Each question has its
 * own channel, so that cancelling one leaves the others, and a changed resolv.conf is seen by the next.
 */
#ifndef TEND_PROBES_RESOLVE_H
#define TEND_PROBES_RESOLVE_H

#include <stdint.h>

#include "loop/loop.h"
#include "tend/part.h"

struct resolve;

/* The two families are asked for apart: when the addresses of one are there, the other's answer is waited for only a
 * moment. IPv6 comes first, what no route leads to last. With a port, which says that somebody will connect, link-local
 * addresses that a name server gives are left out: whoever answers for a name must not lead us to what lies next to
 * this machine (a cloud's metadata service). Such an address as a literal, or in /etc/hosts, is taken.
 *
 * done is called once, from the loop, at the deadline at the latest. All addresses are given, both families, at most
 * RESOLVE_MAX. NULL when there is no memory. */
enum { RESOLVE_MAX = 32 };
struct resolve *resolve_start(struct loop *loop, const char *host, uint16_t port, int64_t deadline_ns,
                              tend_resolve_fn *done, void *arg);
void resolve_cancel(struct resolve *r); /* NULL is allowed */

/* "10.0.0.1:5432", "[::1]:5432"; without the port when that is 0. Returns buf. */
const char *resolve_format(const struct tend_address *a, char *buf, size_t size);

#endif
