#include "lua/script_probe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "loop/part.h"
#include "lua/conv.h"
#include "lua/task_inner.h"
#include "probes/declared.h"
#include "probes/judge.h"

#define LOADER "tend.probe.loader" /* in the registry: the Lua half's function that makes a kind known */

struct script_kind {
  struct script_kind *next;
  char name[LIMIT_NAME];
  int fn;
  cJSON *params; /* the declaration; NULL: none */
};

/* --- kinds ------------------------------------------------------------------------------------------------------- */

const struct script_kind *script_kind_find(const struct vm *vm, const char *name) {
  const struct script_kind *k = vm->kinds;
  while (k && !STR_EQ(k->name, name)) k = k->next;
  return k;
}

void script_kinds_free(struct vm *vm) {
  while (vm->kinds) {
    struct script_kind *k = vm->kinds;
    vm->kinds = k->next;
    cJSON_Delete(k->params);
    free(k);
  }
}

static bool is_kind(const char *name) {
  return *name && strlen(name) < LIMIT_NAME && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
}

/* Where the script of a kind is that no probe of C answers to; false: there is none. */
static bool find_script(struct vm *vm, const char *kind, char *path, size_t size) {
  if (!is_kind(kind) || probe_known(kind)) return false;
  for (const char *dirs = vm->host.scripts; dirs && *dirs;) {
    size_t len = strcspn(dirs, ":");
    snprintf(path, size, "%.*s/probes/%s.lua", (int)len, dirs, kind);
    if (len && script_exists(vm, path)) return true;
    dirs += len + (dirs[len] == ':');
  }
  return false;
}

int l_script_path(lua_State *L) {
  char path[512];
  if (find_script(vm_of(L), luaL_checkstring(L, 1), path, sizeof path))
    lua_pushstring(L, path);
  else
    lua_pushnil(L);
  return 1;
}

int l_script_declare(lua_State *L) {
  struct vm *vm = vm_of(L);
  const char *name = luaL_checkstring(L, 1);
  if (lua_type(L, 2) != LUA_TTABLE)
    return l_raise(L, "probes/%s.lua: expected it to return a table { check = function(params) … }, got %s", name,
                   luaL_typename(L, 2));
  static const char *const keys[] = {"check", "params", "doc", NULL};
  char who[LIMIT_NAME + 16];
  snprintf(who, sizeof who, "probes/%.63s.lua", name);
  l_check_keys(L, 2, keys, who);
  l_opt_string(L, 2, "doc", NULL, who);
  if (lua_getfield(L, 2, "check") != LUA_TFUNCTION)
    return l_raise(L, "%s: check: expected a function, got %s", who, luaL_typename(L, -1));
  cJSON *params = NULL;
  struct err err = ERR_INIT;
  if (lua_getfield(L, 2, "params") != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TTABLE)
      return l_raise(L, "%s: params: expected a table of parameters by name, got %s", who, luaL_typename(L, -1));
    if (conv_to_json(L, -1, 0, &params, &err)) return l_raise(L, "%s: params: %s", who, err.msg);
  }
  lua_pop(L, 1);
  struct script_kind *k = probe_declaration_check(params, &err) ? NULL : calloc(1, sizeof *k);
  if (!k) {
    cJSON_Delete(params);
    return l_raise(L, "%s: %s", who, err.code ? err.msg : "no memory");
  }
  k->params = params;
  str_copy(k->name, sizeof k->name, name);
  k->next = vm->kinds;
  vm->kinds = k;
  k->fn = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

int l_script_loader(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_setfield(L, LUA_REGISTRYINDEX, LOADER);
  return 0;
}

/* --- kinds that a flow names ------------------------------------------------------------------------------------- */

static int l_new_thread(lua_State *L) {
  lua_newthread(L);
  return 1;
}

static int l_load_kind(lua_State *L) {
  const char *kind = lua_touserdata(L, 1);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "probe");
  lua_call(L, 1, 1);
  lua_getfield(L, LUA_REGISTRYINDEX, LOADER);
  lua_pushstring(L, kind);
  lua_call(L, 1, 0);
  return 0;
}

/* Runs the kind's script, within the limits of a flow file. */
static int load_kind(struct vm *vm, const char *kind, struct err *err) {
  lua_State *L = vm->L;
  if (!lua_checkstack(L, 4)) return err_set(err, -ENOMEM, "no memory");
  lua_pushcfunction(L, l_new_thread);
  int rc = 0;
  if (lua_pcall(L, 0, 1, 0)) {
    rc = err_set(err, -ENOMEM, "no memory");
  } else {
    lua_State *co = lua_tothread(L, -1);
    int n = 0;
    lua_pushcfunction(co, l_load_kind);
    lua_pushlightuserdata(co, (void *)kind);
    rc = sched_run_now(vm->host.sched, co, 1, LOAD_LIMIT_NS, &n, err);
  }
  lua_pop(L, 1);
  return rc;
}

