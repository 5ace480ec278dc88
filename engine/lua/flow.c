/* Loading: the flow file into a plan as JSON, a script file into a task. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "core/plan.h"
#include "lua/conv.h"
#include "lua/l.h"
#include "lua/script_probe.h"

static int l_new_thread(lua_State *L) {
  lua_newthread(L);
  return 1;
}

/* A thread on top of vm->L, NULL with err. */
static lua_State *push_thread(struct vm *vm, struct err *err) {
  if (lua_checkstack(vm->L, 8)) {
    lua_pushcfunction(vm->L, l_new_thread);
    if (lua_pcall(vm->L, 0, 1, 0) == LUA_OK) return lua_tothread(vm->L, -1);
    lua_pop(vm->L, 1);
  }
  err_set(err, -ENOMEM, "no memory to load a script");
  return NULL;
}

/* The line of the last `return` at the start of a line, else the last line: where a wrong result comes from. */
static int return_line(const char *text) {
  int line = 1;
  int found = 0;
  for (const char *p = text; *p;) {
    size_t blanks = strspn(p, " \t");
    if (strncmp(p + blanks, "return", 6) == 0) found = line;
    const char *nl = strchr(p, '\n');
    if (!nl || !nl[1]) break;
    p = nl + 1;
    line++;
  }
  return found ? found : line;
}

/* Puts the line of the key path that begins the message before it. */
static int place(const char *path, const struct buf *text, struct err *err) {
  struct plan_text where = {buf_cstr(text), text->len};
  char key[256];
  const char *end = strstr(err->msg, ": ");
  snprintf(key, sizeof key, "%.*s", end ? (int)(end - err->msg) : 0, err->msg);
  int line = *key ? plan_locate(&where, key) : 0;
  if (line <= 0) line = return_line(buf_cstr(text));
  return err_wrap(err, "%s:%d", path, line);
}

/* Appends the items of extra (taken over) to the list that flow has under key. */
static int append(cJSON *flow, const char *key, cJSON **extra, struct err *err) {
  if (!*extra) return 0;
  cJSON *list = cJSON_GetObjectItemCaseSensitive(flow, key);
  if (!list || (cJSON_IsObject(list) && !list->child)) {
    cJSON_DeleteItemFromObjectCaseSensitive(flow, key);
    if (!cJSON_AddItemToObject(flow, key, *extra)) return err_set(err, -ENOMEM, "no memory for %s", key);
    *extra = NULL;
    return 0;
  }
  cJSON *item;
  while (cJSON_IsArray(list) && (item = cJSON_DetachItemFromArray(*extra, 0))) cJSON_AddItemToArray(list, item);
  return 0;
}

/* Appends each { on = point, … } to the point's list in the flow's hooks. */
static int append_hooks(cJSON *flow, cJSON **extra, struct err *err) {
  if (!*extra) return 0;
  cJSON *hooks = cJSON_GetObjectItemCaseSensitive(flow, "hooks");
  if (!hooks) hooks = cJSON_AddObjectToObject(flow, "hooks");
  cJSON *entry;
  while (cJSON_IsObject(hooks) && (entry = cJSON_DetachItemFromArray(*extra, 0))) {
    auto_json cJSON *on = cJSON_DetachItemFromObjectCaseSensitive(entry, "on");
    cJSON *list = cJSON_GetObjectItemCaseSensitive(hooks, on->valuestring);
    if (!cJSON_IsArray(list)) {
      cJSON *one = cJSON_DetachItemFromObjectCaseSensitive(hooks, on->valuestring);
      list = cJSON_AddArrayToObject(hooks, on->valuestring);
      if (one) cJSON_AddItemToArray(list, one);
    }
    if (!cJSON_AddItemToArray(list, entry)) {
      cJSON_Delete(entry);
      return err_set(err, -ENOMEM, "no memory for hooks");
    }
  }
  return 0;
}

