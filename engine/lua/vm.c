#include "lua/vm.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "core/quarantine.h"
#include "lua/conv.h"
#include "lua/l.h"
#include "lua/script_probe.h"

static const struct module {
  const char *name;
  lua_CFunction open;
} modules[] = {
    {"clock", l_open_clock},       {"json", l_open_json},
    {"log", l_open_log},           {"settings", l_open_settings},
    {"timer", l_open_timer},       {"signal", l_open_signal},
    {"process", l_open_process},   {"probe", l_open_probe},
    {"metrics", l_open_metrics},   {"fs", l_open_fs},
    {"postgres", l_open_postgres}, {"lifecycle", l_open_lifecycle},
    {"http", l_open_http},         {"retry", l_open_retry},
    {"net", l_open_net},           {"control", l_open_control},
    {"dns", l_open_dns},           {"cron", l_open_cron},
    {"event", l_open_event},       {"state", l_open_state},
    {"hooks", l_open_hooks},
};

/* The counting allocator: what is refused here is an error in one task, after a full collection. */
static void *allocate(void *ud, void *p, size_t old, size_t size) {
  struct vm *vm = ud;
  if (!p) old = 0;
  if (size == 0) {
    free(p);
    vm->used -= old;
    return NULL;
  }
  size_t max = vm->own_max ? vm->own_max : vm->max;
  if (size > old && (vm->used > max || size - old > max - vm->used)) return NULL;
  void *q = realloc(p, size);
  if (q) vm->used += size - old;
  return q;
}

static int l_missing(lua_State *L) {
  const char *module = lua_tostring(L, lua_upvalueindex(1));
  const char *key = luaL_tolstring(L, 2, NULL);
  const char *names[64];
  size_t n = 0;
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) == LUA_TSTRING && n < ARRAY_LEN(names)) names[n++] = lua_tostring(L, -1);
  }
  const char *near = str_nearest(key, names, n);
  return luaL_error(L, "%s has no \"%s\"%s%s%s", module, key, near ? "; did you mean \"" : "", near ? near : "",
                    near ? "\"?" : "");
}

static int l_unchanged(lua_State *L) {
  return luaL_error(L, "%s cannot be changed", lua_tostring(L, lua_upvalueindex(1)));
}

/* Gives the table on top a metatable that tells of misspelled and new names, unless it has one. */
static void l_guard_module(lua_State *L, const char *name) {
  if (lua_getmetatable(L, -1)) {
    lua_pop(L, 1);
    return;
  }
  lua_createtable(L, 0, 3);
  lua_pushstring(L, name);
  lua_pushcclosure(L, l_missing, 1);
  lua_setfield(L, -2, "__index");
  lua_pushstring(L, name);
  lua_pushcclosure(L, l_unchanged, 1);
  lua_setfield(L, -2, "__newindex");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
}

void l_lua_half(lua_State *L, const char *name) {
  char full[64];
  char shown[96];
  size_t n;
  snprintf(full, sizeof full, "tend.%s", name);
  snprintf(shown, sizeof shown, "scripts/tend/%s.lua", name);
  const char *text = embedded_script(full, &n);
  if (!text) return;
  struct err err = ERR_INIT;
  if (script_compile(L, text, n, shown, &err)) luaL_error(L, "%s", err.msg);
  lua_pushglobaltable(L);
  lua_setupvalue(L, -2, 1);
  lua_insert(L, -2);
  lua_call(L, 1, 1);
}

const char *module_name(size_t i) {
  return i < ARRAY_LEN(modules) ? modules[i].name : library_name(i - ARRAY_LEN(modules));
}

/* A module is opened when a script first names it: most use few, and each costs its compilation. */
bool l_open_module(lua_State *L, const char *name) {
  if (l_open_late(L, name)) return true;
  size_t i = 0;
  while (i < ARRAY_LEN(modules) && !STR_EQ(modules[i].name, name)) i++;
  if (i == ARRAY_LEN(modules)) return false;
  lua_pushcfunction(L, modules[i].open);
  lua_call(L, 0, 1);
  l_lua_half(L, name);
  l_guard_module(L, name);
  if (!STR_EQ(name, "state")) l_read_only(L, name); /* that one is the script's own */
  l_note_loaded(L, name);
  l_set_global(L, name);
  return true;
}

static int l_open_all(lua_State *L) {
  l_open_base(L);
  l_close_globals(L);
  return 0;
}

