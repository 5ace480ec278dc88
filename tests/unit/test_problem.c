#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/str.h"
#include "core/problem.h"

static void add(struct problems *ps, enum problem_class class, bool warning) {
  problems_add(ps, &(struct problem){.class = class, .warning = warning, .check = "c", .name = "N"});
}

static void exit_codes(void **state) {
  (void)state;
  static const struct {
    enum problem_class class;
    int code;
    bool can_pass;
  } rows[] = {{PROBLEM_DISK, 75, true},        {PROBLEM_RESOURCES, 75, false}, {PROBLEM_CREATE, 73, true},
              {PROBLEM_PERMISSION, 73, false}, {PROBLEM_USER, 77, false},      {PROBLEM_CONFIG, 78, false}};
  struct problems all = {0};
  assert_int_equal(problems_exit_code(&all), 0);
  assert_true(problems_can_pass(&all));
  for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
    struct problems one = {0};
    add(&one, rows[i].class, false);
    assert_int_equal(problems_exit_code(&one), rows[i].code);
    assert_int_equal(problems_can_pass(&one), rows[i].can_pass);
    problems_free(&one);
    add(&all, rows[i].class, false); /* rows go from the least to the gravest */
    assert_int_equal(problems_exit_code(&all), rows[i].code);
  }
  assert_false(problems_can_pass(&all));
  problems_free(&all);
}

static void warnings_fail_nothing(void **state) {
  (void)state;
  struct problems ps = {0};
  add(&ps, PROBLEM_CONFIG, true);
  add(&ps, PROBLEM_DISK, false);
  assert_int_equal(problems_errors(&ps), 1);
  assert_int_equal(problems_exit_code(&ps), 75);
  assert_true(problems_can_pass(&ps));
  problems_free(&ps);
}

static void text_and_json(void **state) {
  (void)state;
  struct problems ps = {0};
  problems_add(&ps, &(struct problem){.check = "configuration",
                                      .name = "CONTAINER_X",
                                      .value = "a\nb",
                                      .source = "environment",
                                      .allowed = "a number",
                                      .fix = "correct it"});
  auto_buf struct buf b = {0};
  problem_text(&ps.items[0], &b);
  assert_string_equal(buf_cstr(&b), "CONTAINER_X: value \"a b\" from environment: expected a number; correct it");
  buf_clear(&b);
  problem_text(&(struct problem){.name = "mode", .value = "\"demon\"", .source = "x.lua:2", .allowed = "daemon"}, &b);
  assert_true(str_starts(buf_cstr(&b), "mode: value \"demon\" from x.lua:2: expected daemon"));
  buf_clear(&b);
  struct json j = JSON_INIT(&b);
  problems_json(&ps, false, &j, NULL);
  assert_string_equal(buf_cstr(&b),
                      "[{\"check\": \"configuration\", \"name\": \"CONTAINER_X\", \"value\": \"a\\nb\", \"source\": "
                      "\"environment\", \"allowed\": \"a number\", \"fix\": \"correct it\"}]");
  problems_free(&ps);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(exit_codes), cmocka_unit_test(warnings_fail_nothing),
                                     cmocka_unit_test(text_and_json)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
