/* Messages with the engine. What has to be told stays in the tables until it is sent, so a slow engine costs
 * nothing; while an answer waits, no further request is read. */
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/rawcall.h"
#include "init/state.h"

enum { READS = 64 }; /* requests taken before signals are looked at again */

union message {
  struct proto_head head;
  struct {
    struct proto_spawn spawn;
    char blob[LIMIT_SPAWN_INLINE];
  };
  struct proto_kill kill;
  struct proto_sweep sweep;
  struct proto_plan_msg plan;
  struct proto_output_msg output;
  struct proto_tail tail;
  struct proto_keep keep;
  struct proto_exit exit;
};

/* The answer that found the channel full. */
static struct {
  union {
    struct proto_swept swept;
    struct proto_failed failed;
    struct proto_tail_reply tail;
  } m;
  size_t n;
  int fd;
} waiting = {.fd = -1};

static int send_message(struct init *in, const void *m, size_t n, int fd) {
  if (in->channel < 0) return -EPIPE;
  struct iovec v = {.iov_base = (void *)(uintptr_t)m, .iov_len = n};
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control = {.bytes = {0}};
  struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1};
  if (fd >= 0) {
    h.msg_control = control.bytes;
    h.msg_controllen = sizeof control.bytes;
    struct cmsghdr *c = CMSG_FIRSTHDR(&h);
    *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
  }
  if (sendmsg(in->channel, &h, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return 0;
  if (errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM) return -errno;
  if (!in->channel_waiting) {
    watch_remove(in, in->channel);
    watch_add(in, in->channel, EPOLLOUT, TAG_CHANNEL, 0);
    in->channel_waiting = true;
  }
  return -EAGAIN;
}

static void drop_waiting(void) {
  if (waiting.fd >= 0) close(waiting.fd);
  waiting.fd = -1;
  waiting.n = 0;
}

static void answer(struct init *in, const void *m, size_t n, int fd) {
  if (send_message(in, m, n, fd) == -EAGAIN) {
    memcpy(&waiting.m, m, n);
    waiting.n = n;
    waiting.fd = fd;
  } else if (fd >= 0) {
    close(fd);
  }
}

static void on_spawn(struct init *in, struct proto_spawn *m, size_t behind, const int fds[PROTO_FDS]) {
  if (!in->engine || in->exiting) return; /* the last words of one that died start nothing */
  if (m->blob > behind) return;
  const int *out = m->blob ? fds : fds + 1;
  spawn_child(in, m, m->blob, m->blob ? -1 : fds[0], out[0], m->flags & PROTO_INPUT ? out[1] : -1);
}

static void on_kill(struct init *in, const struct proto_kill *m) {
  struct child *c = child_find(in, m->head.child);
  if (c) child_kill(in, c, m->sig, m->group);
}

static void on_sweep(struct init *in, const struct proto_sweep *m) {
  bool valid = m->sig >= 0 && m->sig <= SIGRTMAX;
  struct proto_swept r = {.head = {PROTO_SWEPT, m->head.child}, .left = sweep_signal(in, valid ? m->sig : 0)};
  answer(in, &r, sizeof r, -1);
}

static void on_plan(struct init *in, const struct proto_plan_msg *m, size_t n) {
  size_t fixed = offsetof(struct proto_plan_msg, plan.children);
  if (n < fixed || m->plan.n > LIMIT_INSTANCES || n < fixed + m->plan.n * sizeof m->plan.children[0]) return;
  if (m->plan.main_child != in->plan.main_child) in->main_known = in->main_killed = in->main_stopped = false;
  memcpy(&in->plan, &m->plan, n - offsetof(struct proto_plan_msg, plan));
  for (unsigned i = 0; i < in->plan.n; i++)
    if (in->plan.children[i].signal > SIGRTMAX) in->plan.children[i].signal = SIGTERM;
}

static void on_output(struct init *in, const struct proto_output_msg *m) {
  in->output = m->output;
  in->output.container_id[sizeof in->output.container_id - 1] = 0;
  in->output.flow[sizeof in->output.flow - 1] = 0;
  if (in->output.log_fd != 1) in->output.log_fd = 2;
}

static void on_tail(struct init *in, const struct proto_tail *m) {
  char name[LIMIT_NAME];
  memcpy(name, m->name, sizeof name);
  name[sizeof name - 1] = 0;
  struct proto_tail_reply r = {.head = {PROTO_TAIL_REPLY, m->head.child}};
  r.silent_ns = tail_silent_ns(in, name, m->instance);
  int fd = m->no_text ? -1 : tail_memfd(in, name, m->instance, m->since, &r.end);
  answer(in, &r, sizeof r, fd >= 0 ? fd : -1);
}

/* Takes the descriptor when it keeps it. */
static void on_keep(struct init *in, const struct proto_keep *m, int *fd) {
  struct kept *place = NULL;
  for (unsigned i = 0; i < LIMIT_KEPT; i++) {
    struct kept *k = &in->kept[i];
    if (k->name[0] && strncmp(k->name, m->name, sizeof k->name) == 0) {
      close(k->fd);
      k->name[0] = 0;
    }
    if (!k->name[0] && !place) place = k;
  }
  if (*fd < 0 || !place) return;
  memcpy(place->name, m->name, sizeof place->name);
  place->name[sizeof place->name - 1] = 0;
  place->fd = *fd;
  *fd = -1;
}

static void on_exit_request(struct init *in, const struct proto_exit *m) {
  if (in->exiting) return;
  in->code = m->code & 0xff;
  in->asked = m->asked;
  in->let_go = RAWCALL_PURE && !EXITS_REPORT && !in->opt.engine_is_main;
  end_begin(in);
}

static void on_ack(struct init *in, const struct proto_head *m) {
  if (m->child != in->signal_count) return;
  in->ack_due_ns = TIME_NEVER;
  if (in->alone.active && in->engine) alone_end(in);
}

static void dispatch(struct init *in, union message *m, size_t n, int *fds) {
  switch (m->head.type) {
#define CASE(type, size, call) \
  case type: \
    if (n >= (size)) call; \
    break
    CASE(PROTO_SPAWN, sizeof m->spawn, on_spawn(in, &m->spawn, n - sizeof m->spawn, fds));
    CASE(PROTO_KILL, sizeof m->kill, on_kill(in, &m->kill));
    CASE(PROTO_SWEEP, sizeof m->sweep, on_sweep(in, &m->sweep));
    CASE(PROTO_PLAN, sizeof m->head, on_plan(in, &m->plan, n));
    CASE(PROTO_OUTPUT, sizeof m->output, on_output(in, &m->output));
    CASE(PROTO_TAIL, sizeof m->tail, on_tail(in, &m->tail));
    CASE(PROTO_KEEP, sizeof m->keep, on_keep(in, &m->keep, &fds[0]));
    CASE(PROTO_ALIVE, sizeof m->head, revive_watch(in, take_fd(&fds[0])));
    CASE(PROTO_EXIT, sizeof m->exit, on_exit_request(in, &m->exit));
    CASE(PROTO_ACK, sizeof m->head, on_ack(in, &m->head));
#undef CASE
    default:
      break;
  }
}

/* Descriptors of a message, -1 where there are fewer. */
static void take_fds(struct msghdr *h, int fds[PROTO_FDS]) {
  unsigned n = 0;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    size_t k = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < k && n < PROTO_FDS; i++) memcpy(&fds[n++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
  }
}

static union message request;

void channel_warm(void) { memset(&request, 0, sizeof request.spawn); }

/* Returns how many requests were taken. */
static unsigned take_requests(struct init *in) {
  unsigned got = 0;
  for (int i = 0; i < READS && in->channel >= 0 && !waiting.n; i++) {
    union {
      struct cmsghdr align;
      char bytes[CMSG_SPACE(PROTO_FDS * sizeof(int))];
    } control;
    struct iovec v = {.iov_base = &request, .iov_len = sizeof request};
    struct msghdr h = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t n = recvmsg(in->channel, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOMEM)) return got;
    if (n < 0 && errno == ECONNRESET) continue; /* it went without having read all; what it said before is there */
    if (n <= 0) {
      channel_close(in);
      return got;
    }
    got++;
    int fds[PROTO_FDS] = {-1, -1, -1};
    take_fds(&h, fds);
    if ((size_t)n >= sizeof request.head && !(h.msg_flags & MSG_TRUNC)) dispatch(in, &request, (size_t)n, fds);
    for (unsigned k = 0; k < PROTO_FDS; k++)
      if (fds[k] >= 0) close(fds[k]);
  }
  return got;
}

