/* As an ordinary process, tend is two: the one that was started, and init below it in a group of its own. Both take
 * orphans in, so whichever of them is killed with -9, the other still has the whole tree below it and ends it. The
 * guard does nothing else but hand signals on. As PID 1 the kernel does all this, and there is no guard. */
#include <errno.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/exits.h"
#include "init/state.h"

#define SWEEP_NS (2 * NS_PER_S) /* what survives SIGKILL that long hangs in the kernel */

static void hand_on(pid_t to, const siginfo_t *si) {
  if (si->si_code == SI_QUEUE)
    sigqueue(to, si->si_signo, si->si_value);
  else
    kill(to, si->si_signo);
  /* somebody may have stopped init: it could not obey */
  if (si->si_signo == SIGTERM || si->si_signo == SIGINT || si->si_signo == SIGQUIT) kill(to, SIGCONT);
}

static void reap_others(void) {
  while (waitpid(-1, NULL, WNOHANG) > 0) continue;
}

/* init was killed: all that was below it is below us now. */
static void end_orphans(struct init *in) {
  int64_t due = clock_mono_ns() + SWEEP_NS;
  const struct timespec moment = {.tv_nsec = 2 * NS_PER_MS};
  for (reap_others(); sweep_signal(in, SIGKILL) > 0 && clock_mono_ns() < due; reap_others()) nanosleep(&moment, NULL);
}

static int watch_over(struct init *in, pid_t child) {
  sigset_t all;
  sigfillset(&all);
  for (;;) {
    siginfo_t si;
    if (sigwaitinfo(&all, &si) < 0) continue;
    if (si.si_signo != SIGCHLD) {
      hand_on(child, &si);
      continue;
    }
    int status;
    if (waitpid(child, &status, WNOHANG) != child) continue;
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    end_orphans(in);
    return EXIT_SIGNALED + WTERMSIG(status);
  }
}

static int give_back(struct dl_phdr_info *object, size_t size, void *arg) {
  (void)size;
  (void)arg;
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr) *p = &object->dlpi_phdr[i];
    if (p->p_type != PT_LOAD || p->p_flags & PF_W) continue;
    uintptr_t begin = (object->dlpi_addr + p->p_vaddr) & ~(p->p_align - 1);
    madvise((void *)begin, object->dlpi_addr + p->p_vaddr + p->p_memsz - begin, MADV_DONTNEED);
  }
  return 0;
}

int guard_start(struct init *in, int *code) {
  in->terminal_group = getpgrp();
  if (in->pid1) return 0;
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  fflush(NULL);
  pid_t pid = fork();
  if (pid < 0) return -errno;
  if (pid > 0) {
    dl_iterate_phdr(give_back,
                    NULL); /* of all the code that the start has mapped it needs little: its end is shorter */
    *code = watch_over(in, pid);
    return 1;
  }
  in->guard = in->pid;
  in->pid = getpid();
  setpgid(0, 0);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  prctl(PR_SET_PDEATHSIG, GUARD_SIGNAL, 0, 0, 0);
  if (getppid() != in->guard) _exit(EXIT_KILLED);
  return 0;
}
