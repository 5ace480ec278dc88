#include "base/guard.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/exits.h"
#include "base/limits.h"
#include "base/rawcall.h"
#include "base/strays.h"

#define KILL_NS (2 * NS_PER_S) /* what survives SIGKILL that long hangs in the kernel */

char **guard_arguments;

/* --- beside init -------------------------------------------------------------------------------------------------- */

static void hand_on(pid_t to, siginfo_t *si) {
  int sig = si->si_signo;
  if (si->si_code == SI_QUEUE)
    RAWCALL(rt_sigqueueinfo, to, sig, si, 0, 0);
  else
    RAWCALL(kill, to, sig, 0, 0, 0);
  /* somebody may have stopped init: it could not obey */
  if (sig == SIGTERM || sig == SIGINT || sig == SIGQUIT) RAWCALL(kill, to, SIGCONT, 0, 0, 0);
}

/* --- after init --------------------------------------------------------------------------------------------------- */

static bool children_left(void) {
  pid_t pid;
  do pid = waitpid(-1, NULL, WNOHANG);
  while (pid > 0);
  return pid == 0;
}

/* false: the time is up. */
static bool await_children(int64_t most_ns) {
  int64_t due = clock_mono_ns() + most_ns;
  sigset_t ended;
  sigemptyset(&ended);
  sigaddset(&ended, SIGCHLD);
  while (children_left()) {
    int64_t left = due - clock_mono_ns();
    if (left <= 0) return false;
    const struct timespec most = {.tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S};
    sigtimedwait(&ended, NULL, &most);
  }
  return true;
}

/* All that was below init is below us now. */
static void end_strays(struct strays *s) {
  int64_t due = clock_mono_ns() + KILL_NS;
  const struct timespec moment = {.tv_nsec = 2 * NS_PER_MS};
  unsigned left;
  while (strays_signal(s, SIGKILL, &left) && left > 0 && clock_mono_ns() < due) {
    nanosleep(&moment, NULL);
    children_left();
  }
}

/* init leaves behind what ends by itself, the engine and helpers that finish, so that their ends and its own go side by
 * side; where it was killed, everything. */
static int after(int status) {
  struct strays s = {.self = getpid()};
  bool orderly = WIFEXITED(status);
  if (!orderly || !await_children(FINISH_NS)) end_strays(&s);
  return orderly ? WEXITSTATUS(status) : EXIT_SIGNALED + WTERMSIG(status);
}

int guard_watch(pid_t init, const struct timespec *most) {
  uint64_t all = ~UINT64_C(0);
  siginfo_t si = {0};
  int status;
  for (;;) {
    long r = RAWCALL(wait4, init, &status, WNOHANG, NULL, 0);
    if (r == init) return after(status);
    if (r == -ECHILD) return -ECHILD;
    r = RAWCALL(rt_sigtimedwait, &all, &si, most, sizeof all, 0);
    if (r == -EAGAIN) return -EAGAIN;
    if (r >= 0 && si.si_signo != SIGCHLD) hand_on(init, &si);
  }
}
