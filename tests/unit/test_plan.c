/* The plan: what a good flow becomes, order, limits, lines, print. */
#include "plan_scene.h"

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
  assert_int_equal(p->restart->policy, PLAN_UNSET);
  assert_int_equal(p->stop->ladder_n, 1);
  assert_int_equal(p->stop->ladder[0].signal, 15);
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
  assert_int_equal(p->restart->policy, RESTART_ALWAYS);
  assert_int_equal(p->restart->max_attempts, 0);
  assert_int_equal(p->restart->exponential, 0);
  assert_int_equal(p->restart->rules_n, 2);
  assert_true(p->restart->rules[0].has_exit && p->restart->rules[0].exit[0] == 2);
  assert_int_equal(p->restart->rules[0].exit[1], 0x7fff);
  assert_int_equal(p->restart->rules[0].action, RULE_FAIL);
  assert_false(p->restart->rules[1].has_exit);
  assert_int_equal(p->restart->rules[1].signals, 1 << 8 | 1 << 10);
  assert_int_equal(p->restart->rules[1].reasons, 1 << END_OOM);
  assert_int_equal(p->stop->ladder_n, 2);
  assert_int_equal(p->stop->ladder[0].signal, 2);
  assert_int_equal(p->stop->ladder[1].wait_ns, PLAN_UNSET);
  assert_true(p->stop->group);
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

/* A thousand that are alike hold one copy of what is alike; what they were read from is gone. */
static void test_once(void **state) {
  (void)state;
  auto_plan struct plan *plan = good(
      "{'name': 'x', 'processes': {'main': ['run', 'it'], 'a': {'command': ['run', 'it'], 'stop': {'signal': 'INT'}, "
      "'restart': {'rules': [{'exit': 1, 'action': 'fail'}]}, 'env': {'A': 'b'}}, 'b': {'command': ['run', 'it'], "
      "'stop': {'signal': 'INT'}, 'restart': {'rules': [{'exit': 1, 'action': 'fail'}]}, 'env': {'A': 'b'}}}, "
      "'checks': [{'name': 'c', 'kind': 'tcp', 'params': {'host': 'h', 'list': [1, {'x': true}, 'h'], 'none': {}}}, "
      "{'name': 'd', 'kind': 'tcp', 'params': {'host': 'h', 'list': [1, {'x': true}, 'h'], 'none': {}}}, "
      "{'name': 'e', 'kind': 'tcp', 'params': {'host': 'h', 'list': [1, {'x': false}, 'h'], 'none': {}}}]}");
  const struct plan_process *main = &plan->processes[0], *a = &plan->processes[1], *b = &plan->processes[2];
  assert_ptr_equal(a->argv, b->argv);
  assert_ptr_equal(a->argv, main->argv);
  assert_ptr_equal(a->env, b->env);
  assert_ptr_equal(a->stop, b->stop);
  assert_ptr_equal(a->restart, b->restart);
  assert_ptr_equal(a->restart->rules, b->restart->rules);
  assert_ptr_equal(a->success_set, main->success_set);
  assert_ptr_not_equal(a->stop, main->stop);
  assert_ptr_not_equal(a->restart, main->restart);
  const struct plan_check *c = plan->checks;
  assert_ptr_equal(c[0].params, c[1].params);
  assert_ptr_not_equal(c[0].params, c[2].params);
  auto_json cJSON *same = parse("{'host': 'h', 'list': [1, {'x': true}, 'h'], 'none': {}}");
  assert_true(cJSON_Compare(same, c[0].params, true));
  assert_false(cJSON_Compare(same, c[2].params, true));
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(c[2].params, "list")), 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_smallest), cmocka_unit_test(test_everything), cmocka_unit_test(test_order),
      cmocka_unit_test(test_ring),     cmocka_unit_test(test_limits),     cmocka_unit_test(test_many_problems),
      cmocka_unit_test(test_locate),   cmocka_unit_test(test_default),    cmocka_unit_test(test_print),
      cmocka_unit_test(test_settings), cmocka_unit_test(test_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
