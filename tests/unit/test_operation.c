#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "core/operation.h"

/* What the table must be, since help, checks, docs and the client are made of it. */
static void test_the_table(void **state) {
  (void)state;
  for (const struct operation *op = operations; op->name; op++) {
    assert_ptr_equal(operation_find(op->name), op);
    assert_true(operation_is_taken(op->name));
    assert_true(op->summary && *op->summary && op->args);
    unsigned n = 0;
    bool optional = false;
    for (const struct operation_arg *a = op->args; a->name; a++, n++) {
      assert_true(a->doc && *a->doc);
      assert_true(a->place != ARG_WORD || a->value || a->choices);
      assert_false(a->place == ARG_WORD && a->required && optional); /* words are taken in their order */
      if (a->place == ARG_WORD && !a->required) optional = true;
      for (const struct operation_arg *b = op->args; b != a; b++) assert_string_not_equal(a->name, b->name);
    }
    assert_true(n <= LIMIT_COMMAND_ARGS);
    if (op->reads_with) assert_int_equal(op->right, RIGHT_OPERATE);
  }
  assert_null(operation_find("nonsense"));
  assert_true(operation_is_taken("run") && operation_is_taken("help") && !operation_is_taken("greet"));
}

static void assert_checked(const char *name, const char *args, const char *says) {
  auto_json cJSON *v = cJSON_Parse(args);
  assert_non_null(v);
  struct err err = ERR_INIT;
  int rc = operation_check(operation_find(name), v, &err);
  if (!says && rc) fail_msg("%s", err.msg);
  if (says && (!rc || !strstr(err.msg, says))) fail_msg("%s: %s", args, rc ? err.msg : "taken");
}

static void test_arguments(void **state) {
  (void)state;
  assert_checked("status", "{}", NULL);
  assert_checked("status", "{\"x\": 1}", "status has no argument \"x\"");
  assert_checked("events", "{\"last\": 0, \"level\": \"debug\", \"follow\": null}", NULL);
  assert_checked("events", "{\"last\": -1}", "a whole number from 0 to 1000, got -1");
  assert_checked("events", "{\"last\": 1.5}", "a whole number");
  assert_checked("events", "{\"last\": 1e300}", "a whole number");
  assert_checked("events", "{\"level\": \"\"}", "one of DEBUG|");
  assert_checked("events", "{\"level\": \"INFO|WARNING\"}", "one of DEBUG|");
  assert_checked("maintenance", "{\"on\": true, \"for\": \"2h\"}", NULL);
  assert_checked("maintenance", "{\"on\": true, \"for\": 90}", NULL);
  assert_checked("maintenance", "{\"on\": true, \"for\": -1}", "a duration");
  assert_checked("maintenance", "{\"for\": \"2h\"}", "the argument \"on\" is missing");
  assert_checked("maintenance", "{\"on\": null}", "is missing");
  assert_checked("report", "{\"file\": \"x\"}", "no argument"); /* the client's own */
  assert_checked("restart", "{\"process\": {}}", "a text, got {}");
}

static void test_rights(void **state) {
  (void)state;
  auto_json cJSON *none = cJSON_Parse("{}"), *dry = cJSON_Parse("{\"dry_run\": true}"),
                  *wet = cJSON_Parse("{\"dry_run\": false}"), *level = cJSON_Parse("{\"level\": \"INFO\"}");
  assert_int_equal(operation_right(operation_find("status"), none), RIGHT_READ);
  assert_int_equal(operation_right(operation_find("stop"), none), RIGHT_OPERATE);
  assert_int_equal(operation_right(operation_find("remediate"), dry), RIGHT_READ);
  assert_int_equal(operation_right(operation_find("remediate"), wet), RIGHT_OPERATE);
  assert_int_equal(operation_right(operation_find("log-level"), none), RIGHT_READ);
  assert_int_equal(operation_right(operation_find("log-level"), level), RIGHT_OPERATE);
}

static void assert_usage(const char *name, const char *usage) {
  auto_buf struct buf b = {0};
  operation_usage(operation_find(name), &b);
  assert_string_equal(buf_cstr(&b), usage);
}

static void test_usage(void **state) {
  (void)state;
  assert_usage("status", "[--json]");
  assert_usage("maintenance", "on|off [for DURATION] [--no-wait]");
  assert_usage("remediate", "ACTION [--dry-run] [--no-wait]");
  assert_usage("events", "[--follow] [--last N] [--level LEVEL] [--json]");
  assert_usage("shutdown", "[--no-wait]");
}

/* What a client reads is what the engine has. */
static void test_there_and_back(void **state) {
  (void)state;
  for (const struct operation *op = operations; op->name; op++) {
    auto_buf struct buf text = {0};
    auto_buf struct buf again = {0};
    struct json j = JSON_INIT(&text);
    operation_json(op, &j);
    auto_json cJSON *v = cJSON_Parse(buf_cstr(&text));
    struct operation copy;
    struct err err = ERR_INIT;
    if (operation_read(v, &copy, &err)) fail_msg("%s", err.msg);
    j = (struct json)JSON_INIT(&again);
    operation_json(&copy, &j);
    assert_string_equal(buf_cstr(&text), buf_cstr(&again));
    operation_free(&copy);
  }
  static const char *const bad[] = {
      "{}", "[]", "{\"name\": \"x\", \"args\": [{}]}",
      "{\"name\": \"x\", \"args\": [{\"name\": \"a\", \"type\": \"thing\", \"place\": \"word\"}]}",
      "{\"name\": \"x\", \"args\": [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}"};
  for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
    auto_json cJSON *v = cJSON_Parse(bad[i]);
    struct operation op;
    struct err err = ERR_INIT;
    assert_int_not_equal(operation_read(v, &op, &err), 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_table), cmocka_unit_test(test_arguments),      cmocka_unit_test(test_rights),
      cmocka_unit_test(test_usage),     cmocka_unit_test(test_there_and_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
