#include "loop/children.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/scratch.h"
#include "base/str.h"
#include "loop/outbox.h"
#include "loop/spawn_blob.h"

enum { BUCKETS = 256, READS = 64, FLUSH_MS = 1000 };

/* A child that may still call back. */
struct entry {
  struct entry *next;
  uint32_t number;
  const struct child_ops *ops;
  void *arg;
  int out_fd; /* helper: our end of its output, -1 for a process and after its end */
  struct watch *watch;
  struct buf out;
  bool cut;
};

/* A request that waits for its answer. */
struct request {
  struct request *next;
  uint32_t number;
  children_swept_fn *swept;
  children_tail_fn *tail;
  children_follow_fn *follow;
  void *arg;
};

struct children {
  struct loop *loop;
  int fd;
  struct watch *watch;
  uint32_t last_number, last_request;
  struct entry *buckets[BUCKETS];
  struct request *requests;
  struct outbox out;
  children_signal_fn *on_signal;
  void *signal_arg;
};

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

static void close_output(struct entry *e) {
  watch_free(e->watch);
  e->watch = NULL;
  if (e->out_fd >= 0) close(e->out_fd);
  e->out_fd = -1;
}

static void entry_free(struct entry *e) {
  if (!e) return;
  close_output(e);
  buf_free(&e->out);
  free(e);
}

/* As outbox_post; what is queued is sent when the channel takes it. */
static int post(struct children *c, const void *m, size_t n, const int *fds, unsigned nfds) {
  int r = outbox_post(&c->out, c->fd, m, n, fds, nfds);
  if (!outbox_empty(&c->out)) watch_events(c->watch, WATCH_READ | WATCH_WRITE);
  return r;
}

static struct entry *find(const struct children *c, uint32_t number) {
  struct entry *e = c->buckets[number % BUCKETS];
  while (e && e->number != number) e = e->next;
  return e;
}

static struct entry *take(struct children *c, uint32_t number) {
  for (struct entry **at = &c->buckets[number % BUCKETS]; *at; at = &(*at)->next) {
    if ((*at)->number != number) continue;
    struct entry *e = *at;
    *at = e->next;
    return e;
  }
  return NULL;
}

void children_free(struct children *c) {
  if (!c) return;
  watch_free(c->watch);
  for (unsigned i = 0; i < BUCKETS; i++) {
    for (struct entry *e = c->buckets[i], *next; e; e = next) {
      next = e->next;
      entry_free(e);
    }
  }
  for (struct request *r = c->requests, *next; r; r = next) {
    next = r->next;
    free(r);
  }
  outbox_clear(&c->out);
  close(c->fd);
  free(c);
}

static void read_output(void *arg, int fd, int events) {
  (void)fd;
  (void)events;
  struct entry *e = arg;
  char text[16384];
  for (int i = 0; i < 16; i++) {
    ssize_t n = read(e->out_fd, text, sizeof text);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
      watch_free(e->watch);
      e->watch = NULL;
      return;
    }
    size_t room = LIMIT_HELPER_OUTPUT - e->out.len;
    size_t take_n = (size_t)n < room ? (size_t)n : room;
    buf_add(&e->out, text, take_n);
    if (take_n < (size_t)n || e->out.failed) e->cut = true;
  }
}

/* What a helper needs: a pipe for its output, a memfd (or the descriptor that was given) as its input. */
struct helper_fds {
  int out[2], input;
};

static void close_helper(struct helper_fds *f) {
  for (int i = 0; i < 2; i++)
    if (f->out[i] >= 0) close(f->out[i]);
  if (f->input >= 0) close(f->input);
}

static int open_helper(const struct child_spec *spec, struct helper_fds *f, struct err *err) {
  if (pipe2(f->out, O_CLOEXEC) != 0 || fcntl(f->out[0], F_SETFL, O_NONBLOCK) != 0)
    return err_errno(err, -errno, "cannot make a pipe for %s", spec->name);
  if (spec->input_fd > 0) {
    f->input = fcntl(spec->input_fd, F_DUPFD_CLOEXEC, 0);
    return f->input < 0 ? err_errno(err, -errno, "cannot give %s its input", spec->name) : 0;
  }
  if (!spec->input) return 0;
  f->input = scratch_open("input");
  if (f->input < 0) return err_errno(err, f->input, "cannot hold the input of %s", spec->name);
  const char *p = spec->input;
  for (size_t n = spec->input_len; n;) {
    ssize_t r = write(f->input, p, n);
    if (r < 0) return err_errno(err, -errno, "cannot hold the input of %s", spec->name);
    p += r;
    n -= (size_t)r;
  }
  lseek(f->input, 0, SEEK_SET);
  return 0;
}