struct vm *vm_new(const struct vm_host *host, struct err *err) {
  struct vm *vm = calloc(1, sizeof *vm);
  if (!vm) {
    err_set(err, -ENOMEM, "no memory for the scripts");
    return NULL;
  }
  vm->host = *host;
  if (!vm->host.budget_ns) vm->host.budget_ns = TASK_BUDGET_NS;
  vm->owner = (struct lua_owner){host->sched, vm};
  vm->max = (host->memory_mb ? host->memory_mb : LIMIT_LUA_MB) << 20;
  snprintf(vm->prefix, sizeof vm->prefix, "CONTAINER_%s_", host->flow ? host->flow : "");
  for (char *p = vm->prefix; *p; p++) *p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
  vm->L = lua_newstate(allocate, vm);
  if (!vm->L) {
    free(vm);
    err_set(err, -ENOMEM, "no memory for the scripts");
    return NULL;
  }
  *(struct lua_owner **)lua_getextraspace(vm->L) = &vm->owner;
  lua_pushcfunction(vm->L, l_open_all);
  if (lua_pcall(vm->L, 0, 0, 0)) {
    err_set(err, -EINVAL, "cannot prepare the scripts: %s",
            lua_type(vm->L, -1) == LUA_TSTRING ? lua_tostring(vm->L, -1) : "?");
    vm_free(vm);
    return NULL;
  }
  return vm;
}

void vm_free(struct vm *vm) {
  if (!vm) return;
  task_end_all(vm->host.sched, vm);
  timers_free(vm);
  signals_free(vm);
  cron_free(vm);
  events_free(vm);
  spawned_free_all(vm);
  commands_free(vm);
  state_free(vm);
  script_kinds_free(vm);
  lua_close(vm->L);
  cJSON_Delete(vm->dependencies);
  cJSON_Delete(vm->cleanup);
  cJSON_Delete(vm->hooks);
  sources_free(&vm->sources);
  sources_free(&vm->missing);
  free(vm->identities);
  free(vm);
}

size_t vm_memory(const struct vm *vm) { return vm->used; }

void vm_given_over(struct vm *vm) { vm->host.given = NULL; }

const struct sources *vm_sources(const struct vm *vm) { return &vm->sources; }
const struct sources *vm_missing(const struct vm *vm) { return &vm->missing; }

void vm_use(struct vm *vm, struct settings *settings, struct problems *problems) {
  vm->host.settings = settings;
  vm->host.problems = problems;
}

void vm_pause(struct vm *vm, bool paused) {
  if (vm->paused == paused) return;
  vm->paused = paused;
  timers_pause(vm);
  cron_pause(vm);
  events_pause(vm);
}

unsigned vm_tasks(const struct vm *vm) { return task_count_of(vm->host.sched, vm); }

/* --- starting tasks --- */

struct start {
  int ref;
  int (*l_push)(lua_State *L, void *arg);
  void *arg;
};

static int l_prepare(lua_State *L) {
  const struct start *start = lua_touserdata(L, 1);
  lua_settop(L, 0);
  lua_rawgeti(L, LUA_REGISTRYINDEX, start->ref);
  if (start->l_push) start->l_push(L, start->arg);
  return lua_gettop(L);
}

static bool is_quarantined(struct vm *vm, int ref, const char *task, struct err *err) {
  struct quarantine *q = vm->host.quarantine;
  if (!q || !q->n) return false;
  const struct quarantined *e = quarantine_find(q, task, identity_find(vm, ref));
  if (!e) return false;
  auto_buf struct buf text = {0};
  quarantine_text(e, &text);
  err_set(err, -EPERM, "%s", buf_cstr(&text));
  return true;
}

uint64_t vm_start_ref(struct vm *vm, int ref, int (*l_push)(lua_State *L, void *arg), void *push_arg,
                      const struct task_spec *spec, struct err *err) {
  lua_State *L = vm->L;
  if (!spec->once && is_quarantined(vm, ref, spec->name, err)) return 0;
  struct start start = {ref, l_push, push_arg};
  int base = lua_gettop(L);
  if (!lua_checkstack(L, 8)) {
    err_set(err, -ENOMEM, "%s: no memory", spec->name);
    return 0;
  }
  lua_pushcfunction(L, l_prepare);
  lua_pushlightuserdata(L, &start);
  if (lua_pcall(L, 1, LUA_MULTRET, 0)) {
    err_set(err, -EINVAL, "%s: %s", spec->name, lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "no memory");
    lua_settop(L, base);
    return 0;
  }
  return task_start(vm->host.sched, vm, L, lua_gettop(L) - base - 1, spec, err);
}