void channel_read(struct init *in) { take_requests(in); }

/* The engine is gone: its last requests, the exit above all. */
void channel_finish(struct init *in) {
  do {
    drop_waiting();
    in->channel_waiting = false;
  } while (in->channel >= 0 && take_requests(in) > 0);
  channel_close(in);
}

void channel_failed(struct init *in, const struct child *c) {
  struct proto_failed m = {.head = {PROTO_FAILED, c->number}, .stage = c->stage, .error = c->error};
  answer(in, &m, sizeof m, -1);
}

void channel_signal(struct init *in, int sig, int level, bool begun) {
  if (in->channel < 0) return;
  /* where the engine is that slow, the newest takes the place of the last */
  if (in->nsignals == SIGNALS_MAX) in->nsignals--;
  in->signals[in->nsignals++] =
      (struct proto_signaled){.head = {PROTO_SIGNALED, ++in->signal_count}, .sig = sig, .level = level, .begun = begun};
  channel_flush(in);
}

static void note_told(struct init *in, struct child *c, int r) {
  if (r == 0)
    c->told = ++in->told;
  else if (r != -EAGAIN)
    c->untold = true;
}

static int tell_start(struct init *in, struct child *c) {
  int r;
  if (c->failed) {
    struct proto_failed m = {.head = {PROTO_FAILED, c->number}, .stage = c->stage, .error = c->error};
    r = send_message(in, &m, sizeof m, -1);
  } else {
    struct proto_started m = {.head = {PROTO_STARTED, c->number}, .pid = c->first_pid};
    r = send_message(in, &m, sizeof m, -1);
  }
  if (r != -EAGAIN) c->tell_start = false;
  note_told(in, c, r);
  return r;
}

