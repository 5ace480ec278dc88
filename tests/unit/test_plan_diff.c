/* Differences between two plans: of each kind of thing and each key; what has the same name is the same. */
#include "fixture.h"

#include "base/clean.h"
#include "base/str.h"
#include "core/plan_diff.h"

static struct plan *plan(const char *text) {
  auto_json cJSON *json = parse(text);
  struct problems problems = {0};
  struct plan *p = NULL;
  if (plan_from_json(json, &(struct plan_options){.file = "flows/x.lua"}, &p, &problems)) {
    struct buf b = {0};
    problem_text(&problems.items[0], &b);
    fail_msg("%s: %s", text, buf_cstr(&b));
  }
  problems_free(&problems);
  return p;
}

/* Functions below 100 are the same on both sides. */
static uint64_t identity(void *arg, int fn) {
  return fn < 100 ? (uint64_t)fn : (uint64_t)(uintptr_t)arg + (uint64_t)fn;
}

static struct plan_diff *diff(const char *from, const char *to, struct plan **a, struct plan **b) {
  static int one, two;
  *a = plan(from);
  *b = plan(to);
  struct plan_diff *d = plan_diff_new(&(struct diff_side){*a, identity, &one}, &(struct diff_side){*b, identity, &two});
  assert_non_null(d);
  return d;
}

#define FLOW(more) "{'name': 'x', 'processes': {'main': {'command': ['true']}}" more "}"
#define MAIN(more) "{'name': 'x', 'processes': {'main': {'command': ['true']" more "}}}"

/* The difference as text. */
static void differs(const char *from, const char *to, const char *text) {
  struct plan *a, *b;
  struct plan_diff *d = diff(from, to, &a, &b);
  struct buf out = {0};
  plan_diff_text(d, &out);
  assert_string_equal(buf_cstr(&out), text);
  buf_free(&out);
  plan_diff_free(d);
  plan_free(a);
  plan_free(b);
}

static void test_same(void **state) {
  (void)state;
  const char *all =
      "{'name': 'x', 'processes': {'main': {'command': ['a', 'b'], 'env': {'A': '1'}, 'restart': {'policy': 'always', "
      "'rules': [{'exit': 3, 'action': 'stop'}]}}, 'web': {'command': 'w', 'after': ['main'], 'instances': 2, "
      "'startup': "
      "{'name': 's', 'kind': 'tcp', 'params': {'port': 1}}}}, 'dependencies': [{'name': 'd', 'kind': 'dns', 'params': "
      "{'host': 'h'}}], 'checks': [{'name': 'c', 'check': {'$fn': 7}}, {'name': 'e', 'kind': 'dns', 'params': {'host': "
      "'h'}}], 'remedies': [{'name': 'r', 'check': 'c', 'steps': [{'name': 's', 'run': {'$fn': 8}}]}], 'cleanup': "
      "[{'name': 'k', 'run': {'$fn': 9}}], 'hooks': {'on_start': {'$fn': 10}}, 'directories': ['/tmp']}";
  differs(all, all, "  no difference\n");
  struct plan *a, *b;
  struct plan_diff *d = diff(all, all, &a, &b);
  assert_int_equal(d->n, 0);
  for (size_t i = 0; i < b->processes_n; i++) {
    assert_int_equal(d->process[i], i);
    assert_false(d->restart[i]);
    assert_true(d->startup[i] && d->scale[i]);
  }
  assert_int_equal(d->check[0], 0);
  assert_int_equal(d->check[1], 1);
  assert_int_equal(d->dependency[0], 0);
  assert_int_equal(d->remedy[0], 0);
  plan_diff_free(d);
  plan_free(a);
  plan_free(b);
}

static void test_processes(void **state) {
  (void)state;
  differs(MAIN(""), MAIN(", 'env': {'A': '1'}"), "  ~ process main: env (at its next start)\n");
  differs(MAIN(""), MAIN(", 'env': {'A': '1'}, 'on_change': 'restart'"),
          "  ~ process main: env, on_change (it is restarted)\n");
  differs(MAIN(""), MAIN(", 'on_change': 'restart'"), "  ~ process main: on_change\n");
  differs(MAIN(""), MAIN(", 'cwd': '/', 'user': 'nobody', 'no_new_privs': true"),
          "  ~ process main: cwd, user, no_new_privs (at its next start)\n");
  differs(MAIN(""),
          MAIN(", 'mode': 'single', 'interval': 3, 'success_codes': [3], 'stop': {'signal': 'INT'}, 'restart': 'no'"),
          "  ~ process main: mode, interval, restart, success_codes, stop\n");
  differs(MAIN(", 'startup': {'kind': 'tcp', 'params': {'port': 1}}"),
          MAIN(", 'startup': {'kind': 'tcp', 'params': {'port': 2}}, 'start_timeout': 3"),
          "  ~ process main: start_timeout, startup\n");
  const char *two = "{'name': 'x', 'processes': {'main': {'command': 'true'}, 'web': {'command': 'w'}}}";
  differs(MAIN(""), two, "  + process web\n");
  differs(two, MAIN(""), "  - process web\n");
  differs(two,
          "{'name': 'x', 'processes': {'main': {'command': 'true', 'after': 'web'}, 'web': {'command': 'w', "
          "'instances': 3, 'essential': true}}}",
          "  ~ process web: instances, essential\n  ~ process main: after\n");
}

/* A life has one main, whatever it is called. */
static void test_main_by_another_name(void **state) {
  (void)state;
  differs("{'name': 'x', 'processes': {'app': {'command': 'a'}}}",
          "{'name': 'x', 'processes': {'web': {'command': 'a'}}}", "  ~ process web: name\n");
}