static uint32_t flags_of(const struct child_spec *spec) {
  uint32_t flags = 0;
  if (spec->kind == CHILD_HELPER) flags |= PROTO_HELPER;
  if (spec->no_new_privs) flags |= PROTO_NO_NEW_PRIVS;
  if (spec->finishes) flags |= PROTO_FINISHES;
  if (spec->own_stdin) flags |= PROTO_STDIN;
  if (spec->tty) flags |= PROTO_TTY;
  if (spec->user) flags |= PROTO_USER;
  bool self = STR_EQ(spec->argv[0], "tend");
  if (self) flags |= PROTO_SELF;
  bool inside = self && spec->kind == CHILD_HELPER && spec->argv[1] && STR_EQ(spec->argv[1], "helper");
  if (inside && !spec->envp && !spec->user) flags |= PROTO_INSIDE;
  if (spec->kind == CHILD_HELPER && (spec->input || spec->input_fd > 0)) flags |= PROTO_INPUT;
  return flags;
}

static int request_spawn(struct children *c, struct entry *e, const struct child_spec *spec, struct helper_fds *f,
                         struct err *err) {
  struct proto_spawn m = {.head = {PROTO_SPAWN, e->number}, .flags = flags_of(spec), .instance = spec->instance};
  str_copy(m.name, sizeof m.name, spec->name ? spec->name : spec->argv[0]);
  auto_buf struct buf blob = {0};
  auto_close int blob_fd = -1;
  int fds[PROTO_FDS];
  unsigned n = 0;
  int r = spawn_blob(spec, &m, &blob, err);
  if (r == 0 && blob.len > LIMIT_SPAWN_INLINE) {
    r = spawn_seal(&blob, &blob_fd, err);
    fds[n++] = blob_fd;
    blob.len = 0;
  }
  if (r < 0) return r;
  if (spec->kind == CHILD_HELPER) {
    r = open_helper(spec, f, err);
    if (r < 0) return r;
    e->watch = watch_new(c->loop, f->out[0], WATCH_READ, read_output, e);
    if (!e->watch) return err_set(err, -ENOMEM, "no memory for the output of %s", m.name);
    e->out_fd = f->out[0];
    f->out[0] = -1;
    fds[n++] = f->out[1];
    if (f->input >= 0) fds[n++] = f->input;
  }
  m.blob = (uint32_t)blob.len;
  char message[sizeof m + LIMIT_SPAWN_INLINE];
  memcpy(message, &m, sizeof m);
  if (blob.len) memcpy(message + sizeof m, blob.data, blob.len);
  r = post(c, message, sizeof m + blob.len, fds, n);
  return r < 0 ? err_errno(err, r, "cannot ask init to start %s", m.name) : 0;
}

uint32_t children_spawn(struct children *c, const struct child_spec *spec, const struct child_ops *ops, void *arg,
                        struct err *err) {
  if (!spec->argv || !spec->argv[0]) {
    err_set(err, -EINVAL, "%s has no command", spec->name ? spec->name : "a process");
    return 0;
  }
  struct entry *e = calloc(1, sizeof *e);
  if (!e) {
    err_set(err, -ENOMEM, "no memory for %s", spec->argv[0]);
    return 0;
  }
  e->out_fd = -1;
  e->ops = ops;
  e->arg = arg;
  e->number = ++c->last_number;
  struct helper_fds f = {{-1, -1}, -1};
  int r = request_spawn(c, e, spec, &f, err);
  close_helper(&f);
  if (r < 0) {
    entry_free(e);
    return 0;
  }
  e->next = c->buckets[e->number % BUCKETS];
  c->buckets[e->number % BUCKETS] = e;
  return e->number;
}

void children_kill(struct children *c, uint32_t child, int sig, enum kill_scope scope) {
  struct proto_kill m = {.head = {PROTO_KILL, child}, .sig = sig, .group = scope == KILL_GROUP};
  post(c, &m, sizeof m, NULL, 0);
}

void children_forget(struct children *c, uint32_t child) {
  struct entry *e = take(c, child);
  if (!e) return;
  if (e->out_fd >= 0) children_kill(c, child, SIGKILL, KILL_GROUP);
  entry_free(e);
}

/* Notes who asks; 0 without memory, and then no answer comes. */
static uint32_t ask(struct children *c, const struct request *who) {
  struct request *r = calloc(1, sizeof *r);
  if (!r) return 0;
  *r = *who;
  r->next = c->requests;
  r->number = ++c->last_request;
  c->requests = r;
  return r->number;
}

static bool answered(struct children *c, uint32_t number, struct request *out) {
  for (struct request **at = &c->requests; *at; at = &(*at)->next) {
    if ((*at)->number != number) continue;
    struct request *r = *at;
    *out = *r;
    *at = r->next;
    free(r);
    return true;
  }
  return false;
}

void children_sweep(struct children *c, int sig, children_swept_fn *done, void *arg) {
  struct proto_sweep m = {.head = {PROTO_SWEEP, ask(c, &(struct request){.swept = done, .arg = arg})}, .sig = sig};
  post(c, &m, sizeof m, NULL, 0);
}

static void ask_tail(struct children *c, const char *name, int instance, uint64_t since, const struct request *who) {
  struct proto_tail m = {.head = {PROTO_TAIL, ask(c, who)}, .instance = instance, .since = since};
  str_copy(m.name, sizeof m.name, name);
  post(c, &m, sizeof m, NULL, 0);
}

void children_tail(struct children *c, const char *name, int instance, children_tail_fn *done, void *arg) {
  ask_tail(c, name, instance, 0, &(struct request){.tail = done, .arg = arg});
}