static int tell_exit(struct init *in, struct child *c) {
  c->exited.head = (struct proto_head){PROTO_EXITED, c->number};
  int r = send_message(in, &c->exited, sizeof c->exited, -1);
  if (r != -EAGAIN) c->tell_exit = false;
  note_told(in, c, r);
  return r;
}

/* False: the engine has to read first. */
static bool send_all(struct init *in) {
  if (waiting.n) {
    if (send_message(in, &waiting.m, waiting.n, waiting.fd) == -EAGAIN) return false;
    drop_waiting();
  }
  while (in->nsignals) {
    if (send_message(in, &in->signals[0], sizeof in->signals[0], -1) == -EAGAIN) return false;
    memmove(in->signals, in->signals + 1, --in->nsignals * sizeof in->signals[0]);
  }
  if (!in->tell) return true;
  in->tell = false;
  for (unsigned i = 0; i < in->top; i++) {
    struct child *c = &in->children[i];
    if (!c->number) continue;
    if ((c->tell_start && tell_start(in, c) == -EAGAIN) || (c->tell_exit && tell_exit(in, c) == -EAGAIN)) {
      in->tell = true;
      return false;
    }
    child_release(in, c);
  }
  return true;
}

/* Also while it waits for the engine: where a thousand pipes end at once, epoll says only after all of these that the
 * engine has read. */
void channel_flush(struct init *in) {
  if (!send_all(in) || !in->channel_waiting) return;
  in->channel_waiting = false;
  watch_remove(in, in->channel);
  watch_add(in, in->channel, EPOLLIN, TAG_CHANNEL, 0);
}

/* Its own count of messages begins with one: what it has read. */
void channel_again(struct init *in) {
  watch_add(in, in->channel, EPOLLIN, TAG_CHANNEL, 0);
  atomic_store(&keep_words(in->keep)->heard, 0);
  in->told = 1;
  for (unsigned i = 0; i < in->top; i++) {
    struct child *c = &in->children[i];
    if (!c->number || (c->flags & PROTO_HELPER)) continue;
    c->tell_start = c->tell_exit = c->untold = false;
    c->told = in->told;
  }
}

void channel_writable(struct init *in) {
  channel_flush(in);
  if (!in->channel_waiting) channel_read(in); /* what came while an answer waited */
}

void channel_close(struct init *in) {
  if (in->channel < 0) return;
  watch_remove(in, in->channel);
  close(in->channel);
  in->channel = -1;
  in->channel_waiting = false;
  drop_waiting();
  in->nsignals = 0;
  in->tell = true;
  channel_flush(in); /* nobody is told any more: the slots become free */
}
