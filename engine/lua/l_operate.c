/* process: C half for the plan's processes. ask(what) → table | nil, err: what the engine knows; operate(op, process,
 * wait) → value | nil, err: an operation of the control socket, with the same audit; signal(name, instance, signal,
 * group) → to how many | nil, err; tail(name, instance) → text. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "loop/control.h"
#include "lua/conv.h"
#include "lua/effect.h"
#include "lua/process.h"

/* --- what the engine knows --------------------------------------------------------------------------------------- */

int l_ask(lua_State *L) {
  struct vm *vm = vm_of(L);
  const char *what = luaL_checkstring(L, 1);
  if (!vm->host.ask) return l_fail(L, "unavailable", "%s: there is no engine here to ask", what);
  struct buf b = {0};
  int rc = vm->host.ask(vm->host.ask_arg, what, &b);
  cJSON *v = NULL;
  struct err err = ERR_INIT;
  if (!rc && json_parse(buf_cstr(&b), b.len, what, &v, &err)) rc = err.code;
  buf_free(&b);
  if (rc) return l_fail_code(L, -rc, err.code ? err.msg : what);
  int status = conv_push_json(L, v);
  cJSON_Delete(v);
  return status == LUA_OK ? 1 : lua_error(L);
}

/* --- operations -------------------------------------------------------------------------------------------------- */

struct operation_run {
  struct sched *sched;
  uint64_t token;
  struct control_reply *call;
  cJSON *said;
};

static void run_free(void *arg) {
  struct operation_run *o = arg;
  cJSON_Delete(o->said);
  free(o);
}

static void run_cancel(void *arg) {
  struct operation_run *o = arg;
  if (o->call) control_forget(o->call);
  run_free(o);
}

static int l_push_said(lua_State *L, void *data) {
  const struct operation_run *o = data;
  const char *error = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o->said, "error"));
  const char *code = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o->said, "code"));
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(o->said, "value");
  if (!o->said || error) return l_fail(L, code ? code : "refused", "%s", error ? error : "no answer");
  if (!value || cJSON_IsNull(value))
    lua_pushboolean(L, 1);
  else
    l_push_json(L, value);
  return 1;
}

static void on_said(void *arg, const cJSON *said) {
  struct operation_run *o = arg;
  o->call = NULL;
  o->said = said ? cJSON_Duplicate(said, true) : NULL;
  task_ready(o->sched, o->token, l_push_said, o, run_free);
}

int l_call_operation(lua_State *L, struct control *control, const struct control_request *q, cJSON *args) {
  struct operation_run *o = calloc(1, sizeof *o);
  if (!o) {
    cJSON_Delete(args);
    return l_raise(L, "%s: no memory", q->op);
  }
  o->sched = vm_of(L)->host.sched;
  o->token = task_wait(L);
  int rc = control_call(control, q, on_said, o, &o->call);
  cJSON_Delete(args);
  if (rc) {
    free(o);
    return l_raise(L, "%s: no memory", q->op);
  }
  return task_suspend(L, run_cancel, o);
}

int l_operate(lua_State *L) {
  const char *op = luaL_checkstring(L, 1);
  const char *process = luaL_checkstring(L, 2);
  bool wait = lua_toboolean(L, 3);
  struct vm *vm = vm_of(L);
  char who[64];
  snprintf(who, sizeof who, "process.%.40s", op);
  task_may_wait(L);
  if (l_effect(L, who, "%s", process)) {
    lua_pushboolean(L, 1);
    return 1;
  }
  struct control *control = vm->host.control ? vm->host.control(vm->host.ask_arg) : NULL;
  if (!control) return l_fail(L, "unavailable", "%s: there is no engine here to ask", who);
  cJSON *args = cJSON_CreateObject();
  if (!args || !cJSON_AddStringToObject(args, "process", process) || !cJSON_AddBoolToObject(args, "wait", wait)) {
    cJSON_Delete(args);
    return l_raise(L, "%s: no memory", who);
  }
  const struct control_request q = {.op = op, .args = args, .uid = geteuid(), .pid = getpid()};
  return l_call_operation(L, control, &q, args);
}

/* --- signals ----------------------------------------------------------------------------------------------------- */

int l_signal_process(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  int instance = (int)luaL_optinteger(L, 2, -1);
  int sig = l_check_signal(L, 3);
  bool group = lua_toboolean(L, 4);
  const struct vm *vm = vm_of(L);
  char text[16];
  if (l_effect(L, "process.signal", "%s %s", name, str_signal_name(sig, text, sizeof text))) {
    lua_pushinteger(L, 1);
    return 1;
  }
  if (!vm->host.signal) return l_fail(L, "unavailable", "process.signal: there is no engine here to ask");
  int n = vm->host.signal(vm->host.ask_arg, name, instance, sig, group);
  if (n < 0) return l_fail(L, "unknown", "the plan has no process \"%s\"", name);
  lua_pushinteger(L, n);
  return 1;
}

/* --- output ------------------------------------------------------------------------------------------------------ */

struct tail {
  struct sched *sched;
  struct children *children;
  uint64_t token;
  struct buf text;
};

static void tail_free(void *arg) {
  struct tail *t = arg;
  buf_free(&t->text);
  free(t);
}

static void tail_cancel(void *arg) {
  struct tail *t = arg;
  children_ask_cancel(t->children, t);
  tail_free(t);
}

static int l_push_tail(lua_State *L, void *data) {
  const struct tail *t = data;
  lua_pushlstring(L, buf_cstr(&t->text), t->text.len);
  return 1;
}

static void on_tail(void *arg, const char *text, size_t n) {
  struct tail *t = arg;
  buf_add(&t->text, text, n);
  task_ready(t->sched, t->token, l_push_tail, t, tail_free);
}

int l_tail(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  int instance = (int)luaL_optinteger(L, 2, -1);
  const struct vm *vm = vm_of(L);
  task_may_wait(L);
  if (!vm->host.children || !vm->host.control)
    return l_fail(L, "unavailable", "process.output: there is no engine here to ask");
  struct tail *t = calloc(1, sizeof *t);
  if (!t) return l_raise(L, "process.output: no memory");
  t->sched = vm->host.sched;
  t->children = vm->host.children;
  t->token = task_wait(L);
  children_tail(t->children, name, instance, on_tail, t);
  return task_suspend(L, tail_cancel, t);
}
