/* The bench's clockwork for Lua: start a program with the time taken right before its exec, take in the children's
 * records, wait for an end with its time. Times are integers, nanoseconds of CLOCK_MONOTONIC. */
#include <fcntl.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "../native.h"
#include "tools/record.h"

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* --- launch ------------------------------------------------------------------------------------------------------ */

struct launch {
  char **argv, **envp;
  const char *cwd;
  int fds[3];
  bool pid1;
  int64_t at_ns; /* right before the exec */
  int failed;
};

static char stack[64 * 1024] __attribute__((aligned(16)));

/* Runs in the caller's memory, the caller standing still until the exec: no copy of the bench's own memory is in the
 * figures. */
static int launch_child(void *arg) {
  struct launch *l = arg;
  sigset_t none;
  sigemptyset(&none);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (l->pid1) {
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
      goto fail;
  }
  if (setsid() < 0 || (l->cwd && chdir(l->cwd))) goto fail;
  for (int i = 0; i < 3; i++)
    if (dup2(l->fds[i], i) < 0) goto fail;
  signal(SIGPIPE, SIG_DFL);
  sigprocmask(SIG_SETMASK, &none, NULL);
  l->at_ns = now_ns();
  execve(l->argv[0], l->argv, l->envp);
fail:
  l->failed = errno;
  _exit(127);
}

/* launch { argv, env, cwd, pid1, fds = { in, out, err } } → pid, time of its exec. */
static int l_launch(lua_State *L) {
  struct launch l = {.argv = string_list(L, 1, "argv"), .envp = string_list(L, 1, "env")};
  lua_getfield(L, 1, "cwd");
  l.cwd = luaL_optstring(L, -1, NULL);
  lua_getfield(L, 1, "pid1");
  l.pid1 = lua_toboolean(L, -1);
  lua_getfield(L, 1, "fds");
  for (int i = 0; i < 3; i++) {
    lua_rawgeti(L, -1 - i, i + 1);
    l.fds[i] = fcntl((int)luaL_checkinteger(L, -1), F_DUPFD_CLOEXEC, 10);
  }
  int flags = CLONE_VM | CLONE_VFORK | SIGCHLD | (l.pid1 ? CLONE_NEWPID | CLONE_NEWNS : 0);
  int pid = clone(launch_child, stack + sizeof stack, flags, &l);
  int error = errno;
  for (int i = 0; i < 3; i++) close(l.fds[i]);
  if (pid > 0 && l.failed) {
    waitpid(pid, NULL, 0);
    error = l.failed;
    pid = -1;
  }
  errno = error;
  if (pid < 0) return fail(L, l.argv[0]);
  lua_pushinteger(L, pid);
  lua_pushinteger(L, l.at_ns);
  return 2;
}

/* --- what happens ------------------------------------------------------------------------------------------------ */

static int l_now(lua_State *L) {
  lua_pushinteger(L, now_ns());
  return 1;
}

static int l_sleep(lua_State *L) {
  double s = luaL_checknumber(L, 1);
  struct timespec t = {(time_t)s, (long)((s - (double)(time_t)s) * 1e9)};
  nanosleep(&t, NULL);
  return 0;
}

/* fifo(path) → fd: made, and open for both, so that no writer ever waits for a reader. */
static int l_fifo(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  if (mkfifo(path, 0666) || chmod(path, 0666)) return fail(L, path);
  int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return fail(L, path);
  fcntl(fd, F_SETPIPE_SZ, 1024 * 1024);
  lua_pushinteger(L, fd);
  return 1;
}

