/* From a request to exec. Between fork and exec only async-signal-safe calls; the result comes over a
 * close-on-exec pipe, which the loop watches, because an exec can hang on a dead mount. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/exits.h"
#include "init/state.h"

/* A request's blob, mapped privately; its slots are pointers. */
struct blob {
  char *base;
  size_t size;
  char **argv, **envp, **candidates; /* argv[-1] is free */
  const gid_t *groups;
  const struct proto_blob *head;
};

struct pipes {
  int status[2], out[2], err[2];
};

struct job {
  const struct init *in;
  const struct proto_spawn *m;
  struct blob blob;
  int stdio[3];
  int status_fd;
};

static int map_blob(int fd, struct blob *b) {
  struct stat st;
  int seals = fcntl(fd, F_GET_SEALS);
  if (fstat(fd, &st) != 0 || seals < 0 || !(seals & F_SEAL_WRITE) || !(seals & F_SEAL_SHRINK)) return -EINVAL;
  if (st.st_size < (off_t)sizeof *b->head || st.st_size > LIMIT_SPAWN_BLOB) return -E2BIG;
  b->size = (size_t)st.st_size;
  b->base = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  if (b->base == MAP_FAILED) return -ENOMEM;
  b->head = (const struct proto_blob *)b->base;
  const struct proto_blob *h = b->head;
  uint64_t slots = (uint64_t)1 + h->argc + 1 + h->envc + 1 + h->ncandidates + 1;
  uint64_t fixed = sizeof *h + slots * sizeof(char *) + (uint64_t)h->ngroups * sizeof(gid_t);
  bool good = h->size == b->size && h->argc > 0 && h->ncandidates > 0 && fixed < b->size && h->cwd < b->size &&
              b->base[b->size - 1] == 0;
  char **slot = (char **)(b->base + sizeof *h);
  for (uint64_t i = 0; good && i < slots; i++) {
    uintptr_t offset = (uintptr_t)slot[i];
    good = offset < b->size;
    slot[i] = good && offset ? b->base + offset : NULL;
  }
  if (!good) {
    munmap(b->base, b->size);
    return -EINVAL;
  }
  b->argv = slot + 1;
  b->envp = b->argv + h->argc + 1;
  b->candidates = b->envp + h->envc + 1;
  b->groups = (const gid_t *)(b->candidates + h->ncandidates + 1);
  return 0;
}

