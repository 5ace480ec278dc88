/* Error values, option tables, kinds of handles. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "lua/l.h"

#define ERROR_META "tend.error"

static int l_error_text(lua_State *L) {
  lua_settop(L, 1);
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_pushliteral(L, "where");
  lua_rawget(L, 1);
  lua_pushliteral(L, "message");
  lua_rawget(L, 1);
  if (lua_isstring(L, 2) && lua_isstring(L, 3)) {
    lua_pushliteral(L, ": ");
    lua_insert(L, 3);
    lua_concat(L, 3);
  }
  return 1;
}

/* Pushes "file:line" of the script that called: our own Lua halves say nothing to who wrote it. nil without one. */
static void push_where(lua_State *L) {
  lua_Debug ar;
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    if (!lua_getinfo(L, "Sl", &ar) || ar.currentline <= 0 || str_starts(ar.short_src, "scripts/tend/")) continue;
    lua_pushfstring(L, "%s:%d", ar.short_src, ar.currentline);
    return;
  }
  lua_pushnil(L);
}

int l_raise(lua_State *L, const char *fmt, ...) {
  char text[ERR_MSG_MAX];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  push_where(L);
  if (lua_isnil(L, -1))
    lua_pushstring(L, text);
  else
    lua_pushfstring(L, "%s: %s", lua_tostring(L, -1), text);
  return lua_error(L);
}

static void push_error(lua_State *L, const char *code, const char *fmt, va_list ap) {
  struct err err;
  vsnprintf(err.msg, sizeof err.msg, fmt, ap);
  lua_createtable(L, 0, 3);
  lua_pushstring(L, code);
  lua_setfield(L, -2, "code");
  lua_pushstring(L, err.msg);
  lua_setfield(L, -2, "message");
  push_where(L);
  lua_setfield(L, -2, "where");
  if (luaL_newmetatable(L, ERROR_META)) {
    lua_pushcfunction(L, l_error_text);
    lua_setfield(L, -2, "__tostring");
    lua_pushliteral(L, "error");
    lua_setfield(L, -2, "__name");
  }
  lua_setmetatable(L, -2);
}

void l_push_error(lua_State *L, const char *code, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  push_error(L, code, fmt, ap);
  va_end(ap);
}

int l_fail(lua_State *L, const char *code, const char *fmt, ...) {
  lua_pushnil(L);
  va_list ap;
  va_start(ap, fmt);
  push_error(L, code, fmt, ap);
  va_end(ap);
  return 2;
}

int l_fail_code(lua_State *L, int error, const char *message) {
  const char *name = strerrorname_np(error);
  char code[32] = "error";
  for (size_t i = 0; name && name[i] && i + 1 < sizeof code; i++) {
    code[i] = (char)tolower((unsigned char)name[i]);
    code[i + 1] = 0;
  }
  return l_fail(L, code, "%s", message);
}

static int l_new_error(lua_State *L) {
  const char *message = luaL_checkstring(L, 2);
  l_push_error(L, luaL_checkstring(L, 1), "%s", message);
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}

void l_set_fail(lua_State *L) {
  lua_pushcfunction(L, l_new_error);
  lua_setfield(L, -2, "fail");
}

static int wrong(lua_State *L, const char *key, const char *who, const char *expected) {
  const char *got = luaL_tolstring(L, -1, NULL);
  bool text = lua_type(L, -2) == LUA_TSTRING;
  return l_raise(L, "%s: %s: expected %s, got %s%s%s", who, key, expected, text ? "\"" : "", got, text ? "\"" : "");
}

lua_Number l_opt_seconds(lua_State *L, int t, const char *key, lua_Number fallback, const char *who) {
  lua_Number n = fallback;
  if (lua_getfield(L, t, key) != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TNUMBER) wrong(L, key, who, "seconds");
    n = lua_tonumber(L, -1);
    if (!(n >= 0) || n > 3e9) wrong(L, key, who, "seconds, 0 or more");
  }
  lua_pop(L, 1);
  return n;
}

const char *l_opt_string(lua_State *L, int t, const char *key, const char *fallback, const char *who) {
  const char *v = fallback;
  if (lua_getfield(L, t, key) != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TSTRING) wrong(L, key, who, "text");
    v = lua_tostring(L, -1); /* stays valid: the table holds it */
  }
  lua_pop(L, 1);
  return v;
}

void l_check_keys(lua_State *L, int t, const char *const *known, const char *who) {
  size_t n = 0;
  while (known[n]) n++;
  lua_pushnil(L);
  while (lua_next(L, t)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING) continue; /* positions are the caller's */
    const char *key = lua_tostring(L, -1);
    size_t i = 0;
    while (i < n && !STR_EQ(known[i], key)) i++;
    if (i < n) continue;
    const char *near = str_nearest(key, known, n);
    l_raise(L, "%s: unknown key \"%s\"%s%s%s", who, key, near ? "; did you mean \"" : "", near ? near : "",
            near ? "\"?" : "");
  }
}

int64_t l_check_seconds(lua_State *L, int i, const char *who) {
  if (lua_type(L, i) != LUA_TNUMBER || !(lua_tonumber(L, i) >= 0) || lua_tonumber(L, i) > 3e9) {
    luaL_tolstring(L, i, NULL);
    l_raise(L, "%s: expected seconds, 0 or more, got %s", who, lua_tostring(L, -1));
  }
  return (int64_t)(lua_tonumber(L, i) * (lua_Number)NS_PER_S);
}

void l_class(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction close) {
  luaL_newmetatable(L, name);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_setfield(L, -2, "__index");
  for (int i = 0; i < 2 && close; i++) {
    lua_pushcfunction(L, close);
    lua_setfield(L, -2, i ? "__close" : "__gc");
  }
  lua_pop(L, 1);
}
