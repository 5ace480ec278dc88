/* Tables that scripts see and cannot change: the modules, the libraries, the globals. What they are given is an empty
 * table in front of the real one; assigning to it is an error, also to a name that is there. rawget, rawlen and next
 * look through it, rawset does not. */
#include "base/str.h"
#include "lua/l.h"

static const char behind; /* its address: key of the real table in the metatable */

/* Pushes the table behind the one at index t; false: it is none of ours. */
static bool l_push_behind(lua_State *L, int t) {
  if (lua_type(L, t) != LUA_TTABLE || !lua_getmetatable(L, t)) return false;
  bool ours = lua_rawgetp(L, -1, &behind) == LUA_TTABLE;
  if (ours)
    lua_remove(L, -2);
  else
    lua_pop(L, 2);
  return ours;
}

static void l_look_through(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  if (l_push_behind(L, 1)) lua_replace(L, 1);
}

static int l_next(lua_State *L) {
  l_look_through(L);
  lua_settop(L, 2);
  if (lua_next(L, 1)) return 2;
  lua_pushnil(L);
  return 1;
}

static int l_pairs(lua_State *L) {
  lua_pushcfunction(L, l_next);
  lua_pushvalue(L, 1);
  lua_pushnil(L);
  return 3;
}

static int l_rawget(lua_State *L) {
  luaL_checkany(L, 2);
  l_look_through(L);
  lua_settop(L, 2);
  lua_rawget(L, 1);
  return 1;
}

static int l_rawlen(lua_State *L) {
  if (lua_type(L, 1) == LUA_TTABLE) l_look_through(L);
  luaL_argexpected(L, lua_type(L, 1) == LUA_TTABLE || lua_type(L, 1) == LUA_TSTRING, 1, "table or string");
  lua_pushinteger(L, (lua_Integer)lua_rawlen(L, 1));
  return 1;
}

static int l_rawset(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checkany(L, 3);
  lua_settop(L, 3);
  if (l_push_behind(L, 1)) return luaL_error(L, "rawset: a table of tend's own cannot be changed");
  lua_rawset(L, 1);
  return 1;
}

static int l_refuse(lua_State *L) {
  const char *module = lua_tostring(L, lua_upvalueindex(1));
  return luaL_error(L, "%s.%s cannot be set: %s cannot be changed", module, luaL_tolstring(L, 2, NULL), module);
}

static void take_method(lua_State *L, const char *name) {
  if (luaL_getmetafield(L, -3, name) != LUA_TNIL) lua_setfield(L, -2, name);
}

void l_read_only(lua_State *L, const char *name) {
  lua_newtable(L);
  lua_createtable(L, 0, 8);
  lua_pushvalue(L, -3);
  lua_setfield(L, -2, "__index");
  lua_pushstring(L, name);
  lua_pushcclosure(L, l_refuse, 1);
  lua_setfield(L, -2, "__newindex");
  lua_pushcfunction(L, l_pairs);
  lua_setfield(L, -2, "__pairs");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pushvalue(L, -3);
  lua_rawsetp(L, -2, &behind);
  take_method(L, "__call");
  take_method(L, "__tostring");
  lua_setmetatable(L, -2);
  lua_remove(L, -2);
}

void l_open_read_only(lua_State *L) {
  lua_register(L, "next", l_next);
  lua_register(L, "rawget", l_rawget);
  lua_register(L, "rawlen", l_rawlen);
  lua_register(L, "rawset", l_rawset);
}
