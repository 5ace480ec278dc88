#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/exits.h"
#include "base/str.h"
#include "core/check.h"
#include "core/event.h"
#include "core/explain.h"
#include "core/machine.h"
#include "core/restart.h"

static void every_row_is_whole_and_found_by_its_name(void **state) {
  (void)state;
  struct explain e, found[16];
  size_t per_kind[EXPLAIN_KINDS] = {0};
  for (size_t i = 0; explain_at(i, &e); i++) {
    per_kind[e.kind]++;
    assert_true(e.name[0] && strlen(e.name) < sizeof e.name - 1);
    assert_true(strlen(e.doc) > 3 && e.doc[strlen(e.doc) - 1] == '.');
    assert_non_null(e.look);
    bool there = false;
    size_t n = explain_find(e.name, found, ARRAY_LEN(found));
    for (size_t k = 0; k < n; k++) there |= found[k].kind == e.kind && STR_EQ(found[k].doc, e.doc);
    if (!there) fail_msg("%s is not found", e.name);
  }
  assert_int_equal(per_kind[EXPLAIN_EVENT], EVENT_KINDS);
  assert_int_equal(per_kind[EXPLAIN_STATE], STATES);
  assert_int_equal(per_kind[EXPLAIN_INSTANCE], INSTANCES);
  assert_int_equal(per_kind[EXPLAIN_CAUSE], CAUSES);
  assert_int_equal(per_kind[EXPLAIN_END], END_REASONS);
}

static void codes(void **state) {
  (void)state;
  struct explain e;
  for (int code = 0; code < 256; code++) {
    char word[16];
    snprintf(word, sizeof word, "%d", code);
    assert_int_equal(explain_find(word, &e, 1), 1);
    assert_int_equal(e.kind, EXPLAIN_EXIT);
    assert_int_equal(e.code, code);
  }
  assert_int_equal(explain_find("128+9", &e, 1), 1);
  assert_int_equal(e.code, EXIT_KILLED);
  static const char *const none[] = {"",      "256", "-1", "128+0", "128+65", "128+",
                                     "129+1", "1 2", " 1", "0x1",   "nothing"};
  for (size_t i = 0; i < ARRAY_LEN(none); i++)
    if (explain_find(none[i], &e, 1)) fail_msg("\"%s\" is explained", none[i]);
  assert_int_equal(explain_find("stopped", &e, 0), 0);
}

static void signals(void **state) {
  (void)state;
  struct explain e[2];
  assert_int_equal(explain_find("sigkill", e, 2), 1);
  assert_int_equal(e[0].code, EXIT_KILLED);
  assert_int_equal(explain_find("XCPU", e, 2), 1);
  assert_string_equal(e[0].name, "SIGXCPU");
}

static void health(void **state) {
  (void)state;
  struct explain e[2];
  for (enum check_state s = CHECK_UNKNOWN; s <= CHECK_UNHEALTHY; s++) {
    size_t n = explain_find(check_state_name(s), e, ARRAY_LEN(e));
    assert_true(n >= 1);
    assert_int_equal(e[0].kind, EXPLAIN_HEALTH);
    assert_string_equal(e[0].name, check_state_name(s));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_row_is_whole_and_found_by_its_name),
      cmocka_unit_test(codes),
      cmocka_unit_test(signals),
      cmocka_unit_test(health),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
