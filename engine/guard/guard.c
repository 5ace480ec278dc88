#include "guard/guard.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/wait.h>

#include "base/exits.h"
#include "base/rawcall.h"

#define KILL_NS (2 * NS_PER_S) /* what survives SIGKILL that long hangs in the kernel */
#define LOOK_NS (2 * NS_PER_MS)
#define ONLY(sig) (UINT64_C(1) << ((sig)-1))

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

/* --- who is left -------------------------------------------------------------------------------------------------- */

static const char *number(const char *p, pid_t *out) {
  for (*out = 0; *p >= '0' && *p <= '9'; p++) *out = *out * 10 + (*p - '0');
  return p;
}

/* The parent of /proc/NAME, 0 where it is a zombie or gone. */
static pid_t parent_of(long proc, const char *name) {
  char path[32], text[512];
  size_t k = 0;
  while (k < sizeof path - sizeof "/stat" && name[k]) {
    path[k] = name[k];
    k++;
  }
  for (const char *p = "/stat"; *p; p++) path[k++] = *p;
  path[k] = 0;
  long fd = RAWCALL(openat, proc, path, O_RDONLY | O_CLOEXEC, 0, 0);
  if (fd < 0) return 0;
  long n = RAWCALL(read, fd, text, sizeof text - 1, 0, 0);
  RAWCALL(close, fd, 0, 0, 0, 0);
  long last = n;
  while (last > 0 && text[last - 1] != ')') last--; /* the name before it may hold anything */
  if (last <= 0 || n - last < 4 || text[last + 1] == 'Z' || text[last + 1] == 'X') return 0;
  text[n] = 0;
  pid_t parent;
  number(text + last + 3, &parent);
  return parent;
}

/* Whether this /proc is that of our namespace. */
static bool proc_is_ours(long proc, pid_t self) {
  char text[16];
  pid_t shown;
  long n = RAWCALL(readlinkat, proc, "self", text, sizeof text - 1, 0);
  if (n <= 0) return false;
  text[n] = 0;
  return *number(text, &shown) == 0 && shown == self;
}

/* Our children cannot be recycled, since only we reap them. */
static void kill_children(void) {
  char names[4096] __attribute__((aligned(8)));
  pid_t self = (pid_t)RAWCALL(getpid, 0, 0, 0, 0, 0);
  long proc = RAWCALL(openat, AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, 0), n = 0;
  if (proc < 0) return;
  if (proc_is_ours(proc, self)) n = RAWCALL(getdents64, proc, names, sizeof names, 0, 0);
  while (n > 0) {
    for (long at = 0; at < n;) {
      const struct dirent64 *d = (const struct dirent64 *)(const void *)(names + at);
      at += d->d_reclen;
      pid_t pid;
      if (*number(d->d_name, &pid) == 0 && pid > 0 && parent_of(proc, d->d_name) == self)
        RAWCALL(kill, pid, SIGKILL, 0, 0, 0);
    }
    n = RAWCALL(getdents64, proc, names, sizeof names, 0, 0);
  }
  RAWCALL(close, proc, 0, 0, 0, 0);
}

/* Takes those that have ended. */
static bool children_left(void) {
  long pid;
  do pid = RAWCALL(wait4, -1, NULL, WNOHANG, NULL, 0);
  while (pid > 0);
  return pid == 0;
}

static int64_t now_ns(void) {
  struct timespec t;
  RAWCALL(clock_gettime, CLOCK_MONOTONIC, &t, 0, 0, 0);
  return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void await_end(int64_t most_ns) {
  const uint64_t ended = ONLY(SIGCHLD);
  const struct timespec most = {most_ns / NS_PER_S, most_ns % NS_PER_S};
  RAWCALL(rt_sigtimedwait, &ended, NULL, &most, sizeof ended, 0);
}

/* --- after init --------------------------------------------------------------------------------------------------- */

static void await_children(void) {
  int64_t due = now_ns() + FINISH_NS;
  while (children_left()) {
    int64_t left = due - now_ns();
    if (left <= 0) return;
    await_end(left);
  }
}

/* What is below a child comes to us with its end. */
static void end_children(void) {
  int64_t due = now_ns() + KILL_NS;
  while (children_left() && now_ns() < due) {
    kill_children();
    await_end(LOOK_NS);
  }
}

/* init leaves behind what ends by itself, the engine and helpers that finish, so that their ends and its own go side by
 * side; where it was killed, everything. */
static int after(int status) {
  bool orderly = WIFEXITED(status);
  if (orderly) await_children();
  end_children();
  return orderly ? WEXITSTATUS(status) : EXIT_SIGNALED + WTERMSIG(status);
}

int guard_watch(pid_t init, const struct timespec *most) {
  const uint64_t all = ~UINT64_C(0);
  siginfo_t si;
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
