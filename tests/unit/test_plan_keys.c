/* The plan: every key of a flow that is wrong is told by its name. */
#include "plan_scene.h"

static void test_flow_keys(void **state) {
  (void)state;
  bad_n("3", "the flow", "expected a table", 1);
  bad_n("'x'", "the flow", "expected a table", 1);
  bad_n("null", "the flow", "return {", 1);
  bad_n("{'$fn': 1}", "the flow", "a function", 1);
  bad_n("[]", "the flow", "expected a table", 1);
  bad_n("{}", "name", "missing", 2);
  bad_n("{'name': 'x'}", "processes", "at least the main process", 1);
  bad_n(flow("'sumary': 's'"), "sumary", "did you mean \"summary\"", 1);
  bad_n(flow("'zzzzzz': 's'"), "zzzzzz", "unknown key: remove it", 1);
  bad_n(flow("'summary': 3"), "summary", "text", 1);
  bad_n(flow("'mode': 'demon'"), "mode", "did you mean \"daemon\"", 1);
  bad_n(flow("'resources': {'memory_mb': '512'}"), "resources.memory_mb", "without quotes", 1);
  bad_n(flow("'resources': {'memory': 512}"), "resources.memory", "memory_mb", 1);
  bad_n(flow("'resources': {'cpu_percent': 0}"), "resources.cpu_percent", "from 1 to", 1);
  bad_n(flow("'resources': {'cpus': 1.5}"), "resources.cpus", "whole number", 1);
  bad_n(flow("'resources': 512"), "resources", "table", 1);
  bad_n(flow("'settings': {'A': {}}"), "settings.A", "text, a number", 1);
  bad_n(flow("'settings': {'A': 1, 'CONTAINER_A': 2}"), "settings.CONTAINER_A", "each setting once", 1);
  bad_n(flow("'mode': 'single', 'settings': {'EXECUTION_MODE': 'daemon'}"), "settings.EXECUTION_MODE", "once", 1);
  bad_n(flow("'requires': [3]"), "requires[1]", "name of a setting", 1);
  bad_n(flow("'directories': ['a']"), "directories[1]", "absolute", 1);
  bad_n(flow("'directories': [{'path': '/a', 'mak': true}]"), "directories[1].mak", "did you mean \"make\"", 1);
  bad_n(flow("'directories': [{}]"), "directories[1]", "absolute", 1);
  bad_n(flow("'directories': '/a'"), "directories", "a list", 1);
  bad_n(flow("'remedies': [3]"), "remedies[1]", "a table", 1);
  bad_n("{'name': 'X y', 'processes': {'main': ['a']}}", "name", "small letters", 1);
  struct plan_options options = {.file = "f.lua", .name = "other"};
  auto_json cJSON *json = parse(flow(""));
  struct problems problems = {0};
  struct plan *plan = NULL;
  assert_int_equal(plan_from_json(json, &options, &plan, &problems), -22);
  assert_string_equal(problems.items[0].name, "name");
  problems_free(&problems);
  options.name = "asked";
  auto_plan struct plan *named = good_with("{'processes': {'main': ['a']}}", &options);
  assert_string_equal(named->name, "asked");
}

/* One remedy beside a check c. */
static const char *remedy(const char *rest) {
  static char text[800];
  snprintf(text, sizeof text, "'checks': [{'name': 'c', 'check': {'$fn': 1}}], 'remedies': [{%s}]", rest);
  return flow(text);
}