static void test_checks(void **state) {
  (void)state;
  const char *one = FLOW(", 'checks': [{'name': 'c', 'kind': 'dns', 'params': {'host': 'h'}}]");
  differs(FLOW(""), one, "  + check c\n");
  differs(one, FLOW(""), "  - check c\n");
  differs(one,
          FLOW(", 'checks': [{'name': 'c', 'kind': 'dns', 'params': {'host': 'g'}, 'interval': 7, 'failures': 2}]"),
          "  ~ check c: params, interval, failures\n");
  differs(one,
          FLOW(", 'checks': [{'name': 'a', 'kind': 'dns', 'params': {'host': 'h'}}, {'name': 'c', 'kind': 'dns', "
               "'params': {'host': 'h'}}]"),
          "  + check a\n");
  differs(FLOW(", 'checks': [{'name': 'c', 'check': {'$fn': 3}}]"),
          FLOW(", 'checks': [{'name': 'c', 'check': {'$fn': 4}}]"), "  ~ check c: check\n");
  differs(FLOW(", 'dependencies': [{'name': 'c', 'check': {'$fn': 3}}]"),
          FLOW(", 'dependencies': [{'name': 'c', 'check': {'$fn': 3}, 'required': false}]"),
          "  ~ dependency c: required\n");
  differs(FLOW(", 'checks': [{'name': 'c', 'check': {'$fn': 103}}]"),
          FLOW(", 'checks': [{'name': 'c', 'check': {'$fn': 103}}]"), "  ~ check c: check\n");
}

static void test_the_rest(void **state) {
  (void)state;
#define CHECKED "'checks': [{'name': 'c', 'check': {'$fn': 3}}]"
  differs(
      FLOW(", " CHECKED ", 'remedies': [{'name': 'r', 'check': 'c', 'steps': [{'name': 's', 'run': {'$fn': 8}}]}]"),
      FLOW(", " CHECKED ", 'remedies': [{'name': 'r', 'check': 'c', 'max': 9, 'steps': [{'name': 's', 'run': {'$fn': "
           "9}}]}]"),
      "  ~ remedy r: steps, max\n");
  differs(FLOW(", 'cleanup': [{'name': 'a', 'run': {'$fn': 8}}, {'name': 'b', 'run': {'$fn': 8}}]"),
          FLOW(", 'cleanup': [{'name': 'b', 'run': {'$fn': 9}}, {'name': 'c', 'run': {'$fn': 8}}]"),
          "  ~ cleanup b\n  + cleanup c\n  - cleanup a\n");
  differs(FLOW(", 'hooks': {'on_start': {'$fn': 8}, 'on_stop': {'$fn': 8}}"),
          FLOW(", 'hooks': {'on_start': {'$fn': 9}, 'on_drain': {'$fn': 8}}"),
          "  ~ hook on_start\n  + hook on_drain\n  - hook on_stop\n");
  differs(FLOW(", 'directories': ['/a']"), FLOW(", 'directories': ['/b']"), "  + directory /b\n  - directory /a\n");
}

static void test_json(void **state) {
  (void)state;
  struct plan *a, *b;
  struct plan_diff *d = diff(MAIN(""), MAIN(", 'env': {'A': '1'}, 'on_change': 'restart'"), &a, &b);
  plan_diff_add(d, DIFF_SETTING, DIFF_CHANGED, "CONTAINER_LOG_LEVEL", "INFO, now DEBUG", DIFF_AT_ONCE);
  struct buf out = {0};
  struct json j = JSON_INIT(&out);
  plan_diff_json(d, &j, NULL);
  assert_string_equal(buf_cstr(&out),
                      "{\"processes\": {\"changed\": [{\"name\": \"main\", \"keys\": \"env, on_change\", \"effect\": "
                      "\"restart\"}]}, \"settings\": {\"changed\": [{\"name\": \"CONTAINER_LOG_LEVEL\", \"keys\": "
                      "\"INFO, now DEBUG\", \"effect\": \"at_once\"}]}}");
  buf_clear(&out);
  plan_diff_summary(d, &out);
  assert_string_equal(buf_cstr(&out), "process main changed, setting CONTAINER_LOG_LEVEL changed");
  buf_free(&out);
  plan_diff_free(d);
  plan_free(a);
  plan_free(b);
}

/* What is taken away stays in the plan while it runs, in its order; a second time it is the plan's own again. */
static void test_retire(void **state) {
  (void)state;
  struct plan *a = plan(
      "{'name': 'x', 'processes': {'main': {'command': 'true'}, 'db': {'command': 'd'}, 'web': "
      "{'command': ['w', '1'], 'after': ['db'], 'instances': 2}}}");
  struct plan *b = plan(MAIN(""));
  size_t which[] = {(size_t)plan_find_process(a, "db"), (size_t)plan_find_process(a, "web")};
  assert_int_equal(plan_retire(b, a, which, 2), 0);
  plan_free(a);
  assert_int_equal(b->processes_n, 3);
  assert_int_equal(b->main, 0);
  const struct plan_process *web = &b->processes[plan_find_process(b, "web")];
  assert_true(web->retired);
  assert_int_equal(web->instances, 2);
  assert_string_equal(web->argv[1], "1");
  assert_int_equal(web->after_n, 1);
  assert_string_equal(b->processes[web->after[0]].name, "db");
  plan_forget_retired(b);
  assert_int_equal(b->processes_n, 1);
  plan_free(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_same),   cmocka_unit_test(test_processes), cmocka_unit_test(test_main_by_another_name),
      cmocka_unit_test(test_checks), cmocka_unit_test(test_the_rest),  cmocka_unit_test(test_json),
      cmocka_unit_test(test_retire),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
