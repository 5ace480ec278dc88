/* control: commands that scripts add to the control socket. C half: register(definition, run); the definition has the
 * shape of core/operation as JSON, run gets the arguments as the client gave them. A command runs as a task of its own;
 * what it prints goes to who asked. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "lua/conv.h"
#include "lua/effect.h"
#include "lua/l.h"

struct script_command {
  cJSON *def; /* holds the texts of op */
  struct operation op;
  int run; /* in the registry */
  int64_t timeout_ns;
};

static void command_free(struct script_command *c) {
  operation_free(&c->op);
  cJSON_Delete(c->def);
  free(c);
}

void commands_free(struct vm *vm) {
  for (size_t i = 0; i < vm->n_commands; i++) command_free(vm->commands[i]);
  vm->n_commands = 0;
}

/* --- registering ------------------------------------------------------------------------------------------------- */

static int read_definition(lua_State *L, struct script_command *c, struct err *err) {
  int rc = conv_to_json(L, 1, 0, &c->def, err);
  if (!rc) rc = operation_read(c->def, &c->op, err);
  return rc;
}

static int l_register(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_Number timeout = luaL_checknumber(L, 3);
  struct vm *vm = vm_of(L);
  if (!vm->loading) return luaL_error(L, "control.command: commands can be added only while the flow file loads");
  if (vm->n_commands == LIMIT_COMMANDS)
    return luaL_error(L, "control.command: more than %d commands", (int)LIMIT_COMMANDS);
  lua_pushvalue(L, 2);
  int run = luaL_ref(L, LUA_REGISTRYINDEX);
  struct script_command *c = calloc(1, sizeof *c);
  struct err err = ERR_INIT;
  int rc = c ? read_definition(L, c, &err) : err_set(&err, -ENOMEM, "no memory");
  if (!c || rc) {
    if (c) command_free(c);
    luaL_unref(L, LUA_REGISTRYINDEX, run);
    return luaL_error(L, "control.command: %s", err.msg);
  }
  c->run = run;
  c->timeout_ns = (int64_t)(timeout * 1e9);
  vm->commands[vm->n_commands++] = c;
  return 0;
}

/* Whether tend itself has a command of this name, or a script has added one. */
static int l_taken(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  const struct vm *vm = vm_of(L);
  bool taken = operation_is_taken(name);
  lua_pushboolean(L, taken);
  for (size_t i = 0; !taken && i < vm->n_commands; i++) taken = STR_EQ(vm->commands[i]->op.name, name);
  lua_pushboolean(L, taken);
  return 2;
}

int l_open_control(lua_State *L) {
  static const luaL_Reg functions[] = {{"register", l_register}, {"taken", l_taken}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}

/* --- running ----------------------------------------------------------------------------------------------------- */

const struct operation *vm_command(void *self, size_t i) {
  const struct vm *vm = self;
  return i < vm->n_commands ? &vm->commands[i]->op : NULL;
}

struct run {
  policy_write_fn *write;
  policy_done_fn *done;
  void *arg;
  struct effects effects;
  const struct policy_command *call; /* for the start only */
};

static void run_free(struct run *run) {
  buf_free(&run->effects.list);
  free(run);
}

static int on_print(void *arg, const char *text, size_t n) {
  const struct run *run = arg;
  return run->write(run->arg, text, n);
}

static void on_dropped(void *arg) {
  struct run *run = arg;
  run->done(run->arg, POLICY_CANCELLED, NULL, NULL);
  run_free(run);
}

static void on_done(void *arg, enum task_end end, lua_State *co, int nresults, const struct err *err) {
  struct run *run = arg;
  vm_tell_policy(run->done, run->arg, end, co, nresults, err);
  run_free(run);
}

/* Durations come as text or as a number of seconds; a function gets seconds. */
static void l_push_arg(lua_State *L, const struct operation_arg *a, const cJSON *v) {
  int64_t ns;
  if (a->type == ARG_DURATION && cJSON_IsString(v) && str_duration(v->valuestring, NS_PER_S, &ns) == 0)
    lua_pushnumber(L, (lua_Number)ns / 1e9);
  else
    l_push_json(L, v);
}

static int l_push_call(lua_State *L, void *arg) {
  const struct policy_command *c = arg;
  lua_newtable(L);
  for (const struct operation_arg *a = c->op->args; a->name; a++) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(c->args, a->name);
    if (!v || cJSON_IsNull(v)) continue;
    l_push_arg(L, a, v);
    lua_setfield(L, -2, a->name);
  }
  lua_createtable(L, 0, 2);
  lua_pushinteger(L, c->uid);
  lua_setfield(L, -2, "uid");
  lua_pushinteger(L, c->pid);
  lua_setfield(L, -2, "pid");
  return 2;
}

uint64_t vm_run_command(void *self, const struct policy_command *call, struct err *err) {
  struct vm *vm = self;
  size_t i = 0;
  while (i < vm->n_commands && &vm->commands[i]->op != call->op) i++;
  struct run *run = i < vm->n_commands ? calloc(1, sizeof *run) : NULL;
  if (!run) {
    err_set(err, -ENOMEM, "no memory");
    return 0;
  }
  const struct script_command *c = vm->commands[i];
  *run = (struct run){.write = call->write, .done = call->done, .arg = call->arg};
  run->effects.mode = c->op.right == RIGHT_READ ? EFFECTS_REFUSE : EFFECTS_ACT;
  char name[LIMIT_NAME + 16];
  snprintf(name, sizeof name, "command %s", c->op.name);
  const struct task_spec spec = {.name = name,
                                 .deadline_ns = clock_mono_ns() + c->timeout_ns,
                                 .budget_ns = vm->host.budget_ns,
                                 .done = on_done,
                                 .dropped = on_dropped,
                                 .arg = run,
                                 .print = on_print,
                                 .print_arg = run,
                                 .effects = &run->effects};
  uint64_t id = vm_start_ref(vm, c->run, l_push_call, (void *)call, &spec, err);
  if (!id) run_free(run);
  return id;
}
