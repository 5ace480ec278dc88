#include "loop/children.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "loop/children_inner.h"

enum { READS = 64, FLUSH_MS = 1000 };

static void on_channel(void *arg, int fd, int events);

struct children *children_new(struct loop *loop, int fd) {
  struct children *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  c->loop = loop;
  c->fd = fd;
  c->watch = watch_new(loop, fd, WATCH_READ, on_channel, c);
  if (!c->watch) {
    free(c);
    return NULL;
  }
  return c;
}

static void close_output(struct child_entry *e) {
  watch_free(e->watch);
  e->watch = NULL;
  if (e->out_fd >= 0) close(e->out_fd);
  e->out_fd = -1;
}

void children_entry_free(struct child_entry *e) {
  if (!e) return;
  close_output(e);
  buf_free(&e->out);
  free(e);
}

void children_output_now(struct children *c) {
  if (!c->output_due) return;
  c->output_due = false;
  children_post(c, &c->output, sizeof c->output, NULL, 0);
}

int children_post(struct children *c, const void *m, size_t n, const int *fds, unsigned nfds) {
  children_output_now(c);
  int r = outbox_post(&c->out, c->fd, m, n, fds, nfds);
  if (!outbox_empty(&c->out)) watch_events(c->watch, WATCH_READ | WATCH_WRITE);
  return r;
}

static struct child_entry *find(const struct children *c, uint32_t number) {
  struct child_entry *e = c->buckets[number % CHILDREN_BUCKETS];
  while (e && e->number != number) e = e->next;
  return e;
}

static struct child_entry *take(struct children *c, uint32_t number) {
  for (struct child_entry **at = &c->buckets[number % CHILDREN_BUCKETS]; *at; at = &(*at)->next) {
    if ((*at)->number != number) continue;
    struct child_entry *e = *at;
    *at = e->next;
    return e;
  }
  return NULL;
}

void children_free(struct children *c) {
  if (!c) return;
  watch_free(c->watch);
  for (unsigned i = 0; i < CHILDREN_BUCKETS; i++) {
    for (struct child_entry *e = c->buckets[i], *next; e; e = next) {
      next = e->next;
      children_entry_free(e);
    }
  }
  for (struct child_request *r = c->requests, *next; r; r = next) {
    next = r->next;
    free(r);
  }
  outbox_clear(&c->out);
  close(c->fd);
  free(c);
}

void children_kill(struct children *c, uint32_t child, int sig, enum kill_scope scope) {
  struct proto_kill m = {.head = {PROTO_KILL, child}, .sig = sig, .group = scope == KILL_GROUP};
  children_post(c, &m, sizeof m, NULL, 0);
}

void children_rebind(struct children *c, uint32_t child, void *arg) {
  struct child_entry *e = find(c, child);
  if (e) e->arg = arg;
}

void children_forget(struct children *c, uint32_t child) {
  struct child_entry *e = take(c, child);
  if (!e) return;
  if (e->out_fd >= 0) children_kill(c, child, SIGKILL, KILL_GROUP);
  children_entry_free(e);
  c->lingering++;
}

unsigned children_lingering(const struct children *c) { return c->lingering; }

void children_output(struct children *c, const struct proto_output *output) {
  c->output = (struct proto_output_msg){.head = {PROTO_OUTPUT, 0}, .output = *output};
  c->output_due = true;
}

void children_plan(struct children *c, const struct proto_plan *plan) {
  struct proto_plan_msg m;
  memset(&m, 0, sizeof m);
  m.head.type = PROTO_PLAN;
  size_t n = offsetof(struct proto_plan, children) + plan->n * sizeof plan->children[0];
  memcpy(&m.plan, plan, n);
  children_post(c, &m, offsetof(struct proto_plan_msg, plan) + n, NULL, 0);
}

void children_on_signal(struct children *c, children_signal_fn *fn, void *arg) {
  c->on_signal = fn;
  c->signal_arg = arg;
}

void children_on_told(struct children *c, loop_fn *fn, void *arg) {
  c->told = fn;
  c->told_arg = arg;
}

int children_keep(struct children *c, const char *name, int fd) {
  struct proto_keep m = {.head = {PROTO_KEEP, 0}};
  if (!str_copy(m.name, sizeof m.name, name)) return -ENAMETOOLONG;
  return children_post(c, &m, sizeof m, &fd, fd >= 0 ? 1 : 0);
}

int children_alive(struct children *c, int timer_fd) {
  struct proto_head m = {PROTO_ALIVE, 0};
  return children_post(c, &m, sizeof m, &timer_fd, 1);
}

void children_revive(struct children *c, uint32_t last_number) {
  c->last_number = last_number;
  c->heard = 1;
}

uint32_t children_heard(const struct children *c) { return c->heard; }

