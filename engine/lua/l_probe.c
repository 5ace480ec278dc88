/* probe: one attempt of any kind of check, awaited; or several at once. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "lua/conv.h"
#include "lua/effect.h"
#include "lua/l.h"
#include "lua/script_probe.h"

struct attempt {
  struct sched *sched;
  struct shot shot;
  uint64_t token;
  struct probe_result result;
  cJSON *data;
};

static void attempt_free(void *arg) {
  struct attempt *a = arg;
  shot_cancel(&a->shot);
  cJSON_Delete(a->data);
  free(a);
}

static void l_push_one(lua_State *L, const struct probe_result *r, const cJSON *data) {
  lua_createtable(L, 0, 6);
  lua_pushboolean(L, r->status == PROBE_OK || r->status == PROBE_WARN);
  lua_setfield(L, -2, "ok");
  lua_pushstring(L, probe_status_name(r->status));
  lua_setfield(L, -2, "status");
  lua_pushstring(L, r->reason);
  lua_setfield(L, -2, "reason");
  lua_pushstring(L, r->detail);
  lua_setfield(L, -2, "detail");
  lua_pushnumber(L, (lua_Number)r->duration_ns / (lua_Number)NS_PER_S);
  lua_setfield(L, -2, "seconds");
  if (data) {
    l_push_json(L, data);
    lua_setfield(L, -2, "data");
  }
}

static int l_push_result(lua_State *L, void *data) {
  const struct attempt *a = data;
  l_push_one(L, &a->result, a->data);
  return 1;
}

static void on_done(void *arg, const struct probe_result *result) {
  struct attempt *a = arg;
  a->result = *result;
  a->result.data = NULL;
  if (result->data) a->data = cJSON_Duplicate(result->data, true);
  task_ready(a->sched, a->token, l_push_result, a, attempt_free);
}

static const char *field(lua_State *L, int t, const char *key) {
  lua_pushstring(L, key);
  lua_rawget(L, t);
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL; /* held by the table */
  lua_pop(L, 1);
  return text;
}

/* Whether the attempt would do more than look, and is only listed. */
static bool l_only_listed(lua_State *L, const char *kind, int t) {
  if (effects_act(L)) return false;
  char what[64];
  snprintf(what, sizeof what, "probe.%.32s", kind);
  if (STR_EQ(kind, "command")) {
    lua_getfield(L, t, "command");
    if (lua_istable(L, -1)) lua_rawgeti(L, -1, 1);
    const char *command = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "?";
    return l_effect(L, what, "%s", command);
  }
  const char *method = field(L, t, "method");
  if (STR_EQ(kind, "http") && ((method && !STR_EQ(method, "GET") && !STR_EQ(method, "HEAD")) || field(L, t, "body")))
    return l_effect(L, what, "%s %s", method ? method : "POST", field(L, t, "url") ? field(L, t, "url") : "?");
  const char *query = STR_EQ(kind, "postgres") ? field(L, t, "query") : NULL;
  return query && !effect_sql_reads(query) && l_effect(L, what, "%s", query);
}

static int l_push_success(lua_State *L) {
  l_push_one(L, &(struct probe_result){.status = PROBE_OK, .reason = "", .detail = ""}, NULL);
  return 1;
}

