/* Tasks that loop, allocate or last too long: each is ended at its limit, and the others go on. */
#include "task_scene.h"

enum { RUNAWAYS = 30 };

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

/* The CPU that all use until a task has done a little forty times, beside so many that never end. */
static int64_t used_beside(struct fixture *f, int runaways) {
  static struct outcome o[RUNAWAYS], quick;
  uint64_t id[RUNAWAYS];
  for (int i = 0; i < runaways; i++) id[i] = start(f, &o[i], "return function() while true do end end", 0);
  f->left = 0;
  start(f, &quick, "return function() for i = 1, 40 do timer.sleep(0) end return 'done' end", 0);
  int64_t before = sched_used_ns(f->sched);
  run(f);
  int64_t used = sched_used_ns(f->sched) - before;
  assert_string_equal(quick.result, "[\"done\"]");
  free(quick.result);
  for (int i = 0; i < runaways; i++) task_cancel(f->sched, id[i], TASK_CANCELLED, false);
  f->left = runaways;
  run(f);
  for (int i = 0; i < runaways; i++) assert_int_equal(o[i].calls, 1);
  return used;
}

/* Runaways, however many, wait for each other; who only does a little at a time does not wait for all of them. */
static void short_work_among_runaways(void **state) {
  struct fixture *f = *state;
  int64_t beside_one = used_beside(f, 1);
  assert_in_range(used_beside(f, RUNAWAYS), 0, beside_one * RUNAWAYS / 3);
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
  /* what it closes is interrupted, too, and a caught error is one */
  static const char *const closing[] = {
      "return function() local x <close> = setmetatable({}, { __close = function() while true do end end }) "
      "while true do end end",
      "return function() local function deep(n) if n > 0 then return deep(n - 1), 1 end while true do end end "
      "local x <close> = setmetatable({}, { __close = function() while true do end end }) deep(20) end",
      "return function() pcall(function() local x <close> = setmetatable({}, { __close = function() while true do end "
      "end }) while true do end end) end",
      "return function() local ok, e repeat ok, e = pcall(function() while true do end end) until tostring(e):find "
      "'the time limit is over' while true do end end",
  };
  for (size_t i = 0; i < ARRAY_LEN(closing); i++) {
    start(f, &o, closing[i], 50 * NS_PER_MS);
    run(f);
    assert_int_equal(o.status, POLICY_TIMEOUT);
  }
  assert_true(clock_mono_ns() - begun < 60 * NS_PER_S);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(runaways, setup, teardown),
      cmocka_unit_test_setup_teardown(loop_goes_on, setup, teardown),
      cmocka_unit_test_setup_teardown(long_work, setup_long, teardown),
      cmocka_unit_test_setup_teardown(short_work_among_runaways, setup_long, teardown),
      cmocka_unit_test_setup_teardown(memory, setup_long, teardown),
      cmocka_unit_test_setup_teardown(deadline, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
