/* Functions of scripts that Lua's library calls: interrupted like all else, or ended soon. */
#include "task_scene.h"

/* A function that the library calls is interrupted like any other: of a task that waits a moment again and again, the
 * turns come meanwhile. */
static void callbacks_hold_nobody(void **state) {
  static const char *const busy[] = {
      "local t = {} for i = 1, 99999 do t[i] = i * 7919 % 100000 end table.sort(t, function(a, b) return a < b end) "
      "return t[1] <= t[2] and t[99998] <= t[99999]",
      "local t = {} for i = 1, 99999 do t[i] = i * 7919 % 100000 end table.sort(t) return t[99998] <= t[99999]",
      "local order = { __lt = function(a, b) return a[1] < b[1] end } local t = {} for i = 1, 30000 do "
      "t[i] = setmetatable({ i * 7919 % 60000 }, order) end table.sort(t) return t[1] < t[2] and t[29999] < t[30000]",
      "return #('x'):rep(300):gsub('.', function(c) for _ = 1, 60000 do end return c .. c end) == 600",
      "return #('x'):rep(300):gsub('.', setmetatable({}, { __index = function(_, c) for _ = 1, 60000 do end "
      "return c .. c end })) == 600",
      "local n = 0 return load(function() for _ = 1, 60000 do end n = n + 1 return n < 300 and ' ' or n == 300 and "
      "'return 5' or nil end)() == 5",
  };
  struct fixture *f = *state;
  for (size_t i = 0; i < ARRAY_LEN(busy); i++) {
    char chunk[512];
    struct outcome work, quick;
    snprintf(chunk, sizeof chunk, "return function() %s end", busy[i]);
    start(f, &work, chunk, 0);
    f->left = 0;
    start(f, &quick, "return function() for i = 1, 2 do timer.sleep(0) end return 'done' end", 0);
    run(f);
    if (work.calls) fail_msg("%s: %s", busy[i], work.status == POLICY_OK ? "nobody had a turn" : work.message);
    assert_string_equal(quick.result, "[\"done\"]");
    f->left = 1;
    run(f);
    if (work.status != POLICY_OK) fail_msg("%s: %s", busy[i], work.message);
    assert_string_equal(work.result, "[true]");
    free(quick.result);
    free(work.result);
  }
}

static void callbacks(void **state) {
  struct fixture *f = *state;
  expect(f,
         "return function() local t = { 3, 1, 2 } table.sort(t, function(a, b) timer.sleep(0.001) return a < b end) "
         "return t, (('ab'):gsub('.', function(c) timer.sleep(0.001) return c:upper() end)) end",
         "[[1,2,3],\"AB\"]");
  expect(f,
         "return function() local co = coroutine.wrap(function() local t = { 3, 1, 2 } table.sort(t, function(a, b) "
         "coroutine.yield('asked') return a < b end) return table.concat(t) end) local got = {} repeat got[#got + 1] = "
         "co() until got[#got] ~= 'asked' return got[1], got[#got] end",
         "[\"asked\",\"123\"]");
  expect_error(f, "return function()\ntable.sort({ 1, 'a' }) end", "attempt to compare");
  expect_error(f, "return function()\ntable.sort({ 1, {} }) end", "test.lua:2: attempt to compare");
  expect_error(f, "return function()\ntable.sort(5) end",
               "test.lua:2: bad argument #1 to 'sort' (table expected, got number)");
  expect_error(f, "return function()\ntable.sort({ 1, 2 }, 5) end",
               "test.lua:2: bad argument #2 to 'sort' (function expected, got number)");
  expect_error(f, "return function()\ntable.sort(setmetatable({}, { __len = function() return 1 << 40 end })) end",
               "test.lua:2: bad argument #1 to 'sort' (array too big)");
  expect_error(f, "return function() table.sort(setmetatable({}, { __len = function() return 1 << 30 end })) end",
               "not enough memory");
  expect_error(f, "return function()\nreturn (('x'):gsub('[', print)) end", "test.lua:2: malformed pattern");
  expect_error(f, "return function()\nreturn (('x'):gsub('x', function() return {} end)) end",
               "test.lua:2: invalid replacement value (a table)");
  expect_error(f, "return function()\nreturn (('x'):gsub('x', true)) end",
               "test.lua:2: bad argument #2 to 'gsub' (string/function/table expected, got boolean)");
  expect(f, "return function() return select(2, load(('x = 1 '):rep(200000))) end",
         "[\"load: the text is longer than 1048576 bytes\"]");
  expect(f, "return function() return select(2, load(function() return 'x = 1 ' end)) end",
         "[\"load: the text is longer than 1048576 bytes\"]");
  expect(f, "return function() return ('ab'):rep(3, ','), ('ab'):rep(0), ('ab'):rep(1, '--'), #('x'):rep(1000001) end",
         "[\"ab,ab,ab\",\"\",\"ab\",1000001]");
}

/* What the library calls otherwise cannot be interrupted, and ends soon. */
static void metamethods_end(void **state) {
  struct fixture *f = *state;
  int64_t before = sched_used_ns(f->sched);
  expect_error(f, "return function() tostring(setmetatable({}, { __tostring = function() while true do end end })) end",
               "in a metamethod that a function of the library has called");
  expect(f,
         "return function() local co = coroutine.create(function() local x <close> = setmetatable({}, { __close = "
         "function() while true do end end }) coroutine.yield() end) coroutine.resume(co) "
         "return (coroutine.close(co)) end",
         "[false]");
  assert_true(sched_used_ns(f->sched) - before < 10 * TASK_STRETCH_NS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(callbacks_hold_nobody, setup_long, teardown),
      cmocka_unit_test_setup_teardown(callbacks, setup, teardown),
      cmocka_unit_test_setup_teardown(metamethods_end, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
