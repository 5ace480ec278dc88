#include "init/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rawcall.h"
#include "init/state.h"

enum {
  PAGE = 4096,
  STACK_BYTES = 3 * PAGE + PAGE / 4,
  PLACES = 16,
  OWN_FDS = 2,
  SOME_CHILDREN = 4,  /* from here on descriptors are kept for the places, while the numbers are still low */
  MANY_CHILDREN = 16, /* and from here on new processes share our table, and have no status pipe */
  TABLE_FDS = 4096,   /* as many as all children need */
};
#define WAIT_NS (2 * NS_PER_MS)
#define HUNG_NS NS_PER_S
#define LOOK_NS NS_PER_MS
#define LOOK_SELDOM_NS (64 * NS_PER_MS)

/* Untouched pages of it cost nothing: the top of the stack, the launch and a usual request lie in one. */
static struct place {
  char stack[STACK_BYTES] __attribute__((aligned(PAGE)));
  struct launch launch;
  int fds[OWN_FDS]; /* numbers kept for its output, below lowest_foreign */
  char blob[LIMIT_SPAWN_INLINE] __attribute__((aligned(16)));
} places[PLACES];

/* No descriptor of a new process is here or above; 0: none is set apart yet; -1: none can be. */
static int lowest_foreign;

static int64_t no_wait_ns;    /* until then nobody waits for a place */
static unsigned silent;       /* launches whose end has to be looked for */
static int64_t look_again_ns; /* after so long */

static struct launch forked;

/* --- the new process; nothing here may call the C library -------------------------------------------------------- */

static _Noreturn void die(struct launch *l, enum spawn_stage stage, long error) {
  l->why = (struct launch_end){(int32_t)stage, (int32_t)-error};
  if (!l->place) RAWCALL(write, l->status_fd, &l->why, sizeof l->why, 0, 0);
  for (;;) RAWCALL(exit_group, 127, 0, 0, 0, 0);
}

static void check(struct launch *l, enum spawn_stage stage, long r) {
  if (r < 0) die(l, stage, r);
}

