/* The coroutine library, made anew so that the runaway guard follows whoever really runs: a forced yield of an inner
 * coroutine goes through its resumers to the scheduler and comes back, unseen by the script. */
#include "lua/l.h"

static int l_go_on(lua_State *L, int status, lua_KContext ctx);

enum how { HOW_RESUME, HOW_WRAP };

static int deliver(lua_State *L, lua_State *co, int status, int n, enum how how) {
  if (status == LUA_OK || status == LUA_YIELD) {
    if (!lua_checkstack(L, n + 1)) {
      lua_pop(co, n);
      if (how == HOW_WRAP) return luaL_error(L, "too many results");
      lua_pushboolean(L, 0);
      lua_pushliteral(L, "too many results");
      return 2;
    }
    if (how == HOW_RESUME) lua_pushboolean(L, 1);
    lua_xmove(co, L, n);
    return how == HOW_RESUME ? n + 1 : n;
  }
  if (how == HOW_RESUME) {
    lua_pushboolean(L, 0);
    lua_xmove(co, L, 1);
    return 2;
  }
  sched_close_inner(co, L); /* its pending <close> variables; the error is left on top */
  lua_xmove(co, L, 1);
  if (lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int go(lua_State *L, lua_State *co, int nargs, enum how how) {
  for (;;) {
    int n = 0;
    bool forced;
    int status = sched_resume_inner(co, L, nargs, &n, &forced);
    if (!forced) return deliver(L, co, status, n, how);
    lua_pop(co, n);
    if (lua_isyieldable(L)) return lua_yieldk(L, 0, how, l_go_on);
    if (sched_is_over(L)) return luaL_error(L, "used more CPU than it may");
    nargs = 0;
  }
}

static lua_State *co_of(lua_State *L, enum how how) {
  return lua_tothread(L, how == HOW_WRAP ? lua_upvalueindex(1) : 1);
}

static int l_go_on(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  return go(L, co_of(L, (enum how)ctx), 0, (enum how)ctx);
}

static const char *status_of(lua_State *L, lua_State *co) {
  if (co == L) return "running";
  switch (lua_status(co)) {
    case LUA_YIELD:
      return "suspended";
    case LUA_OK: {
      lua_Debug ar;
      if (lua_getstack(co, 0, &ar)) return "normal";
      return lua_gettop(co) == 0 ? "dead" : "suspended";
    }
    default:
      return "dead";
  }
}

static int start(lua_State *L, lua_State *co, int nargs, enum how how) {
  const char *status = status_of(L, co);
  if (*status != 's') {
    if (how == HOW_WRAP) return luaL_error(L, "cannot resume a %s coroutine", status);
    lua_pushboolean(L, 0);
    lua_pushfstring(L, "cannot resume a %s coroutine", status);
    return 2;
  }
  if (!lua_checkstack(co, nargs)) return luaL_error(L, "too many arguments to resume");
  lua_xmove(L, co, nargs);
  return go(L, co, nargs, how);
}

static lua_State *l_thread(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co, 1, "coroutine");
  return co;
}

static int l_resume(lua_State *L) {
  lua_State *co = l_thread(L);
  return start(L, co, lua_gettop(L) - 1, HOW_RESUME);
}

static int l_wrapped(lua_State *L) { return start(L, co_of(L, HOW_WRAP), lua_gettop(L), HOW_WRAP); }

static int l_create(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  return 1;
}

static int l_wrap(lua_State *L) {
  l_create(L);
  lua_pushcclosure(L, l_wrapped, 1);
  return 1;
}

static int l_yield(lua_State *L) {
  if (sched_is_task(L)) return luaL_error(L, "attempt to yield from outside a coroutine (to wait, use timer.sleep)");
  return lua_yield(L, lua_gettop(L));
}

static int l_status(lua_State *L) {
  lua_pushstring(L, status_of(L, l_thread(L)));
  return 1;
}

static int l_isyieldable(lua_State *L) {
  lua_State *co = lua_isnone(L, 1) ? L : l_thread(L);
  lua_pushboolean(L, lua_isyieldable(co) && !sched_is_task(co));
  return 1;
}

static int l_running(lua_State *L) {
  lua_pushthread(L);
  lua_pushboolean(L, sched_is_task(L));
  return 2;
}

static int l_close(lua_State *L) {
  lua_State *co = l_thread(L);
  const char *status = status_of(L, co);
  if (*status != 's' && *status != 'd') return luaL_error(L, "cannot close a %s coroutine", status);
  if (sched_close_inner(co, L) == LUA_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushboolean(L, 0);
  lua_xmove(co, L, 1);
  return 2;
}

int l_open_coroutine(lua_State *L) {
  static const luaL_Reg functions[] = {{"create", l_create},   {"resume", l_resume}, {"wrap", l_wrap},
                                       {"yield", l_yield},     {"status", l_status}, {"isyieldable", l_isyieldable},
                                       {"running", l_running}, {"close", l_close},   {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