static int take_result(lua_State *co, int nresults, const char *path, const char *what, const struct buf *text,
                       cJSON **out, struct err *err) {
  int i = -nresults;
  if (nresults == 0 || lua_type(co, i) != LUA_TTABLE) {
    const char *got = nresults ? luaL_typename(co, i) : "nothing";
    return err_set(err, -EINVAL, "%s:%d: a %s file returns a table that describes the %s, this one returns %s%s", path,
                   return_line(buf_cstr(text)), what, what, nresults && !lua_isnil(co, i) ? "a " : "", got);
  }
  auto_json cJSON *table = NULL;
  int rc = conv_to_json(co, i, CONV_FUNCTIONS, &table, err);
  if (rc) return place(path, text, err);
  if (cJSON_IsArray(table))
    return err_set(err, -EINVAL, "%s:%d: a %s file returns a table with named keys, this one returns a list", path,
                   return_line(buf_cstr(text)), what);
  *out = take_ptr(table);
  return 0;
}

int vm_load_table(struct vm *vm, const char *path, const char *what, cJSON **out, struct err *err) {
  auto_buf struct buf text = {0};
  int rc = script_source(vm, path, &text, err);
  if (rc) return rc;
  lua_State *co = push_thread(vm, err);
  if (!co) return -ENOMEM;
  rc = script_compile(co, buf_cstr(&text), text.len, path, err);
  if (!rc) {
    int n = 0;
    vm->loading = true;
    rc = sched_run_now(vm->host.sched, co, 0, LOAD_LIMIT_NS, &n, err);
    vm->loading = false;
    if (!rc) rc = take_result(co, n, path, what, &text, out, err);
  }
  lua_pop(vm->L, 1);
  return rc;
}

/* What the flow file returned, with what it registered besides. */
static int complete(struct vm *vm, const char *path, cJSON *flow, struct err *err) {
  int rc = append(flow, "dependencies", &vm->dependencies, err);
  if (!rc) rc = append(flow, "cleanup", &vm->cleanup, err);
  if (!rc) rc = append_hooks(flow, &vm->hooks, err);
  if (!rc && (rc = script_kinds_bind(vm, flow, err))) {
    auto_buf struct buf text = {0};
    if (script_source(vm, path, &text, NULL) == 0) place(path, &text, err);
  }
  if (!rc) identity_note(vm, flow);
  return rc;
}

int vm_load_flow(struct vm *vm, const char *path, cJSON **plan, struct err *err) {
  auto_json cJSON *flow = NULL;
  int rc = vm_load_table(vm, path, "flow", &flow, err);
  if (!rc) rc = complete(vm, path, flow, err);
  if (!rc) *plan = take_ptr(flow);
  return rc;
}

/* --- in slices --- */

#define LOAD_WALL_NS (10 * NS_PER_S)

struct loading {
  struct vm *vm;
  char *path;
  struct buf text;
  vm_loaded_fn *done;
  void *arg;
};

static void loading_free(void *arg) {
  struct loading *l = arg;
  buf_free(&l->text);
  free(l->path);
  free(l);
}

static void on_loaded(void *arg, enum task_end end, lua_State *co, int nresults, const struct err *why) {
  struct loading *l = arg;
  auto_json cJSON *flow = NULL;
  struct err err = ERR_INIT;
  l->vm->loading = false;
  if (end == TASK_TIMEOUT)
    err_set(&err, -ETIME, "%s: still not loaded after %d s", l->path, (int)(LOAD_WALL_NS / NS_PER_S));
  else if (end != TASK_DONE)
    err = *why;
  else if (take_result(co, nresults, l->path, "flow", &l->text, &flow, &err) == 0)
    complete(l->vm, l->path, flow, &err);
  vm_loaded_fn *done = l->done;
  void *done_arg = l->arg;
  loading_free(l);
  done(done_arg, err.code ? NULL : take_ptr(flow), &err);
}

int vm_begin_flow(struct vm *vm, const char *path, vm_loaded_fn *done, void *arg, struct err *err) {
  struct loading *l = calloc(1, sizeof *l);
  if (!l || !(l->path = strdup(path))) {
    free(l);
    return err_set(err, -ENOMEM, "%s: no memory to load it", path);
  }
  l->vm = vm;
  l->done = done;
  l->arg = arg;
  int rc = script_source(vm, path, &l->text, err);
  if (!rc) rc = script_compile(vm->L, buf_cstr(&l->text), l->text.len, path, err);
  const struct task_spec spec = {.name = path,
                                 .deadline_ns = clock_mono_ns() + LOAD_WALL_NS,
                                 .budget_ns = LOAD_LIMIT_NS,
                                 .loading = true,
                                 .done = on_loaded,
                                 .dropped = loading_free,
                                 .arg = l};
  vm->loading = true;
  if (!rc && !task_start(vm->host.sched, vm, vm->L, 0, &spec, err)) rc = -ENOMEM;
  if (!rc) return 0;
  vm->loading = false;
  loading_free(l);
  return rc;
}

