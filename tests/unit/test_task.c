/* Tasks on the real loop: what ends them, what they wait for, what no script gets away with. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

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
static int setup_long(void **state) { return setup_budget(state, 20 * NS_PER_S); }

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

static void results(void **state) {
  struct fixture *f = *state;
  expect(f, "return function(t) return t.a[2], nil, { x = { 1, 2 } }, 'é' end", "[2.5,null,{\"x\":[1,2]},\"é\"]");
  expect(f, "return function() end", "[]");
  expect_error(f, "return function() return print end", "returned value 1: a function cannot be converted");
  expect_error(f, "return function()\n  error('bad') end", "test.lua:2: bad");
  expect_error(f, "return function() error({ message = 'own' }) end", "own");
  expect_error(f, "return function() error() end", "error value is a nil");
  expect_error(f, "return function() error(setmetatable({}, { __tostring = function() while true do end end })) end",
               "error value is a table");
  expect_error(f, "return function() return nothing_there end",
               "test.lua:1: variable \"nothing_there\" is not defined");
  expect_error(f, "return function() return tmer end", "did you mean \"timer\"?");
  expect_error(f, "return function() timer.slep(1) end", "timer has no \"slep\"; did you mean \"sleep\"?");
  expect_error(f, "return function() x = 1 end", "write local x");
}

static void sleeping(void **state) {
  struct fixture *f = *state;
  int64_t begun = clock_mono_ns();
  expect(f, "return function() timer.sleep(0.05) return 1 end", "[1]");
  assert_in_range(clock_mono_ns() - begun, 50 * NS_PER_MS, 60 * NS_PER_S);
  expect(f, "return function() local n = 0; timer.sleep(0); n = n + 1; timer.sleep(0.001); return n + 1 end", "[2]");
}

static void thousand_sleepers(void **state) {
  struct fixture *f = *state;
  static struct outcome o[1000];
  const char *const chunk = "return function() for _ = 1, 3 do timer.sleep(0.01) end return 7 end";
  int64_t begun = clock_mono_ns();
  for (int i = 0; i < 1000; i++) start(f, &o[i], chunk, 0);
  run(f);
  for (int i = 0; i < 1000; i++) {
    assert_int_equal(o[i].status, POLICY_OK);
    assert_string_equal(o[i].result, "[7]");
    free(o[i].result);
  }
  assert_true(clock_mono_ns() - begun < 60 * NS_PER_S);
  assert_int_equal(task_count(f->sched), 0);
}

/* Each is ended at its budget, not much later, and names the line. */
static void runaways(void **state) {
  struct fixture *f = *state;
  static const char *const loops[] = {
      "return function()\n while true do end end",
      "return function()\n while true do pcall(function() while true do end end) end end",
      "return function()\n local function f() while true do pcall(f) end end f() end",
      "return function()\n table.sort({ 3, 2, 1, 5, 4 }, function() while true do end end) end",
      "return function()\n table.sort({ 3, 2, 1 }, function() while true do pcall(error) end end) end",
      "return function()\n ('x'):rep(9):gsub('x', function() while true do pcall(function() while true do end end) end "
      "end) end",
      "return function()\n xpcall(error, function() while true do end end) end",
      "return function()\n local c = coroutine.wrap(function() while true do end end) c() end",
      "return function()\n while true do coroutine.wrap(function() coroutine.wrap(function() end)() end)() end end",
      "return function()\n while true do pcall(coroutine.wrap(function() while true do end end)) end end",
      "return function()\n local t = setmetatable({}, { __index = function() while true do end end }) return t.x end",
      "return function()\n local x <close> = setmetatable({}, { __close = function() while true do end end }) end",
      "return function()\n local x <close> = setmetatable({}, { __close = function() while true do end end }) "
      "error('e') "
      "end",
      "return function()\n for _ = 1, 1e9 do local s = ('x'):rep(1000) end end",
  };
  for (size_t i = 0; i < ARRAY_LEN(loops); i++) {
    struct outcome o;
    int64_t begun = clock_mono_ns();
    start(f, &o, loops[i], 0);
    run(f);
    bool after_error = i == 12; /* its error was told; what it closes is bounded all the same */
    assert_int_equal(o.status, POLICY_ERROR);
    if (!after_error && !strstr(o.message, "test.lua:2: ended after ")) fail_msg("%zu: %s", i, o.message);
    if (clock_mono_ns() - begun > 60 * NS_PER_S) fail_msg("%zu took too long", i);
  }
}