static void test_remedy_keys(void **state) {
  (void)state;
  const char *steps = "remedies[1].steps";
  bad_n(flow("'remedies': 3"), "remedies", "a list", 1);
  bad_n(flow("'remedies': [{'$fn': 1}]"), "remedies[1]", "a table", 1);
  bad_n(remedy("'step': []"), "remedies[1].step", "did you mean \"steps\"", 2);
  bad_n(remedy("'name': 'r'"), steps, "at least one step", 1);
  bad_n(remedy("'steps': []"), steps, "at least one step", 1);
  bad_n(remedy("'steps': 3"), steps, "a list", 2);
  bad_n(remedy("'check': 'd', 'steps': [{'$fn': 1}]"), "remedies[1].check", "name of a check", 1);
  bad_n(remedy("'check': ['c', 3], 'steps': [{'$fn': 1}]"), "remedies[1].check[2]", "name of a check", 1);
  bad_n(remedy("'failures': 0, 'steps': [{'$fn': 1}]"), "remedies[1].failures", "from 1 to", 1);
  bad_n(remedy("'max': 65, 'steps': [{'$fn': 1}]"), "remedies[1].max", "from 1 to 64", 1);
  bad_n(remedy("'window': 0, 'steps': [{'$fn': 1}]"), "remedies[1].window", "from 1s", 1);
  bad_n(remedy("'name': 'a b', 'steps': [{'$fn': 1}]"), "remedies[1].name", "letters", 1);
  bad_n(remedy("'steps': [{'$fn': 1}]}, {'name': 'remedy_1', 'steps': [{'$fn': 1}]"), "remedies[2].name",
        "no other remedy", 1);
  bad_n(remedy("'steps': [3]"), "remedies[1].steps[1]", "a table or a function", 1);
  bad_n(remedy("'steps': [{'name': 'x'}]"), "remedies[1].steps[1]", "it has neither", 1);
  bad_n(remedy("'steps': [{'kind': 'fail', 'run': {'$fn': 1}}]"), "remedies[1].steps[1]", "it has both", 1);
  bad_n(remedy("'steps': [{'kind': 'fial'}]"), "remedies[1].steps[1].kind", "did you mean \"fail\"", 1);
  bad_n(remedy("'steps': [{'kind': 'fail', 'params': {'x': 1}}]"), "remedies[1].steps[1].params.x", "unknown key", 1);
  bad_n(remedy("'steps': [{'kind': 'fail'}, {'kind': 'fail'}]"), "remedies[1].steps[2].name", "no other step", 1);
  bad_n(remedy("'steps': [{'kind': 'signal'}]"), "remedies[1].steps[1].params.signal", "a signal by name", 1);
  bad_n(remedy("'steps': [{'kind': 'signal', 'params': {'signal': 'USR3'}}]"), "remedies[1].steps[1].params.signal",
        "a signal by name", 1);
  bad_n(remedy("'steps': [{'kind': 'restart', 'params': {'process': 'mian'}}]"), "remedies[1].steps[1].params.process",
        "did you mean \"main\"", 1);
  bad_n(remedy("'steps': [{'kind': 'command'}]"), "remedies[1].steps[1].params.command", "a list of the program", 1);
  bad_n(remedy("'steps': [{'kind': 'remove_temporary', 'params': {'path': '/a'}}]"),
        "remedies[1].steps[1].params.older_than_s", "the age", 1);
  bad_n(remedy("'steps': [{'kind': 'rotate_logs', 'params': {'path': 'a'}}]"), "remedies[1].steps[1].params.path",
        "absolute", 1);
  bad_n(remedy("'steps': [{'kind': 'slow_checks', 'params': {'factor': 0}}]"), "remedies[1].steps[1].params.factor",
        "from 1 to 100", 1);
  bad_n(remedy("'steps': [{'$fn': 1}], 'escalate': [{'kind': 'fail', 'timeout': -1}]"),
        "remedies[1].escalate[1].timeout", "seconds", 1);
}

