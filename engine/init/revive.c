/* A new engine after one that ended. The first comes at once, further ones in the same minute after a while; after
 * three the next is a safe one (without scripts and checks), and when three of these have died, init goes on alone. A
 * stop that is asked for meanwhile waits for nobody.
 *
 * An engine that hangs: it has given us a timer, which it sets ahead of the time when it will wake up itself. Where
 * that comes, it has missed it; everything may have been stopped for a while, so it gets a moment more. */
#include <errno.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/revival.h"
#include "base/str.h"
#include "init/state.h"

#define MINUTE_NS (60 * NS_PER_S)
#define SECOND_NS (NS_PER_S / 5) /* before the second one of a minute */
#define MORE_NS NS_PER_S         /* before each further one */
#define MOMENT_NS NS_PER_S       /* for one that seems to hang */
#define ACK_NS NS_PER_S

/* --- one has ended ----------------------------------------------------------------------------------------------- */

static unsigned note_death(struct init *in) {
  struct revive *r = &in->revive;
  unsigned n = 1;
  for (unsigned i = REVIVE_DEATHS - 1; i > 0; i--) {
    r->deaths_ns[i] = r->deaths_ns[i - 1];
    n += r->deaths_ns[i] && in->now_ns - r->deaths_ns[i] < MINUTE_NS;
  }
  r->deaths_ns[0] = in->now_ns;
  return n;
}

bool revive_plan(struct init *in, int status) {
  struct revive *r = &in->revive;
  if (in->alive_fd >= 0) {
    watch_remove(in, in->alive_fd);
    close(in->alive_fd);
    in->alive_fd = -1;
  }
  r->over = true;
  if (!in->opt.revive || !in->keep || (in->alone.active && in->alone.stopping)) return false;
  unsigned deaths = note_death(in);
  r->status = status;
  if (r->safe) {
    if (in->now_ns - r->begun_ns > MINUTE_NS) r->safe_deaths = 0;
    if (++r->safe_deaths >= REVIVE_DEATHS) return false;
  } else if (deaths >= REVIVE_DEATHS) {
    r->safe = true;
  }
  r->over = false;
  r->due_ns = in->now_ns + (deaths == 1 ? 0 : deaths == 2 ? SECOND_NS : MORE_NS);
  return true;
}

/* --- the next one ------------------------------------------------------------------------------------------------ */

static unsigned recent_deaths(const struct init *in) {
  unsigned n = 0;
  for (unsigned i = 0; i < REVIVE_DEATHS; i++)
    n += in->revive.deaths_ns[i] && in->now_ns - in->revive.deaths_ns[i] < MINUTE_NS;
  return n;
}

static int by_number(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

/* In the new process: all but these and the standard ones. */
static void close_others(int *fds, size_t n) {
  qsort(fds, n, sizeof *fds, by_number);
  unsigned from = 3;
  for (size_t i = 0; i <= n; i++) {
    unsigned to = i < n ? (unsigned)fds[i] : ~0U;
    if (to > from && syscall(SYS_close_range, from, i < n ? to - 1 : ~0U, 0) != 0)
      for (unsigned fd = from; fd < to && fd < 65536; fd++) close((int)fd);
    from = to + 1;
  }
}

static struct revival *inherit(struct init *in, int channel) {
  static struct revival r;
  static struct revival_fd kept[LIMIT_KEPT];
  int fds[LIMIT_KEPT + 3];
  size_t n = 0;
  fds[n++] = channel;
  fds[n++] = in->log_fd;
  fds[n++] = in->null_fd;
  r = (struct revival){.hung = in->revive.hung,
                       .status = in->revive.status,
                       .deaths = recent_deaths(in),
                       .safe = in->revive.safe,
                       .stop_level = (int)in->stop.level,
                       .stop_signal = in->stop.last_sig,
                       .stop_begun = in->stop_begun,
                       .last_number = in->last_number,
                       .fds = kept};
  for (unsigned i = 0; i < LIMIT_KEPT; i++) {
    if (!in->kept[i].name[0]) continue;
    struct revival_fd *k = &kept[r.n_fds++];
    str_copy(k->name, sizeof k->name, in->kept[i].name);
    fds[n++] = k->fd = in->kept[i].fd;
  }
  struct revival_child *children = calloc(in->top + 1, sizeof *children);
  for (unsigned i = 0; children && i < in->top; i++) {
    const struct child *c = &in->children[i];
    if (!c->number || (c->flags & PROTO_HELPER)) continue;
    struct revival_child *k = &children[r.n_children++];
    *k = (struct revival_child){.number = c->number,
                                .instance = c->instance,
                                .pid = c->first_pid,
                                .started = c->started,
                                .failed = c->failed,
                                .exited = !c->pid && !c->failed,
                                .stage = c->stage,
                                .error = c->error,
                                .exit = c->exited};
    str_copy(k->name, sizeof k->name, c->name);
  }
  r.children = children;
  close_others(fds, n);
  return &r;
}

void revive_turn(struct init *in) {
  struct revive *r = &in->revive;
  if (r->due_ns == TIME_NEVER || in->exiting) return;
  bool stop = in->stop.level != STOP_NONE;
  if (in->now_ns < r->due_ns && !stop) return;
  r->due_ns = TIME_NEVER;
  int error = engine_fork(in, (int[2]){-1, in->log_fd}, inherit);
  if (error) {
    r->due_ns = in->now_ns + MORE_NS; /* memory or processes may be short for a while only */
    if (stop) alone_begin(in);
    return;
  }
  r->hung = r->suspect = false;
  channel_again(in);
  if (!stop) return;
  channel_signal(in, in->stop.last_sig, (int)in->stop.level, in->stop_begun);
  in->ack_due_ns = in->now_ns + ACK_NS;
}

int64_t revive_due(const struct init *in) { return in->exiting ? TIME_NEVER : in->revive.due_ns; }

/* --- one that hangs ---------------------------------------------------------------------------------------------- */

void revive_watch(struct init *in, int fd) {
  if (fd < 0) return;
  if (in->alive_fd >= 0 || !in->opt.revive || watch_add(in, fd, EPOLLIN, TAG_ALIVE, 0) != 0) {
    close(fd);
    return;
  }
  in->alive_fd = fd;
}

void revive_silent(struct init *in) {
  struct revive *r = &in->revive;
  uint64_t times;
  if (in->alive_fd < 0 || read(in->alive_fd, &times, sizeof times) != sizeof times) return;
  if (!in->engine || in->exiting) return;
  struct itimerspec again = {.it_value = {.tv_sec = MOMENT_NS / NS_PER_S}};
  if (!r->suspect || in->now_ns - r->suspect_ns > 2 * MOMENT_NS) {
    r->suspect = true;
    r->suspect_ns = in->now_ns;
    timerfd_settime(in->alive_fd, 0, &again, NULL); /* one that lives sets it anew */
    return;
  }
  r->hung = true;
  output_notice(in, "CRITICAL", "the engine hangs: it is killed", "{}");
  kill(in->engine, SIGKILL);
}