static int ticks;
static struct timer *ticker;
static void on_tick(void *arg) {
  (void)arg;
  ticks++;
  timer_after(ticker, 10 * NS_PER_MS);
}

static void loop_goes_on(void **state) {
  struct fixture *f = *state;
  struct outcome o;
  ticks = 0;
  ticker = timer_new(f->loop, on_tick, f);
  timer_after(ticker, 0);
  start(f, &o, "return function() while true do end end", 0);
  run(f);
  timer_free(ticker);
  assert_int_equal(o.status, POLICY_ERROR);
  assert_true(ticks >= 3); /* one a slice at least */
}

static void long_work(void **state) {
  struct fixture *f = *state;
  /* over a slice, below the budget, also where it cannot yield and through inner coroutines */
  expect(f, "return function() local x = 0 for i = 1, 2e7 do x = x + 1 end return x > 0 end", "[true]");
  expect(f,
         "return function() local t = {} for i = 1, 60000 do t[i] = (i * 7919) % 60000 end "
         "table.sort(t, function(a, b) return a < b end) return t[1] <= t[2] end",
         "[true]");
  expect(f,
         "return function() local g = coroutine.wrap(function() for i = 1, 3 do for _ = 1, 5e6 do end "
         "coroutine.yield(i) end end) return g(), g(), g() end",
         "[1,2,3]");
  expect(f,
         "return function() local co = coroutine.create(function(a) local b = coroutine.yield(a + 1) "
         "local inner = coroutine.wrap(function() for _ = 1, 1e7 do end coroutine.yield('in') end) "
         "return b, inner() end) local _, x = coroutine.resume(co, 1) local _, y, z = coroutine.resume(co, 'b') "
         "return x, y, z, coroutine.status(co) end",
         "[2,\"b\",\"in\",\"dead\"]");
}

/* Runaways, however many, wait for each other; who only does a little at a time does not wait for all of them. */
static void short_work_among_runaways(void **state) {
  enum { RUNAWAYS = 30, TIMES = 40 };
  struct fixture *f = *state;
  static struct outcome o[RUNAWAYS], quick;
  uint64_t id[RUNAWAYS];
  for (int i = 0; i < RUNAWAYS; i++) id[i] = start(f, &o[i], "return function() while true do end end", 0);
  f->left = 0;
  start(f, &quick, "return function() for i = 1, 40 do timer.sleep(0) end return 'done' end", 0);
  int64_t before = sched_used_ns(f->sched);
  run(f);
  assert_string_equal(quick.result, "[\"done\"]");
  assert_in_range(sched_used_ns(f->sched) - before, 0, TIMES * RUNAWAYS * TASK_SLICE_NS / 3);
  free(quick.result);
  for (int i = 0; i < RUNAWAYS; i++) task_cancel(f->sched, id[i], TASK_CANCELLED, false);
  f->left = RUNAWAYS;
  run(f);
  for (int i = 0; i < RUNAWAYS; i++) assert_int_equal(o[i].calls, 1);
}

static void coroutines(void **state) {
  struct fixture *f = *state;
  expect(f,
         "return function() local ok, e = coroutine.resume(coroutine.create(function() timer.sleep(1) end)) "
         "return ok, tostring(e) end",
         "[false,\"test.lua:1: wait only in a task, not inside a coroutine of your own\"]");
  expect_error(f, "return function() coroutine.yield() end", "outside a coroutine");
  expect(f, "return function() local ok, e = pcall(coroutine.wrap(function() error('x', 0) end)) return ok, e end",
         "[false,\"x\"]");
  expect(f, "return function() local co = coroutine.create(print) return coroutine.close(co), coroutine.status(co) end",
         "[true,\"dead\"]");
  expect_error(f, "return function() table.sort({ 2, 1 }, function() timer.sleep(1) end) end", "cannot wait inside");
}

