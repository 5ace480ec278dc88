/* Cron expressions: minute, hour, day of the month, month, day of the week; with six fields the first one is seconds.
 * Each field is *, a number, a range, a step, or a list of these: "0,30", "1-5", "9-17/2"; months and days by name too.
 * "@hourly", "@daily", "@weekly", "@monthly", "@yearly" are short for the obvious. Where both days are restricted one
 * of them is enough, as everywhere.
 *
 * Times are seconds since 1970. Local time is that of TZ: a time that the clock skips does not come on that day; one
 * that comes twice counts once, unless the hour is *.
 */
#ifndef TEND_BASE_CRON_H
#define TEND_BASE_CRON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct cron {
  uint64_t seconds, minutes;      /* bit n: the n-th one */
  uint32_t hours, months;         /* months: bits 1 to 12 */
  uint32_t days;                  /* bits 1 to 31 */
  uint32_t weekdays;              /* bits 0 (Sunday) to 6 */
  bool any_day, any_weekday, utc; /* the field is * */
};

/* 0, or -EINVAL with what is wrong; also for a day that never comes. out->utc is false. */
int cron_parse(const char *text, struct cron *out, struct err *err);
/* The first time after after_s; INT64_MAX: none within ten years. */
int64_t cron_next(const struct cron *c, int64_t after_s);

#endif