/* --- scripts --- */

struct script {
  struct vm *vm;
  policy_done_fn *done;
  void *arg;
  char *const *argv; /* during the start only */
  char *path;
};

static int l_traceback(lua_State *L) {
  luaL_traceback(L, lua_touserdata(L, 1), NULL, 0);
  return 1;
}

/* Tells of the error with where it came from. */
static void tell(const struct script *script, lua_State *co, const struct err *err) {
  lua_State *L = script->vm->L;
  const char *trace = NULL;
  if (!lua_checkstack(L, 4)) return;
  int top = lua_gettop(L);
  lua_pushcfunction(L, l_traceback);
  lua_pushlightuserdata(L, co);
  if (lua_pcall(L, 1, 1, 0) == LUA_OK) trace = lua_tostring(L, -1);
  vm_script_error(script->vm, script->path, err, trace);
  lua_settop(L, top);
}

static void script_free(void *arg) {
  struct script *script = arg;
  free(script->path);
  free(script);
}

static void on_script_done(void *arg, enum task_end end, lua_State *co, int nresults, const struct err *err) {
  struct script *script = arg;
  policy_done_fn *done = script->done;
  void *done_arg = script->arg;
  auto_json cJSON *results = NULL;
  struct err local = ERR_INIT;
  if (end == TASK_DONE && conv_results(co, nresults, &results, &local)) {
    end = TASK_ERROR;
    err = &local;
  }
  if (end == TASK_ERROR) tell(script, co, err);
  script_free(script);
  done(done_arg,
       end == TASK_DONE    ? POLICY_OK
       : end == TASK_ERROR ? POLICY_ERROR
                           : POLICY_CANCELLED,
       results, end == TASK_DONE ? NULL : err);
}

static int l_script_arguments(lua_State *L) {
  const struct script *script = lua_touserdata(L, 1);
  char *const *argv = script->argv;
  int n = 0;
  while (argv[n]) n++;
  lua_pushglobaltable(L);
  lua_pushliteral(L, "arg");
  lua_createtable(L, n, 1);
  lua_pushstring(L, script->path);
  lua_rawseti(L, -2, 0);
  for (int i = 0; i < n; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_rawset(L, -3);
  lua_settop(L, 0);
  luaL_checkstack(L, n, "too many arguments");
  for (int i = 0; i < n; i++) lua_pushstring(L, argv[i]);
  return n;
}

uint64_t vm_run_script(struct vm *vm, const char *path, char *const *argv, policy_done_fn *done, void *arg,
                       struct err *err) {
  auto_buf struct buf text = {0};
  if (script_read(path, &text, err)) return 0;
  lua_State *L = vm->L;
  int base = lua_gettop(L);
  struct script *script = calloc(1, sizeof *script);
  if (!script || !(script->path = strdup(path)) || !lua_checkstack(L, 8)) {
    free(script);
    err_set(err, -ENOMEM, "%s: no memory", path);
    return 0;
  }
  script->vm = vm;
  script->done = done;
  script->arg = arg;
  script->argv = argv;
  uint64_t id = 0;
  if (script_compile(L, buf_cstr(&text), text.len, path, err) == 0) {
    lua_pushcfunction(L, l_script_arguments);
    lua_pushlightuserdata(L, script);
    if (lua_pcall(L, 1, LUA_MULTRET, 0) == LUA_OK) {
      const struct task_spec spec = {
          .name = path, .deadline_ns = TIME_NEVER, .done = on_script_done, .dropped = script_free, .arg = script};
      id = task_start(vm->host.sched, vm, L, lua_gettop(L) - base - 1, &spec, err);
    } else {
      err_set(err, -ENOMEM, "%s: %s", path, lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "no memory");
    }
  }
  lua_settop(L, base);
  if (!id) script_free(script);
  return id;
}