static void memory(void **state) {
  struct fixture *f = *state;
  expect_error(f, "return function() local t = {} for i = 1, 1e9 do t[i] = {} end end",
               "test.lua:1: not enough memory");
  expect_error(f, "return function() return ('x'):rep(1e9) end", "not enough memory");
  expect_error(f, "return function() local s = 'x' while true do s = s .. s end end", "not enough memory");
  expect_error(f, "return function() local function r() return 1 + r() end return r() end", "not enough memory");
  expect(f, "return function() return pcall(string.rep, 'x', 1e9) end", "[false,\"not enough memory\"]");
  expect(f, "return function() return 1 end", "[1]"); /* the state lives on */
}

static void deadline(void **state) {
  struct fixture *f = *state;
  struct outcome o;
  int64_t begun = clock_mono_ns();
  start(f, &o, "return function() timer.sleep(100) end", 50 * NS_PER_MS);
  run(f);
  assert_int_equal(o.status, POLICY_TIMEOUT);
  assert_in_range(clock_mono_ns() - begun, 50 * NS_PER_MS, 60 * NS_PER_S);
  start(f, &o, "return function() while true do pcall(timer.sleep, 100) end end", 50 * NS_PER_MS);
  run(f);
  assert_int_equal(o.status, POLICY_TIMEOUT);
  start(f, &o, "return function() while true do end end", 100 * NS_PER_MS);
  run(f);
  assert_int_equal(o.status, POLICY_TIMEOUT);
  assert_true(clock_mono_ns() - begun < 60 * NS_PER_S);
}

static int closed;
static int l_note(lua_State *L) {
  (void)L;
  closed++;
  return 0;
}

static void on_cancel(void *arg) {
  struct outcome *o = arg;
  struct policy p = vm_policy(o->f->vm);
  p.cancel(p.self, (uint64_t)o->calls);
  o->calls = 0;
  loop_stop(o->f->loop);
}

static void cancel(void **state) {
  struct fixture *f = *state;
  closed = 0;
  lua_pushglobaltable(f->vm->L);
  lua_pushliteral(f->vm->L, "note");
  lua_pushcfunction(f->vm->L, l_note);
  lua_rawset(f->vm->L, -3);
  lua_pop(f->vm->L, 1);
  struct outcome o;
  struct policy p = vm_policy(f->vm);
  uint64_t id =
      start(f, &o, "return function() local x <close> = setmetatable({}, { __close = note }) timer.sleep(100) end", 0);
  f->left = 0;
  struct timer *t = timer_new(f->loop, on_cancel, &o);
  o.calls = (int)id;
  timer_after(t, 20 * NS_PER_MS);
  run(f);
  timer_free(t);
  struct outcome after;
  start(f, &after, "return function() return 1 end", 0);
  run(f);
  free(after.result);
  assert_int_equal(o.calls, 0); /* done was not called */
  assert_int_equal(closed, 1);
  p.cancel(p.self, id); /* stale */
  p.cancel(p.self, 0);
  p.cancel(p.self, UINT64_MAX);
  assert_int_equal(task_count(f->sched), 0);
}

/* --- an operation of our own, completed too often and too late --- */

static uint64_t tokens[4];
static int n_tokens, cancelled, dropped;

static void on_op_cancel(void *arg) {
  (void)arg;
  cancelled++;
}

static int l_operation(lua_State *L) {
  tokens[n_tokens++ % 4] = task_wait(L);
  return task_suspend(L, on_op_cancel, NULL);
}

static void drop(void *data) {
  (void)data;
  dropped++;
}

static int l_push_42(lua_State *L, void *data) {
  lua_pushinteger(L, *(int *)data);
  return 1;
}

static void on_complete(void *arg) {
  struct fixture *f = arg;
  static int value = 42;
  task_ready(f->sched, tokens[0], l_push_42, &value, drop);
  task_ready(f->sched, tokens[0], l_push_42, &value, drop); /* double */
}

