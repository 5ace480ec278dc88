/* Names to addresses without blocking: literals at once, then /etc/hosts and DNS by c-ares. Each question has its
 * own channel, so that cancelling one leaves the others, and a changed resolv.conf is seen by the next.
 */
#ifndef TEND_LOOP_RESOLVE_H
#define TEND_LOOP_RESOLVE_H

#include <stdint.h>

#include "loop/loop.h"
#include "tend/part.h"

struct resolve;

/* done is called once, from the loop, at the deadline at the latest. All addresses are given, both families, at most
 * RESOLVE_MAX. NULL when there is no memory. */
enum { RESOLVE_MAX = 32 };
struct resolve *resolve_start(struct loop *loop, const char *host, uint16_t port, int64_t deadline_ns,
                              tend_resolve_fn *done, void *arg);
void resolve_cancel(struct resolve *r); /* NULL is allowed */

/* "10.0.0.1:5432", "[::1]:5432"; without the port when that is 0. Returns buf. */
const char *resolve_format(const struct tend_address *a, char *buf, size_t size);

#endif
