/* As an ordinary process, tend is two: the one that was started, and init below it in a group of its own. Both take
 * orphans in, so whichever of them is killed with -9, the other still has the whole tree below it and ends it. The
 * guard does nothing else but hand signals on. As PID 1 the kernel does all this, and there is no guard.
 *
 * Both run in the same memory, init on a stack of its own: nothing is copied at the start, and at the end it is taken
 * apart once. The C library's part of it is init's, so while init lives nothing here calls the library. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/exits.h"
#include "init/rawcall.h"
#include "init/state.h"

enum { STACK_BYTES = 8 * 1024 * 1024, STACK_END = 4096 };
#define SETTLED_NS (100 * NS_PER_MS)
#define SWEEP_NS (2 * NS_PER_S) /* what survives SIGKILL that long hangs in the kernel */

/* --- init's begin ------------------------------------------------------------------------------------------------- */

static int be_init(void *arg) {
  struct init *in = arg;
  in->guard = in->pid;
  in->pid = getpid();
  setpgid(0, 0);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  prctl(PR_SET_PDEATHSIG, GUARD_SIGNAL, 0, 0, 0);
  if (getppid() != in->guard) _exit(EXIT_KILLED);
  _exit(init_rest(in));
}

#if RAWCALL_PURE
static pid_t start_init(struct init *in) {
  char *stack =
      mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) return -1;
  mprotect(stack, STACK_END, PROT_NONE);
  madvise(stack, STACK_BYTES, MADV_NOHUGEPAGE); /* a page or two of it are used */
  return clone(be_init, stack + STACK_BYTES, CLONE_VM | SIGCHLD, in);
}
#else
static pid_t start_init(struct init *in) {
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) be_init(in);
  return pid;
}
#endif

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

/* How init has ended. The first wait is a short one: the engine's fork has left the page of the stack to be copied at
 * the next write, and that shall not be the moment of a stop. */
static int watch_over(pid_t init) {
  uint64_t all = ~UINT64_C(0);
  siginfo_t si = {0};
  const struct timespec moment = {.tv_nsec = SETTLED_NS}, *most = &moment;
  int status;
  for (;;) {
    long r = RAWCALL(rt_sigtimedwait, &all, &si, most, sizeof all, 0);
    if (r == -EAGAIN) {
      most = NULL;
      *(volatile int *)&si.si_signo = 0;
    }
    if (r < 0) continue;
    if (si.si_signo != SIGCHLD)
      hand_on(init, &si);
    else if (RAWCALL(wait4, init, &status, WNOHANG, NULL, 0) == init)
      return status;
  }
}

/* --- after init --------------------------------------------------------------------------------------------------- */

static void reap_others(void) {
  while (waitpid(-1, NULL, WNOHANG) > 0) continue;
}

/* init was killed: all that was below it is below us now. */
static void end_orphans(struct init *in) {
  memset(in, 0, sizeof *in); /* nobody is known */
  in->pid = getpid();
  in->log_fd = -1;
  int64_t due = clock_mono_ns() + SWEEP_NS;
  const struct timespec moment = {.tv_nsec = 2 * NS_PER_MS};
  for (reap_others(); sweep_signal(in, SIGKILL) > 0 && clock_mono_ns() < due; reap_others()) nanosleep(&moment, NULL);
}

static bool lives(pid_t pid) { return pid > 0 && waitpid(pid, NULL, WNOHANG) == 0; }

/* The engine, which has said its last word, and helpers that finish their work. sig: they get it; 0: none. */
static bool anybody_lives(const struct init *in, int sig) {
  bool some = lives(in->engine);
  if (some && sig) kill(in->engine, sig);
  for (unsigned i = 0; i < in->top; i++) {
    const struct child *c = &in->children[i];
    if (!c->number || !(c->flags & PROTO_FINISHES) || !lives(c->pid)) continue;
    some = true;
    if (sig) kill(-c->pid, sig);
  }
  return some;
}

/* false: the time is up. */
static bool await_others(const struct init *in, int64_t most_ns) {
  const struct timespec most = {.tv_sec = most_ns / NS_PER_S, .tv_nsec = most_ns % NS_PER_S};
  sigset_t ended;
  sigemptyset(&ended);
  sigaddset(&ended, SIGCHLD);
  while (anybody_lives(in, 0))
    if (sigtimedwait(&ended, NULL, &most) < 0 && errno == EAGAIN) return false;
  return true;
}

/* init has left those behind, so that their ends and its own go side by side. */
static void end_last(const struct init *in) {
  if (!await_others(in, FINISH_NS) && anybody_lives(in, SIGKILL)) await_others(in, SWEEP_NS);
}

int guard_run(struct init *in) {
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  pid_t pid = start_init(in);
  if (pid < 0) return -errno;
  int status = watch_over(pid);
  if (WIFEXITED(status) && in->let_go) end_last(in);
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  end_orphans(in);
  return EXIT_SIGNALED + WTERMSIG(status);
}
