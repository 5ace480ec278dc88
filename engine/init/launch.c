#include "init/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "init/rawcall.h"
#include "init/state.h"

enum { PLACES = 24, STACK_BYTES = 16 * 1024 };

/* Untouched pages of it cost nothing, and the first free one is always taken. */
static struct place {
  struct launch launch;
  char blob[LIMIT_SPAWN_INLINE] __attribute__((aligned(16)));
  char stack[STACK_BYTES] __attribute__((aligned(64)));
} places[PLACES];

static struct launch forked;

/* --- the new process; nothing here may call the C library -------------------------------------------------------- */

static _Noreturn void die(const struct launch *l, enum spawn_stage stage, long error) {
  int32_t why[2] = {(int32_t)stage, (int32_t)-error};
  long r = RAWCALL(write, l->status_fd, why, sizeof why, 0, 0);
  for (;;) RAWCALL(exit_group, r > 0 ? 127 : 126, 0, 0, 0, 0);
}

static void check(const struct launch *l, enum spawn_stage stage, long r) {
  if (r < 0) die(l, stage, r);
}

static void become(const struct launch *l) {
  /* /dev/stdout can then be opened by the workload; where they are not ours to give, it works without */
  if (!(l->flags & (PROTO_HELPER | PROTO_TTY)) && RAWCALL(fchown, 1, l->uid, -1, 0, 0) == 0)
    RAWCALL(fchown, 2, l->uid, -1, 0, 0);
  bool same = (uid_t)RAWCALL(geteuid, 0, 0, 0, 0, 0) == l->uid && (uid_t)RAWCALL(getuid, 0, 0, 0, 0, 0) == l->uid &&
              (gid_t)RAWCALL(getegid, 0, 0, 0, 0, 0) == l->gid;
  if (same && l->uid != 0) return;
  check(l, SPAWN_USER, RAWCALL(setgroups, l->blob.head->ngroups, l->blob.groups, 0, 0, 0));
  check(l, SPAWN_USER, RAWCALL(setresgid, l->gid, l->gid, l->gid, 0, 0));
  check(l, SPAWN_USER, RAWCALL(setresuid, l->uid, l->uid, l->uid, 0, 0));
}

/* As execvp does it: the next candidate where a file is not there or not permitted, the shell where the file has no
 * format that the kernel knows. */
static _Noreturn void run(const struct launch *l) {
  static char shell[] = "/bin/sh";
  const struct blob *b = &l->blob;
  long error = -ENOENT;
  for (char **path = b->candidates; *path; path++) {
    long r = RAWCALL(execve, *path, b->argv, b->envp, 0, 0);
    if (r == -ENOEXEC) {
      b->argv[-1] = shell;
      b->argv[0] = *path;
      RAWCALL(execve, shell, b->argv - 1, b->envp, 0, 0);
      die(l, SPAWN_EXEC, r);
    }
    if (r == -EACCES)
      error = r;
    else if (r != -ENOENT && r != -ENOTDIR && r != -ESTALE && r != -ENODEV && r != -ETIMEDOUT)
      die(l, SPAWN_EXEC, r);
  }
  die(l, SPAWN_EXEC, error);
}

static _Noreturn void run_self(const struct launch *l) {
  const struct init *in = l->in;
  if (in->self_path[0]) RAWCALL(execve, in->self_path, l->blob.argv, l->blob.envp, 0, 0);
  /* replaced or out of sight: by descriptor */
  die(l, SPAWN_EXEC, RAWCALL(execveat, in->self_fd, "", l->blob.argv, l->blob.envp, AT_EMPTY_PATH));
}

static void settle(const struct launch *l) {
  const struct init *in = l->in;
  if (l->flags & PROTO_TTY) {
    pid_t pid = (pid_t)RAWCALL(getpid, 0, 0, 0, 0, 0);
    check(l, SPAWN_SESSION, RAWCALL(setpgid, 0, 0, 0, 0, 0));
    check(l, SPAWN_SESSION, RAWCALL(ioctl, in->tty_fd, TIOCSPGRP, &pid, 0, 0));
  } else {
    check(l, SPAWN_SESSION, RAWCALL(setsid, 0, 0, 0, 0, 0));
  }
  for (int i = 0; i < 3; i++)
    if (l->stdio[i] != i) check(l, SPAWN_STDIO, RAWCALL(dup3, l->stdio[i], i, 0, 0, 0));
  if (l->flags & PROTO_USER) become(l);
  if (l->flags & PROTO_NO_NEW_PRIVS) check(l, SPAWN_USER, RAWCALL(prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  if (l->blob.head->cwd) check(l, SPAWN_CWD, RAWCALL(chdir, l->blob.base + l->blob.head->cwd, 0, 0, 0, 0));
  if (!in->pid1) {
    /* a change of ids clears it, so it comes after; the parent may be gone already */
    RAWCALL(prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if ((pid_t)RAWCALL(getppid, 0, 0, 0, 0, 0) != in->pid) RAWCALL(exit_group, 128 + SIGKILL, 0, 0, 0, 0);
  }
  RAWCALL(prlimit64, 0, RLIMIT_NOFILE, &in->nofile, NULL, 0);
  RAWCALL(close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC, 0, 0);
  uint64_t none = 0;
  RAWCALL(rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none, 0);
}

static int new_process(void *arg) {
  const struct launch *l = arg;
  settle(l);
  if (l->flags & PROTO_SELF) run_self(l);
  run(l);
}

/* One of our own helpers: a fork that goes on in this program, without the exec. */
static _Noreturn void be_helper(const struct launch *l) {
  settle(l);
  close_range(3, ~0U, 0);
  exit(l->in->opt.helper((int)l->blob.head->argc - 1, l->blob.argv + 1));
}

/* --- init -------------------------------------------------------------------------------------------------------- */

struct launch *launch_new(struct init *in, struct child *c, const struct proto_spawn *m) {
  struct launch *l = &forked;
  bool share = RAWCALL_PURE && !(m->flags & PROTO_INSIDE);
  for (int i = 0; share && i < PLACES && l == &forked; i++)
    if (!places[i].launch.used || spawn_over(in, places[i].launch.child)) l = &places[i].launch;
  *l = (struct launch){.in = in, .child = c, .flags = m->flags, .uid = m->uid, .gid = m->gid, .used = true};
  return l;
}

bool launch_pending(const struct launch *l) { return l != &forked; }

int launch_read(struct launch *l, char *inside, size_t n) {
  if (n > LIMIT_SPAWN_INLINE) return -E2BIG;
  if (l != &forked) inside = memcpy(((struct place *)l)->blob, inside, n);
  return blob_read(&l->blob, inside, n);
}

int launch_map(struct launch *l, int fd) { return blob_map(&l->blob, fd); }

pid_t launch_go(struct launch *l) {
  pid_t pid;
  if (l->flags & PROTO_INSIDE) {
    pid = fork();
    if (pid == 0) be_helper(l);
  } else if (l == &forked) {
    pid = _Fork();
    if (pid == 0) new_process(l);
  } else {
    pid = clone(new_process, ((struct place *)l)->stack + STACK_BYTES, CLONE_VM | SIGCHLD, l);
  }
  return pid < 0 ? -errno : pid;
}

void launch_over(struct launch *l) {
  blob_free(&l->blob);
  l->used = false;
}
