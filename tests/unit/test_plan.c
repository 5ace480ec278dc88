/* The plan: every key right and wrong, order, lines, print, and no crash whatever comes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/plan.h"

static const struct plan_options file_options = {.file = "flows/x.lua"};

/* JSON with ' for ". */
static cJSON *parse(const char *text) {
  char *copy = strdup(text);
  for (char *c = copy; *c; c++)
    if (*c == '\'') *c = '"';
  cJSON *json = cJSON_Parse(copy);
  if (!json) fail_msg("test JSON: %s", copy);
  free(copy);
  return json;
}

static struct plan *good_with(const char *text, const struct plan_options *options) {
  auto_json cJSON *json = parse(text);
  struct problems problems = {0};
  struct plan *plan = NULL;
  int e = plan_from_json(json, options, &plan, &problems);
  if (e < 0 || problems.n) {
    struct buf b = {0};
    for (size_t i = 0; i < problems.n; i++) {
      problem_text(&problems.items[i], &b);
      buf_char(&b, '\n');
    }
    fail_msg("%s\n%s", text, buf_cstr(&b));
  }
  return plan;
}

static struct plan *good(const char *text) { return good_with(text, &file_options); }

/* A problem of that name whose text holds `part`, and n problems in all (0: any number). */
static void bad_n(const char *text, const char *name, const char *part, size_t n) {
  auto_json cJSON *json = parse(text);
  struct problems problems = {0};
  struct plan *plan = NULL;
  assert_int_equal(plan_from_json(json, &file_options, &plan, &problems), -22);
  assert_null(plan);
  bool found = false;
  struct buf all = {0};
  for (size_t i = 0; i < problems.n; i++) {
    struct buf b = {0};
    problem_text(&problems.items[i], &b);
    if (STR_EQ(problems.items[i].name, name) && strstr(buf_cstr(&b), part)) found = true;
    assert_string_equal(problems.items[i].check, "flow_file");
    assert_int_equal(problems.items[i].class, PROBLEM_CONFIG);
    buf_fmt(&all, "  %s\n", buf_cstr(&b));
    buf_free(&b);
  }
  if (!found) fail_msg("%s\nno problem of %s with \"%s\" in:\n%s", text, name, part, buf_cstr(&all));
  if (n && problems.n != n) fail_msg("%s\n%zu problems, not %zu:\n%s", text, problems.n, n, buf_cstr(&all));
  buf_free(&all);
  problems_free(&problems);
}

/* A flow with these members beside a good name and main. */
static const char *flow(const char *members) {
  static char text[16384];
  snprintf(text, sizeof(text), "{'name': 'x', 'processes': {'main': {'command': ['true']}}%s%s}",
           members[0] ? ", " : "", members);
  return text;
}

/* A flow whose main process has these members beside its command. */
static const char *process(const char *members) {
  static char text[16384];
  snprintf(text, sizeof(text), "{'name': 'x', 'processes': {'main': {'command': ['true'], %s}}}", members);
  return text;
}

static const char *dependency(const char *members) {
  static char text[4096];
  snprintf(text, sizeof(text), "'dependencies': [{'name': 'd', 'kind': 'tcp', %s}]", members);
  return flow(text);
}

static void test_smallest(void **state) {
  (void)state;
  auto_plan struct plan *plan = good("{'name': 'x', 'processes': {'main': ['sleep', '10']}}");
  assert_string_equal(plan->name, "x");
  assert_int_equal(plan->processes_n, 1);
  const struct plan_process *p = &plan->processes[0];
  assert_string_equal(p->argv[0], "sleep");
  assert_string_equal(p->argv[1], "10");
  assert_null(p->argv[2]);
  assert_null(p->env[0]);
  assert_int_equal(p->instances, 1);
  assert_int_equal(p->mode, PLAN_UNSET);
  assert_int_equal(p->restart.policy, PLAN_UNSET);
  assert_int_equal(p->stop.ladder_n, 1);
  assert_int_equal(p->stop.ladder[0].signal, 15);
  assert_true(p->essential);
  assert_int_equal(p->success_set[0], 1);
  assert_int_equal(plan->memory_mb, PLAN_UNSET);
  assert_int_equal(plan->hooks[PLAN_HOOK_DRAIN].n, 0);
}

