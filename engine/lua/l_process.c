/* process: commands as helpers of tend's, and what the engine knows of the plan's processes. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/exits.h"
#include "base/fileop.h"
#include "base/str.h"
#include "core/machine.h"
#include "lua/conv.h"
#include "lua/effect.h"
#include "lua/process.h"

extern char **environ;

struct run {
  struct sched *sched;
  struct children *children;
  struct timer *timer; /* the time limit */
  uint64_t token;
  uint32_t child;
  int64_t begun_ns;
  bool timed_out;
  /* the outcome */
  enum spawn_stage failed_stage;
  int failed_error;
  bool failed;
  int status;
  bool out_cut;
  int64_t took_ns;
  struct buf out;
  char command[128];
};

static void run_free(void *arg) {
  struct run *run = arg;
  timer_free(run->timer);
  buf_free(&run->out);
  free(run);
}

static void run_cancel(void *arg) {
  struct run *run = arg;
  if (run->child) children_forget(run->children, run->child);
  run_free(run);
}

void l_push_ended(lua_State *L, const struct ended *e) {
  lua_createtable(L, 0, 6);
  if (WIFSIGNALED(e->status)) {
    char text[16];
    lua_pushstring(L, str_signal_name(WTERMSIG(e->status), text, sizeof text));
    lua_setfield(L, -2, "signal");
    lua_pushinteger(L, EXIT_SIGNALED + WTERMSIG(e->status));
  } else {
    lua_pushinteger(L, WEXITSTATUS(e->status));
  }
  lua_setfield(L, -2, "code");
  lua_pushboolean(L, e->status == 0);
  lua_setfield(L, -2, "ok");
  lua_pushlstring(L, buf_cstr(e->out), e->out->len);
  lua_setfield(L, -2, "output");
  lua_pushboolean(L, e->cut);
  lua_setfield(L, -2, "cut");
  lua_pushnumber(L, (lua_Number)e->took_ns / (lua_Number)NS_PER_S);
  lua_setfield(L, -2, "seconds");
}

static int l_push_run(lua_State *L, void *data) {
  const struct run *run = data;
  if (run->failed) {
    const char *stage = spawn_stage_name(run->failed_stage);
    return l_fail(L, stage, "%s cannot be started (%s): %s", run->command, stage, strerror(run->failed_error));
  }
  if (run->timed_out)
    return l_fail(L, "timeout", "%s: no end within %.6g s; killed", run->command,
                  (double)run->took_ns / (double)NS_PER_S);
  l_push_ended(L, &(struct ended){run->status, run->out_cut, run->took_ns, &run->out});
  return 1;
}

static void complete(struct run *run) {
  run->child = 0;
  run->took_ns = clock_mono_ns() - run->begun_ns;
  timer_stop(run->timer);
  task_ready(run->sched, run->token, l_push_run, run, run_free);
}

static void on_failed(void *arg, uint32_t child, enum spawn_stage stage, int error) {
  (void)child;
  struct run *run = arg;
  run->failed = true;
  run->failed_stage = stage;
  run->failed_error = error;
  complete(run);
}

static void on_exited(void *arg, uint32_t child, const struct child_exit *exit) {
  (void)child;
  struct run *run = arg;
  run->status = exit->status;
  run->out_cut = exit->out_cut;
  if (exit->out) buf_add(&run->out, exit->out->data, exit->out->len);
  complete(run);
}

static void on_timeout(void *arg) {
  struct run *run = arg;
  run->timed_out = true;
  children_forget(run->children, run->child);
  complete(run);
}

/* Texts of a list at index t, as a NULL-terminated array in a userdata that stays on the stack. */
static char **l_texts(lua_State *L, int t, const char *who) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, t);
  char **list = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *list, 0);
  for (lua_Integer i = 1; i <= n; i++) {
    if (lua_rawgeti(L, t, i) != LUA_TSTRING)
      l_raise(L, "%s: command[%d]: expected text, got %s", who, (int)i, luaL_typename(L, -1));
    list[i - 1] = (char *)lua_tostring(L, -1); /* held by the table */
    lua_pop(L, 1);
  }
  list[n] = NULL;
  return list;
}

static bool env_is(const char *entry, const char *name, size_t n) {
  return strncmp(entry, name, n) == 0 && entry[n] == '=';
}

/* tend's own environment with the entries of the table at index t over it, in a userdata that stays on the stack. */
static char **l_environment(lua_State *L, int t, const char *who) {
  size_t n = 0;
  while (environ[n]) n++;
  size_t extra = 0;
  lua_newtable(L); /* keeps the new texts */
  int keep = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, t)) {
    if (lua_type(L, -2) != LUA_TSTRING || !(lua_type(L, -1) == LUA_TSTRING || lua_type(L, -1) == LUA_TNUMBER))
      l_raise(L, "%s: env: expected NAME = \"value\"", who);
    extra++;
    const char *value = luaL_tolstring(L, -1, NULL);
    lua_pushfstring(L, "%s=%s", lua_tostring(L, -3), value);
    lua_rawseti(L, keep, (lua_Integer)extra);
    lua_pop(L, 2);
  }
  char **list = lua_newuserdatauv(L, (n + extra + 1) * sizeof *list, 1);
  lua_pushvalue(L, keep);
  lua_setiuservalue(L, -2, 1);
  size_t k = 0;
  for (size_t i = 1; i <= extra; i++) {
    lua_rawgeti(L, keep, (lua_Integer)i);
    list[k++] = (char *)lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  for (size_t i = 0; i < n; i++) {
    const char *eq = strchr(environ[i], '=');
    bool replaced = false;
    for (size_t e = 0; e < extra && eq && !replaced; e++)
      replaced = env_is(list[e], environ[i], (size_t)(eq - environ[i]));
    if (!replaced) list[k++] = environ[i];
  }
  list[k] = NULL;
  return list;
}

