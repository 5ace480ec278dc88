/* The time as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

static void all_days_are_those_of_the_calendar(void **state) {
  (void)state;
  char text[CLOCK_TEXT_MAX], expected[64];
  for (int64_t day = -30000; day < 100000; day++) { /* 1887 to 2243 */
    time_t s = (time_t)(day * 86400 + (day * 7919 % 86400 + 86400) % 86400);
    struct tm tm;
    gmtime_r(&s, &tm);
    size_t n = strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S", &tm);
    memcpy(expected + n, ".007Z", sizeof ".007Z");
    int64_t ns = (int64_t)s * NS_PER_S + 7 * NS_PER_MS, back;
    assert_string_equal(clock_format(ns, text), expected);
    assert_int_equal(clock_parse(text, &back), 0);
    assert_true(back == ns);
  }
}

static void before_1970_too(void **state) {
  (void)state;
  char text[CLOCK_TEXT_MAX];
  assert_string_equal(clock_format(0, text), "1970-01-01T00:00:00.000Z");
  assert_string_equal(clock_format(-NS_PER_MS, text), "1969-12-31T23:59:59.999Z");
}

static void other_texts_are_refused(void **state) {
  (void)state;
  int64_t ns = 5;
  assert_int_equal(clock_parse("2026-01-15T10:30:00Z", &ns), 0);
  assert_true(ns == INT64_C(1768473000) * NS_PER_S);
  assert_int_equal(clock_parse("2026-01-15T10:30:00.1234567891234Z", &ns), 0);
  assert_true(ns % NS_PER_S == 123456789);
  static const char *const wrong[] = {"",
                                      "now",
                                      "2026-01-15",
                                      "2026-01-15T10:30:00",
                                      "2026-13-15T10:30:00Z",
                                      "2026-01-15T10:30:00.5",
                                      "2026-01-15T10:30:00.5Zz",
                                      "2026-01-15T10:30:00+01:00"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) assert_true(clock_parse(wrong[i], &ns) < 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(all_days_are_those_of_the_calendar),
                                     cmocka_unit_test(before_1970_too), cmocka_unit_test(other_texts_are_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