static void test_everything(void **state) {
  (void)state;
  auto_plan struct plan *plan = good(
      "{'name': 'x', 'summary': 's', 'description': 'd', 'mode': 'server', 'resources': {'memory_mb': 512, "
      "'cpu_percent': 50, 'cpus': 2, 'disk_mb': 10}, 'settings': {'EXECUTION_INTERVAL': 60, "
      "'CONTAINER_RESTART_POLICY': 'no', 'RESTART_EXPONENTIAL_BACKOFF': false}, 'requires': "
      "['RPA_DB_CONNECTION_STRING'],"
      "'directories': ['/a', {'path': '/b', 'make': false}, false],"
      "'processes': {'web': {'command': ['w', 1, 2.5], 'env': {'A': 'b', 'N': 3, 'B': true}, 'cwd': '/tmp', "
      "'user': 'nobody:nogroup', 'no_new_privs': true, 'instances': 3, 'scale': {'min': 2, 'max': 5, 'measure': "
      "{'$fn': 2}, 'interval': 1, 'step': 1, "
      "'cooldown': 2, 'down_cooldown': 3, 'timeout': 4}, 'after': ['main'], 'mode': 'daemon', "
      "'interval': '5m', 'success_codes': [3, '64-66'], 'description': 'd',"
      "'restart': {'policy': 'always', 'max_attempts': 0, 'delay': 1, 'max_delay': 2, 'window': '1h', 'reset': 9, "
      "'exponential_backoff': false, 'jitter_percent': 10, 'rules': [{'exit': [1, '64-78'], 'action': 'fail'}, "
      "{'signal': ['KILL', 11], 'reason': 'oom', 'action': 'restart_all'}]}, "
      "'stop': {'ladder': [{'signal': 'INT', 'wait': 2}, {'signal': 'TERM'}], 'timeout': 8, 'signal_to': 'group'}, "
      "'start_timeout': 30, 'startup': {'kind': 'tcp', 'params': {'host': 'h'}}}, 'main': {'command': 'true'}}, "
      "'dependencies': [{'$fn': 7}, {'name': 'db', 'kind': 'postgres', 'params': {'setting': 'X'}, 'required': false, "
      "'timeout': 120, 'attempt_timeout': 5, 'interval': 0.5, 'backoff': 2, 'max_interval': 10, 'description': 'd', "
      "'requires': 'FLOW_NAME'}, false, {'name': 's', 'kind': 'tcp', 'skip': 'not given'}], "
      "'checks': [{'name': 'c', 'check': {'$fn': 3}, 'failures': 2, 'successes': 2, 'readiness': true, 'timeout': 1, "
      "'interval': 10}], 'cleanup': [{'$fn': 4}, {'name': 'sync', 'kind': 'sync', 'params': {'path': '/a'}, 'timeout': "
      "3, "
      "'critical': true}], 'hooks': {'on_drain': {'$fn': 5}, 'on_stop': {'run': {'$fn': 6}, 'timeout': 2}}, "
      "'remedies': [false, {'name': 'r', 'check': ['c', 's'], 'failures': 4, 'cooldown': 5, 'window': '10m', 'max': 2, "
      "'dry_run': true, 'description': 'd', 'steps': [{'$fn': 8}, false, {'kind': 'collect'}, {'name': 'hup', 'kind': "
      "'signal', 'params': {'process': 'web', 'signal': 'HUP', 'signal_to': 'group'}}, {'kind': 'command', 'params': "
      "{'command': ['x', 1]}, 'timeout': 3, 'settle': 2}, {'kind': 'remove_temporary', 'params': {'path': '/a', "
      "'older_than_s': 60}}, {'kind': 'reset_database'}, {'kind': 'slow_checks', 'params': {'factor': 2, 'for_s': 9}}],"
      "'escalate': [{'kind': 'restart', 'params': {'process': 'web'}}, {'kind': 'fail'}]}, {'steps': [{'name': 'f', "
      "'run': {'$fn': 9}}]}]}");
  assert_int_equal(plan->mode, MODE_SERVER);
  assert_int_equal(plan->directories_n, 2);
  assert_false(plan->directories[1].make);
  assert_int_equal(plan->settings_n, 6);
  assert_string_equal(plan->settings[0].name, "CONTAINER_MAX_MEMORY_MB");
  assert_string_equal(plan->settings[0].value, "512");
  assert_string_equal(plan->settings[5].value, "false");
  assert_int_equal(plan->needs_n, 2);
  assert_string_equal(plan->needs[1], "CONTAINER_FLOW_NAME");
  assert_string_equal(plan->processes[0].name, "main"); /* sorted by `after` */
  assert_int_equal(plan->main, 0);
  const struct plan_process *p = &plan->processes[1];
  assert_int_equal(p->level, 1);
  assert_int_equal(p->after[0], 0);
  assert_string_equal(p->argv[2], "2.5");
  assert_string_equal(p->env[1], "N=3");
  assert_string_equal(p->env[2], "B=true");
  assert_false(p->essential);
  assert_int_equal(p->interval_ns, 300 * NS_PER_S);
  assert_true(p->success_set[1] == 7 && p->success_set[0] == (1 | 1 << 3));
  assert_int_equal(p->restart.policy, RESTART_ALWAYS);
  assert_int_equal(p->restart.max_attempts, 0);
  assert_int_equal(p->restart.exponential, 0);
  assert_int_equal(p->restart.rules_n, 2);
  assert_true(p->restart.rules[0].has_exit && p->restart.rules[0].exit[0] == 2);
  assert_int_equal(p->restart.rules[0].exit[1], 0x7fff);
  assert_int_equal(p->restart.rules[0].action, RULE_FAIL);
  assert_false(p->restart.rules[1].has_exit);
  assert_int_equal(p->restart.rules[1].signals, 1 << 8 | 1 << 10);
  assert_int_equal(p->restart.rules[1].reasons, 1 << END_OOM);
  assert_int_equal(p->stop.ladder_n, 2);
  assert_int_equal(p->stop.ladder[0].signal, 2);
  assert_int_equal(p->stop.ladder[1].wait_ns, PLAN_UNSET);
  assert_true(p->stop.group);
  assert_string_equal(p->startup->name, "startup");
  assert_int_equal(plan->dependencies_n, 2);
  assert_string_equal(plan->dependencies[0].name, "dependency_1");
  assert_int_equal(plan->dependencies[0].fn, 7);
  assert_true(plan->dependencies[0].required);
  assert_false(plan->dependencies[1].required);
  assert_int_equal(plan->dependencies[1].interval_ns, 500 * NS_PER_MS);
  assert_int_equal(plan->skipped_n, 1);
  assert_string_equal(plan->skipped[0].skip, "not given");
  assert_int_equal(plan->checks[0].fn, 3);
  assert_int_equal(plan->cleanup_n, 2);
  assert_string_equal(plan->cleanup[0].name, "cleanup_1");
  assert_true(plan->cleanup[1].critical);
  assert_int_equal(plan->hooks[PLAN_HOOK_DRAIN].list[0].fn, 5);
  assert_int_equal(plan->hooks[PLAN_HOOK_STOP].list[0].timeout_ns, 2 * NS_PER_S);
  assert_int_equal(p->scale->min, 2);
  assert_int_equal(p->scale->max, 5);
  assert_int_equal(p->scale->step, 1);
  assert_int_equal(p->scale->fn, 2);
  assert_int_equal(p->scale->down_cooldown_ns, 3 * NS_PER_S);
  assert_int_equal(plan->remedies_n, 2);
  const struct plan_remedy *m = &plan->remedies[0];
  assert_true(m->checks_n == 1 && m->checks[0] == 0); /* s is left out */
  assert_true(m->failures == 4 && m->max == 2 && m->dry_run && m->window_ns == 600 * NS_PER_S);
  assert_int_equal(m->steps_n, 7);
  assert_int_equal(m->escalations_n, 2);
  assert_true(m->steps[0].kind == PLAN_STEP_FUNCTION && m->steps[0].fn == 8);
  assert_string_equal(m->steps[0].name, "step_1");
  assert_string_equal(m->steps[1].name, "collect");
  assert_true(m->steps[2].process == 1 && m->steps[2].signal == 1 && m->steps[2].group);
  assert_string_equal(m->steps[3].argv[1], "1");
  assert_true(m->steps[3].timeout_ns == 3 * NS_PER_S && m->steps[3].settle_ns == 2 * NS_PER_S);
  assert_string_equal(m->steps[4].cleanup.helper, "clean");
  assert_string_equal(m->steps[5].database, "rpa_db");
  assert_true(m->steps[6].factor == 2 && m->steps[6].for_ns == 9 * NS_PER_S);
  assert_true(m->steps[7].kind == PLAN_STEP_RESTART && m->steps[7].process == 1);
  assert_int_equal(m->steps[8].kind, PLAN_STEP_FAIL);
  m = &plan->remedies[1];
  assert_string_equal(m->name, "remedy_3");
  assert_true(m->checks_n == 0 && m->failures == PLAN_UNSET && m->max == 3 && m->cooldown_ns == 60 * NS_PER_S);
}

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