/* The words of `tend helper …`; NULL: another command. */
static char *const *helper_words(char *const *argv) {
  bool helper = argv[0] && STR_EQ(argv[0], "tend") && argv[1] && STR_EQ(argv[1], "helper") && argv[2];
  return helper ? argv + 2 : NULL;
}

/* A helper of tend's that only looks at files. */
static bool only_looks(char *const *argv) {
  char *const *words = helper_words(argv);
  return words && STR_EQ(words[0], "fs") && words[1] && fileop_looks(words[1]);
}

/* Says what the command would do; true when it is only listed, with the result of a success on the stack. */
static bool l_only_listed(lua_State *L, char *const *argv) {
  if (effects_act(L) || only_looks(argv)) return false;
  struct buf line = {0};
  char *const *words = helper_words(argv);
  const char *action = words && words[1] && words[2] ? words[1] : NULL;
  for (char *const *word = action ? words + 2 : argv; *word && line.len < 512; word++)
    buf_fmt(&line, "%s%s", line.len ? " " : "", *word);
  char text[512], what[64] = "process.run";
  str_copy(text, sizeof text, buf_cstr(&line));
  buf_free(&line); /* before anything raises */
  if (action) snprintf(what, sizeof what, "fs.%.32s", action);
  if (!l_effect(L, what, "%s", text)) return false;
  lua_createtable(L, 0, 5);
  lua_pushinteger(L, 0);
  lua_setfield(L, -2, "code");
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "ok");
  lua_pushliteral(L, "");
  lua_setfield(L, -2, "output");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "cut");
  lua_pushnumber(L, 0);
  lua_setfield(L, -2, "seconds");
  return true;
}

lua_Number l_command(lua_State *L, struct child_spec *spec, lua_Number timeout, const char *who) {
  static const char *const keys[] = {"timeout", "cwd", "env", "user", "input", "name", NULL};
  if (lua_type(L, 1) != LUA_TTABLE || lua_rawlen(L, 1) == 0)
    l_raise(L, "%s: expected a table with the command's words, got %s", who,
            lua_istable(L, 1) ? "none in it" : luaL_typename(L, 1));
  lua_settop(L, 1);
  l_check_keys(L, 1, keys, who);
  *spec = (struct child_spec){.kind = CHILD_HELPER, .argv = l_texts(L, 1, who)};
  spec->name = l_opt_string(L, 1, "name", spec->argv[0], who);
  spec->cwd = l_opt_string(L, 1, "cwd", NULL, who);
  spec->user = l_opt_string(L, 1, "user", NULL, who);
  timeout = l_opt_seconds(L, 1, "timeout", timeout, who);
  if (lua_getfield(L, 1, "input") != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TSTRING) l_raise(L, "%s: input: expected text", who);
    spec->input = lua_tolstring(L, -1, &spec->input_len);
  }
  int env = lua_getfield(L, 1, "env");
  if (env == LUA_TTABLE)
    spec->envp = l_environment(L, lua_gettop(L), who);
  else if (env != LUA_TNIL)
    l_raise(L, "%s: env: expected a table NAME = \"value\"", who);
  return timeout;
}

/* process.run { "cmd", "arg", timeout = 60, cwd = , env = {}, user = , input = } */
static int l_run(lua_State *L) {
  struct vm *vm = vm_of(L);
  struct child_spec spec;
  lua_Number timeout = l_command(L, &spec, vm->host.script ? 0 : 60, "process.run");
  task_may_wait(L); /* tend check, without an engine, finds the same mistake */
  if (l_only_listed(L, spec.argv)) return 1;
  if (!vm->host.children) return l_fail(L, "unavailable", "%s: no process can be started here", spec.argv[0]);
  static const struct child_ops ops = {.failed = on_failed, .exited = on_exited};
  uint64_t token = task_wait(L);
  struct run *run = calloc(1, sizeof *run);
  if (!run || !(run->timer = timer_new(vm->host.loop, on_timeout, run))) {
    free(run);
    return l_raise(L, "process.run: no memory");
  }
  run->sched = vm->host.sched;
  run->children = vm->host.children;
  run->token = token;
  run->begun_ns = clock_mono_ns();
  str_copy(run->command, sizeof run->command, spec.argv[0]);
  struct err err = ERR_INIT;
  run->child = children_spawn(vm->host.children, &spec, &ops, run, &err);
  if (!run->child) {
    run_free(run);
    return l_fail(L, "start", "%s", err.msg);
  }
  if (timeout > 0) timer_after(run->timer, (int64_t)(timeout * (lua_Number)NS_PER_S));
  return task_suspend(L, run_cancel, run);
}

int l_open_process(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"run", l_run},   {"ask", l_ask}, {"spawn", l_spawn}, {"operate", l_operate}, {"signal", l_signal_process},
      {"tail", l_tail}, {NULL, NULL}};
  l_open_spawned(L);
  luaL_newlib(L, functions);
  l_set_fail(L);
  return 1;
}
