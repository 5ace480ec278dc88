/* As an ordinary process, tend is two: the one that was started, and init below it in a group of its own. Both take
 * orphans in, so whichever of them is killed with -9, the other still has the whole tree below it and ends it. The
 * guard does nothing else but hand signals on. As PID 1 the kernel does all this, and there is no guard.
 *
 * Both run in the same memory, init on a stack of its own: nothing is copied at the start, and at the end it is taken
 * apart once. The C library's part of it is init's, so while init lives nothing here calls the library. */
#include <errno.h>
#include <link.h>
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

/* How init has ended. */
static int watch_over(pid_t init) {
  uint64_t all = ~UINT64_C(0);
  siginfo_t si = {0};
  int status;
  for (;;) {
    if (RAWCALL(rt_sigtimedwait, &all, &si, NULL, sizeof all, 0) < 0) continue;
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

struct library {
  uintptr_t from, to;
};
enum { LIBRARIES = 16 };

struct libraries {
  struct library list[LIBRARIES];
  size_t n;
};

static int add_library(struct dl_phdr_info *object, size_t size, void *arg) {
  (void)size;
  struct libraries *all = arg;
  if (!*object->dlpi_name || all->n == LIBRARIES) return 0; /* the program itself */
  struct library *l = &all->list[all->n++];
  *l = (struct library){UINTPTR_MAX, 0};
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr) *p = &object->dlpi_phdr[i];
    uintptr_t from = object->dlpi_addr + p->p_vaddr, to = from + p->p_memsz;
    if (p->p_type != PT_LOAD) continue;
    if (from < l->from) l->from = from;
    if (to > l->to) l->to = to;
  }
  return 0;
}

/* init did not wait for the engine, which the kernel takes apart for a while yet. Meanwhile the libraries are given
 * back, which would be most of the work of our own end: from then on there is no C library. */
static _Noreturn void end_after_engine(const struct init *in, int code) {
  struct libraries all = {.n = 0};
  if (RAWCALL_PURE && waitpid(in->engine, NULL, WNOHANG) == 0) dl_iterate_phdr(add_library, &all);
  const uintptr_t in_page = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;
  for (size_t i = 0; i < all.n; i++) {
    uintptr_t from = all.list[i].from & ~in_page;
    RAWCALL(munmap, from, all.list[i].to - from, 0, 0, 0);
  }
  const uint64_t ended = UINT64_C(1) << (SIGCHLD - 1);
  const struct timespec most = {.tv_sec = SWEEP_NS / NS_PER_S};
  while (RAWCALL(wait4, in->engine, NULL, WNOHANG, NULL, 0) == 0)
    if (RAWCALL(rt_sigtimedwait, &ended, NULL, &most, sizeof ended, 0) == -EAGAIN) break;
  for (;;) RAWCALL(exit_group, code, 0, 0, 0, 0);
}

int guard_run(struct init *in) {
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  pid_t pid = start_init(in);
  if (pid < 0) return -errno;
  int status = watch_over(pid);
  if (WIFEXITED(status) && in->engine > 0) end_after_engine(in, WEXITSTATUS(status));
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  end_orphans(in);
  return EXIT_SIGNALED + WTERMSIG(status);
}