static void test_scale_keys(void **state) {
  (void)state;
  const char *scale = "processes.w.scale";
  static const char with[] =
      "{'name': 'x', 'processes': {'main': ['a'], 'w': {'command': ['b'], 'instances': 2, 'scale': %s}}}";
  char text[400];
#define SCALE(rest) (snprintf(text, sizeof text, with, rest), text)
  bad_n(SCALE("3"), scale, "a table", 1);
  bad_n(SCALE("{}"), "processes.w.scale.measure", "it is missing", 1);
  bad_n(SCALE("{'measure': 3}"), "processes.w.scale.measure", "a function", 1);
  bad_n(SCALE("{'measure': {'$fn': 1}, 'max': 1}"), scale, "it is 1 <= 2 <= 1", 1);
  bad_n(SCALE("{'measure': {'$fn': 1}, 'min': 3, 'max': 4}"), scale, "min <= instances <= max", 1);
  bad_n(SCALE("{'measure': {'$fn': 1}, 'mx': 4}"), "processes.w.scale.mx", "did you mean \"max\"", 1);
  bad_n("{'name': 'x', 'processes': {'main': {'command': ['b'], 'scale': {'max': 2, 'measure': {'$fn': 1}}}}}",
        "processes.main.instances", "one instance", 1);
#undef SCALE
}

static void test_process_keys(void **state) {
  (void)state;
  const char *m = "processes.main";
  bad_n("{'name': 'x', 'processes': {'main': 3}}", m, "a table", 1);
  bad_n("{'name': 'x', 'processes': {'main': {}}}", "processes.main.command", "missing", 1);
  bad_n("{'name': 'x', 'processes': {'main': {'command': []}}}", "processes.main.command", "program", 1);
  bad_n("{'name': 'x', 'processes': {'main': {'command': 'sleep 10'}}}", "processes.main.command", "no shell", 1);
  bad_n("{'name': 'x', 'processes': {'main': {'command': [3]}}}", "processes.main.command[1]", "program", 1);
  bad_n("{'name': 'x', 'processes': {'main': {'command': ['a', true]}}}", "processes.main.command[2]", "text", 1);
  {
    char *text = malloc(300 * 1024);
    char *word = malloc(131072 + 1);
    assert_non_null(text);
    assert_non_null(word);
    memset(word, 'x', 131072);
    word[131072] = 0;
    snprintf(text, 300 * 1024, "{'name': 'x', 'processes': {'main': {'command': ['echo', '%s']}}}", word);
    bad_n(text, "processes.main.command[2]", "128 KiB", 1);
    /* a long key is told in short */
    snprintf(text, 300 * 1024, "{'name': 'x', 'processes': {'main': ['true'], '%s': ['true']}}", word);
    word[80] = 0;
    char name[128];
    snprintf(name, sizeof name, "processes[\"%s\"...]", word);
    bad_n(text, name, "a name of", 1);
    free(word);
    free(text);
  }
  bad_n("{'name': 'x', 'processes': {'main': {'comand': ['a']}}}", "processes.main.comand", "\"command\"", 2);
  bad_n("{'name': 'x', 'processes': []}", "processes", "at least the main", 1);
  bad_n("{'name': 'x', 'processes': ['a']}", "processes", "a table with names", 1);
  bad_n("{'name': 'x', 'processes': {'a': ['x'], 'b': ['y']}}", "processes", "named main", 1);
  bad_n("{'name': 'x', 'processes': {'main': ['x'], 'b c': ['y']}}", "processes[\"b c\"]", "a name of at most", 1);
  bad_n(process("'env': {'A=': 'b'}"), "processes.main.env[\"A=\"]", "without", 1);
  bad_n(process("'env': {'A': {}}"), "processes.main.env.A", "text, a number", 1);
  bad_n(process("'env': ['A=b']"), "processes.main.env", "a table with names", 1);
  bad_n(process("'cwd': 3"), "processes.main.cwd", "text", 1);
  bad_n(process("'user': ':x'"), "processes.main.user", "user name", 1);
  bad_n(process("'user': -1"), "processes.main.user", "text", 1);
  bad_n(process("'no_new_privs': 'yes'"), "processes.main.no_new_privs", "true or false", 1);
  bad_n(process("'instances': 0"), "processes.main.instances", "from 1 to 1024", 1);
  bad_n(process("'instances': 2"), "processes.main.instances", "one instance", 1);
  bad_n(process("'mode': 'single '"), "processes.main.mode", "did you mean \"single\"", 1);
  bad_n(process("'interval': 'soon'"), "processes.main.interval", "seconds", 1);
  bad_n(process("'interval': -1"), "processes.main.interval", "seconds", 1);
  bad_n(process("'success_codes': 256"), "processes.main.success_codes", "0 to 255", 1);
  bad_n(process("'success_codes': [1, '9-3']"), "processes.main.success_codes[2]", "0 to 255", 1);
  bad_n(process("'success_codes': []"), "processes.main.success_codes", "empty", 1);
  bad_n(process("'start_timeout': 3"), "processes.main.start_timeout", "start-up check", 1);
  bad_n(process("'startup': {'kind': 'tcp', 'param': {}}"), "processes.main.startup.param", "\"params\"", 1);
  bad_n(process("'after': ['web']"), "processes.main.after[1]", "name of a process", 1);
  bad_n(process("'after': 'main'"), "processes.main.after[1]", "after itself", 1);
}

