/* Sockets for tests: listeners that nobody serves, clients that never wait, names that one program alone has. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "native_socket.h"
#include "../native.h"

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

const luaL_Reg native_sockets[] = {
    {"listen_tcp", l_listen_tcp},     {"listen_unix", l_listen_unix}, {"claim", l_claim}, {"accept", l_accept},
    {"connect_unix", l_connect_unix}, {"connect_tcp", l_connect_tcp}, {NULL, NULL},
};
