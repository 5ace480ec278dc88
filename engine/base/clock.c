#include "base/clock.h"

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

const char *clock_format(int64_t real_ns, char buf[CLOCK_TEXT_MAX]) {
  time_t s = (time_t)(real_ns / NS_PER_S);
  int ms = (int)(real_ns % NS_PER_S / NS_PER_MS);
  if (ms < 0) {
    ms += 1000;
    s--;
  }
  struct tm tm;
  gmtime_r(&s, &tm);
  size_t n = strftime(buf, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
  snprintf(buf + n, CLOCK_TEXT_MAX - n, ".%03dZ", ms);
  return buf;
}

int clock_ms_until(int64_t due_ns, int64_t now_ns) {
  if (due_ns == TIME_NEVER) return -1;
  if (due_ns <= now_ns) return 0;
  int64_t d = due_ns - now_ns;
  int64_t ms = d / NS_PER_MS + (d % NS_PER_MS ? 1 : 0);
  return ms > INT_MAX ? INT_MAX : (int)ms;
}
