/* As an ordinary process, tend is two: the one that was started, and init below it in a group of its own. Both take
 * orphans in, so whichever of them is killed with -9, the other still has the whole tree below it and ends it. The
 * guard does nothing else but hand signals on. As PID 1 the kernel does all this, and there is no guard.
 *
 * At first both run in the same memory, init on a stack of its own: nothing is copied at the start. The C library's
 * part of it is init's, so nothing here calls the library. Once all is quiet the guard executes a small program of its
 * own, tend-guard: then neither is killed with the other for the memory that it uses, and at the end init's memory is
 * taken apart beside the engine's. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/exits.h"
#include "base/place.h"
#include "base/rawcall.h"
#include "guard/guard.h"
#include "init/state.h"

enum { STACK_BYTES = 8 * 1024 * 1024, STACK_END = 4096 };

/* --- init's begin ------------------------------------------------------------------------------------------------- */

static int be_init(void *arg) {
  struct init *in = arg;
  in->guard = in->pid;
  in->pid = getpid();
  setpgid(0, 0);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  prctl(PR_SET_PDEATHSIG, GUARD_SIGNAL, 0, 0, 0);
  if (in->pid == 1) {
    fputs("tend: its children would be in another pid namespace than itself; unshare needs --fork with --pid\n",
          stderr);
    _exit(EXIT_SYSTEM);
  }
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

/* --- a program of its own ----------------------------------------------------------------------------------------- */

/* One that somebody else has put there is none, and a link may be his. */
static long open_program(void) {
  char self[PATH_MAX], path[PATH_MAX];
  struct stat own, st;
  long n = RAWCALL(readlinkat, AT_FDCWD, "/proc/self/exe", self, sizeof self - 1, 0);
  if (n <= 0) return -ENOENT;
  self[n] = 0;
  long fd = RAWCALL(openat, AT_FDCWD, "/proc/self/exe", O_PATH | O_CLOEXEC, 0, 0);
  if (fd < 0) return fd;
  long r = RAWCALL(fstat, fd, &own, 0, 0, 0);
  RAWCALL(close, fd, 0, 0, 0, 0);
  for (unsigned i = 0; r == 0 && place_beside(self, i, "tend-guard", path); i++) {
    fd = RAWCALL(openat, AT_FDCWD, path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, 0);
    if (fd < 0) continue;
    if (RAWCALL(fstat, fd, &st, 0, 0, 0) == 0 && st.st_uid == own.st_uid) return fd;
    RAWCALL(close, fd, 0, 0, 0, 0);
  }
  return -ENOENT;
}

/* Comes back where that cannot be. */
static void become_program(pid_t init) {
  long fd = open_program();
  if (fd < 0) return;
  char variable[] = GUARD_VARIABLE "=0000000000", name[GUARD_NAME_BYTES] = "";
  for (char *p = variable + sizeof variable - 1; init; init /= 10) *--p = (char)('0' + init % 10);
  RAWCALL(prctl, PR_GET_NAME, name, 0, 0, 0);
  char *environment[] = {variable, name, NULL};
  RAWCALL(execveat, fd, "", guard_arguments, environment, AT_EMPTY_PATH);
  RAWCALL(close, fd, 0, 0, 0, 0);
}

int guard_run(struct init *in) {
  /* not where tend's file gives it rights that the program's would take */
  bool becomes = in->opt.revive && guard_arguments && !getauxval(AT_SECURE);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  pid_t pid = start_init(in);
  if (pid < 0) return -errno;
  const struct timespec settled = {.tv_nsec = SETTLED_NS};
  int code = guard_watch(pid, &settled);
  if (code != -EAGAIN) return code;
  if (becomes) become_program(pid);
  return guard_watch(pid, NULL);
}
