#include "loop/outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/proto.h"

struct unsent {
  struct unsent *next;
  size_t n;
  int fds[PROTO_FDS];
  unsigned nfds;
  char data[];
};

static void drop(struct unsent *u) {
  for (unsigned i = 0; i < u->nfds; i++) close(u->fds[i]);
  free(u);
}

static int send_now(int socket, const void *m, size_t n, const int *fds, unsigned nfds) {
  struct iovec v = {.iov_base = (void *)(uintptr_t)m, .iov_len = n};
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(PROTO_FDS * sizeof(int))];
  } control = {.bytes = {0}};
  struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1};
  if (nfds) {
    h.msg_control = control.bytes;
    h.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
    struct cmsghdr *head = CMSG_FIRSTHDR(&h);
    *head =
        (struct cmsghdr){.cmsg_len = CMSG_LEN(nfds * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(head), fds, nfds * sizeof(int));
  }
  return sendmsg(socket, &h, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ? 0 : -errno;
}

static bool is_full(int r) { return r == -EAGAIN || r == -ENOBUFS || r == -ENOMEM || r == -ETOOMANYREFS; }

int outbox_post(struct outbox *o, int socket, const void *m, size_t n, const int *fds, unsigned nfds) {
  int r = o->first ? -EAGAIN : send_now(socket, m, n, fds, nfds);
  if (!is_full(r)) return r;
  struct unsent *u = calloc(1, sizeof *u + n);
  if (!u) return -ENOMEM;
  memcpy(u->data, m, n);
  u->n = n;
  for (; u->nfds < nfds; u->nfds++) {
    u->fds[u->nfds] = fcntl(fds[u->nfds], F_DUPFD_CLOEXEC, 3);
    if (u->fds[u->nfds] < 0) {
      r = -errno;
      drop(u);
      return r;
    }
  }
  if (o->last)
    o->last->next = u;
  else
    o->first = u;
  o->last = u;
  return 0;
}

static void drop_first(struct outbox *o) {
  struct unsent *u = o->first;
  o->first = u->next;
  if (!o->first) o->last = NULL;
  drop(u);
}

void outbox_flush(struct outbox *o, int socket) {
  while (o->first && !is_full(send_now(socket, o->first->data, o->first->n, o->first->fds, o->first->nfds)))
    drop_first(o);
}

void outbox_clear(struct outbox *o) {
  while (o->first) drop_first(o);
}
