/* Generations: flow files into plans, what is refused, the modules of scripts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/str.h"
#include "core/metric.h"
#include "lua/l.h"

struct fixture {
  struct loop *loop;
  struct sched *sched;
  struct settings *settings;
  struct metrics *metrics;
  struct vm *vm;
  char dir[64];
  char path[96]; /* of the flow file */
};

static int ask(void *arg, const char *what, struct buf *out) {
  (void)arg;
  if (!STR_EQ(what, "metrics")) return -ENOENT;
  buf_str(out, "{\"startup_count\": 3}");
  return 0;
}

static void new_vm(struct fixture *f) {
  const struct vm_host host = {.sched = f->sched,
                               .loop = f->loop,
                               .settings = f->settings,
                               .metrics = f->metrics,
                               .scripts = f->dir,
                               .flow = "rpa-1",
                               .budget_ns = 200 * NS_PER_MS,
                               .script = true,
                               .ask = ask};
  struct err err = ERR_INIT;
  vm_free(f->vm);
  f->vm = vm_new(&host, &err);
  if (!f->vm) fail_msg("%s", err.msg);
}

static int setup(void **state) {
  struct fixture *f = calloc(1, sizeof *f);
  str_copy(f->dir, sizeof f->dir, "/tmp/tend-vm-XXXXXX");
  assert_non_null(mkdtemp(f->dir));
  snprintf(f->path, sizeof f->path, "%s/flow.lua", f->dir);
  f->loop = loop_new();
  f->settings = settings_new();
  f->metrics = metrics_new();
  f->sched = sched_new(f->loop, NULL);
  settings_give(f->settings, LAYER_ENVIRONMENT, "CONTAINER_RPA_1_BATCH_SIZE", "75", "environment");
  new_vm(f);
  *state = f;
  return 0;
}

static int teardown(void **state) {
  struct fixture *f = *state;
  vm_free(f->vm);
  sched_free(f->sched);
  settings_free(f->settings);
  metrics_free(f->metrics);
  loop_free(f->loop);
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", f->dir);
  assert_int_equal(system(command), 0);
  free(f);
  return 0;
}

static void put(const char *path, const void *data, size_t n) {
  auto_file FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_int_equal(fwrite(data, 1, n, file), n);
}

static cJSON *load(struct fixture *f, const char *text, struct err *err) {
  cJSON *plan = NULL;
  put(f->path, text, strlen(text));
  new_vm(f);
  vm_load_flow(f->vm, f->path, &plan, err);
  return plan;
}

static void loads(struct fixture *f, const char *text, const char *json) {
  struct err err = ERR_INIT;
  auto_json cJSON *plan = load(f, text, &err);
  if (!plan) fail_msg("%s", err.msg);
  char *got = cJSON_PrintUnformatted(plan);
  assert_string_equal(got, json);
  free(got);
}

/* %s in `part` is the file's path */
static void refused(struct fixture *f, const char *text, const char *part) {
  struct err err = ERR_INIT;
  char wanted[512];
  int64_t begun = clock_mono_ns();
  auto_json cJSON *plan = load(f, text, &err);
  assert_null(plan);
  assert_true(err.code < 0);
  snprintf(wanted, sizeof wanted, part, f->path);
  if (!strstr(err.msg, wanted)) fail_msg("expected \"%s\" in: %s", wanted, err.msg);
  assert_true(clock_mono_ns() - begun < 60 * NS_PER_S); /* 500 ms of CPU, on a machine that does other things */
}

static void plans(void **state) {
  struct fixture *f = *state;
  loads(f, "#!/usr/bin/tend script\nreturn { name = 'x', a = { 1, 2.5, 'y', true }, e = {} }",
        "{\"a\":[1,2.5,\"y\",true],\"e\":{},\"name\":\"x\"}");
  loads(f, "local list = {} for i = 1, 3 do list[i] = i * i end return { list = list }", "{\"list\":[1,4,9]}");
  struct err err = ERR_INIT;
  auto_json cJSON *plan = load(f, "return { checks = { function() return true end } }", &err);
  const cJSON *fn = cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(plan, "checks"), 0), "$fn");
  assert_true(cJSON_IsNumber(fn) && fn->valuedouble > 0);
}