static void test_order(void **state) {
  (void)state;
  auto_plan struct plan *plan = good(
      "{'name': 'x', 'processes': {'main': {'command': ['a'], 'after': ['p9', 'p1']}, 'p1': ['b'], 'p9': {'command': "
      "['c'], "
      "'after': 'p5'}, 'p5': {'command': ['d'], 'after': ['p1']}, 'last': {'command': ['e'], 'after': 'main'}}}");
  const char *const order[] = {"p1", "p5", "p9", "main", "last"};
  for (size_t i = 0; i < 5; i++) {
    assert_string_equal(plan->processes[i].name, order[i]);
    assert_int_equal(plan->processes[i].level, i);
  }
  assert_int_equal(plan->main, 3);
  assert_int_equal(plan->processes[3].after[0], 2);
  assert_int_equal(plan->processes[3].after[1], 0);
  bad_n(
      "{'name': 'x', 'processes': {'main': {'command': ['a'], 'after': ['b']}, 'b': {'command': ['a'], 'after': ['c']},"
      "'c': {'command': ['a'], 'after': ['d', 'b']}, 'd': ['a']}}",
      "processes.b.after", "b after c after b", 1);
  bad_n(process("'after': ['x', 'x']"), "processes.main.after[2]", "name of a process", 2);
  bad_n("{'name': 'x', 'processes': {'main': {'command': ['a'], 'after': ['bb', 'bb', 'bbb']}, 'bb': ['a']}}",
        "processes.main.after[3]", "did you mean \"bb\"", 2);
}