void children_tail_since(struct children *c, const char *name, unsigned instance, uint64_t since,
                         children_follow_fn *done, void *arg) {
  ask_tail(c, name, (int)instance, since, &(struct request){.follow = done, .arg = arg});
}

void children_output(struct children *c, const struct proto_output *output) {
  struct proto_output_msg m = {.head = {PROTO_OUTPUT, 0}, .output = *output};
  post(c, &m, sizeof m, NULL, 0);
}

void children_plan(struct children *c, const struct proto_plan *plan) {
  struct proto_plan_msg m;
  memset(&m, 0, sizeof m);
  m.head.type = PROTO_PLAN;
  size_t n = offsetof(struct proto_plan, children) + plan->n * sizeof plan->children[0];
  memcpy(&m.plan, plan, n);
  post(c, &m, offsetof(struct proto_plan_msg, plan) + n, NULL, 0);
}

void children_on_signal(struct children *c, children_signal_fn *fn, void *arg) {
  c->on_signal = fn;
  c->signal_arg = arg;
}

int children_keep(struct children *c, const char *name, int fd) {
  struct proto_keep m = {.head = {PROTO_KEEP, 0}};
  if (!str_copy(m.name, sizeof m.name, name)) return -ENAMETOOLONG;
  return post(c, &m, sizeof m, &fd, fd >= 0 ? 1 : 0);
}

void children_exit(struct children *c, int code, bool asked) {
  struct proto_exit m = {.head = {PROTO_EXIT, 0}, .code = code, .asked = asked};
  post(c, &m, sizeof m, NULL, 0);
  /* the loop may not run again after this */
  int64_t due = clock_mono_ns() + FLUSH_MS * NS_PER_MS;
  while (!outbox_empty(&c->out) && clock_mono_ns() < due) {
    struct pollfd pfd = {.fd = c->fd, .events = POLLOUT};
    if (poll(&pfd, 1, clock_ms_until(due, clock_mono_ns())) <= 0 || (pfd.revents & (POLLERR | POLLHUP))) break;
    outbox_flush(&c->out, c->fd);
  }
}

static void on_exited(struct children *c, const struct proto_exited *m) {
  struct entry *e = take(c, m->head.child);
  if (!e) return;
  if (e->watch)
    read_output(e, e->out_fd, WATCH_READ); /* what came before the end; whoever else holds the pipe was killed */
  struct child_exit exit = {.status = m->status,
                            .usage = m->usage,
                            .oom = m->oom,
                            .group_left = m->group_left,
                            .out = e->out_fd >= 0 ? &e->out : NULL,
                            .out_cut = e->cut};
  if (e->ops && e->ops->exited) e->ops->exited(e->arg, m->head.child, &exit);
  entry_free(e);
}

static void on_started(struct children *c, const struct proto_started *m) {
  const struct entry *e = find(c, m->head.child);
  if (e && e->ops && e->ops->started) e->ops->started(e->arg, m->head.child, m->pid);
}

static void on_failed(struct children *c, const struct proto_failed *m) {
  struct entry *e = take(c, m->head.child);
  if (!e) return;
  if (e->ops && e->ops->failed) e->ops->failed(e->arg, m->head.child, (enum spawn_stage)m->stage, m->error);
  entry_free(e);
}

static void on_signaled(struct children *c, const struct proto_signaled *m) {
  struct proto_head ack = {PROTO_ACK, m->head.child};
  post(c, &ack, sizeof ack, NULL, 0);
  if (c->on_signal) c->on_signal(c->signal_arg, m->sig, m->level, m->begun);
}

static void on_swept(struct children *c, const struct proto_swept *m) {
  struct request r;
  if (answered(c, m->head.child, &r) && r.swept) r.swept(r.arg, m->left);
}

static void on_tail(struct children *c, const struct proto_tail_reply *m, int fd) {
  struct request r;
  if (!answered(c, m->head.child, &r)) return;
  auto_buf struct buf text = {0};
  lseek(fd, 0, SEEK_SET);
  for (ssize_t n = 1; fd >= 0 && n > 0;) {
    char *room = buf_room(&text, 65536);
    n = room ? read(fd, room, 65536) : 0;
    if (n > 0) text.len += (size_t)n;
  }
  if (r.tail) r.tail(r.arg, buf_cstr(&text), text.len);
  if (r.follow) r.follow(r.arg, buf_cstr(&text), text.len, m->end);
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
      on_swept(c, &m->swept);
      break;
    case PROTO_TAIL_REPLY:
      on_tail(c, &m->tail, fd);
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

static void on_channel(void *arg, int channel, int events) {
  struct children *c = arg;
  if (events & WATCH_WRITE) outbox_flush(&c->out, channel);
  if (outbox_empty(&c->out)) watch_events(c->watch, WATCH_READ);
  if (!(events & WATCH_READ)) return;
  for (int i = 0; i < READS; i++) {
    union answer m;
    union {
      struct cmsghdr align;
      char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec v = {.iov_base = &m, .iov_len = sizeof m};
    struct msghdr h = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t n = recvmsg(channel, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
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
