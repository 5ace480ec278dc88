#include "loop/outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/proto.h"

/* In front of a message in the queue. */
struct unsent {
  size_t n;
  int fds[PROTO_FDS];
  unsigned nfds;
};

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

static void close_all(const struct unsent *u) {
  for (unsigned i = 0; i < u->nfds; i++) close(u->fds[i]);
}

static int queue(struct outbox *o, const void *m, size_t n, const int *fds, unsigned nfds) {
  struct unsent u = {.n = n};
  int r = 0;
  for (; u.nfds < nfds; u.nfds++) {
    u.fds[u.nfds] = fcntl(fds[u.nfds], F_DUPFD_CLOEXEC, 3);
    if (u.fds[u.nfds] >= 0) continue;
    r = -errno;
    break;
  }
  if (r == 0 && !buf_room(&o->queue, sizeof u + n)) {
    o->queue.failed = false;
    r = -ENOMEM;
  }
  if (r < 0) {
    close_all(&u);
    return r;
  }
  buf_add(&o->queue, &u, sizeof u);
  buf_add(&o->queue, m, n);
  return 0;
}

int outbox_post(struct outbox *o, int socket, const void *m, size_t n, const int *fds, unsigned nfds) {
  int r = outbox_empty(o) ? send_now(socket, m, n, fds, nfds) : -EAGAIN;
  return is_full(r) ? queue(o, m, n, fds, nfds) : r;
}

bool outbox_empty(const struct outbox *o) { return o->sent == o->queue.len; }

/* The first that waits; what it points to is good until the queue changes. */
static const char *first(const struct outbox *o, struct unsent *u) {
  memcpy(u, o->queue.data + o->sent, sizeof *u);
  return o->queue.data + o->sent + sizeof *u;
}

static void drop_first(struct outbox *o) {
  struct unsent u;
  first(o, &u);
  close_all(&u);
  o->sent += sizeof u + u.n;
  if (!outbox_empty(o)) return;
  buf_free(&o->queue);
  o->sent = 0;
}

void outbox_flush(struct outbox *o, int socket) {
  struct unsent u;
  while (!outbox_empty(o)) {
    const char *m = first(o, &u);
    if (is_full(send_now(socket, m, u.n, u.fds, u.nfds))) break;
    drop_first(o);
  }
  /* thousands of requests at once: what is sent makes room before more is asked of the system */
  if (o->sent > o->queue.len / 2) {
    buf_drop(&o->queue, o->sent);
    o->sent = 0;
  }
}

void outbox_clear(struct outbox *o) {
  while (!outbox_empty(o)) drop_first(o);
}