/* Ten processes in a ring, and the same ring with one link cut. */
static void test_ring(void **state) {
  (void)state;
  for (int cut = 0; cut < 2; cut++) {
    char text[2048];
    int n = snprintf(text, sizeof(text), "{'name': 'x', 'processes': {");
    for (int i = 0; i < 10; i++) {
      n += snprintf(text + n, sizeof(text) - (size_t)n, "%s'%s%d': {'command': ['a']", i ? ", " : "", "p", i);
      if (!cut || i) n += snprintf(text + n, sizeof(text) - (size_t)n, ", 'after': 'p%d'", (i + 9) % 10);
      n += snprintf(text + n, sizeof(text) - (size_t)n, "}");
    }
    snprintf(text + n, sizeof(text) - (size_t)n, ", 'main': ['a']}}");
    if (cut) {
      auto_plan struct plan *plan = good(text);
      assert_int_equal(plan->processes[10].level, 9);
    } else {
      bad_n(text, "processes.p0.after", "p0 after p9", 1);
    }
  }
}

static void test_limits(void **state) {
  (void)state;
  auto_json cJSON *json = parse(flow(""));
  cJSON *processes = cJSON_GetObjectItem(json, "processes");
  for (int i = 0; i < 3; i++) {
    char name[16];
    snprintf(name, sizeof(name), "p%d", i);
    cJSON *p = cJSON_AddObjectToObject(processes, name);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(p, "command"), cJSON_CreateString("a"));
    cJSON_AddNumberToObject(p, "instances", 341);
  }
  struct plan *plan = NULL;
  struct problems problems = {0};
  assert_int_equal(plan_from_json(json, &file_options, &plan, &problems), 0);
  plan_free(plan);
  cJSON_AddItemToArray(cJSON_AddArrayToObject(cJSON_AddObjectToObject(processes, "q"), "command"),
                       cJSON_CreateString("a"));
  plan = NULL;
  assert_int_equal(plan_from_json(json, &file_options, &plan, &problems), -22);
  assert_int_equal(problems.n, 1);
  assert_string_equal(problems.items[0].name, "processes");
  problems_free(&problems);
}

