/* Network connections of this network namespace, which in a container is the container's own. */
#ifndef TEND_HELPER_CONNECTIONS_H
#define TEND_HELPER_CONNECTIONS_H

#include <stdint.h>

/* TCP over IPv4 and IPv6. What only listens is no connection. */
struct connections {
  int64_t established;
  int64_t opening;    /* SYN-SENT, SYN-RECV */
  int64_t closing;    /* FIN-WAIT-1, FIN-WAIT-2, CLOSING, LAST-ACK */
  int64_t close_wait; /* the other side has closed, the process here has not: many are a leak */
  int64_t time_wait;  /* over; no process has them */
  int64_t listening;
};

/* 0, or a negative errno where /proc/net cannot be read. */
int connections_count(struct connections *out);

#endif