static void become(struct launch *l) {
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
static _Noreturn void run(struct launch *l) {
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

static _Noreturn void run_self(struct launch *l) {
  const struct init *in = l->in;
  /* where it is not there or not permitted, the whole program can do the same */
  if (l->flags & PROTO_OWN) RAWCALL(execveat, in->helper_fd, "", l->blob.argv, l->blob.envp, AT_EMPTY_PATH);
  if (in->self_path[0]) RAWCALL(execve, in->self_path, l->blob.argv, l->blob.envp, 0, 0);
  /* replaced or out of sight: by descriptor */
  die(l, SPAWN_EXEC, RAWCALL(execveat, in->self_fd, "", l->blob.argv, l->blob.envp, AT_EMPTY_PATH));
}

static void settle(struct launch *l) {
  const struct init *in = l->in;
  if (l->flags & PROTO_TTY) {
    pid_t pid = (pid_t)RAWCALL(getpid, 0, 0, 0, 0, 0);
    check(l, SPAWN_SESSION, RAWCALL(setpgid, 0, 0, 0, 0, 0));
    check(l, SPAWN_SESSION, RAWCALL(ioctl, in->tty_fd, TIOCSPGRP, &pid, 0, 0));
  } else {
    check(l, SPAWN_SESSION, RAWCALL(setsid, 0, 0, 0, 0, 0));
  }
  for (int i = 0; i < 3; i++)
    if (l->others[i] >= 0) RAWCALL(close, l->others[i], 0, 0, 0, 0);
  for (int i = 0; i < 3; i++)
    if (l->stdio[i] != i) check(l, SPAWN_STDIO, RAWCALL(dup3, l->stdio[i], i, 0, 0, 0));
  if (l->flags & PROTO_USER) become(l);
  if (l->flags & PROTO_NO_NEW_PRIVS) check(l, SPAWN_USER, RAWCALL(prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  if (l->blob.head->cwd) check(l, SPAWN_CWD, RAWCALL(chdir, l->blob.base + l->blob.head->cwd, 0, 0, 0, 0));
  if (!in->pid1 && !(l->flags & PROTO_FINISHES)) {
    /* a change of ids clears it, so it comes after; the parent may be gone already */
    RAWCALL(prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if ((pid_t)RAWCALL(getppid, 0, 0, 0, 0, 0) != in->pid) RAWCALL(exit_group, 128 + SIGKILL, 0, 0, 0, 0);
  }
  RAWCALL(prlimit64, 0, RLIMIT_NOFILE, &in->nofile, NULL, 0);
  RAWCALL(close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC, 0, 0);
  uint64_t none = 0;
  RAWCALL(rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none, 0);
}

/* What other new processes have here goes too: their pipes must not wait for our exec. */
static void leave_table(struct launch *l, const struct place *own) {
  check(l, SPAWN_STDIO, RAWCALL(close_range, own->fds[OWN_FDS - 1] + 1, ~0U, CLOSE_RANGE_UNSHARE, 0, 0));
  if (own > places) RAWCALL(close_range, places[0].fds[0], own->fds[0] - 1, 0, 0, 0);
  __atomic_store_n(&l->left_table, true, __ATOMIC_RELEASE);
}

static int new_process(void *arg) {
  struct launch *l = arg;
  if (l->shares_fds) leave_table(l, l->place);
  settle(l);
  if (l->flags & PROTO_SELF) run_self(l);
  run(l);
}

/* --- init -------------------------------------------------------------------------------------------------------- */

/* A table that is shared grows only when every processor has taken note (synchronize_rcu), tens of milliseconds each
 * time: ours gets its size before anybody shares it. */
static void grow_table(const struct init *in) {
  _Static_assert(TABLE_FDS > PLACES * OWN_FDS + 2 * LIMIT_CHILDREN + LIMIT_KEPT + 64, "the output of all has room");
  rlim_t most = TABLE_FDS < in->nofile.rlim_max ? TABLE_FDS : in->nofile.rlim_max;
  int last = fcntl(in->null_fd, F_DUPFD_CLOEXEC, (int)most - 1);
  if (last >= 0) close(last);
}

static bool keep_fds(const struct init *in) {
  if (close_range(~0U, ~0U, CLOSE_RANGE_UNSHARE) != 0) return false; /* an old kernel */
  grow_table(in);
  int fd = -1;
  for (int i = 0; i < PLACES * OWN_FDS; i++) {
    fd = fcntl(in->null_fd, F_DUPFD_CLOEXEC, fd + 1);
    if (fd < 0) return false;
    places[i / OWN_FDS].fds[i % OWN_FDS] = fd;
  }
  lowest_foreign = fd + 1;
  return true;
}

/* The end of the middle one of the launches: then there is room for more than the next. */
static void wait_for_place(void) {
  int64_t now_ns = clock_mono_ns();
  if (now_ns < no_wait_ns) return;
  const struct launch *middle = NULL;
  for (int i = 0; i < PLACES && !middle; i++) {
    int before = 0;
    for (int k = 0; k < PLACES; k++) before += places[k].launch.child->number < places[i].launch.child->number;
    if (before == PLACES / 2) middle = &places[i].launch;
  }
  int pid = middle ? __atomic_load_n(&middle->pid, __ATOMIC_ACQUIRE) : 0;
  if (!pid) return;
  const struct timespec most = {.tv_nsec = WAIT_NS};
  if (syscall(SYS_futex, &middle->pid, FUTEX_WAIT, pid, &most, NULL, 0) != 0 && errno == ETIMEDOUT)
    no_wait_ns = now_ns + HUNG_NS;
}

static struct place *free_place(struct init *in) {
  for (int i = 0; i < PLACES; i++)
    if (!places[i].launch.used || spawn_over(in, places[i].launch.child)) return &places[i];
  return NULL;
}

void launch_warm(void) {
  places[0].launch.used = false;
  places[0].stack[STACK_BYTES - 1] = 0;
}

struct launch *launch_new(struct init *in, struct child *c, const struct proto_spawn *m) {
  struct launch *l = &forked;
  struct place *place = NULL;
  if (RAWCALL_PURE) {
    place = free_place(in);
    if (!place) {
      wait_for_place();
      place = free_place(in);
    }
  }
  if (place) l = &place->launch;
  if (place && !lowest_foreign && in->top > SOME_CHILDREN && !keep_fds(in)) lowest_foreign = -1;
  *l = (struct launch){
      .in = in, .child = c, .place = place, .flags = m->flags, .uid = m->uid, .gid = m->gid, .used = true};
  l->silent = place && in->top > MANY_CHILDREN;
  if (l->silent) look_again_ns = LOOK_NS;
  silent += l->silent;
  return l;
}

bool launch_pending(const struct launch *l) { return l != &forked; }

bool launch_ended(const struct launch *l) { return __atomic_load_n(&l->pid, __ATOMIC_ACQUIRE) == 0; }

int launch_read(struct launch *l, char *inside, size_t n) {
  if (n > LIMIT_SPAWN_INLINE) return -E2BIG;
  if (l != &forked) inside = memcpy(((struct place *)l->place)->blob, inside, n);
  return blob_read(&l->blob, inside, n);
}

int launch_map(struct launch *l, int fd) { return blob_map(&l->blob, fd); }

/* A thousand children have thousands of descriptors here. To copy them for each new process, which closes them at its
 * exec, costs more than all the rest: so it shares the table, and leaves it with the few that it needs. Those keep
 * their numbers until it says so. */
static void set_apart(struct launch *l, const int fds[OWN_FDS]) {
  for (int i = 0; i < OWN_FDS; i++) {
    dup3(l->stdio[1 + i], fds[i], O_CLOEXEC);
    l->stdio[1 + i] = fds[i];
  }
}

static void give_back(struct launch *l) {
  l->shares_fds = false;
  for (int i = 0; i < OWN_FDS; i++) dup3(l->in->null_fd, ((struct place *)l->place)->fds[i], O_CLOEXEC);
}

void launch_left(struct launch *l) {
  if (l->shares_fds && (launch_ended(l) || __atomic_load_n(&l->left_table, __ATOMIC_ACQUIRE))) give_back(l);
}

pid_t launch_go(struct launch *l) {
  pid_t pid;
  const struct pipes *ready = &l->in->ready;
  l->others[0] = ready->status[1];
  l->others[1] = ready->out[1];
  l->others[2] = ready->err[1];
  struct place *place = l->place;
  if (l == &forked) {
    pid = _Fork();
    if (pid == 0) new_process(l);
  } else {
    unsigned flags = CLONE_VM | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD;
    l->shares_fds = l->silent && lowest_foreign > 0 && l->stdio[0] < places[0].fds[0] && !(l->flags & PROTO_TTY);
    if (l->shares_fds) {
      set_apart(l, place->fds);
      flags |= CLONE_FILES;
    }
    pid = clone(new_process, place->stack + STACK_BYTES, (int)flags, l, &l->pid, NULL, &l->pid);
    if (!l->silent) sched_yield(); /* where no processor is idle it need not wait for what we do next */
  }
  return pid < 0 ? -errno : pid;
}

void launch_over(struct launch *l) {
  if (l->shares_fds) give_back(l);
  blob_free(&l->blob);
  silent -= l->silent;
  l->used = false;
}

void launch_turn(struct init *in) {
  if (!silent) return;
  look_again_ns = look_again_ns < LOOK_SELDOM_NS ? 2 * look_again_ns : LOOK_SELDOM_NS;
  for (int i = 0; i < PLACES; i++)
    if (places[i].launch.used && places[i].launch.silent) spawn_status(in, places[i].launch.child);
}

int64_t launch_due(const struct init *in) { return silent ? in->now_ns + look_again_ns : TIME_NEVER; }