int children_adopt(struct children *c, uint32_t child, const struct child_ops *ops, void *arg) {
  struct child_entry *e = calloc(1, sizeof *e);
  if (!e) return -ENOMEM;
  *e = (struct child_entry){.out_fd = -1, .ops = ops, .arg = arg, .number = child};
  struct child_entry **bucket = &c->buckets[child % CHILDREN_BUCKETS];
  e->next = *bucket;
  *bucket = e;
  return 0;
}

void children_exit(struct children *c, int code, bool asked) {
  struct proto_exit m = {.head = {PROTO_EXIT, 0}, .code = code, .asked = asked};
  children_post(c, &m, sizeof m, NULL, 0);
  /* the loop may not run again after this */
  int64_t due = clock_mono_ns() + FLUSH_MS * NS_PER_MS;
  while (!outbox_empty(&c->out) && clock_mono_ns() < due) {
    struct pollfd pfd = {.fd = c->fd, .events = POLLOUT};
    if (poll(&pfd, 1, clock_ms_until(due, clock_mono_ns())) <= 0 || (pfd.revents & (POLLERR | POLLHUP))) break;
    outbox_flush(&c->out, c->fd);
  }
}

static void on_exited(struct children *c, const struct proto_exited *m) {
  struct child_entry *e = find(c, m->head.child);
  /* what came before the end; whoever else holds the pipe was killed. Who hears it may rebind or forget the child. */
  if (e && e->watch) children_read_output(e);
  e = take(c, m->head.child);
  if (!e) { /* forgotten */
    c->lingering -= c->lingering > 0;
    return;
  }
  struct child_exit exit = {.status = m->status,
                            .usage = m->usage,
                            .oom = m->oom,
                            .group_left = m->group_left,
                            .nobody_left = m->nobody_left,
                            .out = e->out_fd >= 0 ? &e->out : NULL,
                            .out_cut = e->cut};
  if (e->ops && e->ops->exited) e->ops->exited(e->arg, m->head.child, &exit);
  children_entry_free(e);
}

static void on_started(struct children *c, const struct proto_started *m) {
  const struct child_entry *e = find(c, m->head.child);
  if (e && e->ops && e->ops->started) e->ops->started(e->arg, m->head.child, m->pid);
}

static void on_failed(struct children *c, const struct proto_failed *m) {
  struct child_entry *e = take(c, m->head.child);
  if (!e) { /* forgotten */
    c->lingering -= c->lingering > 0;
    return;
  }
  if (e->ops && e->ops->failed) e->ops->failed(e->arg, m->head.child, (enum spawn_stage)m->stage, m->error);
  children_entry_free(e);
}

static void on_signaled(struct children *c, const struct proto_signaled *m) {
  struct proto_head ack = {PROTO_ACK, m->head.child};
  children_post(c, &ack, sizeof ack, NULL, 0);
  if (c->on_signal) c->on_signal(c->signal_arg, m->sig, m->level, m->begun);
}

union answer {
  struct proto_head head;
  struct proto_started started;
  struct proto_failed failed;
  struct proto_exited exited;
  struct proto_signaled signaled;
  struct proto_swept swept;
  struct proto_tail_reply tail;
};

static void dispatch(struct children *c, const union answer *m, int fd) {
  if (m->head.type == PROTO_STARTED || m->head.type == PROTO_FAILED || m->head.type == PROTO_EXITED) c->heard++;
  switch (m->head.type) {
    case PROTO_STARTED:
      on_started(c, &m->started);
      break;
    case PROTO_FAILED:
      on_failed(c, &m->failed);
      break;
    case PROTO_EXITED:
      on_exited(c, &m->exited);
      break;
    case PROTO_SIGNALED:
      on_signaled(c, &m->signaled);
      break;
    case PROTO_SWEPT:
      children_on_swept(c, &m->swept);
      break;
    case PROTO_TAIL_REPLY:
      children_on_tail(c, &m->tail, fd);
      break;
    default:
      break;
  }
}

static int fd_of(struct msghdr *h) {
  struct cmsghdr *head = CMSG_FIRSTHDR(h);
  if (!head || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) return -1;
  int fd;
  memcpy(&fd, CMSG_DATA(head), sizeof fd);
  return fd;
}

static void read_channel(struct children *c) {
  for (int i = 0; i < READS; i++) {
    union answer m;
    union {
      struct cmsghdr align;
      char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec v = {.iov_base = &m, .iov_len = sizeof m};
    struct msghdr h = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t n = recvmsg(c->fd, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOMEM)) return;
    if (n <= 0) {
      /* without init there is nothing left to decide */
      watch_events(c->watch, 0);
      loop_stop(c->loop);
      return;
    }
    auto_close int fd = fd_of(&h);
    if ((size_t)n >= sizeof m.head) dispatch(c, &m, fd);
  }
}

static void on_channel(void *arg, int channel, int events) {
  struct children *c = arg;
  if (events & WATCH_WRITE) outbox_flush(&c->out, channel);
  if (outbox_empty(&c->out)) watch_events(c->watch, WATCH_READ);
  if (!(events & WATCH_READ)) return;
  read_channel(c);
  if (c->told) c->told(c->told_arg);
}
