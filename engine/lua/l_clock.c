/* clock: the wall clock for print, the monotonic one for durations. Seconds as numbers. */
#include "base/clock.h"
#include "lua/l.h"

static int l_now(lua_State *L) {
  lua_pushnumber(L, (lua_Number)clock_real_ns() / (lua_Number)NS_PER_S);
  return 1;
}

static int l_monotonic(lua_State *L) {
  lua_pushnumber(L, (lua_Number)clock_mono_ns() / (lua_Number)NS_PER_S);
  return 1;
}

static int l_format(lua_State *L) {
  char text[CLOCK_TEXT_MAX];
  lua_Number t = lua_isnoneornil(L, 1) ? (lua_Number)clock_real_ns() / (lua_Number)NS_PER_S : luaL_checknumber(L, 1);
  luaL_argcheck(L, t >= 0 && t < 9e9, 1, "seconds since 1970");
  lua_pushstring(L, clock_format((int64_t)(t * (lua_Number)NS_PER_S), text));
  return 1;
}

int l_open_clock(lua_State *L) {
  static const luaL_Reg functions[] = {{"now", l_now}, {"monotonic", l_monotonic}, {"format", l_format}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
