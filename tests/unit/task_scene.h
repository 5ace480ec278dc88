/* A Lua state with its tasks on the real loop; chunks that are run to their end, and what comes of them. */
#ifndef TESTS_TASK_SCENE_H
#define TESTS_TASK_SCENE_H

#include "fixture.h"

#include <errno.h>

#include "base/clock.h"
#include "base/str.h"
#include "lua/conv.h"
#include "lua/l.h"

struct fixture {
  struct loop *loop;
  struct sched *sched;
  struct settings *settings;
  struct vm *vm;
  struct timer *guard;
  int left; /* results still to come */
};

struct outcome {
  struct fixture *f;
  int calls;
  enum policy_status status;
  char *result; /* JSON */
  char message[ERR_MSG_MAX];
};

static void on_guard(void *arg) {
  struct fixture *f = arg;
  f->left = -1;
  loop_stop(f->loop);
}

static int setup_budget(void **state, int64_t budget_ns) {
  struct fixture *f = calloc(1, sizeof *f);
  f->loop = loop_new();
  f->settings = settings_new();
  f->sched = sched_new(f->loop, NULL);
  struct err err = ERR_INIT;
  const struct vm_host host = {
      .sched = f->sched, .loop = f->loop, .settings = f->settings, .flow = "test", .budget_ns = budget_ns};
  f->vm = vm_new(&host, &err);
  if (!f->vm) fail_msg("%s", err.msg);
  f->guard = timer_new(f->loop, on_guard, f);
  *state = f;
  return 0;
}

static int setup(void **state) { return setup_budget(state, 200 * NS_PER_MS); }
static UNUSED int setup_long(void **state) { return setup_budget(state, 20 * NS_PER_S); }

static int teardown(void **state) {
  struct fixture *f = *state;
  vm_free(f->vm);
  assert_int_equal(task_count(f->sched), 0);
  sched_free(f->sched);
  timer_free(f->guard);
  settings_free(f->settings);
  loop_free(f->loop);
  free(f);
  return 0;
}

static void on_done(void *arg, enum policy_status status, const cJSON *result, const struct err *err) {
  struct outcome *o = arg;
  o->calls++;
  o->status = status;
  if (result) o->result = cJSON_PrintUnformatted(result);
  if (err) str_copy(o->message, sizeof o->message, err->msg);
  if (--o->f->left == 0) loop_stop(o->f->loop);
}

/* A reference to the function that the chunk returns. */
static int function(struct fixture *f, const char *chunk) {
  struct err err = ERR_INIT;
  lua_State *L = f->vm->L;
  lua_State *co = lua_newthread(L);
  if (script_compile(co, chunk, strlen(chunk), "test.lua", &err)) fail_msg("%s", err.msg);
  int n;
  if (sched_run_now(f->sched, co, 0, LOAD_LIMIT_NS, &n, &err)) fail_msg("%s", err.msg);
  assert_int_equal(lua_type(co, -1), LUA_TFUNCTION);
  int ref = luaL_ref(co, LUA_REGISTRYINDEX);
  lua_pop(L, 1);
  return ref;
}

static uint64_t start(struct fixture *f, struct outcome *o, const char *chunk, int64_t limit_ns) {
  *o = (struct outcome){.f = f};
  struct policy p = vm_policy(f->vm);
  struct err err = ERR_INIT;
  uint64_t id = p.call(p.self, function(f, chunk), "the test", "{\"a\": [1, 2.5, \"x\", true]}",
                       limit_ns ? clock_mono_ns() + limit_ns : TIME_NEVER, on_done, o, &err);
  if (!id) fail_msg("%s", err.msg);
  f->left++;
  return id;
}

static void run(struct fixture *f) {
  timer_after(f->guard, 100 * NS_PER_S);
  loop_run(f->loop);
  timer_stop(f->guard);
  if (f->left < 0) fail_msg("not done within 100 s");
}

static void expect(struct fixture *f, const char *chunk, const char *result) {
  struct outcome o;
  start(f, &o, chunk, 0);
  run(f);
  if (o.status != POLICY_OK) fail_msg("%s", o.message);
  assert_int_equal(o.calls, 1);
  assert_string_equal(o.result, result);
  free(o.result);
}

static void expect_error(struct fixture *f, const char *chunk, const char *part) {
  struct outcome o;
  start(f, &o, chunk, 0);
  run(f);
  free(o.result);
  assert_int_equal(o.status, POLICY_ERROR);
  if (!strstr(o.message, part)) fail_msg("expected \"%s\" in: %s", part, o.message);
}

#endif
