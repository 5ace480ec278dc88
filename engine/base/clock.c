#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>

static int64_t read_ns(clockid_t id) {
  struct timespec ts;
  clock_gettime(id, &ts);
  return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t clock_mono_ns(void) { return read_ns(CLOCK_MONOTONIC); }

int64_t clock_real_ns(void) { return read_ns(CLOCK_REALTIME); }

/* The date of a day since 1970. Years count from March here, so that the day of a leap year is a year's last; 400 of
 * them have always 146097 days. gmtime_r() would do, but reads the file of the time zone first, at each start. */
static void date_of(int64_t days, unsigned *year, unsigned *month, unsigned *day) {
  days += 719468; /* from 0000-03-01 */
  int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  unsigned in_era = (unsigned)(days - era * 146097);
  unsigned y = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
  unsigned in_year = in_era - (365 * y + y / 4 - y / 100);
  unsigned m = (5 * in_year + 2) / 153; /* 0: March */
  *day = in_year - (153 * m + 2) / 5 + 1;
  *month = m < 10 ? m + 3 : m - 9;
  *year = (unsigned)(era * 400) + y + (*month <= 2);
}

const char *clock_format(int64_t real_ns, char buf[CLOCK_TEXT_MAX]) {
  time_t s = (time_t)(real_ns / NS_PER_S);
  int ms = (int)(real_ns % NS_PER_S / NS_PER_MS);
  if (ms < 0) {
    ms += 1000;
    s--;
  }
  int64_t days = s / 86400, rest = s % 86400;
  if (rest < 0) {
    rest += 86400;
    days--;
  }
  unsigned year, month, day, sec = (unsigned)rest;
  date_of(days, &year, &month, &day);
  snprintf(buf, CLOCK_TEXT_MAX, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", year % 10000, month % 100, day % 100,
           sec / 3600 % 24, sec / 60 % 60, sec % 60, (unsigned)ms % 1000);
  return buf;
}

int clock_parse(const char *text, int64_t *real_ns) {
  struct tm tm = {0};
  const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
  if (!end) return -EINVAL;
  int64_t fraction = 0, unit = NS_PER_S;
  if (*end == '.')
    for (end++; *end >= '0' && *end <= '9'; end++) fraction += (*end - '0') * (unit /= 10);
  if (end[0] != 'Z' || end[1]) return -EINVAL;
  *real_ns = (int64_t)timegm(&tm) * NS_PER_S + fraction;
  return 0;
}

int clock_ms_until(int64_t due_ns, int64_t now_ns) {
  if (due_ns == TIME_NEVER) return -1;
  if (due_ns <= now_ns) return 0;
  int64_t d = due_ns - now_ns;
  int64_t ms = d / NS_PER_MS + (d % NS_PER_MS ? 1 : 0);
  return ms > INT_MAX ? INT_MAX : (int)ms;
}
