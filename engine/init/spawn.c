/* A request is carried out: pipes, the process, the result of its exec. For that the loop goes on meanwhile, because an
 * exec can hang on a dead mount. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "init/launch.h"
#include "init/state.h"

enum { FEW_CHILDREN = 4 }; /* with more of them the new ones wait for other things */

static void close_pair(int fd[2]) {
  for (int i = 0; i < 2; i++)
    if (fd[i] >= 0) close(fd[i]);
}

static void fail(struct init *in, struct child *c, enum spawn_stage stage, int error) {
  c->stage = (int32_t)stage;
  c->error = error;
  c->failed = c->tell_start = in->tell = true;
}

/* Our end does not block. */
static bool open_pipe(int fd[2]) {
  return fd[0] >= 0 || (pipe2(fd, O_CLOEXEC) == 0 && fcntl(fd[0], F_SETFL, O_NONBLOCK) == 0);
}

static int open_pipes(struct pipes *p) { return open_pipe(p->out) && open_pipe(p->err) ? 0 : -errno; }

/* One fault, where a read and then a write are two. */
static void touch(void *at) { __atomic_fetch_or((char *)at, 0, __ATOMIC_RELAXED); }

/* Each page has a fault at its first write; here nobody waits for it. */
void spawn_warm(struct init *in) {
  touch(&in->children[0]);
  touch(&in->tails[0]);
  touch(&in->tail_names[0]);
  touch(&in->sources[1]); /* the first is the engine's */
  touch(in->log->buf);
  touch(&in->plan);
  channel_warm();
  launch_warm();
}

void spawn_prepare(struct init *in) {
  in->ready_due = false;
  if (in->exiting || in->top > FEW_CHILDREN || in->ready.out[0] >= 0) return;
  if (open_pipes(&in->ready) < 0 || pipe2(in->ready.status, O_CLOEXEC | O_NONBLOCK) != 0) spawn_unprepare(in);
}

void spawn_unprepare(struct init *in) {
  close_pair(in->ready.status);
  close_pair(in->ready.out);
  close_pair(in->ready.err);
  in->ready = NO_PIPES;
}

/* The output pipes of a process, with the ends for us already in the loop's hands. */
static int open_output(struct init *in, const struct proto_spawn *m, struct pipes *p) {
  *p = in->ready;
  in->ready = NO_PIPES;
  int r = open_pipes(p);
  if (r < 0) return r;
  struct tail *tail = tail_get(in, m->name, m->instance);
  if (!tail) return -ENOMEM;
  struct source *out = source_open(in, p->out[0], 1, tail);
  if (!out) return -ENOMEM;
  p->out[0] = -1;
  if (!source_open(in, p->err[0], 2, tail)) return -ENOMEM; /* the other ends by itself */
  p->err[0] = -1;
  return 0;
}

static int prepare(struct init *in, struct child *c, const struct proto_spawn *m, struct launch *l, struct pipes *p,
                   int out_fd, int in_fd) {
  bool tty = (m->flags & PROTO_TTY) && in->tty_fd >= 0;
  bool own = (m->flags & PROTO_STDIN) && !in->stdin_tty;
  if (m->flags & PROTO_HELPER) {
    l->stdio[0] = in_fd >= 0 ? in_fd : in->null_fd;
    l->stdio[1] = l->stdio[2] = out_fd >= 0 ? out_fd : in->null_fd;
  } else if (tty) {
    for (int i = 0; i < 3; i++) l->stdio[i] = isatty(i) ? i : in->tty_fd;
  } else {
    int r = open_output(in, m, p);
    if (r < 0) {
      fail(in, c, r == -ENOMEM ? SPAWN_MEMORY : SPAWN_PIPE, -r);
      return r;
    }
    l->stdio[0] = own ? 0 : in->null_fd;
    l->stdio[1] = p->out[1];
    l->stdio[2] = p->err[1];
  }
  l->status_fd = -1;
  if (l->silent) return 0;
  if ((p->status[0] < 0 && pipe2(p->status, O_CLOEXEC | O_NONBLOCK) != 0) ||
      watch_add(in, p->status[0], EPOLLIN, TAG_STATUS, (unsigned)(c - in->children)) != 0) {
    fail(in, c, SPAWN_PIPE, errno);
    return -errno;
  }
  l->status_fd = p->status[1];
  return 0;
}

static void start(struct init *in, struct child *c, struct launch *l, struct pipes *p) {
  pid_t pid = launch_go(l);
  if (pid < 0) {
    fail(in, c, SPAWN_FORK, -pid);
    return;
  }
  child_born(in, c, pid);
  c->status_fd = p->status[0];
  p->status[0] = -1;
  if (launch_pending(l)) c->launch = l;
  c->oom_before = oom_count(in);
  if (l->flags & PROTO_TTY) in->tty_group = pid;
}

static void refuse(struct init *in, const struct proto_spawn *m) {
  struct child none = {.number = m->head.child, .stage = SPAWN_LIMIT, .error = EAGAIN};
  channel_failed(in, &none);
}

void spawn_child(struct init *in, struct proto_spawn *m, size_t blob_bytes, int blob_fd, int out_fd, int in_fd) {
  struct child *c = child_new(in, m->head.child);
  if (!c) {
    refuse(in, m);
    return;
  }
  if (!in->opt.tty || in->tty_fd < 0) m->flags &= ~(uint32_t)PROTO_TTY;
  m->name[LIMIT_NAME - 1] = 0;
  c->flags = m->flags;
  c->instance = m->instance;
  memcpy(c->name, m->name, sizeof c->name);
  struct launch *l = launch_new(in, c, m);
  struct pipes p = NO_PIPES;
  int r = blob_bytes ? launch_read(l, (char *)(m + 1), blob_bytes) : launch_map(l, blob_fd);
  if (r < 0)
    fail(in, c, r == -ENOMEM ? SPAWN_MEMORY : SPAWN_LIMIT, -r);
  else if (prepare(in, c, m, l, &p, out_fd, in_fd) == 0)
    start(in, c, l, &p);
  if (!c->launch) launch_over(l);
  if (p.status[0] >= 0) watch_remove(in, p.status[0]);
  close_pair(p.status);
  close_pair(p.out);
  close_pair(p.err);
}

/* What is known of the exec of a fork: over its pipe. */
static bool fork_ended(const struct child *c, struct launch_end *why) {
  ssize_t n = read(c->status_fd, why, sizeof *why);
  if (n < 0 && errno == EAGAIN && c->pid) return false;
  if (n != sizeof *why) why->error = 0;
  return true;
}

/* Its exec took place (or it died before that, which its end will tell), or not. */
void spawn_status(struct init *in, struct child *c) {
  struct launch_end why;
  if (c->launch) {
    launch_left(c->launch);
    if (c->pid && !launch_ended(c->launch)) return;
    why = c->launch->why;
    launch_over(c->launch);
    c->launch = NULL;
  } else if (c->status_fd < 0 || !fork_ended(c, &why)) {
    return;
  }
  if (c->status_fd >= 0) {
    watch_remove(in, c->status_fd);
    close(c->status_fd);
  }
  c->status_fd = -1;
  c->tell_start = in->tell = true;
  if (why.error)
    fail(in, c, (enum spawn_stage)why.stage, why.error);
  else
    c->started = true;
}

void spawn_ended(struct init *in, struct child *c) { spawn_status(in, c); }

bool spawn_over(struct init *in, struct child *c) {
  spawn_status(in, c);
  return !c->launch;
}