/* start(kind, params, seconds) → result; raises for a wrong kind or parameter */
static int l_start(lua_State *L) {
  const char *kind = luaL_checkstring(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  int64_t limit_ns = l_check_seconds(L, 3, kind);
  struct vm *vm = vm_of(L);
  task_may_wait(L); /* tend check, without an engine, finds the same mistake */
  if (!vm->host.probes) return l_fail(L, "unavailable", "probe.%s: there are no probes here", kind);
  if (l_only_listed(L, kind, 2)) return l_push_success(L);
  uint64_t token = task_wait(L); /* raises: before anything is allocated */
  struct err err = ERR_INIT;
  cJSON *params = NULL;
  if (conv_to_json(L, 2, 0, &params, &err)) return l_raise(L, "probe.%s: %s", kind, err.msg);
  struct attempt *a = calloc(1, sizeof *a);
  if (a) {
    a->sched = vm->host.sched;
    a->token = token;
    shot_start(L, &a->shot, kind, params, clock_mono_ns() + limit_ns, on_done, a, &err);
  } else {
    str_copy(err.msg, sizeof err.msg, "no memory");
  }
  cJSON_Delete(params);
  if (!a || !shot_runs(&a->shot)) {
    free(a);
    return l_raise(L, "probe.%s: %s", kind, err.msg);
  }
  return task_suspend(L, attempt_free, a);
}

/* --- several at once --- */

enum { GATHER_MAX = 256 };

struct gather {
  struct sched *sched;
  uint64_t token;
  bool any; /* the first good one ends it */
  size_t n, left;
  struct member {
    struct gather *gather;
    struct shot shot;
    bool ended;
    struct probe_result result;
    cJSON *data;
  } members[];
};

static void gather_free(void *arg) {
  struct gather *g = arg;
  for (size_t i = 0; i < g->n; i++) {
    shot_cancel(&g->members[i].shot);
    cJSON_Delete(g->members[i].data);
  }
  free(g);
}

/* A list as long as the one that was given, with false for what was not waited for. */
static int l_push_gather(lua_State *L, void *data) {
  const struct gather *g = data;
  lua_createtable(L, (int)g->n, 0);
  for (size_t i = 0; i < g->n; i++) {
    if (g->members[i].ended)
      l_push_one(L, &g->members[i].result, g->members[i].data);
    else
      lua_pushboolean(L, 0);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static void on_member(void *arg, const struct probe_result *result) {
  struct member *m = arg;
  struct gather *g = m->gather;
  m->ended = true;
  m->result = *result;
  m->result.data = NULL;
  if (result->data) m->data = cJSON_Duplicate(result->data, true);
  g->left--;
  bool good = result->status == PROBE_OK || result->status == PROBE_WARN;
  if (g->left && !(g->any && good)) return;
  for (size_t i = 0; i < g->n; i++)
    if (!g->members[i].ended) shot_cancel(&g->members[i].shot);
  task_ready(g->sched, g->token, l_push_gather, g, gather_free);
}

/* gather({ { kind, params, seconds }... }, any) → results; raises for a wrong kind or parameter */
static int l_gather(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  bool any = lua_toboolean(L, 2);
  lua_settop(L, 1);
  size_t n = (size_t)lua_rawlen(L, 1);
  if (n == 0 || n > GATHER_MAX) return l_raise(L, "probe: expected a list of 1 to %d probes", GATHER_MAX);
  struct vm *vm = vm_of(L);
  if (!vm->host.probes) return l_fail(L, "unavailable", "there are no probes here");
  for (lua_Integer i = 1; !effects_act(L) && i <= (lua_Integer)n; i++) {
    lua_rawgeti(L, 1, i);
    lua_rawgeti(L, 2, 1);
    lua_rawgeti(L, 2, 2);
    if (l_only_listed(L, lua_tostring(L, 3), 4)) { /* a listed one is none to wait for */
      lua_settop(L, 4);
      lua_createtable(L, (int)n, 0);
      for (lua_Integer k = 1; k <= (lua_Integer)n; k++) {
        l_push_success(L);
        lua_rawseti(L, -2, k);
      }
      return 1;
    }
    lua_settop(L, 1);
  }
  uint64_t token = task_wait(L);
  struct gather *g = calloc(1, sizeof *g + n * sizeof g->members[0]);
  if (!g) return l_raise(L, "probe: no memory");
  *g = (struct gather){.sched = vm->host.sched, .token = token, .any = any, .n = n, .left = n};
  struct err err = ERR_INIT;
  for (size_t i = 0; i < n; i++) {
    /* our own Lua half has seen to the types: nothing raises here */
    lua_rawgeti(L, 1, (lua_Integer)i + 1);
    lua_rawgeti(L, 2, 1);
    lua_rawgeti(L, 2, 2);
    lua_rawgeti(L, 2, 3);
    const char *kind = lua_tostring(L, 3);
    cJSON *params = NULL;
    struct member *m = &g->members[i];
    m->gather = g;
    int64_t limit_ns = (int64_t)(lua_tonumber(L, 5) * (lua_Number)NS_PER_S);
    if (conv_to_json(L, 4, 0, &params, &err) == 0)
      shot_start(L, &m->shot, kind, params, clock_mono_ns() + limit_ns, on_member, m, &err);
    cJSON_Delete(params);
    if (!shot_runs(&m->shot)) {
      lua_pushfstring(L, "[%d] probe.%s: %s", (int)i + 1, kind, err.msg);
      gather_free(g);
      return lua_error(L);
    }
    lua_settop(L, 1);
  }
  return task_suspend(L, gather_free, g);
}

/* known(kind): it is one of C, or a script has declared it */
static int l_known(lua_State *L) {
  const char *kind = luaL_checkstring(L, 1);
  lua_pushboolean(L, probe_known(kind) || script_kind_find(vm_of(L), kind));
  return 1;
}

/* unknown(kind) → what is wrong with it */
static int l_unknown(lua_State *L) {
  struct err err = ERR_INIT;
  probe_check(luaL_checkstring(L, 1), NULL, &err);
  lua_pushstring(L, err.msg);
  return 1;
}

int l_open_probe(lua_State *L) {
  static const luaL_Reg functions[] = {{"start", l_start},
                                       {"gather", l_gather},
                                       {"known", l_known},
                                       {"unknown", l_unknown},
                                       {"script_path", l_script_path},
                                       {"declare", l_script_declare},
                                       {"loader", l_script_loader},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
