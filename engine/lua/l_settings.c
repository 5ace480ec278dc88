/* settings: C half. declare(name, type, unit, default, min, max, choices, secret, reloadable, required, doc), all but
 * name and type optional; resolve(); value(name) → typed value. Names are full ones. */
#include <errno.h>
#include <math.h>

#include "base/clock.h"
#include "base/str.h"
#include "loop/settings_source.h"
#include "lua/l.h"

static int64_t bound(lua_State *L, int i, enum setting_type type, int64_t fallback) {
  if (lua_isnoneornil(L, i)) return fallback;
  lua_Number v = luaL_checknumber(L, i) * (type == SETTING_DURATION ? (lua_Number)NS_PER_S : 1);
  if (!(v >= -9e18 && v <= 9e18)) l_raise(L, "min and max are numbers of moderate size");
  return (int64_t)v;
}

static int l_declare(lua_State *L) {
  static const char *const types[] = {"string",   "path",   "paths", "integer", "bool",
                                      "duration", "choice", "url",   "address", NULL};
  struct vm *vm = vm_of(L);
  struct setting_def def = {.name = luaL_checkstring(L, 1)};
  def.type = (enum setting_type)luaL_checkoption(L, 2, NULL, types);
  def.unit = luaL_optstring(L, 3, NULL);
  def.fallback = luaL_optstring(L, 4, NULL);
  def.min = bound(L, 5, def.type, def.type == SETTING_DURATION ? 0 : INT64_MIN);
  def.max = bound(L, 6, def.type, INT64_MAX);
  def.choices = luaL_optstring(L, 7, NULL);
  def.flags = (lua_toboolean(L, 8) ? SETTING_SECRET : 0u) | (lua_toboolean(L, 9) ? SETTING_RELOADABLE : 0u) |
              (lua_toboolean(L, 10) ? SETTING_REQUIRED : 0u);
  def.doc = luaL_optstring(L, 11, "");
  struct err err = ERR_INIT;
  if (settings_declare(vm->host.settings, &def, &err)) return l_raise(L, "settings.declare: %s", err.msg);
  return 0;
}

static int l_resolve(lua_State *L) {
  struct vm *vm = vm_of(L);
  struct problems ignored = {0};
  settings_read_files(vm->host.settings, vm->host.problems ? vm->host.problems : &ignored);
  settings_resolve(vm->host.settings, NULL); /* told by whoever loads the flow, all at once */
  problems_free(&ignored);
  return 0;
}

/* value(full name) → value, true | nil, false when there is no such setting */
static int l_value(lua_State *L) {
  struct setting_view v;
  if (!settings_view(vm_of(L)->host.settings, luaL_checkstring(L, 1), &v)) {
    lua_pushnil(L);
    lua_pushboolean(L, 0);
    return 2;
  }
  if (!v.text)
    lua_pushnil(L);
  else if (v.def->type == SETTING_INTEGER)
    lua_pushinteger(L, v.number);
  else if (v.def->type == SETTING_BOOL)
    lua_pushboolean(L, v.number != 0);
  else if (v.def->type == SETTING_DURATION)
    lua_pushnumber(L, (lua_Number)v.number / (lua_Number)NS_PER_S);
  else
    lua_pushstring(L, v.text);
  lua_pushboolean(L, 1);
  return 2;
}

static int l_require(lua_State *L) {
  struct vm *vm = vm_of(L);
  const char *name = luaL_checkstring(L, 1);
  char who[LIMIT_NAME + 16];
  snprintf(who, sizeof who, "flow %s", vm->host.flow ? vm->host.flow : "?");
  if (settings_require(vm->host.settings, name, who))
    return l_raise(L, "settings.require: there is no setting %s", name);
  return 0;
}

int l_open_settings(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"declare", l_declare}, {"resolve", l_resolve}, {"value", l_value}, {"require", l_require}, {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_pushstring(L, vm_of(L)->prefix);
  lua_setfield(L, -2, "prefix");
  return 1;
}
