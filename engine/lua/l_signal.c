/* signal: names and numbers, and what a script does on one. */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/str.h"
#include "lua/effect.h"
#include "lua/l.h"

struct signal_handler {
  struct signal_handler *next;
  int sig, fn;
  char name[LIMIT_NAME];
};

int l_check_signal(lua_State *L, int i) {
  int sig = 0;
  if (lua_isinteger(L, i)) {
    lua_Integer n = lua_tointeger(L, i);
    if (n > 0 && n <= 64) sig = (int)n;
  } else if (lua_type(L, i) == LUA_TSTRING) {
    sig = str_signal(lua_tostring(L, i));
  }
  if (!sig) l_raise(L, "signal: \"%s\" is no signal; e.g. \"TERM\", \"USR1\", 15", luaL_tolstring(L, i, NULL));
  return sig;
}

static int l_number(lua_State *L) {
  lua_pushinteger(L, l_check_signal(L, 1));
  return 1;
}

static int l_name(lua_State *L) {
  char text[16];
  lua_pushstring(L, str_signal_name(l_check_signal(L, 1), text, sizeof text));
  return 1;
}

static int l_on(lua_State *L) {
  struct vm *vm = vm_of(L);
  int sig = l_check_signal(L, 1);
  if (lua_type(L, 2) != LUA_TFUNCTION)
    return l_raise(L, "signal.on: expected a function as second argument, got %s", luaL_typename(L, 2));
  if (!vm->host.script) return l_raise(L, "signal.on works in `tend script`; in a flow use its hooks");
  if (l_effect(L, "signal.on", "%d", sig)) return 0;
  lua_settop(L, 2);
  int fn = luaL_ref(L, LUA_REGISTRYINDEX);
  struct signal_handler *h = calloc(1, sizeof *h);
  if (!h) {
    luaL_unref(L, LUA_REGISTRYINDEX, fn);
    return l_raise(L, "signal.on: no memory");
  }
  char text[16];
  h->sig = sig;
  h->fn = fn;
  snprintf(h->name, sizeof h->name, "signal %s", str_signal_name(sig, text, sizeof text));
  h->next = vm->signals;
  vm->signals = h;
  return 0;
}

static int l_stopping(lua_State *L) {
  lua_pushboolean(L, vm_of(L)->stopping);
  return 1;
}

struct run {
  struct vm *vm;
  char name[LIMIT_NAME];
};

static void on_done(void *arg, enum task_end end, lua_State *co, int nresults, const struct err *err) {
  (void)co;
  (void)nresults;
  struct run *run = arg;
  if (end != TASK_DONE) vm_script_error(run->vm, run->name, err, NULL);
  free(run);
}

unsigned vm_signal(struct vm *vm, int sig, bool stop) {
  if (stop) vm->stopping = true;
  if (vm->paused) return 0;
  unsigned n = 0;
  for (const struct signal_handler *h = vm->signals; h; h = h->next) {
    if (h->sig != sig) continue;
    n++;
    struct err err = ERR_INIT;
    struct run *run = calloc(1, sizeof *run);
    if (!run) continue;
    run->vm = vm;
    str_copy(run->name, sizeof run->name, h->name);
    const struct task_spec spec = {
        .name = h->name, .deadline_ns = TIME_NEVER, .done = on_done, .dropped = free, .arg = run};
    if (vm_start_ref(vm, h->fn, NULL, NULL, &spec, &err)) continue;
    vm_script_error(vm, h->name, &err, NULL);
    free(run);
  }
  return n;
}

void signals_free(struct vm *vm) {
  while (vm->signals) {
    struct signal_handler *h = vm->signals;
    vm->signals = h->next;
    free(h);
  }
}

int l_open_signal(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"number", l_number}, {"name", l_name}, {"on", l_on}, {"stopping", l_stopping}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
