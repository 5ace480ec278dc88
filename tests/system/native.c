/* What Lua lacks for testing a supervisor: fork and exec with control over every inherited detail, own PID
 * namespaces, signals, waiting, poll; sockets are in native_socket.c. Functions return nil, message, errno on failure
 * of the world. */
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "native_socket.h"
#include "../native.h"

static int int_field(lua_State *L, int table, const char *key, int missing) {
  lua_getfield(L, table, key);
  int v = (int)luaL_optinteger(L, -1, missing);
  lua_pop(L, 1);
  return v;
}

static bool flag_field(lua_State *L, int table, const char *key) {
  lua_getfield(L, table, key);
  bool v = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return v;
}

static const char *text_field(lua_State *L, int table, const char *key) {
  lua_getfield(L, table, key); /* stays on the stack, so that the text lives */
  return luaL_optstring(L, -1, NULL);
}

struct spawn {
  char **argv, **envp, **ignore;
  const char *cwd, *out_file, *terminal;
  int fds[3]; /* the child's 0, 1, 2 */
  int uid, gid;
  bool pid1, userns;
  int report; /* of a failure: whether it was exec, and errno */
};

static void write_file(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text, strlen(text)) < 0) errno = EPERM;
  if (fd >= 0) close(fd);
}

/* In the child; returns only on failure. */
static void child_exec(const struct spawn *s, uid_t uid, gid_t gid, bool *ready) {
  char map[64];
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t none;
  sigemptyset(&none);
  const struct { /* the kernel's own layout: libc's calls leave out 32 and 33, which it keeps for itself */
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask;
  } standard = {SIG_DFL, 0, NULL, 0};
  for (int sig = 1; sig < _NSIG; sig++) syscall(SYS_rt_sigaction, sig, &standard, NULL, 8);
  sigprocmask(SIG_SETMASK, &none, NULL);
  for (char **i = s->ignore; *i; i++) signal((int)strtol(*i, NULL, 10), SIG_IGN);
  if (s->userns) {
    write_file("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "0 %u 1\n", (unsigned)uid);
    write_file("/proc/self/uid_map", map);
    snprintf(map, sizeof map, "0 %u 1\n", (unsigned)gid);
    write_file("/proc/self/gid_map", map);
  }
  if (s->pid1) {
    /* in a chroot "/" may be no mount; then at least /proc is one */
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) && mount("none", "/proc", NULL, MS_REC | MS_PRIVATE, NULL))
      return;
    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL)) return;
  }
  if (setsid() < 0) return;
  if (s->terminal) {
    int tty = open(s->terminal, O_RDWR);
    if (tty < 0 || ioctl(tty, TIOCSCTTY, 0)) return;
    for (int i = 0; i < 3; i++) dup2(tty, i);
    if (tty > 2) close(tty);
  } else {
    int high[3];
    for (int i = 0; i < 3; i++) {
      high[i] = fcntl(s->fds[i], F_DUPFD_CLOEXEC, 10);
      if (high[i] < 0) return;
    }
    for (int i = 0; i < 3; i++) dup2(high[i], i);
  }
  if (s->cwd && chdir(s->cwd)) return;
  if (s->gid >= 0 && (setgroups(0, NULL) || setgid((gid_t)s->gid))) return;
  if (s->uid >= 0 && setuid((uid_t)s->uid)) return;
  if (s->uid >= 0 || s->gid >= 0) prctl(PR_SET_PDEATHSIG, SIGKILL); /* the change of ids has cleared it */
  *ready = true;
  execve(s->argv[0], s->argv, s->envp);
}

static int pipe_for(int *mine, int *theirs, bool i_read) {
  int p[2];
  if (pipe2(p, O_CLOEXEC)) return -1;
  *mine = p[i_read ? 0 : 1];
  *theirs = p[i_read ? 1 : 0];
  return fcntl(*mine, F_SETFL, O_NONBLOCK);
}