static void refusals(void **state) {
  struct fixture *f = *state;
  refused(f, "\nreturn {", "flow.lua:2: unexpected symbol near <eof>");
  refused(f, "-- x\nreturn 5", "%s:2: a flow file returns a table that describes the flow, this one returns a number");
  refused(f, "local x = 1\n", "%s:1: a flow file returns a table that describes the flow, this one returns nothing");
  refused(f, "return nil", "returns nil");
  refused(f, "return { 1, 2 }", "this one returns a list");
  refused(f, "local x\nwhile true do x = 1 end", "flow.lua:2: still not loaded after 500 ms of CPU");
  refused(f, "while true do pcall(function() while true do end end) end", "a loop at top level?");
  refused(f, "return { a = 1,\n b = { c = 0/0 } }", "%s:2: b.c: the number is not finite");
  refused(f, "return { a = {\n 1, nil, 3,\n nil, 5 } }", "a: a list has holes");
  refused(f, "return { a = { 1, x = 2 } }", "both named keys and positions");
  refused(f, "local t = {} t.t = t return t", "nested too deep");
  refused(f, "\n\nerror('no')", "flow.lua:3: no");
  refused(f, "\ntimer.sleep(1)", "flow.lua:2: cannot wait here");
  refused(f, "local t = {} for i = 1, 1e9 do t[i] = {} end", "not enough memory");
  refused(f, "return { a = \n b }", "flow.lua:2: variable \"b\" is not defined");
  refused(f, "\033Lua whatever", "%s: is compiled Lua; only text is loaded");
  refused(f, "require 'policies.nothing'", "there is no script \"policies.nothing\"");
  cJSON *plan = NULL;
  struct err err = ERR_INIT;
  put(f->path, "return {}\0", 10);
  assert_int_equal(vm_load_flow(f->vm, f->path, &plan, &err), -EINVAL);
  assert_non_null(strstr(err.msg, "NUL bytes"));
  char *big = calloc(1, LIMIT_FLOW_FILE + 1);
  memset(big, ' ', LIMIT_FLOW_FILE + 1);
  put(f->path, big, LIMIT_FLOW_FILE + 1);
  free(big);
  assert_int_equal(vm_load_flow(f->vm, f->path, &plan, &err), -EFBIG);
  assert_int_equal(vm_load_flow(f->vm, f->dir, &plan, &err), -EINVAL);
  assert_non_null(strstr(err.msg, "no regular file"));
  assert_int_equal(vm_load_flow(f->vm, "/nowhere/x.lua", &plan, &err), -ENOENT);
  unlink(f->path);
  assert_int_equal(mkfifo(f->path, 0600), 0);
  assert_int_equal(vm_load_flow(f->vm, f->path, &plan, &err), -EINVAL);
  assert_null(plan);
}

static void required_scripts(void **state) {
  struct fixture *f = *state;
  char path[128];
  snprintf(path, sizeof path, "%s/policies", f->dir);
  mkdir(path, 0700);
  snprintf(path, sizeof path, "%s/policies/a.lua", f->dir);
  put(path, "return { v = ... }", 18);
  loads(f, "return { a = require('policies.a').v, same = require 'policies.a' == require 'policies.a' }",
        "{\"a\":\"policies.a\",\"same\":true}");
  refused(f, "require 'policies.aa'", "; did you mean \"policies.a\"?");
  refused(f, "require 'policy.a'", "there is no script \"policy.a\" in ");
  put(path, "return require 'policies.a'", 27);
  refused(f, "require 'policies.a'", "requires itself in a circle");
  put(path, "\nlocal x = = 1", 14);
  refused(f, "require 'policies.a'", "policies/a.lua:2: unexpected symbol");
}

