/* The plan of whatever comes: a plan, or what is wrong with it, and no crash. */
#include "plan_scene.h"

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
      cmocka_unit_test(test_random),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