static void test_restart_and_stop_keys(void **state) {
  (void)state;
  bad_n(process("'restart': 'allways'"), "processes.main.restart", "did you mean \"always\"", 1);
  bad_n(process("'restart': 3"), "processes.main.restart", "a table", 1);
  bad_n(process("'restart': {'polcy': 'no'}"), "processes.main.restart.polcy", "\"policy\"", 1);
  bad_n(process("'restart': {'max_attempts': 2000}"), "processes.main.restart.max_attempts", "1024", 1);
  bad_n(process("'restart': {'delay': 9, 'max_delay': 3}"), "processes.main.restart.max_delay", "at least", 1);
  bad_n(process("'restart': {'jitter_percent': 101}"), "processes.main.restart.jitter_percent", "100", 1);
  bad_n(process("'restart': {'rules': {'exit': 1}}"), "processes.main.restart.rules", "a list", 1);
  bad_n(process("'restart': {'rules': [3]}"), "processes.main.restart.rules[1]", "a table", 1);
  bad_n(process("'restart': {'rules': [{'exit': 1}]}"), "processes.main.restart.rules[1].action", "missing", 1);
  bad_n(process("'restart': {'rules': [{'action': 'fail'}]}"), "processes.main.restart.rules[1]", "what it is for", 1);
  bad_n(process("'restart': {'rules': [{'exit': 1, 'signal': 9, 'action': 'fail'}]}"),
        "processes.main.restart.rules[1]", "exit or signal", 1);
  bad_n(process("'restart': {'rules': [{'signal': 'KLL', 'action': 'fail'}]}"),
        "processes.main.restart.rules[1].signal", "signal by name", 1);
  bad_n(process("'restart': {'rules': [{'reason': ['oom', 'oops'], 'action': 'fail'}]}"),
        "processes.main.restart.rules[1].reason[2]", "start_timeout", 1);
  bad_n(process("'restart': {'rules': [{'exit': 1, 'action': 'fial'}]}"), "processes.main.restart.rules[1].action",
        "\"fail\"", 1);
  bad_n(process("'stop': 'INT'"), "processes.main.stop", "a table", 1);
  bad_n(process("'stop': {'signal': 'NOPE'}"), "processes.main.stop.signal", "signal by name", 1);
  bad_n(process("'stop': {'signal': 65}"), "processes.main.stop.signal", "signal by name", 1);
  bad_n(process("'stop': {'signal_to': 'all'}"), "processes.main.stop.signal_to", "main, group", 1);
  bad_n(process("'stop': {'ladder': []}"), "processes.main.stop.ladder", "one step", 1);
  bad_n(process("'stop': {'ladder': ['TERM', 'KILL']}"), "processes.main.stop.ladder[1].wait", "missing", 1);
  bad_n(process("'stop': {'ladder': [{'wait': 1}]}"), "processes.main.stop.ladder[1].signal", "missing", 1);
  bad_n(process("'stop': {'ladder': [3]}"), "processes.main.stop.ladder[1]", "a table", 1);
  bad_n(process("'stop': {'signal': 2, 'ladder': ['TERM']}"), "processes.main.stop.signal", "or ladder", 1);
  bad_n(process("'stop': {'ladder': [2,2,2,2,2,2,2,2,2]}"), "processes.main.stop.ladder", "9 entries", 1);
  bad_n(process("'stop': {'timeout': 'x'}"), "processes.main.stop.timeout", "seconds", 1);
}

