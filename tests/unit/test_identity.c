/* What a function is over generations; loading in slices; generations of kept texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/str.h"
#include "lua/l.h"

static struct loop *loop;
static struct sched *sched;
static struct settings *settings;
static char dir[64], path[96], module[96];

static int setup(void **state) {
  (void)state;
  str_copy(dir, sizeof dir, "/tmp/tend-identity-XXXXXX");
  assert_non_null(mkdtemp(dir));
  snprintf(path, sizeof path, "%s/flow.lua", dir);
  snprintf(module, sizeof module, "%s/mod.lua", dir);
  loop = loop_new();
  settings = settings_new();
  sched = sched_new(loop, NULL);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  sched_free(sched);
  settings_free(settings);
  loop_free(loop);
  unlink(path);
  unlink(module);
  rmdir(dir);
  return 0;
}

static void put(const char *to, const char *text) {
  auto_file FILE *f = fopen(to, "w");
  assert_true(f && fputs(text, f) >= 0 && fflush(f) == 0);
}

static struct vm_host host(void) {
  return (struct vm_host){.sched = sched, .loop = loop, .settings = settings, .scripts = dir, .flow = "x"};
}

/* What `fn` of that flow is. */
static uint64_t identity(const char *text, const char *mod) {
  struct err err = ERR_INIT;
  auto_json cJSON *flow = NULL;
  put(path, text);
  put(module, mod);
  const struct vm_host h = host();
  struct vm *vm = vm_new(&h, &err);
  if (vm_load_flow(vm, path, &flow, &err)) fail_msg("%s", err.msg);
  const cJSON *fn = cJSON_GetObjectItem(cJSON_GetObjectItem(flow, "fn"), "$fn");
  assert_non_null(fn);
  struct policy p = vm_policy(vm);
  uint64_t is = p.identity(p.self, fn->valueint);
  vm_free(vm);
  return is;
}

static const char none[] = "return {}";

#define SAME(a, b) assert_true(identity(a, none) == identity(b, none))
#define OTHER(a, b) assert_true(identity(a, none) != identity(b, none))

static void test_text(void **state) {
  (void)state;
  SAME("return { fn = function() return 1 end }", "return { fn = function() return 1 end }");
  SAME("return { fn = function()\n return 1\nend }",
       "local a = 1\nreturn { b = 2, fn = function() -- the same\n\n return 1 end }");
  OTHER("return { fn = function(a) return a.x end }", "return { fn = function(a) return a.y end }");
  OTHER("return { fn = function() return function() return 1.5 end end }",
        "return { fn = function() return function() return 1.25 end end }");
  OTHER("return { fn = function() return 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' end }",
        "return { fn = function() return 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab' end }");
  OTHER("return { fn = function() return 1 end }", "return { fn = function() return 2 end }");
}

static void test_upvalues(void **state) {
  (void)state;
#define CATCH(value) "local x = " value "\nreturn {\nfn = function() return x end }"
  SAME(CATCH("{ a = 1, b = { 2, 'three' }, c = true }"), CATCH("{ c = true, b = { 2, 'three' }, a = 1 }"));
  OTHER(CATCH("{ a = 1, b = { 2, 'three' } }"), CATCH("{ a = 1, b = { 2, 'four' } }"));
  OTHER(CATCH("1"), CATCH("1.0"));
  OTHER(CATCH("{ 1, 2 }"), CATCH("{ 2, 1 }"));
  OTHER(CATCH("{ {}, { 1 } }"), CATCH("{ { 1 }, {} }"));
  /* circles, and what lies far behind */
  SAME(CATCH("{} x.x = x"), CATCH("{} x.x = x"));
  OTHER(CATCH("{} x.x = x"), CATCH("{} x.x = { x = 1 }"));
  OTHER(CATCH("{ a = { a = { a = { a = { a = { a = { a = 1 } } } } } } }"),
        CATCH("{ a = { a = { a = { a = { a = { a = { a = 2 } } } } } } }"));
  /* a closure of a factory is told by what it was made with */
#define MADE(value) "local function make(url)\n return function() return url end\nend\nreturn {\nfn = make(" value ") }"
  SAME(MADE("'a'"), MADE("'a'"));
  OTHER(MADE("'a'"), MADE("'b'"));
}

static void test_modules(void **state) {
  (void)state;
  const char *flow = "local m = require 'mod'\nreturn {\nfn = function() return m.f() end }";
  uint64_t one = identity(flow, "return {\nf = function() return 1 end }");
  assert_true(one == identity(flow, "local unused = 3\nreturn {\nf = function() return 1 end }"));
  assert_true(one != identity(flow, "return {\nf = function() return 2 end }"));
  const char *used = "local m = require 'mod'\nreturn {\nfn = m.f }";
  assert_true(identity(used, "return {\nf = function() return 1 end }") ==
              identity(used, "return { g = 1,\nf = function() return 1 end }"));
}

