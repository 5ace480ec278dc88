/* core/trend: the numbers of the last hour. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "core/trend.h"

static void add(struct trend *t, int64_t at_s, double memory) {
  struct vitals_directory disks[] = {{.name = "a", .used = 0.25}, {.name = "b", .used = 0.5}};
  struct vitals_database db = {.name = "rpa_db", .response_s = 0.0042, .up = true};
  struct vitals v = {.memory_used = memory,
                     .cpu_used = NAN,
                     .directories = disks,
                     .n_directories = 2,
                     .databases = &db,
                     .n_databases = 1};
  trend_add(t, at_s * NS_PER_S, (1000000 + at_s) * NS_PER_S, &v);
}

static const char *text_of(const struct trend *t, struct buf *b) {
  buf_clear(b);
  struct json j = JSON_INIT(b);
  trend_json(t, &j, NULL);
  return buf_cstr(b);
}

static void samples_are_apart(void **state) {
  (void)state;
  struct trend t = {0};
  auto_buf struct buf b = {0};
  assert_string_equal(text_of(&t, &b), "[]");
  add(&t, 10, 0.5);
  add(&t, 12, 0.6); /* too soon */
  add(&t, 15, 0.75);
  assert_string_equal(text_of(&t, &b), "[[1000010, 0.5, null, 0.5, 4.2], [1000015, 0.75, null, 0.5, 4.2]]");
  trend_free(&t);
}

static void the_oldest_go(void **state) {
  (void)state;
  struct trend t = {0};
  auto_buf struct buf b = {0};
  for (int i = 0; i < TREND_SAMPLES + 10; i++) add(&t, i * 5, 0.5);
  const char *text = text_of(&t, &b);
  assert_int_equal(strncmp(text, "[[1000050,", 10), 0);
  assert_non_null(strstr(text, "[1003645,"));
  unsigned n = 0;
  for (const char *p = text; (p = strstr(p, "[10")); p++) n++;
  assert_int_equal(n, TREND_SAMPLES);
  trend_free(&t);
}

static void what_is_unknown_is_null(void **state) {
  (void)state;
  struct trend t = {0};
  auto_buf struct buf b = {0};
  trend_add(&t, NS_PER_S, NS_PER_S, &(struct vitals){.memory_used = NAN, .cpu_used = NAN});
  assert_string_equal(text_of(&t, &b), "[[1, null, null, null, null]]");
  trend_free(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(samples_are_apart),
      cmocka_unit_test(the_oldest_go),
      cmocka_unit_test(what_is_unknown_is_null),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