static _Noreturn void die(const struct job *j, enum spawn_stage stage, int error) {
  int32_t why[2] = {(int32_t)stage, error};
  ssize_t r = write(j->status_fd, why, sizeof why);
  _exit(r > 0 ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

static void become(const struct job *j) {
  uid_t uid = j->m->uid;
  gid_t gid = j->m->gid;
  /* /dev/stdout can then be opened by the workload */
  if (!(j->m->flags & PROTO_HELPER) && !(j->m->flags & PROTO_TTY) &&
      (fchown(1, uid, (gid_t)-1) || fchown(2, uid, (gid_t)-1)))
    errno = 0; /* not ours to give: it works without */
  if (uid == geteuid() && uid == getuid() && gid == getegid() && uid != 0) return;
  /* the raw call: the library's talks to threads, of which there are none */
  if (syscall(SYS_setgroups, (size_t)j->blob.head->ngroups, j->blob.groups) != 0 || setresgid(gid, gid, gid) != 0 ||
      setresuid(uid, uid, uid) != 0)
    die(j, SPAWN_USER, errno);
}

/* As execvp does it: the next candidate where a file is not there or not permitted, the shell where the file has no
 * format that the kernel knows. */
static _Noreturn void run(const struct job *j) {
  static char shell[] = "/bin/sh";
  const struct blob *b = &j->blob;
  int error = ENOENT;
  for (char **path = b->candidates; *path; path++) {
    execve(*path, b->argv, b->envp);
    if (errno == ENOEXEC) {
      b->argv[-1] = shell;
      b->argv[0] = *path;
      execve(b->argv[-1], b->argv - 1, b->envp);
      die(j, SPAWN_EXEC, ENOEXEC);
    }
    if (errno == EACCES)
      error = EACCES;
    else if (errno != ENOENT && errno != ENOTDIR && errno != ESTALE && errno != ENODEV && errno != ETIMEDOUT)
      die(j, SPAWN_EXEC, errno);
  }
  die(j, SPAWN_EXEC, error);
}

static _Noreturn void run_self(const struct job *j) {
  if (j->in->self_path[0]) execve(j->in->self_path, j->blob.argv, j->blob.envp);
  /* replaced or out of sight: by descriptor */
  syscall(SYS_execveat, j->in->self_fd, "", j->blob.argv, j->blob.envp, AT_EMPTY_PATH);
  die(j, SPAWN_EXEC, errno);
}

static _Noreturn void child_main(const struct job *j) {
  uint32_t flags = j->m->flags;
  if (flags & PROTO_TTY) {
    if (setpgid(0, 0) != 0 || tcsetpgrp(j->in->tty_fd, getpid()) != 0) die(j, SPAWN_SESSION, errno);
  } else if (setsid() < 0) {
    die(j, SPAWN_SESSION, errno);
  }
  for (int i = 0; i < 3; i++)
    if (j->stdio[i] != i && dup2(j->stdio[i], i) < 0) die(j, SPAWN_STDIO, errno);
  if (flags & PROTO_USER) become(j);
  if ((flags & PROTO_NO_NEW_PRIVS) && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) die(j, SPAWN_USER, errno);
  if (j->blob.head->cwd && chdir(j->blob.base + j->blob.head->cwd) != 0) die(j, SPAWN_CWD, errno);
  if (!j->in->pid1) {
    /* a change of ids clears it, so it comes after; the parent may be gone already */
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != j->in->pid) _exit(EXIT_KILLED);
  }
  setrlimit(RLIMIT_NOFILE, &j->in->nofile);
  syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
  uint64_t none = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
  if (flags & PROTO_SELF) run_self(j);
  run(j);
}

static void close_pair(int fd[2]) {
  for (int i = 0; i < 2; i++)
    if (fd[i] >= 0) close(fd[i]);
}

static void fail(struct init *in, struct child *c, enum spawn_stage stage, int error) {
  c->stage = (int32_t)stage;
  c->error = error;
  c->failed = c->tell_start = in->tell = true;
}

/* The output pipes of a process, with the ends for us already in the loop's hands. */
static int open_output(struct init *in, const struct proto_spawn *m, struct pipes *p) {
  if (pipe2(p->out, O_CLOEXEC) != 0 || pipe2(p->err, O_CLOEXEC) != 0) return -errno;
  struct tail *tail = tail_get(in, m->name, m->instance);
  if (!tail) return -ENOMEM;
  struct source *out = source_open(in, p->out[0], 1, tail);
  if (!out) return -ENOMEM;
  p->out[0] = -1;
  if (!source_open(in, p->err[0], 2, tail)) return -ENOMEM; /* the other ends by itself */
  p->err[0] = -1;
  return 0;
}

static int prepare(struct init *in, struct child *c, struct job *j, struct pipes *p, int out_fd, int in_fd) {
  const struct proto_spawn *m = j->m;
  bool tty = (m->flags & PROTO_TTY) && in->tty_fd >= 0;
  bool own = (m->flags & PROTO_STDIN) && !in->stdin_tty;
  if (m->flags & PROTO_HELPER) {
    j->stdio[0] = in_fd >= 0 ? in_fd : in->null_fd;
    j->stdio[1] = j->stdio[2] = out_fd >= 0 ? out_fd : in->null_fd;
  } else if (tty) {
    for (int i = 0; i < 3; i++) j->stdio[i] = isatty(i) ? i : in->tty_fd;
  } else {
    int r = open_output(in, m, p);
    if (r < 0) {
      fail(in, c, r == -ENOMEM ? SPAWN_MEMORY : SPAWN_PIPE, -r);
      return r;
    }
    j->stdio[0] = own ? 0 : in->null_fd;
    j->stdio[1] = p->out[1];
    j->stdio[2] = p->err[1];
  }
  if (pipe2(p->status, O_CLOEXEC | O_NONBLOCK) != 0 ||
      watch_add(in, p->status[0], EPOLLIN, TAG_STATUS, (unsigned)(c - in->children)) != 0) {
    fail(in, c, SPAWN_PIPE, errno);
    return -errno;
  }
  j->status_fd = p->status[1];
  return 0;
}

static void fork_child(struct init *in, struct child *c, struct job *j, struct pipes *p) {
  c->oom_before = oom_count(in);
  pid_t pid = _Fork();
  if (pid == 0) child_main(j);
  if (pid < 0) {
    fail(in, c, SPAWN_FORK, errno);
    return;
  }
  c->pid = c->first_pid = c->group = pid;
  c->status_fd = p->status[0];
  p->status[0] = -1;
  if (j->m->flags & PROTO_TTY) in->tty_group = pid;
}

void spawn_child(struct init *in, const struct proto_spawn *m, int blob_fd, int out_fd, int in_fd) {
  struct child *c = child_new(in, m->head.child);
  if (!c) {
    struct child none = {.number = m->head.child, .status_fd = -1};
    none.stage = SPAWN_LIMIT;
    none.error = EAGAIN;
    channel_failed(in, &none);
    return;
  }
  struct job j = {.in = in, .m = m};
  c->flags = m->flags;
  if (!in->opt.tty || in->tty_fd < 0) c->flags &= ~(uint32_t)PROTO_TTY;
  struct proto_spawn request = *m;
  request.flags = c->flags;
  request.name[LIMIT_NAME - 1] = 0;
  j.m = &request;
  struct pipes p = {{-1, -1}, {-1, -1}, {-1, -1}};
  int r = blob_fd < 0 ? -EINVAL : map_blob(blob_fd, &j.blob);
  if (r < 0) {
    fail(in, c, r == -ENOMEM ? SPAWN_MEMORY : SPAWN_LIMIT, -r);
  } else {
    if (prepare(in, c, &j, &p, out_fd, in_fd) == 0) fork_child(in, c, &j, &p);
    munmap(j.blob.base, j.blob.size);
  }
  if (p.status[0] >= 0) watch_remove(in, p.status[0]);
  close_pair(p.status);
  close_pair(p.out);
  close_pair(p.err);
}

/* End of file: the exec took place (or the child died before it, which its end will tell). */
void spawn_status(struct init *in, struct child *c) {
  if (c->status_fd < 0) return;
  int32_t why[2];
  ssize_t n = read(c->status_fd, why, sizeof why);
  if (n < 0 && errno == EAGAIN) return;
  watch_remove(in, c->status_fd);
  close(c->status_fd);
  c->status_fd = -1;
  c->tell_start = in->tell = true;
  if (n == sizeof why)
    fail(in, c, (enum spawn_stage)why[0], why[1]);
  else
    c->started = true;
}
