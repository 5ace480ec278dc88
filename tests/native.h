/* What the two Lua modules of the tests (the specs', the bench's) have in common. Functions return nil, message, errno
 * on failure of the world. */
#ifndef TESTS_NATIVE_H
#define TESTS_NATIVE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>

static inline int fail(lua_State *L, const char *what) {
  int e = errno;
  lua_pushnil(L);
  lua_pushfstring(L, "%s: %s", what, strerror(e));
  lua_pushinteger(L, e);
  return 3;
}

/* The list of texts that the table holds under that name, with NULL at its end; lives as long as both are on the stack.
 */
static inline char **string_list(lua_State *L, int table, const char *key) {
  lua_getfield(L, table, key);
  int n = lua_istable(L, -1) ? (int)luaL_len(L, -1) : 0;
  char **list = lua_newuserdatauv(L, sizeof(char *) * (size_t)(n + 1), 0);
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, -2, i + 1);
    list[i] = (char *)luaL_checkstring(L, -1);
    lua_pop(L, 1);
  }
  list[n] = NULL;
  return list;
}

static inline int l_close(lua_State *L) {
  close((int)luaL_checkinteger(L, 1));
  return 0;
}

static inline int l_getpid(lua_State *L) {
  lua_pushinteger(L, getpid());
  return 1;
}

static inline int l_geteuid(lua_State *L) {
  lua_pushinteger(L, geteuid());
  return 1;
}

static inline int l_mkdtemp(lua_State *L) {
  char path[4096];
  snprintf(path, sizeof path, "%s", luaL_checkstring(L, 1));
  if (!mkdtemp(path) || chmod(path, 0755)) return fail(L, path);
  lua_pushstring(L, path);
  return 1;
}

#endif
