/* Time. CLOCK_MONOTONIC decides, CLOCK_REALTIME is only printed. Nanoseconds as int64_t. */
#ifndef TEND_BASE_CLOCK_H
#define TEND_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)
#define TIME_NEVER INT64_MAX

enum { CLOCK_TEXT_MAX = 32 };

int64_t clock_mono_ns(void);
int64_t clock_real_ns(void);

/* RFC 3339 in UTC with milliseconds, e.g. 2026-01-15T10:30:00.000Z. Returns buf. */
const char *clock_format(int64_t real_ns, char buf[CLOCK_TEXT_MAX]);
/* Such a text, its fraction of any length or left out; -EINVAL: it is none. */
int clock_parse(const char *text, int64_t *real_ns);

/* Milliseconds rounded up, for poll-like calls: 0 when due, -1 when `due_ns` is TIME_NEVER, INT_MAX at most. */
int clock_ms_until(int64_t due_ns, int64_t now_ns);

#endif