/* Garbage of a million keys is refused at once, and not with a million problems. */
static void test_many_problems(void **state) {
  (void)state;
  auto_json cJSON *json = cJSON_CreateObject();
  for (int i = 0; i < 20000; i++) {
    char name[16];
    snprintf(name, sizeof(name), "k%d", i);
    cJSON_AddItemToObject(json, name, cJSON_CreateNumber(i));
  }
  struct plan *plan = NULL;
  struct problems problems = {0};
  int64_t begin = clock_mono_ns();
  assert_int_equal(plan_from_json(json, &file_options, &plan, &problems), -22);
  assert_true(problems.n <= 100);
  assert_true(clock_mono_ns() - begin < NS_PER_S);
  problems_free(&problems);
}

static void test_locate(void **state) {
  (void)state;
  static const char text[] =
      "local directory = require \"policies.directory\"\n"
      "-- return { fake = 1 }\n"
      "local function f() return { name = 1 } end\n"
      "local s = \"return {\" .. [==[ return { ]] ]==]\n"
      "return {\n"
      "  name = \"x\", summary = 'it\\'s',\n"
      "  resources = { memory_mb = 1,\n"
      "    cpu_percent = 2 },\n"
      "  processes = {\n"
      "    main = { command = { \"a\",\n"
      "      \"b\" }, env = { [\"A-B\"] = 1 } },\n"
      "  },\n"
      "  dependencies = {\n"
      "    f(), --[[ a, b ]]\n"
      "    directory.readable {\n"
      "      name = \"d\",\n"
      "      timeout = \"abc\",\n"
      "    },\n"
      "    function(a, b)\n"
      "      if a then return { name = 3 }, 4 end\n"
      "    end,\n"
      "    f({\n"
      "      interval = 3 }),\n"
      "  };\n"
      "  cleanup = cleanups,\n"
      "}\n";
  struct plan_text t = {text, sizeof(text) - 1};
  const struct {
    const char *path;
    int line;
  } rows[] = {
      {"", 5},
      {"name", 6},
      {"summary", 6},
      {"resources.memory_mb", 7},
      {"resources.cpu_percent", 8},
      {"resources.cpus", 7},
      {"processes.main.command[2]", 11},
      {"processes.main.env[\"A-B\"]", 11},
      {"dependencies[1].name", 14},
      {"dependencies[2]", 15},
      {"dependencies[2].timeout", 17},
      {"dependencies[2].none", 15},
      {"dependencies[3].name", 19},
      {"dependencies[4].interval", 23},
      {"dependencies[9]", 13},
      {"cleanup[1].name", 25},
      {"nothing", 5},
  };
  for (size_t i = 0; i < ARRAY_LEN(rows); i++)
    if (plan_locate(&t, rows[i].path) != rows[i].line)
      fail_msg("%s: line %d, not %d", rows[i].path, plan_locate(&t, rows[i].path), rows[i].line);
  for (size_t n = 0; n < sizeof(text); n++) { /* every beginning of it */
    char *part = malloc(n + 1);
    memcpy(part, text, n);
    struct plan_text p = {part, n};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) plan_locate(&p, rows[i].path);
    free(part);
  }
  struct plan_options options = {.file = "flows/x.lua", .locate = plan_locate, .locate_arg = &t};
  auto_json cJSON *json = parse(
      "{'name': 'x', 'processes': {'main': ['a']}, 'dependencies': [{'$fn': 1}, {'name': 'd', "
      "'kind': 'tcp', 'timeout': 'abc'}]}");
  struct problems problems = {0};
  struct plan *plan = NULL;
  assert_int_equal(plan_from_json(json, &options, &plan, &problems), -22);
  assert_string_equal(problems.items[0].source, "flows/x.lua:17");
  problems_free(&problems);
}