/* records(fd, list, milliseconds): appends { kind, pid, ns } of all that is there, waiting that long for the first. */
static int l_records(lua_State *L) {
  struct record r[256];
  struct pollfd p = {.fd = (int)luaL_checkinteger(L, 1), .events = POLLIN};
  int wait_ms = (int)luaL_optinteger(L, 3, 0);
  lua_Integer at = luaL_len(L, 2);
  ssize_t n;
  if (wait_ms > 0) poll(&p, 1, wait_ms);
  while ((n = read(p.fd, r, sizeof r)) > 0)
    for (size_t i = 0; i < (size_t)n / sizeof r[0]; i++) {
      lua_createtable(L, 0, 3);
      lua_pushlstring(L, (char[]){(char)r[i].kind}, 1);
      lua_setfield(L, -2, "kind");
      lua_pushinteger(L, r[i].pid);
      lua_setfield(L, -2, "pid");
      lua_pushinteger(L, r[i].ns);
      lua_setfield(L, -2, "ns");
      lua_rawseti(L, 2, ++at);
    }
  return 0;
}

/* kill(pid, signal) → the time right before. */
static int l_kill(lua_State *L) {
  pid_t pid = (pid_t)luaL_checkinteger(L, 1);
  int sig = (int)luaL_checkinteger(L, 2);
  int64_t at = now_ns();
  if (kill(pid, sig)) return fail(L, "kill");
  lua_pushinteger(L, at);
  return 1;
}

/* wait(pid, seconds) → time of its end, "exit"|"signal", number; nil when it still runs then. Reaps it. */
static int l_wait(lua_State *L) {
  pid_t pid = (pid_t)luaL_checkinteger(L, 1);
  double seconds = luaL_checknumber(L, 2);
  struct pollfd p = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
  if (p.fd < 0) return fail(L, "pidfd_open");
  int ready = poll(&p, 1, (int)(seconds * 1000));
  int64_t at = now_ns();
  close(p.fd);
  int status;
  if (ready <= 0 || waitpid(pid, &status, WNOHANG) != pid) return 0;
  lua_pushinteger(L, at);
  lua_pushstring(L, WIFSIGNALED(status) ? "signal" : "exit");
  lua_pushinteger(L, WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  return 3;
}

/* --- files ------------------------------------------------------------------------------------------------------- */

/* open(path, "r"|"w"|"rw") → fd, close-on-exec. */
static int l_open(lua_State *L) {
  const char *path = luaL_checkstring(L, 1), *how = luaL_checkstring(L, 2);
  int flags = strcmp(how, "rw") == 0 ? O_RDWR : *how == 'w' ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY;
  int fd = open(path, flags | O_CLOEXEC, 0666);
  if (fd < 0) return fail(L, path);
  lua_pushinteger(L, fd);
  return 1;
}

/* pipe() → read end, write end; close-on-exec, of the usual size. */
static int l_pipe(lua_State *L) {
  int p[2];
  if (pipe2(p, O_CLOEXEC)) return fail(L, "pipe");
  lua_pushinteger(L, p[0]);
  lua_pushinteger(L, p[1]);
  return 2;
}

/* fsync(path): its pages are clean afterwards; a dirty page of a program counts as its memory. */
static int l_fsync(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fsync(fd)) return fail(L, path);
  close(fd);
  lua_pushboolean(L, 1);
  return 1;
}

static int l_root(lua_State *L) {
  lua_pushboolean(L, geteuid() == 0);
  return 1;
}

/* same_memory(pid, pid): whether the two run in one address space; where the kernel does not tell: false. */
static int l_same_memory(lua_State *L) {
  pid_t a = (pid_t)luaL_checkinteger(L, 1), b = (pid_t)luaL_checkinteger(L, 2);
  lua_pushboolean(L, syscall(SYS_kcmp, a, b, KCMP_VM, 0, 0) == 0);
  return 1;
}

int luaopen_benchnative(lua_State *L);
int luaopen_benchnative(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"same_memory", l_same_memory},
      {"launch", l_launch},
      {"now", l_now},
      {"sleep", l_sleep},
      {"fifo", l_fifo},
      {"records", l_records},
      {"kill", l_kill},
      {"wait", l_wait},
      {"open", l_open},
      {"close", l_close},
      {"pipe", l_pipe},
      {"fsync", l_fsync},
      {"mkdtemp", l_mkdtemp},
      {"getpid", l_getpid},
      {"root", l_root},
      {NULL, NULL},
  };
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  signal(SIGPIPE, SIG_IGN);
  luaL_newlib(L, functions);
  return 1;
}
