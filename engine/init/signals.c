/* All signals, by one descriptor. The table is the contract's: three stop, one is the engine's, some go to the main
 * process as they are, the rest end here. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "init/state.h"

enum signal_does { STOP, KILL, HANGUP, FORWARD, IGNORE, UNSEEN };
enum { KERNEL_RT_MIN = 32, KERNEL_SIGNALS = 64 };
#define ACK_NS NS_PER_S

static void by_default(int sig) {
  /* the kernel's struct sigaction: handler, flags, restorer, mask; all zero is the default */
  static const unsigned long none[8];
  syscall(SYS_rt_sigaction, sig, none, NULL, sizeof(uint64_t));
}

/* Blocks everything, the C library's two inner signals included. One that is blocked is never taken for ignored, but
 * who inherits an ignored SIGCHLD has no children to wait for. */
void signals_block(struct init *in) {
  struct sigaction old;
  in->hup_ignored = sigaction(SIGHUP, NULL, &old) == 0 && old.sa_handler == SIG_IGN;
  uint64_t all = ~UINT64_C(0);
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof all);
  by_default(SIGCHLD);
}

/* Forgets inherited dispositions too, so that a child has to reset nothing but its mask. Not that of SIGCHLD: one that
 * waits would be discarded, and the engine may have ended already. */
int signals_open(struct init *in) {
  for (int sig = 1; sig <= KERNEL_SIGNALS; sig++)
    if (sig != SIGCHLD) by_default(sig);
  uint64_t all = ~UINT64_C(0);
  in->signal_fd = (int)syscall(SYS_signalfd4, -1, &all, sizeof all, SFD_CLOEXEC | SFD_NONBLOCK);
  return in->signal_fd < 0 ? -errno : 0;
}

static bool is_forwarded(int sig) {
  switch (sig) {
#define X(name, does, doc) \
  case SIG##name: \
    return does == FORWARD;
#include "base/signals.def"
#undef X
    default:
      return sig >= SIGRTMIN && sig <= SIGRTMAX;
  }
}

static void forward(struct init *in, const struct signalfd_siginfo *si) {
  int sig = (int)si->ssi_signo;
  if (in->opt.engine_is_main) {
    channel_signal(in, sig, 0, false);
    return;
  }
  struct child *c = child_find(in, in->plan.main_child);
  if (!c || !child_live(c)) return;
  if (sig >= KERNEL_RT_MIN && si->ssi_code == SI_QUEUE)
    sigqueue(c->pid, sig, (union sigval){.sival_ptr = (void *)(uintptr_t)si->ssi_ptr});
  else
    kill(c->pid, sig);
}

/* Sent by the kernel, or we had a terminal and have none now. */
static bool terminal_gone(const struct init *in, const struct signalfd_siginfo *si) {
  if (si->ssi_code == SI_KERNEL) return true;
  if (!in->had_terminal) return false;
  int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return true;
  close(fd);
  return false;
}

static void stop(struct init *in, int sig, int as) {
  enum stop_level level = stopreq_note(&in->stop, as, in->now_ns);
  if (level == STOP_NONE) return;
  if (in->exiting) {
    in->drain_due_ns = in->now_ns; /* whoever stops an ending tend does not wait for its reader */
    return;
  }
  if (level == STOP_BEGIN && in->plan.immediate) channel_read(in); /* hooks that the engine has told of by now */
  if (level == STOP_BEGIN && in->plan.immediate && !in->stop_begun) {
    int first;
    if (stop_level(in, &first)) stop_send(in, first);
    in->stop_begun = true;
  }
  if (level == STOP_NOW) {
    stop_kill(in, false);
    in->stop_begun = true;
  }
  int64_t bound = TIME_NEVER;
  if (level == STOP_BEGIN && in->plan.grace_ns > 0) bound = in->now_ns + in->plan.grace_ns;
  if (level == STOP_SOON) bound = in->now_ns + STOP_SOON_NS;
  if (level == STOP_NOW) bound = in->now_ns;
  if (bound < in->stop_due_ns) in->stop_due_ns = bound;
  channel_signal(in, sig, (int)level, in->stop_begun);
  if (in->ack_due_ns == TIME_NEVER) in->ack_due_ns = in->now_ns + ACK_NS;
  in->stop_fresh = true;
}

static void take(struct init *in, const struct signalfd_siginfo *si) {
  int sig = (int)si->ssi_signo;
  switch (sig) {
    case SIGCHLD:
      in->reap_due = true;
      return;
    case SIGTERM:
    case SIGINT:
    case SIGQUIT:
      stop(in, sig, sig);
      return;
    case SIGHUP:
      if (terminal_gone(in, si)) {
        if (!in->hup_ignored) stop(in, SIGHUP, SIGTERM);
      } else {
        channel_signal(in, SIGHUP, 0, false);
      }
      return;
    case SIGCONT:
      tty_continue(in);
      return;
    default:
      if (in->guard && sig == GUARD_SIGNAL && getppid() != in->guard)
        end_orphaned(in);
      else if (is_forwarded(sig))
        forward(in, si);
  }
}

void signals_read(struct init *in) {
  struct signalfd_siginfo si[16];
  for (;;) {
    ssize_t n = read(in->signal_fd, si, sizeof si);
    if (n <= 0) return;
    for (size_t i = 0; i < (size_t)n / sizeof si[0]; i++) take(in, &si[i]);
    if ((size_t)n < sizeof si) return; /* that was all */
  }
}