void vm_script_error(struct vm *vm, const char *what, const struct err *err, const char *traceback) {
  if (!vm->host.sink) return;
  auto_buf struct buf details = {0};
  struct json j = JSON_INIT(&details);
  json_object(&j, NULL);
  json_str(&j, "task", what);
  if (traceback) json_str(&j, "traceback", traceback);
  json_object_end(&j);
  sink_emit(vm->host.sink, EVENT_SCRIPT_ERROR,
            &(struct sink_event){.level = LEVEL_ERROR, .message = err->msg, .details = buf_cstr(&details)});
}

/* --- calls from outside --- */

struct call {
  struct vm *vm;
  policy_done_fn *done;
  void *arg;
  const cJSON *argument; /* during the start only */
};

static int l_push_argument(lua_State *L, void *arg) {
  const struct call *call = arg;
  if (call->argument) l_push_json(L, call->argument);
  return 0;
}

static void on_call_dropped(void *arg) { free(arg); }

void vm_tell_policy(policy_done_fn *done, void *arg, enum task_end end, lua_State *co, int nresults,
                    const struct err *err) {
  auto_json cJSON *results = NULL;
  struct err local = ERR_INIT;
  if (end == TASK_DONE && conv_results(co, nresults, &results, &local)) {
    end = TASK_ERROR;
    err = &local;
  }
  static const enum policy_status status[] = {[TASK_DONE] = POLICY_OK,
                                              [TASK_ERROR] = POLICY_ERROR,
                                              [TASK_TIMEOUT] = POLICY_TIMEOUT,
                                              [TASK_CANCELLED] = POLICY_CANCELLED};
  done(arg, status[end], results, end == TASK_DONE ? NULL : err);
}

static void on_call_done(void *arg, enum task_end end, lua_State *co, int nresults, const struct err *err) {
  struct call call = *(struct call *)arg;
  free(arg);
  vm_tell_policy(call.done, call.arg, end, co, nresults, err);
}

static uint64_t policy_call(void *self, int ref, const char *task_name, const char *arg_json, int64_t deadline_ns,
                            policy_done_fn *done, void *arg, struct err *err) {
  struct vm *vm = self;
  struct call *call = calloc(1, sizeof *call);
  if (!call) {
    err_set(err, -ENOMEM, "%s: no memory", task_name);
    return 0;
  }
  auto_json cJSON *argument = NULL;
  if (arg_json && json_parse(arg_json, strlen(arg_json), task_name, &argument, err)) {
    free(call);
    return 0;
  }
  *call = (struct call){vm, done, arg, argument};
  const struct task_spec spec = {.name = task_name,
                                 .deadline_ns = deadline_ns,
                                 .budget_ns = vm->host.budget_ns,
                                 .done = on_call_done,
                                 .dropped = on_call_dropped,
                                 .arg = call};
  uint64_t id = vm_start_ref(vm, ref, l_push_argument, call, &spec, err);
  if (!id) free(call);
  return id;
}

static void policy_cancel(void *self, uint64_t token) {
  const struct vm *vm = self;
  task_cancel(vm->host.sched, token, TASK_CANCELLED, true);
}

static int64_t policy_collect(void *self) {
  const struct vm *vm = self;
  size_t before = vm->used;
  lua_gc(vm->L, LUA_GCCOLLECT);
  return before > vm->used ? (int64_t)(before - vm->used) : 0;
}

static void policy_usage(void *self, int64_t *cpu_ns, int64_t *bytes) {
  const struct vm *vm = self;
  *cpu_ns = sched_used_ns(vm->host.sched);
  *bytes = (int64_t)vm->used;
}

static uint64_t policy_identity(void *self, int ref) { return identity_find(self, ref); }

static void policy_room(void *self, uint64_t token) {
  const struct vm *vm = self;
  task_room(vm->host.sched, token);
}

struct policy vm_policy(struct vm *vm) {
  return (struct policy){.self = vm,
                         .call = policy_call,
                         .cancel = policy_cancel,
                         .collect = policy_collect,
                         .usage = policy_usage,
                         .identity = policy_identity,
                         .command = vm_command,
                         .run_command = vm_run_command,
                         .room = policy_room};
}
