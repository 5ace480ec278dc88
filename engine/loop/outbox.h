/* Messages with descriptors on a SOCK_SEQPACKET that never blocks: what the socket does not take is queued. */
#ifndef TEND_LOOP_OUTBOX_H
#define TEND_LOOP_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Zero-initialise it; outbox_clear drops what is queued. */
struct outbox {
  struct buf queue;
  size_t sent; /* bytes at its beginning that are done with */
};

/* Sends or queues. The descriptors (PROTO_FDS at most) stay the caller's; a queued message has duplicates. */
int outbox_post(struct outbox *o, int socket, const void *m, size_t n, const int *fds, unsigned nfds);
bool outbox_empty(const struct outbox *o);
/* Sends what the socket takes. */
void outbox_flush(struct outbox *o, int socket);
void outbox_clear(struct outbox *o);

#endif