static void settings_of_a_flow(void **state) {
  struct fixture *f = *state;
  loads(
      f,
      "local set = settings.declare { BATCH_SIZE = { type = 'integer', default = 25, min = 1, max = 100, doc = 'Rows.' "
      "},\n"
      " TIMEOUT = { type = 'duration', default = '5m' }, NAME = { default = 'x-${FLOW_NAME}' }, ON = { type = 'bool', "
      "default = true }, NONE = { type = 'url' }, KIND = { choices = { 'a', 'b' }, default = 'b' } }\n"
      "return { size = set.BATCH_SIZE, timeout = set.TIMEOUT, on = set.ON, none = set.NONE == nil, kind = set.KIND,\n"
      "  ro = pcall(function() set.X = 1 end), get = settings.get 'BATCH_SIZE', has = settings.has 'NONE',\n"
      "  own = settings.get 'MAX_RESTART_ATTEMPTS', delay = settings.get 'CONTAINER_RESTART_DELAY_SECONDS' }",
      "{\"delay\":10,\"get\":75,\"has\":false,\"kind\":\"b\",\"none\":true,\"on\":true,\"own\":5,\"ro\":false,"
      "\"size\":75,\"timeout\":300}");
  struct setting_view v;
  assert_true(settings_view(f->settings, "CONTAINER_RPA_1_BATCH_SIZE", &v));
  assert_string_equal(v.origin, "environment");
  refused(f, "settings.declare { lower = {} }", "flow.lua:1: settings.declare: lower: a name has capitals");
  refused(f, "settings.declare { A = { typ = 'integer' } }", "unknown key typ");
  refused(f, "settings.declare { A = { min = 'x' } }", "settings.declare: A.min: expected a number, got string");
  refused(f, "return { a = settings.get 'NO_SUCH' }", "there is no setting NO_SUCH");
  refused(f, "local s = settings.declare {} return { a = s.B }", "setting B is not declared here");
}

static void lifecycle_calls(void **state) {
  struct fixture *f = *state;
  struct err err = ERR_INIT;
  auto_json cJSON *plan =
      load(f,
           "lifecycle.add_dependency_check { name = 'custom_service', check_function = function() return true end,\n"
           "  timeout_seconds = 30, required = true, description = 'd' }\n"
           "lifecycle.add_dependency_check { name = 'b', fn = print, timeout = 1 }\n"
           "lifecycle.add_cleanup_handler(print)\n"
           "lifecycle.add_cleanup_handler { name = 'c', run = print, critical = true }\n"
           "return { dependencies = { { name = 'first' } }, m = lifecycle.get_lifecycle_metrics() }",
           &err);
  if (!plan) fail_msg("%s", err.msg);
  const cJSON *deps = cJSON_GetObjectItem(plan, "dependencies");
  assert_int_equal(cJSON_GetArraySize(deps), 3);
  const cJSON *custom = cJSON_GetArrayItem(deps, 1);
  assert_true(cJSON_IsObject(cJSON_GetObjectItem(custom, "check")));
  assert_int_equal(cJSON_GetObjectItem(custom, "timeout")->valueint, 30);
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(plan, "cleanup")), 2);
  assert_int_equal(cJSON_GetObjectItem(cJSON_GetObjectItem(plan, "m"), "startup_count")->valueint, 3);
  refused(f, "lifecycle.add_dependency_check { name = 'x' }", "a function is missing: check = function() … end");
  refused(f, "lifecycle.add_cleanup_handler(5)", "flow.lua:1: lifecycle.add_cleanup_handler: expected a function");
}

static void own_metrics(void **state) {
  struct fixture *f = *state;
  loads(f,
        "local rows = metrics.counter('rpa_rows_total', 'Rows.', { 'result' })\n"
        "rows:inc(2, { result = 'good' }) rows:inc(nil, { result = 'good' })\n"
        "local g = metrics.gauge('rpa_files', 'Files.') g:set(5) g:dec()\n"
        "local ok1 = pcall(rows.inc, rows, 1) local ok2 = pcall(rows.set, rows, 1) local ok3 = pcall(rows.inc, rows, "
        "-1,\n"
        "  { result = 'good' })\n"
        "return { n = rows:value { result = 'good' }, g = g:value(), ok1 = ok1, ok2 = ok2, ok3 = ok3 }",
        "{\"g\":4,\"n\":3,\"ok1\":false,\"ok2\":false,\"ok3\":false}");
  const char *const good[] = {"good"};
  assert_true(metric_get(metrics_find(f->metrics, "rpa_rows_total"), good) == 3);
  refused(f, "metrics.counter('Bad-Name', 'x')", "metrics.counter");
}