static int bind_one(struct vm *vm, cJSON *entry, struct err *err) {
  const char *kind = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "kind"));
  char path[512];
  if (!kind || cJSON_GetObjectItemCaseSensitive(entry, "check") || !find_script(vm, kind, path, sizeof path)) return 0;
  int rc = script_kind_find(vm, kind) ? 0 : load_kind(vm, kind, err);
  if (rc) return rc;
  const struct script_kind *k = script_kind_find(vm, kind);
  const cJSON *given = cJSON_GetObjectItemCaseSensitive(entry, "params");
  cJSON *params = NULL;
  rc = probe_declared_read(k->params, given, &params, err);
  if (rc) return err_wrap(err, "%s", kind);
  cJSON *fn = cJSON_CreateObject();
  cJSON_AddNumberToObject(fn, "$fn", k->fn);
  cJSON_DeleteItemFromObjectCaseSensitive(entry, "params");
  cJSON_DeleteItemFromObjectCaseSensitive(entry, "$probe");
  if (cJSON_AddItemToObject(entry, "params", params) && cJSON_AddItemToObject(entry, "$probe", fn)) return 0;
  return err_set(err, -ENOMEM, "no memory");
}

int script_kinds_bind(struct vm *vm, cJSON *flow, struct err *err) {
  static const char *const lists[] = {"dependencies", "checks"};
  cJSON *entry;
  int rc = 0;
  for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
    int n = 0;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(flow, lists[i])) {
      n++;
      if (cJSON_IsObject(entry) && (rc = bind_one(vm, entry, err))) return err_wrap(err, "%s[%d]", lists[i], n);
    }
  }
  cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(flow, "processes")) {
    cJSON *startup = cJSON_GetObjectItemCaseSensitive(entry, "startup");
    if (cJSON_IsObject(startup) && (rc = bind_one(vm, startup, err)))
      return err_wrap(err, "processes.%s.startup", entry->string ? entry->string : "?");
  }
  return 0;
}

/* --- attempts ---------------------------------------------------------------------------------------------------- */

static void end(struct shot *s, struct probe_result *r) {
  r->duration_ns = clock_mono_ns() - s->begun_ns;
  cJSON_Delete(s->params);
  s->params = NULL;
  s->task = 0;
  s->done(s->arg, r);
}

static void on_task_done(void *arg, enum task_end how, lua_State *co, int nresults, const struct err *err) {
  struct shot *s = arg;
  auto_json cJSON *values = NULL;
  struct err local = ERR_INIT;
  struct probe_result r;
  if (how == TASK_DONE && conv_results(co, nresults, &values, &local)) {
    how = TASK_ERROR;
    err = &local;
  }
  if (how == TASK_DONE)
    probe_judge(values, &r);
  else
    probe_say(&r, PROBE_UNKNOWN, how == TASK_TIMEOUT ? "timeout" : "script", err->msg);
  end(s, &r);
}

static int l_push_params(lua_State *L, void *params) {
  l_push_json(L, params);
  return 1;
}

static void begin(void *arg) {
  struct shot *s = arg;
  struct err err = ERR_INIT;
  char name[LIMIT_NAME + 8];
  snprintf(name, sizeof name, "probe.%s", s->kind->name);
  const struct task_spec spec = {.name = name,
                                 .deadline_ns = s->deadline_ns,
                                 .budget_ns = s->vm->host.script ? 0 : s->vm->host.budget_ns,
                                 .done = on_task_done,
                                 .arg = s,
                                 .effects = s->effects,
                                 .memory_max = s->memory_max};
  s->waits = false;
  s->task = vm_start_ref(s->vm, s->kind->fn, l_push_params, s->params, &spec, &err);
  if (s->task) return;
  struct probe_result r;
  probe_say(&r, PROBE_UNKNOWN, "script", err.msg);
  end(s, &r);
}

static void on_probe_done(void *arg, const struct probe_result *result) {
  struct shot *s = arg;
  s->probe = NULL;
  s->done(s->arg, result);
}

int shot_start(lua_State *L, struct shot *s, const char *kind, const cJSON *params, int64_t deadline_ns,
               probe_done_fn *done, void *arg, struct err *err) {
  struct vm *vm = vm_of(L);
  *s = (struct shot){.vm = vm, .begun_ns = clock_mono_ns(), .deadline_ns = deadline_ns, .done = done, .arg = arg};
  s->kind = script_kind_find(vm, kind);
  if (!s->kind) {
    s->probe = probe_start(vm->host.probes, kind, params, deadline_ns, on_probe_done, s, err);
    return s->probe ? 0 : -EINVAL;
  }
  int rc = probe_declared_read(s->kind->params, params, &s->params, err);
  if (rc) return rc;
  const struct task *t = vm->host.sched->current;
  s->effects = t ? t->effects : NULL;
  s->memory_max = t ? t->memory_max : 0;
  s->waits = loop_defer(vm->host.loop, begin, s) == 0;
  if (s->waits) return 0;
  cJSON_Delete(s->params);
  s->params = NULL;
  return err_set(err, -ENOMEM, "no memory");
}

bool shot_runs(const struct shot *s) { return s->probe || s->task || s->waits; }

void shot_cancel(struct shot *s) {
  probe_cancel(s->probe);
  if (s->waits) loop_cancel(s->vm->host.loop, begin, s);
  if (s->task) task_cancel(s->vm->host.sched, s->task, TASK_CANCELLED, true);
  cJSON_Delete(s->params);
  *s = (struct shot){0};
}
