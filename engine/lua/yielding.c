/* Functions of Lua's library that call a script's functions from C and would hold the loop as long as those take: their
 * arguments are checked here as the library does, the work is done in Lua (scripts/tend/yielding.lua), where a task is
 * taken off after its slice. */
#include <limits.h>

#include "base/limits.h"
#include "lua/l.h"

enum { QUICK_MAX = 10000 };

static const char half; /* its address: key of the Lua half in the registry */

/* Pushes a function of the Lua half, which is compiled when it is first needed. */
static void l_push_yielding(lua_State *L, const char *name) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &half) == LUA_TNIL) {
    l_lua_half(L, "yielding");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &half);
  }
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
}

static int l_results(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  return lua_gettop(L);
}

/* Calls the function of that name with all that is on the stack. */
static int l_yielding(lua_State *L, const char *name) {
  l_push_yielding(L, name);
  lua_insert(L, 1);
  lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, l_results);
  return l_results(L, LUA_OK, 0);
}

static bool has(lua_State *L, int t, const char *method) {
  if (luaL_getmetafield(L, t, method) == LUA_TNIL) return false;
  lua_pop(L, 1);
  return true;
}

/* Few numbers and texts in their own order are sorted by the library before a slice is over. */
static bool is_quick(lua_State *L, lua_Integer n) {
  if (n > QUICK_MAX || !lua_isnil(L, 2)) return false;
  if (lua_getmetatable(L, 1)) {
    lua_pop(L, 1);
    return false;
  }
  int type = LUA_TNUMBER;
  for (lua_Integer i = 1; i <= n && (type == LUA_TNUMBER || type == LUA_TSTRING); i++) {
    type = lua_rawgeti(L, 1, i);
    lua_pop(L, 1);
  }
  return type == LUA_TNUMBER || type == LUA_TSTRING;
}

int l_sort(lua_State *L) {
  if (lua_type(L, 1) != LUA_TTABLE && !(has(L, 1, "__index") && has(L, 1, "__newindex") && has(L, 1, "__len")))
    luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer n = luaL_len(L, 1);
  if (n < 2) return 0;
  luaL_argcheck(L, n < INT_MAX, 1, "array too big");
  if (!lua_isnoneornil(L, 2)) luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  if (is_quick(L, n)) return lua_tocfunction(L, lua_upvalueindex(1))(L);
  lua_pushinteger(L, n);
  lua_insert(L, 2);
  lua_createtable(L, (int)n, 0);
  lua_createtable(L, (int)n, 0);
  return l_yielding(L, "sort");
}

/* With a text, or a table that asks nobody, it is the library's own. */
int l_gsub(lua_State *L) {
  size_t length;
  luaL_checklstring(L, 1, &length);
  luaL_checkstring(L, 2);
  int type = lua_type(L, 3);
  if (type != LUA_TFUNCTION && !(type == LUA_TTABLE && has(L, 3, "__index")))
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
  lua_Integer most = luaL_optinteger(L, 4, (lua_Integer)length + 1);
  lua_settop(L, 3);
  lua_pushinteger(L, most);
  return l_yielding(L, "gsub");
}

/* --- load(chunk, name, mode, env): text only --- */

static int l_compile(lua_State *L, int given) {
  size_t length = 0;
  if (lua_type(L, 1) == LUA_TSTRING) lua_tolstring(L, 1, &length);
  if (length > LIMIT_FLOW_FILE) {
    luaL_pushfail(L);
    lua_pushfstring(L, "load: the text is longer than %d bytes", LIMIT_FLOW_FILE);
    return 2;
  }
  lua_pushliteral(L, "t");
  lua_replace(L, 3);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  if (given < 4 && lua_type(L, 1) == LUA_TFUNCTION) {
    lua_settop(L, 1);
    l_give_environment(L);
  }
  return lua_gettop(L);
}

/* On top is what a reader has read, and what was wrong. */
static int l_have_read(lua_State *L, int status, lua_KContext given) {
  (void)status;
  if (lua_isnil(L, -2)) return 2;
  lua_pop(L, 1);
  lua_replace(L, 1);
  if (lua_isnil(L, 2)) {
    lua_pushliteral(L, "=(load)");
    lua_replace(L, 2);
  }
  return l_compile(L, (int)given);
}

int l_load(lua_State *L) {
  int given = lua_gettop(L);
  if (!given) return luaL_error(L, "load: expected text or a function");
  if (given < 3) lua_settop(L, 3);
  if (lua_type(L, 1) != LUA_TFUNCTION) return l_compile(L, given);
  l_push_yielding(L, "read");
  lua_pushvalue(L, 1);
  lua_pushinteger(L, LIMIT_FLOW_FILE);
  lua_callk(L, 2, 2, given, l_have_read);
  return l_have_read(L, LUA_OK, given);
}