static void test_default(void **state) {
  (void)state;
  char *argv[] = {(char *)"sleep", (char *)"a b", NULL};
  auto_plan struct plan *plan = plan_default("default", argv);
  assert_non_null(plan);
  assert_string_equal(plan->name, "default");
  assert_string_equal(plan->file, "");
  assert_int_equal(plan->mode, MODE_SINGLE);
  assert_int_equal(plan->processes_n, 1);
  assert_string_equal(plan->processes[0].argv[1], "a b");
  assert_string_equal(plan->processes[0].name, "main");
  char *other[] = {(char *)"true", NULL};
  assert_int_equal(plan_set_command(plan, other), 0);
  assert_string_equal(plan->processes[0].argv[0], "true");
  assert_null(plan->processes[0].argv[1]);
  char *none[] = {NULL};
  assert_int_equal(plan_set_command(plan, none), -22);
  assert_null(plan_default("default", none));
}

static void test_print(void **state) {
  (void)state;
  auto_plan struct plan *plan = good(flow(
      "'summary': 's', 'dependencies': [{'name': 'db', 'kind': 'postgres', 'timeout': 120}, {'name': 'off', 'kind': "
      "'tcp', 'skip': 'CONTAINER_X is not given'}], 'cleanup': [{'name': 'one', 'run': {'$fn': 1}}, {'name': 'two', "
      "'run': {'$fn': 1}}, {'name': 'first', 'run': {'$fn': 1}, 'critical': true}]"));
  auto_buf struct buf b = {0};
  plan_print(plan, &b);
  const char *text = buf_cstr(&b);
  assert_non_null(strstr(text, "db: postgres, required, timeout 2m"));
  assert_non_null(strstr(text, "CONTAINER_X is not given"));
  assert_true(strstr(text, "first:") < strstr(text, "two:") && strstr(text, "two:") < strstr(text, "one:"));
  auto_buf struct buf out = {0};
  struct json j = JSON_INIT(&out);
  plan_json(plan, &j, NULL);
  auto_json cJSON *json = cJSON_Parse(buf_cstr(&out));
  assert_non_null(json);
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "dependencies")), 1);
}

static void test_settings(void **state) {
  (void)state;
  auto_plan struct plan *plan =
      good(flow("'resources': {'memory_mb': 77}, 'requires': ['RPA_DB_CONNECTION_STRING', 'NO_SUCH_THING']"));
  struct settings *settings = settings_new();
  struct problems problems = {0};
  plan_give_settings(plan, settings, &problems);
  assert_int_equal(problems.n, 1);
  assert_string_equal(problems.items[0].name, "CONTAINER_NO_SUCH_THING");
  settings_resolve(settings, &problems);
  bool missed = false;
  for (size_t i = 0; i < problems.n; i++)
    missed |= STR_EQ(problems.items[i].name, "CONTAINER_RPA_DB_CONNECTION_STRING");
  assert_true(missed);
  assert_int_equal(settings_int(settings, SET_MAX_MEMORY_MB), 77);
  problems_free(&problems);
  settings_free(settings);
}

/* --- whatever comes --------------------------------------------------------------------------------------------- */

static uint64_t seed = 1;
static uint64_t rnd(uint64_t n) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return seed % n;
}

static cJSON *random_value(int depth) {
  static const char *const words[] = {
      "name",      "x",       "processes", "main",  "command",      "after", "stop",      "ladder",      "signal",
      "TERM",      "wait",    "$fn",       "rules", "exit",         "64-78", "action",    "restart",     "kind",
      "tcp",       "params",  "timeout",   "1s",    "checks",       "env",   "settings",  "policy",      "cleanup",
      "hooks",     "on_stop", "requires",  "",      "dependencies", "skip",  "resources", "directories", "startup",
      "instances", "fail",    "run",       "sync",  "path",         "/x",    "-1",        "a b",         "critical"};
  switch (rnd(depth > 5 ? 5 : 8)) {
    case 0:
      return cJSON_CreateNumber((double)rnd(300) - 2);
    case 1:
      return cJSON_CreateBool(rnd(2) != 0);
    case 2:
      return cJSON_CreateNull();
    case 3:
      return cJSON_CreateNumber(rnd(2) ? 1e300 : 0.5);
    case 4:
      return cJSON_CreateString(words[rnd(ARRAY_LEN(words))]);
    case 5: {
      cJSON *list = cJSON_CreateArray();
      for (uint64_t n = rnd(4); n; n--) cJSON_AddItemToArray(list, random_value(depth + 1));
      return list;
    }
    default: {
      cJSON *table = cJSON_CreateObject();
      for (uint64_t n = rnd(6); n; n--)
        cJSON_AddItemToObject(table, words[rnd(ARRAY_LEN(words))], random_value(depth + 1));
      return table;
    }
  }
}

