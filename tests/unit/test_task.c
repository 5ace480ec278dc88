/* Tasks on the real loop: what they return, wait for and may see; what ends them from outside. */
#include "task_scene.h"

static void results(void **state) {
  struct fixture *f = *state;
  expect(f, "return function(t) return t.a[2], nil, { x = { 1, 2 } }, 'é' end", "[2.5,null,{\"x\":[1,2]},\"é\"]");
  expect(f, "return function() end", "[]");
  expect_error(f, "return function() return print end", "returned value 1: a function cannot be converted");
  expect_error(f, "return function()\n  error('bad') end", "test.lua:2: bad");
  expect_error(f, "return function() error({ message = 'own' }) end", "own");
  expect_error(f, "return function()\n  error() end", "test.lua:2: error value is a nil");
  expect_error(f, "return function() error(setmetatable({}, { __tostring = function() while true do end end })) end",
               "test.lua:1: error value is a table");
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
  expect_error(f, "return function() tostring(setmetatable({}, { __tostring = function() timer.sleep(1) end })) end",
               "cannot wait inside");
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
      cmocka_unit_test_setup_teardown(coroutines, setup, teardown),
      cmocka_unit_test_setup_teardown(cancel, setup, teardown),
      cmocka_unit_test_setup_teardown(tokens_go_stale, setup, teardown),
      cmocka_unit_test_setup_teardown(environment, setup, teardown),
      cmocka_unit_test_setup_teardown(timers, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
