#include "init/init.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/exits.h"
#include "base/place.h"
#include "init/state.h"

enum { EVENTS = 32 };
#define OFTEN_NS (NS_PER_MS / 2)
#define GATHER_NS (100 * 1000L)

static struct init self;

int watch_add(struct init *in, int fd, uint32_t events, enum tag tag, unsigned index) {
  struct epoll_event e = {.events = events, .data.u64 = (uint64_t)tag << 32 | index};
  return epoll_ctl(in->epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0 ? 0 : -errno;
}

void watch_remove(struct init *in, int fd) { epoll_ctl(in->epoll_fd, EPOLL_CTL_DEL, fd, NULL); }

/* Descriptors 0 to 2 are valid from here on, and nothing that we were given beyond them reaches the workload. */
static int open_standard(struct init *in) {
  int fd;
  do {
    fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0) {
      int r = -errno;
      fprintf(stderr, "tend: /dev/null: %s; the container needs a /dev that has it\n", strerror(-r));
      return r;
    }
    if (fd < 3) fcntl(fd, F_SETFD, 0);
  } while (fd < 3);
  in->null_fd = fd;
  if (syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
    for (fd = 3; fd < 1024; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
  return 0;
}

static void find_self(struct init *in) {
  in->self_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
  in->self_path = place_self();
  const char *path = (const char *)getauxval(AT_EXECFN);
  if (in->self_fd < 0 && path) in->self_fd = open(path, O_PATH | O_CLOEXEC);
  if (in->self_path[0] && access(in->self_path, X_OK) != 0) in->self_path = "";
}

/* The program that tend's own helpers are. One that somebody else has put there is none, and a link may be his. */
static void find_helper(struct init *in) {
  char path[PATH_MAX];
  struct stat own, st;
  in->helper_fd = -1;
  if (getauxval(AT_SECURE)) return; /* rights that tend's file gives, and that one's would take */
  for (unsigned i = 0; in->helper_fd < 0 && place_companion(i, "tend-helper", path); i++)
    in->helper_fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (in->helper_fd < 0) return;
  if (fstat(in->self_fd, &own) == 0 && fstat(in->helper_fd, &st) == 0 && st.st_uid == own.st_uid) return;
  close(in->helper_fd);
  in->helper_fd = -1;
}

/* As many descriptors as there may be, for the engine too, and for the guard, which may have inherited many. */
static void raise_limit(struct init *in) {
  getrlimit(RLIMIT_NOFILE, &in->nofile);
  struct rlimit most = {in->nofile.rlim_max, in->nofile.rlim_max};
  setrlimit(RLIMIT_NOFILE, &most);
}

/* What the guard and init have in common. */
static int prepare(struct init *in, const struct init_options *options) {
  in->opt = *options;
  in->pid = getpid();
  in->pid1 = in->pid == 1;
  in->ready = NO_PIPES;
  in->channel = in->log_fd = in->tty_fd = in->oom_fd = in->alive_fd = -1;
  in->revive.due_ns = in->stop_due_ns = in->ack_due_ns = in->engine_due_ns = in->drain_due_ns = TIME_NEVER;
  in->settled_due_ns = TIME_NEVER;
  in->now_ns = clock_mono_ns();
  in->terminal_group = getpgrp();
  signals_block(in);
  raise_limit(in);
  return open_standard(in);
}

/* The rest, while the engine starts. */
static int go_on(struct init *in) {
  int r = signals_open(in);
  if (r < 0) return r;
  find_self(in);
  find_helper(in);
  oom_open(in);
  tty_open(in);
  output_open(in);
  spawn_prepare(in);
  spawn_warm(in);
  return watch_add(in, in->signal_fd, EPOLLIN, TAG_SIGNAL, 0);
}

static void dispatch(struct init *in, const struct epoll_event *e) {
  unsigned index = (uint32_t)e->data.u64;
  switch ((enum tag)(e->data.u64 >> 32)) {
    case TAG_SIGNAL:
      break; /* read before all others */
    case TAG_CHANNEL:
      if (in->channel < 0) break;
      if (in->channel_waiting)
        channel_writable(in);
      else
        channel_read(in);
      break;
    case TAG_STATUS:
      spawn_status(in, &in->children[index]);
      break;
    case TAG_SOURCE:
      if (!in->sources[index].armed) break;
      if ((e->events & (EPOLLIN | EPOLLHUP)) == EPOLLHUP) /* nothing is in it, and nobody is left to write */
        source_close(in, &in->sources[index]);
      else
        source_read(in, &in->sources[index]);
      break;
    case TAG_WRITER:
      if (in->writers[index].waiting) output_writable(in, &in->writers[index]);
      break;
    case TAG_ALIVE:
      revive_silent(in);
      break;
  }
}

static int64_t earliest(const struct init *in) {
  int64_t due = in->ack_due_ns < in->settled_due_ns ? in->ack_due_ns : in->settled_due_ns;
  int64_t others[] = {output_due(in), alone_due(in), end_due(in), launch_due(in), revive_due(in)};
  for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++)
    if (others[i] < due) due = others[i];
  return due;
}

/* The engine did not take note of a signal for a second: it is passed over, until it speaks again. */
static void check_engine(struct init *in) {
  if (in->now_ns < in->ack_due_ns || !in->engine || in->exiting) return;
  in->ack_due_ns = TIME_NEVER;
  output_notice(in, "CRITICAL", "the engine does not answer; init carries out the stop", "{}");
  alone_begin(in);
}

/* A process that writes line by line would wake us for each of them. Where little comes again and again, it is left to
 * gather for a moment; signals and the engine are not kept waiting. */
static void let_gather(struct init *in) {
  if (!in->little) return;
  in->little = false;
  bool again = in->now_ns - in->little_ns < OFTEN_NS;
  in->little_ns = in->now_ns;
  if (!again || in->exiting || in->channel < 0) return;
  struct pollfd urgent[] = {{.fd = in->signal_fd, .events = POLLIN}, {.fd = in->channel, .events = POLLIN}};
  const struct timespec moment = {.tv_nsec = GATHER_NS};
  ppoll(urgent, 2, &moment, NULL);
  in->little_ns = clock_mono_ns();
}

void hear(struct init *in) {
  signals_read(in);
  if (!in->reap_due) return;
  reap_all(in);
  channel_flush(in);
  if (in->nobody_left) sched_yield(); /* the engine goes on while we close what has ended */
  in->nobody_left = false;
}

/* A while after the first start, when nobody waits: what a stop will need. */
static void settle(struct init *in) {
  if (in->now_ns < in->settled_due_ns) return;
  in->settled_due_ns = TIME_NEVER;
  in->settled = true;
  sweep_prepare(in);
}

/* The signals of a stop are out, and the engine knows: who got one and has no processor of his own goes first. */
static void stop_handed_on(struct init *in) {
  in->stop_fresh = false;
  sched_yield();
  sweep_prepare(in);
}

static void run(struct init *in) {
  struct epoll_event events[EVENTS];
  for (;;) {
    int n = epoll_wait(in->epoll_fd, events, EVENTS, clock_ms_until(earliest(in), clock_mono_ns()));
    in->now_ns = clock_mono_ns();
    for (int i = 0; i < n; i++)
      if (events[i].data.u64 >> 32 == TAG_SIGNAL) hear(in);
    for (int i = 0; i < n; i++) dispatch(in, &events[i]);
    launch_turn(in);
    channel_flush(in);
    if (in->stop_fresh) stop_handed_on(in);
    check_engine(in);
    revive_turn(in);
    alone_turn(in);
    output_turn(in);
    if (end_turn(in)) return;
    if (in->ready_due) spawn_prepare(in);
    settle(in);
    let_gather(in);
  }
}

static pid_t caller;

pid_t init_pid(void) { return caller; }

struct keep *init_keep(void) {
  return self.keep;
}

int init_rest(struct init *in) {
  if (in->opt.revive) in->keep = keep_map();
  int r = engine_start(in);
  if (r == 0) r = go_on(in);
  if (r < 0) {
    fprintf(stderr, "tend: init cannot start: %s\n", strerror(-r));
    return EXIT_SYSTEM;
  }
  run(in);
  tty_take_back(in);
  return in->code;
}

int init_run(const struct init_options *options, init_engine_fn *engine_main, void *arg) {
  struct init *in = &self;
  caller = getpid();
  in->engine_main = engine_main;
  in->engine_arg = arg;
  int r = prepare(in, options);
  if (r == 0 && in->pid1) return init_rest(in);
  if (r == 0) r = guard_run(in);
  if (r >= 0) _exit(r);
  fprintf(stderr, "tend: init cannot start: %s\n", strerror(-r));
  return EXIT_SYSTEM;
}
