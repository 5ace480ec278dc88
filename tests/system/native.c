/* What Lua lacks for testing a supervisor: fork and exec with control over every inherited detail, own PID
 * namespaces, signals, waiting, poll, sockets. Functions return nil, message on failure of the world. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>

static int fail(lua_State *L, const char *what) {
  int e = errno;
  lua_pushnil(L);
  lua_pushfstring(L, "%s: %s", what, strerror(e));
  lua_pushinteger(L, e);
  return 3;
}

static char **string_list(lua_State *L, int table, const char *key) {
  lua_getfield(L, table, key);
  int n = lua_istable(L, -1) ? (int)luaL_len(L, -1) : 0;
  char **list = lua_newuserdatauv(L, sizeof(char *) * (size_t)(n + 1), 0);
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, -2, i + 1);
    list[i] = (char *)luaL_checkstring(L, -1); /* alive as long as the table is */
    lua_pop(L, 1);
  }
  list[n] = NULL;
  return list;
}

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

static int l_close(lua_State *L) {
  close((int)luaL_checkinteger(L, 1));
  return 0;
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

static int l_getpid(lua_State *L) {
  lua_pushinteger(L, getpid());
  return 1;
}

static int l_geteuid(lua_State *L) {
  lua_pushinteger(L, geteuid());
  return 1;
}

/* Seconds of CLOCK_MONOTONIC. */
static int l_now(lua_State *L) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  lua_pushnumber(L, (double)t.tv_sec + (double)t.tv_nsec / 1e9);
  return 1;
}

static int l_mkdtemp(lua_State *L) {
  char path[4096];
  snprintf(path, sizeof path, "%s", luaL_checkstring(L, 1));
  if (!mkdtemp(path) || chmod(path, 0755)) return fail(L, path);
  lua_pushstring(L, path);
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

/* listen_tcp([port [, backlog]]) → fd, port on 127.0.0.1; nobody accepts until accept(fd). */
static int l_listen_tcp(lua_State *L) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)luaL_optinteger(L, 1, 0))};
  socklen_t len = sizeof a;
  int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, (int)luaL_optinteger(L, 2, 64)) ||
      getsockname(fd, (struct sockaddr *)&a, &len)) {
    int n = fail(L, "listen");
    if (fd >= 0) close(fd);
    return n;
  }
  lua_pushinteger(L, fd);
  lua_pushinteger(L, ntohs(a.sin_port));
  return 2;
}

static int l_listen_unix(lua_State *L) {
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  snprintf(a.sun_path, sizeof a.sun_path, "%s", luaL_checkstring(L, 1));
  if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 64)) {
    int n = fail(L, "listen");
    if (fd >= 0) close(fd);
    return n;
  }
  lua_pushinteger(L, fd);
  return 1;
}

/* claim(name) → fd: the name is this process's alone on this machine (in this network), as long as the fd is open; nil
 * when another has it. */
static int l_claim(lua_State *L) {
  size_t len;
  const char *name = luaL_checklstring(L, 1, &len);
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  if (len >= sizeof a.sun_path) return luaL_argerror(L, 1, "too long");
  memcpy(a.sun_path + 1, name, len);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len))) {
    int n = fail(L, "claim");
    if (fd >= 0) close(fd);
    return n;
  }
  lua_pushinteger(L, fd);
  return 1;
}

/* accept(fd) → fd, or nil when nobody knocks. */
static int l_accept(lua_State *L) {
  int fd = accept4((int)luaL_checkinteger(L, 1), NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return fail(L, "accept");
  lua_pushinteger(L, fd);
  return 1;
}

/* connect_unix(path) → fd, non-blocking. */
static int l_connect_unix(lua_State *L) {
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  snprintf(a.sun_path, sizeof a.sun_path, "%s", luaL_checkstring(L, 1));
  if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) || fcntl(fd, F_SETFL, O_NONBLOCK)) {
    int n = fail(L, "connect");
    if (fd >= 0) close(fd);
    return n;
  }
  lua_pushinteger(L, fd);
  return 1;
}

/* connect_tcp(port [, source]) → fd, non-blocking, to 127.0.0.1 or (port given as "[::1]:port") to ::1; source: another
 * address of this host to come from. The connection may still be under way. */
static int l_connect_tcp(lua_State *L) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct sockaddr_in6 b = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
  struct sockaddr_in from = {.sin_family = AF_INET};
  const char *text = luaL_checkstring(L, 1), *source = luaL_optstring(L, 2, NULL);
  bool six = *text == '[';
  a.sin_port = b.sin6_port = htons((uint16_t)strtol(six ? text + 6 : text, NULL, 10));
  int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd >= 0 && source) inet_pton(AF_INET, source, &from.sin_addr);
  if (fd < 0 || (source && bind(fd, (struct sockaddr *)&from, sizeof from)) ||
      (connect(fd, six ? (struct sockaddr *)&b : (struct sockaddr *)&a, six ? sizeof b : sizeof a) &&
       errno != EINPROGRESS)) {
    int n = fail(L, "connect");
    if (fd >= 0) close(fd);
    return n;
  }
  lua_pushinteger(L, fd);
  return 1;
}

int luaopen_native(lua_State *L);
int luaopen_native(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"spawn", l_spawn},
      {"read", l_read},
      {"write", l_write},
      {"close", l_close},
      {"poll", l_poll},
      {"kill", l_kill},
      {"wait", l_wait},
      {"subreaper", l_subreaper},
      {"getpid", l_getpid},
      {"geteuid", l_geteuid},
      {"now", l_now},
      {"mkdtemp", l_mkdtemp},
      {"chown", l_chown},
      {"chmod", l_chmod},
      {"listen_tcp", l_listen_tcp},
      {"listen_unix", l_listen_unix},
      {"claim", l_claim},
      {"accept", l_accept},
      {"connect_unix", l_connect_unix},
      {"connect_tcp", l_connect_tcp},
      {NULL, NULL},
  };
  luaL_newlib(L, functions);
  return 1;
}
