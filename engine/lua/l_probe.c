/* probe: one attempt of any kind of check, awaited. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "lua/conv.h"
#include "lua/l.h"

struct attempt {
  struct sched *sched;
  struct probe *probe;
  uint64_t token;
  struct probe_result result;
  cJSON *data;
};

static void attempt_free(void *arg) {
  struct attempt *a = arg;
  cJSON_Delete(a->data);
  free(a);
}

static void attempt_cancel(void *arg) {
  struct attempt *a = arg;
  probe_cancel(a->probe);
  attempt_free(a);
}

static int l_push_result(lua_State *L, void *data) {
  const struct attempt *a = data;
  const struct probe_result *r = &a->result;
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
  if (a->data) {
    l_push_json(L, a->data);
    lua_setfield(L, -2, "data");
  }
  return 1;
}

static void on_done(void *arg, const struct probe_result *result) {
  struct attempt *a = arg;
  a->result = *result;
  a->result.data = NULL;
  a->probe = NULL;
  if (result->data) a->data = cJSON_Duplicate(result->data, true);
  task_ready(a->sched, a->token, l_push_result, a, attempt_free);
}

/* start(kind, params, seconds) → result; raises for a wrong kind or parameter */
static int l_start(lua_State *L) {
  const char *kind = luaL_checkstring(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  int64_t limit_ns = l_check_seconds(L, 3, kind);
  struct vm *vm = vm_of(L);
  if (!vm->host.probes) return l_fail(L, "unavailable", "probe.%s: there are no probes here", kind);
  uint64_t token = task_wait(L); /* raises: before anything is allocated */
  struct err err = ERR_INIT;
  cJSON *params = NULL;
  if (conv_to_json(L, 2, 0, &params, &err)) return luaL_error(L, "probe.%s: %s", kind, err.msg);
  struct attempt *a = calloc(1, sizeof *a);
  if (a) {
    a->sched = vm->host.sched;
    a->token = token;
    a->probe = probe_start(vm->host.probes, kind, params, clock_mono_ns() + limit_ns, on_done, a, &err);
  } else {
    str_copy(err.msg, sizeof err.msg, "no memory");
  }
  cJSON_Delete(params);
  if (!a || !a->probe) {
    free(a);
    return luaL_error(L, "probe.%s: %s", kind, err.msg);
  }
  return task_suspend(L, attempt_cancel, a);
}

int l_open_probe(lua_State *L) {
  static const luaL_Reg functions[] = {{"start", l_start}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