static void files(void **state) {
  struct fixture *f = *state;
  char text[2048];
  snprintf(
      text, sizeof text,
      "local d = '%s/d/e' assert(fs.mkdir(d)) assert(fs.mkdir(d)) assert(fs.write_atomic(d .. '/a', "
      "'one\\ntwo\\n\\n3'))\n"
      "assert(fs.append(d .. '/b', 'x')) assert(fs.append(d .. '/b', 'y')) assert(fs.rename(d .. '/b', d .. '/c'))\n"
      "local names = {} for i, e in ipairs(assert(fs.list(d))) do names[i] = e.name .. ':' .. e.type end\n"
      "local lines = {} for l in fs.lines(d .. '/a') do lines[#lines + 1] = l end\n"
      "local none, err = fs.read(d .. '/none') assert(fs.sync(d))\n"
      "assert(fs.remove(d .. '/a'))\n"
      "return { names = names, lines = lines, size = fs.stat(d .. '/c').size, gone = fs.exists(d .. '/a'),\n"
      "  there = fs.exists(d), none = none == nil, code = err.code, part = fs.read(d .. '/c', { offset = 1 }),\n"
      "  full = select(2, fs.remove(d)).code, raised = select(2, pcall(fs.read)):match('expected a path') }",
      f->dir);
  loads(f, text,
        "{\"code\":\"enoent\",\"full\":\"enotempty\",\"gone\":false,\"lines\":[\"one\",\"two\",\"\",\"3\"],"
        "\"names\":[\"a:file\",\"c:file\"],\"none\":true,\"part\":\"y\",\"raised\":\"expected a path\",\"size\":2,"
        "\"there\":true}");
}

static void many_generations(void **state) {
  struct fixture *f = *state;
  struct err err = ERR_INIT;
  size_t first = 0;
  for (int i = 0; i < 200; i++) {
    auto_json cJSON *plan = load(f, "timer.every(60, print) return { a = { print } }", &err);
    assert_non_null(plan);
    if (i == 0) first = vm_memory(f->vm);
    assert_in_range(vm_memory(f->vm), first / 2, first * 2);
  }
  assert_int_equal(task_count(f->sched), 0);
}

struct script_result {
  struct fixture *f;
  enum policy_status status;
  int code;
};

static void on_script(void *arg, enum policy_status status, const cJSON *result, const struct err *err) {
  (void)err;
  struct script_result *r = arg;
  r->status = status;
  r->code = cJSON_IsNumber(cJSON_GetArrayItem(result, 0)) ? cJSON_GetArrayItem(result, 0)->valueint : -1;
  loop_stop(r->f->loop);
}

static void scripts(void **state) {
  struct fixture *f = *state;
  char a[] = "x", b[] = "y z";
  char *const argv[] = {a, b, NULL};
  const char *text =
      "log.info('x') log.info(5, { a = 1 }) assert(not pcall(log.info, 'x', 'y'))\n"
      "local p, q = ... assert(p == 'x' and q == 'y z' and arg[2] == q and #arg == 2)\n"
      "local got signal.on('USR1', function() got = signal.stopping() end)\n"
      "while got == nil do timer.sleep(0.001) end\n"
      "local x = 0 for i = 1, 3e7 do x = x + i end\n" /* longer than any budget */
      "return got and 7 or 8";
  put(f->path, text, strlen(text));
  struct script_result r = {.f = f};
  struct err err = ERR_INIT;
  assert_true(vm_run_script(f->vm, f->path, argv, on_script, &r, &err) != 0);
  assert_int_equal(vm_signal(f->vm, 10, true), 0); /* not yet run */
  struct timer *t = timer_new(f->loop, (loop_fn *)loop_stop, f->loop);
  timer_after(t, 20 * NS_PER_MS);
  loop_run(f->loop);
  assert_int_equal(vm_signal(f->vm, 10, true), 1);
  timer_after(t, 100 * NS_PER_S);
  loop_run(f->loop);
  timer_free(t);
  assert_int_equal(r.status, POLICY_OK);
  assert_int_equal(r.code, 7);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(plans, setup, teardown),
      cmocka_unit_test_setup_teardown(refusals, setup, teardown),
      cmocka_unit_test_setup_teardown(required_scripts, setup, teardown),
      cmocka_unit_test_setup_teardown(settings_of_a_flow, setup, teardown),
      cmocka_unit_test_setup_teardown(lifecycle_calls, setup, teardown),
      cmocka_unit_test_setup_teardown(own_metrics, setup, teardown),
      cmocka_unit_test_setup_teardown(files, setup, teardown),
      cmocka_unit_test_setup_teardown(many_generations, setup, teardown),
      cmocka_unit_test_setup_teardown(scripts, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