static void tokens_go_stale(void **state) {
  struct fixture *f = *state;
  n_tokens = cancelled = dropped = 0;
  lua_pushglobaltable(f->vm->L);
  lua_pushliteral(f->vm->L, "operation");
  lua_pushcfunction(f->vm->L, l_operation);
  lua_rawset(f->vm->L, -3);
  lua_pop(f->vm->L, 1);
  struct outcome o;
  start(f, &o, "return function() return operation() end", 0);
  struct timer *t = timer_new(f->loop, on_complete, f);
  timer_after(t, 10 * NS_PER_MS);
  run(f);
  assert_string_equal(o.result, "[42]");
  free(o.result);
  assert_int_equal(dropped, 2);
  assert_int_equal(task_stale(f->sched), 1);
  start(f, &o, "return function() return operation() end", 30 * NS_PER_MS);
  run(f);
  assert_int_equal(o.status, POLICY_TIMEOUT);
  assert_int_equal(cancelled, 1);
  task_ready(f->sched, tokens[1], NULL, NULL, drop); /* late */
  task_ready(f->sched, UINT64_MAX, NULL, NULL, drop);
  assert_int_equal(task_stale(f->sched), 3);
  timer_free(t);
}

static void environment(void **state) {
  struct fixture *f = *state;
  static const char *const gone[] = {"io", "debug", "package", "dofile", "loadfile", "warn"};
  for (size_t i = 0; i < ARRAY_LEN(gone); i++) {
    char chunk[128];
    snprintf(chunk, sizeof chunk, "return function() return rawget(_G, '%s') == nil end", gone[i]);
    expect(f, chunk, "[true]");
  }
  expect(f, "return function() return os.exit, os.execute, os.getenv, os.remove, string.dump end",
         "[null,null,null,null,null]");
  expect(f, "return function() return load('\\27Lua') == nil, (load('return 1 + 1'))() end", "[true,2]");
  expect_error(f, "return function() setmetatable({}, { __gc = print }) end", "__gc is not possible");
  expect_error(f, "return function() require 'os.path' end", "there is no script \"os.path\"");
  expect_error(f, "return function() require '../x' end", "no name of a script");
  expect(f, "return function() return require('timer') == timer, require('string') == string end", "[true,true]");
  expect(f,
         "return function() return json.encode { b = 1, a = { true, json.null } }, json.decode('[1,{\"x\":2}]')[2].x "
         "end",
         "[\"{\\\"a\\\": [true, null], \\\"b\\\": 1}\",2]");
  expect(f, "return function() local v, e = json.decode('{') return v, e.code, tostring(e):match('not valid') end",
         "[null,\"json\",\"not valid\"]");
  expect(f, "return function() return signal.number('TERM'), signal.name(9), clock.format(0) end",
         "[15,\"KILL\",\"1970-01-01T00:00:00.000Z\"]");
}

static void timers(void **state) {
  struct fixture *f = *state;
  expect(f,
         "return function() local n = 0 local t = timer.every(0.002, function() n = n + 1 end) "
         "while n < 3 do timer.sleep(0.002) end t:cancel() t:cancel() timer.sleep(0.01) local at = n timer.sleep(0.02) "
         "return at == n end",
         "[true]");
  expect(f,
         "return function() local r timer.after(0.001, function() timer.sleep(0.001) r = 5 end) "
         "while not r do timer.sleep(0.001) end return r end",
         "[5]");
  expect_error(f, "return function() timer.after(-1, print) end", "expected seconds, 0 or more, got -1");
  expect_error(f, "return function() timer.sleep(0/0) end", "expected seconds");
  expect_error(f, "return function() timer.every(0, print) end", "at least 0.001");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(results, setup, teardown),
      cmocka_unit_test_setup_teardown(sleeping, setup, teardown),
      cmocka_unit_test_setup_teardown(thousand_sleepers, setup, teardown),
      cmocka_unit_test_setup_teardown(runaways, setup, teardown),
      cmocka_unit_test_setup_teardown(loop_goes_on, setup, teardown),
      cmocka_unit_test_setup_teardown(long_work, setup_long, teardown),
      cmocka_unit_test_setup_teardown(short_work_among_runaways, setup_long, teardown),
      cmocka_unit_test_setup_teardown(coroutines, setup, teardown),
      cmocka_unit_test_setup_teardown(memory, setup_long, teardown),
      cmocka_unit_test_setup_teardown(deadline, setup, teardown),
      cmocka_unit_test_setup_teardown(cancel, setup, teardown),
      cmocka_unit_test_setup_teardown(tokens_go_stale, setup, teardown),
      cmocka_unit_test_setup_teardown(environment, setup, teardown),
      cmocka_unit_test_setup_teardown(timers, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
