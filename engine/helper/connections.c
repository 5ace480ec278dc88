#include "helper/connections.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the kernel's include/net/tcp_states.h, as /proc/net/tcp shows them. */
enum {
  ESTABLISHED = 1,
  SYN_SENT,
  SYN_RECV,
  FIN_WAIT1,
  FIN_WAIT2,
  TIME_WAIT,
  CLOSE,
  CLOSE_WAIT,
  LAST_ACK,
  LISTEN,
  CLOSING,
  NEW_SYN_RECV
};

static void count(struct connections *c, unsigned state) {
  switch (state) {
    case ESTABLISHED:
      c->established++;
      break;
    case SYN_SENT:
    case SYN_RECV:
    case NEW_SYN_RECV:
      c->opening++;
      break;
    case FIN_WAIT1:
    case FIN_WAIT2:
    case LAST_ACK:
    case CLOSING:
      c->closing++;
      break;
    case CLOSE_WAIT:
      c->close_wait++;
      break;
    case TIME_WAIT:
      c->time_wait++;
      break;
    case LISTEN:
      c->listening++;
      break;
    default:
      break;
  }
}

static int count_file(struct connections *c, const char *path) {
  char line[512];
  FILE *f = fopen(path, "re");
  if (!f) return -errno;
  bool head = true;
  while (fgets(line, sizeof line, f)) {
    /* "  0: 0100007F:1F90 00000000:0000 0A ..." */
    const char *p = head ? NULL : strchr(line, ':');
    for (int i = 0; p && i < 3; i++) p = strchr(p + strspn(p, " "), ' ');
    char *end = NULL;
    unsigned long state = p ? strtoul(p, &end, 16) : 0;
    if (p && end != p) count(c, (unsigned)state);
    head = false;
  }
  fclose(f);
  return 0;
}

int connections_count(struct connections *out) {
  struct connections c = {0};
  int rc = count_file(&c, "/proc/net/tcp"), rc6 = count_file(&c, "/proc/net/tcp6");
  if (rc) return rc;
  if (rc6 && rc6 != -ENOENT) return rc6; /* none without IPv6 */
  *out = c;
  return 0;
}
