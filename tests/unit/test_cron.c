/* Cron expressions: what they mean, what is refused, and clocks that are set twice a year. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cron.h"
#include "base/str.h"

/* "2026-11-23 06:30:00", in UTC or in TZ. */
static int64_t at(const char *text, bool utc) {
  struct tm tm = {.tm_isdst = -1};
  assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
  return utc ? timegm(&tm) : mktime(&tm);
}

static const char *next_of(const char *expression, const char *after, bool utc) {
  static char text[32];
  struct cron c;
  struct err err = ERR_INIT;
  assert_int_equal(cron_parse(expression, &c, &err), 0);
  c.utc = utc;
  int64_t t = cron_next(&c, at(after, utc));
  if (t == INT64_MAX) return "never";
  time_t when = (time_t)t;
  struct tm tm;
  strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", utc ? gmtime_r(&when, &tm) : localtime_r(&when, &tm));
  return text;
}

static void test_next(void **state) {
  (void)state;
  static const struct {
    const char *expression, *after, *next;
  } cases[] = {
      {"* * * * *", "2026-11-23 06:30:00", "2026-11-23 06:31:00"},
      {"* * * * *", "2026-11-23 06:30:01", "2026-11-23 06:31:00"},
      {"*/5 * * * *", "2026-11-23 06:58:00", "2026-11-23 07:00:00"},
      {"2-10/4 * * * *", "2026-11-23 06:06:00", "2026-11-23 06:10:00"},
      {"50/5 * * * *", "2026-11-23 06:50:00", "2026-11-23 06:55:00"},
      {"0,30 8,20 * * *", "2026-11-23 08:30:00", "2026-11-23 20:00:00"},
      {"0 9-17 * * mon-fri", "2026-11-20 17:00:00", "2026-11-23 09:00:00"},
      {"0 0 * * 7", "2026-11-23 06:30:00", "2026-11-29 00:00:00"},
      {"0 0 * * 5-7", "2026-11-28 00:00:00", "2026-11-29 00:00:00"},
      {"0 0 31 * *", "2026-11-23 06:30:00", "2026-12-31 00:00:00"},
      {"0 0 29 2 *", "2026-11-23 06:30:00", "2028-02-29 00:00:00"},
      {"0 0 29 FEB *", "2096-03-01 00:00:00", "2104-02-29 00:00:00"},
      {"0 0 13 * fri", "2026-11-23 06:30:00", "2026-11-27 00:00:00"},
      {"0 0 */2 * fri", "2026-11-23 06:30:00", "2026-11-27 00:00:00"},
      {"59 23 31 12 *", "2026-12-31 23:59:00", "2027-12-31 23:59:00"},
      {"*/20 * * * * *", "2026-11-23 06:59:40", "2026-11-23 07:00:00"},
      {"7 30 6 * * *", "2026-11-23 06:30:00", "2026-11-23 06:30:07"},
      {"@hourly", "2026-11-23 06:30:00", "2026-11-23 07:00:00"},
      {"@daily", "2026-11-23 06:30:00", "2026-11-24 00:00:00"},
      {"@weekly", "2026-11-23 06:30:00", "2026-11-29 00:00:00"},
      {"@monthly", "2026-11-23 06:30:00", "2026-12-01 00:00:00"},
      {"@yearly", "2026-11-23 06:30:00", "2027-01-01 00:00:00"},
      {"  0\t0 1 jan  * ", "2026-11-23 06:30:00", "2027-01-01 00:00:00"},
  };
  for (size_t i = 0; i < ARRAY_LEN(cases); i++)
    assert_string_equal(next_of(cases[i].expression, cases[i].after, true), cases[i].next);
}

/* Berlin goes from 02:00 to 03:00 on 29 March 2026, and from 03:00 back to 02:00 on 25 October. */
static void test_clock_changes(void **state) {
  (void)state;
  setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
  tzset();
  assert_string_equal(next_of("30 2 * * *", "2026-03-28 12:00:00", false), "2026-03-30 02:30:00");
  assert_string_equal(next_of("0 3 * * *", "2026-03-28 12:00:00", false), "2026-03-29 03:00:00");
  assert_string_equal(next_of("30 2 * * *", "2026-10-24 12:00:00", false), "2026-10-25 02:30:00");
  struct cron once, each;
  assert_int_equal(cron_parse("30 2 * * *", &once, NULL), 0);
  assert_int_equal(cron_parse("30 * * * *", &each, NULL), 0);
  int64_t before = at("2026-10-25 01:45:00", false);
  int64_t first = cron_next(&once, before);
  assert_int_equal(cron_next(&once, first) - first, 25 * 3600);
  assert_int_equal(cron_next(&each, before), first);
  assert_int_equal(cron_next(&each, first) - first, 3600);
  setenv("TZ", "UTC", 1);
  tzset();
}

static void test_refusals(void **state) {
  (void)state;
  static const struct {
    const char *expression, *why;
  } cases[] = {
      {"", "has 0 fields"},
      {"* * * *", "has 4 fields"},
      {"* * * * * * *", "has 7 fields"},
      {"60 * * * *", "minute: \"60\""},
      {"* 24 * * *", "hour: \"24\""},
      {"* * 0 * *", "day of the month: \"0\""},
      {"* * * 13 *", "month: \"13\""},
      {"* * * foo *", "or a name"},
      {"* * * * 8", "day of the week: \"8\""},
      {"5-1 * * * *", "backwards"},
      {"*/0 * * * *", "a step from 1"},
      {"*/ * * * *", "a step from 1"},
      {"1,,2 * * * *", "minute"},
      {"1, * * * *", "minute"},
      {"-1 * * * *", "minute"},
      {"1- * * * *", "minute"},
      {"+1 * * * *", "minute"},
      {"*5 * * * *", "minute"},
      {"0 0 30 2 *", "no such day"},
      {"0 0 31 4,6,9,11 *", "no such day"},
      {"@never", "has 1 fields"},
  };
  for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
    struct cron c = {.seconds = 42};
    struct err err = ERR_INIT;
    assert_int_equal(cron_parse(cases[i].expression, &c, &err), -EINVAL);
    if (!strstr(err.msg, cases[i].why)) fail_msg("\"%s\": %s", cases[i].expression, err.msg);
    assert_int_equal(c.seconds, 42);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_next),
      cmocka_unit_test(test_clock_changes),
      cmocka_unit_test(test_refusals),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