static void test_calls_change_nothing(void **state) {
  (void)state;
  SAME("local n = 0\nlocal function f() n = n + 1 end\nreturn {\nfn = f }",
       "local n = 0\nlocal function f() n = n + 1 end\nreturn {\nfn = f }");
  SAME("local log = log\nreturn {\nfn = function() log.info 'x' end }",
       "local log = log\nlocal more = 1\nreturn {\nfn = function() log.info 'x' end }");
}

/* --- slices ------------------------------------------------------------------------------------------------------ */

struct loaded {
  cJSON *flow;
  struct err err;
  unsigned calls, turns;
};

static void on_loaded(void *arg, cJSON *flow, const struct err *err) {
  struct loaded *l = arg;
  l->flow = flow;
  l->err = *err;
  l->calls++;
  loop_stop(loop);
}

static void on_turn(void *arg) {
  struct loaded *l = arg;
  l->turns++;
  if (!l->calls) assert_int_equal(loop_defer(loop, on_turn, l), 0);
}

static struct loaded load(struct vm *vm, const char *text) {
  struct loaded l = {.err = ERR_INIT};
  put(path, text);
  if (vm_begin_flow(vm, path, on_loaded, &l, &l.err)) return l;
  loop_defer(loop, on_turn, &l);
  loop_run(loop);
  loop_cancel(loop, on_turn, &l);
  assert_int_equal(l.calls, 1);
  return l;
}

static void test_slices(void **state) {
  (void)state;
  const struct vm_host h = host();
  struct vm *vm = vm_new(&h, NULL);
  put(module, "local n = 0 for i = 1, 4e7 do n = n + i end return { n = n }");
  struct loaded l = load(vm, "return { a = require('mod').n, fn = function() end }");
  if (!l.flow) fail_msg("%s", l.err.msg);
  assert_true(l.turns > 1);
  assert_true(cJSON_IsNumber(cJSON_GetObjectItem(l.flow, "a")));
  assert_int_equal(vm_sources(vm)->n, 2);
  assert_non_null(sources_find(vm_sources(vm), module));
  cJSON_Delete(l.flow);
  assert_int_equal(vm_tasks(vm), 0);
  vm_free(vm);
}

static void fails(const char *text, const char *mod, const char *part) {
  const struct vm_host h = host();
  struct vm *vm = vm_new(&h, NULL);
  put(module, mod);
  struct loaded l = load(vm, text);
  assert_null(l.flow);
  if (!strstr(l.err.msg, part)) fail_msg("%s: \"%s\" is not in: %s", text, part, l.err.msg);
  vm_free(vm);
}

static void test_failures(void **state) {
  (void)state;
  fails("return {", none, "flow.lua:1: ");
  fails("while true do end", none, "flow.lua:1: ");
  fails("return { require 'mod' }", "\nwhile true do end", "mod.lua:2: ");
  fails("return { require 'mod' }", "\nerror 'broken'", "mod.lua:2: broken");
  fails("return { require 'mod' }", "\nreturn require 'mod'",
        "mod.lua:2: require: \"mod\" requires itself in a circle");
  fails("\nreturn { require 'nothing' }", none, "flow.lua:2: require: there is no script \"nothing\"");
  fails("timer.sleep(1)\nreturn {}", none, "cannot wait here");
  fails("return 7", none, "flow.lua:1: a flow file returns a table");
  fails("return {\n-- caf\xe9\n}", none, "flow.lua:2: is not UTF-8 (byte 0xe9)");
  fails("\x1bLua", none, "compiled Lua");
}

/* --- kept texts -------------------------------------------------------------------------------------------------- */

static void test_given(void **state) {
  (void)state;
  struct err err = ERR_INIT;
  struct sources kept = {0};
  const char *flow = "return { a = require('mod').a }", *mod = "return { a = 'kept' }";
  assert_int_equal(sources_add(&kept, path, flow, strlen(flow)), 0);
  assert_int_equal(sources_add(&kept, module, mod, strlen(mod)), 0);
  put(path, "this is broken");
  put(module, "this too");
  struct vm_host h = host();
  h.given = &kept;
  struct vm *vm = vm_new(&h, &err);
  auto_json cJSON *json = NULL;
  if (vm_load_flow(vm, path, &json, &err)) fail_msg("%s", err.msg);
  assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(json, "a")), "kept");
  assert_true(sources_same(vm_sources(vm), &kept));
  vm_free(vm);
  kept.list[0].text[0] = 'R';
  struct sources other = {0};
  assert_false(sources_same(&other, &kept));
  sources_free(&kept);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_text, setup, teardown),
      cmocka_unit_test_setup_teardown(test_upvalues, setup, teardown),
      cmocka_unit_test_setup_teardown(test_modules, setup, teardown),
      cmocka_unit_test_setup_teardown(test_calls_change_nothing, setup, teardown),
      cmocka_unit_test_setup_teardown(test_slices, setup, teardown),
      cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
      cmocka_unit_test_setup_teardown(test_given, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