static int refuse_htp(const char *kind, const cJSON *params, struct err *err) {
  (void)params;
  return STR_EQ(kind, "htp") ? err_set(err, -22, "unknown kind \"htp\": did you mean \"http\"?") : 0;
}

static void test_dependency_keys(void **state) {
  (void)state;
  const char *d = "dependencies[1]";
  bad_n(flow("'dependencies': {'a': 1}"), "dependencies", "a list", 1);
  bad_n(flow("'dependencies': [true]"), d, "a table or a function", 1);
  bad_n(flow("'dependencies': [{'kind': 'tcp'}]"), "dependencies[1].name", "missing", 1);
  bad_n(flow("'dependencies': [{'name': 'a b', 'kind': 'tcp'}]"), "dependencies[1].name", "letters", 1);
  bad_n(flow("'dependencies': [{'name': 'a'}]"), d, "neither", 1);
  bad_n(flow("'dependencies': [{'name': 'a', 'kind': 'tcp', 'check': {'$fn': 1}}]"), d, "both", 1);
  bad_n(flow("'dependencies': [{'name': 'a', 'check': true}]"), "dependencies[1].check", "the function itself", 1);
  bad_n(flow("'dependencies': [{'name': 'a', 'check': {'$fn': 1}, 'params': {}}]"), "dependencies[1].params", "beside",
        1);
  bad_n(flow("'dependencies': [{'name': 'a', 'kind': 'tcp'}, {'name': 'a', 'kind': 'tcp'}]"), "dependencies[2].name",
        "no other", 1);
  bad_n(dependency("'timeot': 3"), "dependencies[1].timeot", "\"timeout\"", 1);
  bad_n(dependency("'timeout': 'abc'"), "dependencies[1].timeout", "\"abc\"", 1);
  bad_n(dependency("'timeout': 0"), "dependencies[1].timeout", "from 1ms", 1);
  bad_n(dependency("'attempt_timeout': 11"), "dependencies[1].attempt_timeout", "10s", 1);
  bad_n(dependency("'timeout': 2, 'attempt_timeout': 3"), "dependencies[1].attempt_timeout", "at most the timeout", 1);
  bad_n(dependency("'interval': 2, 'max_interval': 1"), "dependencies[1].max_interval", "at least the interval", 1);
  bad_n(dependency("'backoff': 0.5"), "dependencies[1].backoff", "from 1 to", 1);
  bad_n(dependency("'required': 'true'"), "dependencies[1].required", "true or false", 1);
  bad_n(dependency("'params': 3"), "dependencies[1].params", "table", 1);
  bad_n(flow("'checks': [{'name': 'c', 'kind': 'tcp', 'required': true}]"), "checks[1].required", "unknown", 1);
  bad_n(flow("'checks': [{'name': 'c', 'kind': 'tcp', 'interval': 1, 'timeout': 2}]"), "checks[1].timeout", "lower", 1);
  bad_n(flow("'checks': [{'name': 'c', 'kind': 'tcp', 'failures': 0}]"), "checks[1].failures", "from 1", 1);
  struct plan_options options = {.file = "f.lua", .check_probe = refuse_htp};
  auto_json cJSON *json = parse(flow("'dependencies': [{'name': 'a', 'kind': 'htp'}]"));
  struct problems problems = {0};
  struct plan *plan = NULL;
  assert_int_equal(plan_from_json(json, &options, &plan, &problems), -22);
  assert_non_null(strstr(problems.items[0].fix, "did you mean \"http\""));
  problems_free(&problems);
}