static void close_all(const int *fds, int n) {
  for (int i = 0; i < n; i++)
    if (fds[i] >= 0) close(fds[i]);
}

/* spawn { argv, env, cwd, ignore, uid, gid, pid1, stdin = bool, tty, out_file } →
 * { pid, stdin, stdout, stderr } (descriptors of this side, non-blocking; with tty stdin = stdout = the terminal). */
static int l_spawn(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  struct spawn s = {.argv = string_list(L, 1, "argv"), .envp = string_list(L, 1, "env"), .fds = {-1, -1, -1}};
  s.ignore = string_list(L, 1, "ignore");
  s.cwd = text_field(L, 1, "cwd");
  s.out_file = text_field(L, 1, "out_file");
  s.uid = int_field(L, 1, "uid", -1);
  s.gid = int_field(L, 1, "gid", -1);
  s.pid1 = flag_field(L, 1, "pid1");
  s.userns = s.pid1 && geteuid() != 0;
  bool tty = flag_field(L, 1, "tty"), with_stdin = flag_field(L, 1, "stdin");
  int pipe_size = int_field(L, 1, "pipe_size", 0);
  uid_t uid = geteuid();
  gid_t gid = getegid();
  int mine[3] = {-1, -1, -1}, report[2], got[2] = {0};
  char name[64];

  if (!s.argv[0]) return luaL_error(L, "spawn: argv is empty");
  if (tty) {
    mine[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (mine[0] < 0 || grantpt(mine[0]) || unlockpt(mine[0]) || ptsname_r(mine[0], name, sizeof name))
      return fail(L, "pty");
    s.terminal = name;
    mine[1] = dup(mine[0]);
    fcntl(mine[1], F_SETFD, FD_CLOEXEC);
  } else {
    if (with_stdin ? pipe_for(&mine[0], &s.fds[0], false) : (s.fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0)
      return fail(L, "stdin");
    if (s.out_file) s.fds[1] = open(s.out_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (s.out_file ? s.fds[1] < 0 : pipe_for(&mine[1], &s.fds[1], true)) return fail(L, "stdout");
    if (pipe_for(&mine[2], &s.fds[2], true)) return fail(L, "stderr");
    if (pipe_size && mine[1] >= 0) fcntl(mine[1], F_SETPIPE_SZ, pipe_size);
  }
  if (pipe2(report, O_CLOEXEC)) return fail(L, "pipe");
  s.report = report[1];

  /* a plain fork, with the new namespaces at once: the child is PID 1 there and still this process's own child */
  unsigned long flags = SIGCHLD;
  if (s.pid1) flags |= CLONE_NEWPID | CLONE_NEWNS;
  if (s.userns) flags |= CLONE_NEWUSER;
  long pid = syscall(SYS_clone, flags, NULL, NULL, NULL, 0);
  if (pid == 0) {
    bool ready = false;
    child_exec(&s, uid, gid, &ready);
    int e[2] = {ready, errno};
    (void)!write(s.report, e, sizeof e);
    _exit(127);
  }
  int failed = errno;
  close(report[1]);
  close_all(s.fds, 3);
  if (pid > 0 && read(report[0], got, sizeof got) == sizeof got) {
    waitpid((pid_t)pid, NULL, 0);
    failed = got[1];
    pid = -1;
  }
  close(report[0]);
  if (pid < 0) {
    close_all(mine, 3);
    errno = failed;
    return fail(L, s.pid1 && !got[0] ? "own PID namespace" : got[0] ? "exec" : "start");
  }
  lua_newtable(L);
  lua_pushinteger(L, pid);
  lua_setfield(L, -2, "pid");
  const char *const keys[] = {"stdin", "stdout", "stderr"};
  for (int i = 0; i < 3; i++) {
    if (mine[i] < 0) continue;
    lua_pushinteger(L, mine[i]);
    lua_setfield(L, -2, keys[i]);
  }
  return 1;
}

/* read(fd) → text; "" at the end; nil when nothing is there now. */
static int l_read(lua_State *L) {
  static char buf[256 * 1024];
  ssize_t n = read((int)luaL_checkinteger(L, 1), buf, sizeof buf);
  if (n < 0 && errno == EIO) n = 0; /* a terminal whose other side is gone */
  if (n < 0) return fail(L, "read");
  lua_pushlstring(L, buf, (size_t)n);
  return 1;
}

static int l_write(lua_State *L) {
  size_t len;
  const char *text = luaL_checklstring(L, 2, &len);
  ssize_t n = write((int)luaL_checkinteger(L, 1), text, len);
  if (n < 0) return fail(L, "write");
  lua_pushinteger(L, n);
  return 1;
}

/* poll({fd, ...}, milliseconds) → { [fd] = true, ... } of those that can be read. */
static int l_poll(lua_State *L) {
  struct pollfd p[256];
  nfds_t n = 0;
  luaL_checktype(L, 1, LUA_TTABLE);
  for (lua_Integer i = 1; i <= luaL_len(L, 1) && n < 256; i++) {
    lua_rawgeti(L, 1, i);
    p[n++] = (struct pollfd){.fd = (int)luaL_checkinteger(L, -1), .events = POLLIN};
    lua_pop(L, 1);
  }
  poll(p, n, (int)luaL_checknumber(L, 2));
  lua_newtable(L);
  for (nfds_t i = 0; i < n; i++) {
    if (!p[i].revents) continue;
    lua_pushboolean(L, 1);
    lua_rawseti(L, -2, p[i].fd);
  }
  return 1;
}

static int l_kill(lua_State *L) {
  if (kill((pid_t)luaL_checkinteger(L, 1), (int)luaL_checkinteger(L, 2))) return fail(L, "kill");
  lua_pushboolean(L, 1);
  return 1;
}

/* wait(pid) → "exit", code | "signal", number | nil while it runs. pid -1: any; the pid is the third value, the fourth
 * the seconds of CPU that it used with all whom it waited for. */
static int l_wait(lua_State *L) {
  int status;
  struct rusage used;
  pid_t pid = wait4((pid_t)luaL_checkinteger(L, 1), &status, WNOHANG, &used);
  if (pid < 0) return fail(L, "wait");
  if (pid == 0) return 0;
  lua_pushstring(L, WIFSIGNALED(status) ? "signal" : "exit");
  lua_pushinteger(L, WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  lua_pushinteger(L, pid);
  lua_pushnumber(L, (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                        (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
  return 4;
}

/* Orphans of what was spawned become children of this process, where they can be found and ended. */
static int l_subreaper(lua_State *L) {
  (void)L;
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  signal(SIGPIPE, SIG_IGN);
  return 0;
}

/* Seconds of CLOCK_MONOTONIC. */
static int l_now(lua_State *L) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  lua_pushnumber(L, (double)t.tv_sec + (double)t.tv_nsec / 1e9);
  return 1;
}

static int l_chown(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  if (lchown(path, (uid_t)luaL_checkinteger(L, 2), (gid_t)luaL_checkinteger(L, 3))) return fail(L, path);
  lua_pushboolean(L, 1);
  return 1;
}

static int l_chmod(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  if (chmod(path, (mode_t)luaL_checkinteger(L, 2))) return fail(L, path);
  lua_pushboolean(L, 1);
  return 1;
}

int luaopen_native(lua_State *L);
int luaopen_native(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"spawn", l_spawn},   {"read", l_read},       {"write", l_write}, {"close", l_close},
      {"poll", l_poll},     {"kill", l_kill},       {"wait", l_wait},   {"subreaper", l_subreaper},
      {"getpid", l_getpid}, {"geteuid", l_geteuid}, {"now", l_now},     {"mkdtemp", l_mkdtemp},
      {"chown", l_chown},   {"chmod", l_chmod},     {NULL, NULL},
  };
  luaL_newlib(L, functions);
  luaL_setfuncs(L, native_sockets, 0);
  return 1;
}
