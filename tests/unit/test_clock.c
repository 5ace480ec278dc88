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
    assert_string_equal(clock_format((int64_t)s * NS_PER_S + 7 * NS_PER_MS, text), expected);
  }
}

static void before_1970_too(void **state) {
  (void)state;
  char text[CLOCK_TEXT_MAX];
  assert_string_equal(clock_format(0, text), "1970-01-01T00:00:00.000Z");
  assert_string_equal(clock_format(-NS_PER_MS, text), "1969-12-31T23:59:59.999Z");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(all_days_are_those_of_the_calendar),
                                     cmocka_unit_test(before_1970_too)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