static void test_cleanup_and_hook_keys(void **state) {
  (void)state;
  bad_n(flow("'cleanup': [3]"), "cleanup[1]", "a table or a function", 1);
  bad_n(flow("'cleanup': [{'name': 'a'}]"), "cleanup[1]", "neither", 1);
  bad_n(flow("'cleanup': [{'name': 'a', 'run': {'$fn': 1}, 'kind': 'sync'}]"), "cleanup[1]", "both", 1);
  bad_n(flow("'cleanup': [{'name': 'a', 'kind': 'snc', 'params': {'path': '/a'}}]"), "cleanup[1].kind", "\"sync\"", 1);
  bad_n(flow("'cleanup': [{'name': 'a', 'kind': 'sync'}]"), "cleanup[1].params.path", "missing", 1);
  bad_n(flow("'cleanup': [{'name': 'a', 'kind': 'sync', 'params': {'path': 'x'}}]"), "cleanup[1].params.path",
        "absolute", 1);
  bad_n(flow("'cleanup': [{'name': 'a', 'kind': 'sync', 'params': {'path': '/x', 'keep': 1}}]"),
        "cleanup[1].params.keep", "unknown", 1);
  bad_n(flow("'cleanup': [{'name': 'a', 'kind': 'remove_temporary', 'params': {'path': '/x', 'pattern': 'a/*'}}]"),
        "cleanup[1].params.pattern", "leave out", 1);
  bad_n(
      flow("'cleanup': [{'name': 'a', 'kind': 'remove_temporary', 'params': {'path': '/x', 'pattern': ['*.a', '']}}]"),
      "cleanup[1].params.pattern[2]", "pattern", 1);
  bad_n(flow("'cleanup': [{'name': 'a', 'kind': 'remove_temporary', 'params': {'path': '/x', 'older_than': 1}}]"),
        "cleanup[1].params.older_than", "older_than_s", 1);
  bad_n(flow("'cleanup': [{'name': 'a', 'kind': 'rotate_logs', 'params': {'path': '/x', 'keep': -1}}]"),
        "cleanup[1].params.keep", "from 0", 1);
  bad_n(flow("'cleanup': [{'name': 'a', 'run': {'$fn': 1}}, {'name': 'a', 'run': {'$fn': 1}}]"), "cleanup[2].name",
        "no other", 1);
  bad_n(flow("'cleanup': [{'name': 'a', 'run': {'$fn': 1}, 'critical': 1}]"), "cleanup[1].critical", "true or", 1);
  bad_n(flow("'hooks': {'on_strat': {'$fn': 1}}"), "hooks.on_strat", "\"on_start\"", 1);
  bad_n(flow("'hooks': {'on_stop': 3}"), "hooks.on_stop", "a function", 1);
  bad_n(flow("'hooks': {'on_stop': {'timeout': 3}}"), "hooks.on_stop.run", "missing", 1);
  bad_n(flow("'hooks': [{'$fn': 1}]"), "hooks", "a table with names", 1);
}

static void test_all_at_once(void **state) {
  (void)state;
  bad_n(
      "{'name': 'X', 'sumary': 1, 'processes': {'main': {'command': [], 'instances': 'x', 'stop': {'signal': 'Q'}}}, "
      "'dependencies': [{'name': 'a'}], 'cleanup': [3], 'hooks': 3}",
      "cleanup[1]", "a table", 8);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_flow_keys),
      cmocka_unit_test(test_remedy_keys),
      cmocka_unit_test(test_scale_keys),
      cmocka_unit_test(test_process_keys),
      cmocka_unit_test(test_restart_and_stop_keys),
      cmocka_unit_test(test_dependency_keys),
      cmocka_unit_test(test_cleanup_and_hook_keys),
      cmocka_unit_test(test_all_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