/* Replaces one value somewhere in a good flow. */
static void mutate(cJSON *v) {
  while (v && v->child && rnd(4)) {
    v = v->child;
    for (uint64_t n = rnd(8); n && v->next; n--) v = v->next;
  }
  cJSON *other = random_value(2);
  if (v->string || !v->child) {
    cJSON keep = *v;
    v->type = other->type | (keep.type & cJSON_StringIsConst);
    v->child = other->child;
    v->valuestring = other->valuestring;
    v->valuedouble = other->valuedouble;
    v->valueint = other->valueint;
    other->child = keep.child;
    other->valuestring = keep.valuestring;
    other->type = keep.type & ~cJSON_StringIsConst;
  }
  cJSON_Delete(other);
}

static void test_random(void **state) {
  (void)state;
  static const char base[] =
      "{'name': 'x', 'mode': 'server', 'resources': {'memory_mb': 512}, 'settings': {'EXECUTION_INTERVAL': 60}, "
      "'directories': ['/a', {'path': '/b', 'make': false}], 'processes': {'web': {'command': ['w', 1], 'env': {'A': "
      "'b'}, "
      "'after': ['main'], 'success_codes': [3, '64-66'], 'restart': {'policy': 'always', 'rules': [{'exit': [1], "
      "'action': "
      "'fail'}, {'signal': ['KILL'], 'reason': 'oom', 'action': 'restart'}]}, 'stop': {'ladder': [{'signal': 'INT', "
      "'wait': "
      "2}, 'TERM']}, 'startup': {'kind': 'tcp', 'params': {}}}, 'main': ['x'], 'b': {'command': ['y'], 'after': "
      "['web']}},"
      "'dependencies': [{'$fn': 7}, {'name': 'db', 'kind': 'tcp', 'timeout': 1}], 'checks': [{'name': 'c', 'check': "
      "{'$fn': "
      "3}}], 'cleanup': [{'$fn': 4}, {'name': 's', 'kind': 'sync', 'params': {'path': '/a'}}], 'hooks': {'on_stop': "
      "{'$fn': "
      "5}}}";
  size_t good_ones = 0;
  for (int i = 0; i < 30000; i++) {
    auto_json cJSON *json = i % 3 ? parse(base) : random_value(0);
    if (i % 3)
      for (uint64_t n = 1 + rnd(3); n; n--) mutate(json);
    struct plan *plan = NULL;
    struct problems problems = {0};
    int e = plan_from_json(json, &file_options, &plan, &problems);
    assert_true((e == 0) == (plan != NULL));
    assert_true((e == 0) == (problems_errors(&problems) == 0));
    if (plan) {
      good_ones++;
      struct buf b = {0};
      struct json j = JSON_INIT(&b);
      plan_json(plan, &j, NULL);
      plan_print(plan, &b);
      buf_free(&b);
      assert_true(plan->processes_n >= 1 && plan->main < plan->processes_n);
      for (size_t k = 0; k < plan->processes_n; k++)
        for (size_t a = 0; a < plan->processes[k].after_n; a++) assert_true(plan->processes[k].after[a] < k);
    }
    plan_free(plan);
    problems_free(&problems);
  }
  assert_true(good_ones > 300);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_smallest),
      cmocka_unit_test(test_everything),
      cmocka_unit_test(test_flow_keys),
      cmocka_unit_test(test_remedy_keys),
      cmocka_unit_test(test_scale_keys),
      cmocka_unit_test(test_process_keys),
      cmocka_unit_test(test_restart_and_stop_keys),
      cmocka_unit_test(test_dependency_keys),
      cmocka_unit_test(test_cleanup_and_hook_keys),
      cmocka_unit_test(test_all_at_once),
      cmocka_unit_test(test_order),
      cmocka_unit_test(test_ring),
      cmocka_unit_test(test_limits),
      cmocka_unit_test(test_many_problems),
      cmocka_unit_test(test_locate),
      cmocka_unit_test(test_default),
      cmocka_unit_test(test_print),
      cmocka_unit_test(test_settings),
      cmocka_unit_test(test_random),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
