#include "base/cron.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/str.h"

enum { FIELDS = 6, YEARS = 10 };

static const struct field {
  const char *name;
  int min, max;
  const char *const *words; /* of min, min + 1 … */
} fields[FIELDS] = {
    {"second", 0, 59, NULL},
    {"minute", 0, 59, NULL},
    {"hour", 0, 23, NULL},
    {"day of the month", 1, 31, NULL},
    {"month", 1, 12,
     (const char *const[]){"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", NULL}},
    {"day of the week", 0, 7, (const char *const[]){"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL}},
};

static const struct {
  const char *name, *text;
} shorts[] = {{"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"}, {"@weekly", "0 0 * * 0"},
              {"@daily", "0 0 * * *"},  {"@midnight", "0 0 * * *"}, {"@hourly", "0 * * * *"}};

/* --- reading ----------------------------------------------------------------------------------------------------- */

/* A number or a name; -1 when it is neither. */
static int read_value(const struct field *f, const char *text, size_t n) {
  char word[8];
  if (n == 0 || n >= sizeof word) return -1;
  snprintf(word, sizeof word, "%.*s", (int)n, text);
  for (int i = 0; f->words && f->words[i]; i++)
    if (strcasecmp(word, f->words[i]) == 0) return f->min + i;
  int64_t v;
  return str_int(word, f->min, f->max, &v) == 0 ? (int)v : -1;
}

static int wrong(const struct field *f, const char *part, size_t n, struct err *err) {
  return err_set(err, -EINVAL, "%s: \"%.*s\": expected *, or %d to %d%s, with - and / and , between", f->name, (int)n,
                 part, f->min, f->max, f->words ? " or a name" : "");
}

/* One part of a list: *, a, a-b, each with /step. */
static int read_part(const struct field *f, const char *part, size_t n, uint64_t *set, struct err *err) {
  const char *slash = memchr(part, '/', n);
  size_t range = slash ? (size_t)(slash - part) : n;
  const char *dash = memchr(part, '-', range);
  int from = f->min;
  int to = f->max;
  int64_t step = 1;
  if (range != 1 || *part != '*') {
    from = read_value(f, part, dash ? (size_t)(dash - part) : range);
    to = dash ? read_value(f, dash + 1, range - (size_t)(dash + 1 - part)) : slash ? f->max : from;
    if (from < 0 || to < 0) return wrong(f, part, n, err);
    if (from > to) return err_set(err, -EINVAL, "%s: \"%.*s\": the range goes backwards", f->name, (int)n, part);
  }
  if (slash) {
    char text[8];
    snprintf(text, sizeof text, "%.*s", (int)(n - range - 1), slash + 1);
    if (n - range - 1 >= sizeof text || str_int(text, 1, f->max, &step))
      return err_set(err, -EINVAL, "%s: \"%.*s\": expected a step from 1 to %d behind the /", f->name, (int)n, part,
                     f->max);
  }
  for (int v = from; v <= to; v += (int)step) *set |= UINT64_C(1) << v;
  return 0;
}

static int read_field(const struct field *f, const char *text, size_t n, uint64_t *set, struct err *err) {
  *set = 0;
  for (size_t at = 0; at <= n;) {
    const char *comma = memchr(text + at, ',', n - at);
    size_t len = comma ? (size_t)(comma - text) - at : n - at;
    int rc = len ? read_part(f, text + at, len, set, err) : wrong(f, text, n, err);
    if (rc) return rc;
    at += len + 1;
  }
  return 0;
}

/* A day that no month of the list has, such as 30 February. */
static bool never_comes(const struct cron *c) {
  static const int longest[] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (c->any_day || !c->any_weekday) return false;
  for (int m = 1; m <= 12; m++)
    for (int d = 1; c->months >> m & 1 && d <= longest[m]; d++)
      if (c->days >> d & 1) return false;
  return true;
}

int cron_parse(const char *text, struct cron *out, struct err *err) {
  for (size_t i = 0; i < ARRAY_LEN(shorts); i++)
    if (STR_EQ(text, shorts[i].name)) text = shorts[i].text;
  const char *starts[FIELDS];
  size_t lens[FIELDS];
  size_t n = 0;
  for (const char *p = text; *p;) {
    p += strspn(p, " \t");
    size_t len = strcspn(p, " \t");
    if (!len) break;
    if (n < FIELDS) {
      starts[n] = p;
      lens[n] = len;
    }
    n++;
    p += len;
  }
  if (n < FIELDS - 1 || n > FIELDS)
    return err_set(
        err, -EINVAL,
        "\"%.60s\" has %zu fields, expected 5 (minute, hour, day, month, weekday; with seconds before them 6), or "
        "@hourly, @daily, @weekly, @monthly, @yearly",
        text, n);
  uint64_t sets[FIELDS] = {1};
  size_t skip = FIELDS - n;
  for (size_t i = 0; i < n; i++) {
    int rc = read_field(&fields[i + skip], starts[i], lens[i], &sets[i + skip], err);
    if (rc) return rc;
  }
  struct cron c = {.seconds = sets[0],
                   .minutes = sets[1],
                   .hours = (uint32_t)sets[2],
                   .days = (uint32_t)sets[3],
                   .months = (uint32_t)sets[4],
                   .weekdays = (uint32_t)((sets[5] | sets[5] >> 7) & 0x7f),
                   .any_day = *starts[3 - skip] == '*',
                   .any_weekday = *starts[5 - skip] == '*'};
  if (never_comes(&c)) return err_set(err, -EINVAL, "\"%.60s\": there is no such day in these months", text);
  *out = c;
  return 0;
}

/* --- the next time ----------------------------------------------------------------------------------------------- */

static struct tm split(const struct cron *c, int64_t t) {
  struct tm tm;
  time_t at = (time_t)t;
  if (c->utc)
    gmtime_r(&at, &tm);
  else
    localtime_r(&at, &tm);
  return tm;
}

/* The first second of a day; months and days may be one too many. */
static int64_t join(const struct cron *c, int year, int month, int day) {
  struct tm tm = {.tm_year = year, .tm_mon = month, .tm_mday = day, .tm_isdst = -1};
  return c->utc ? timegm(&tm) : mktime(&tm);
}

static bool day_fits(const struct cron *c, const struct tm *tm) {
  bool day = c->days >> tm->tm_mday & 1, weekday = c->weekdays >> tm->tm_wday & 1;
  return c->any_day || c->any_weekday ? day && weekday : day || weekday;
}

/* The same hour was there before: the clock went back. */
static bool is_second(const struct cron *c, int64_t t, const struct tm *tm) {
  if (c->utc || c->hours == 0xffffff) return false;
  struct tm before = split(c, t - 3600);
  return before.tm_hour == tm->tm_hour && before.tm_mday == tm->tm_mday;
}

int64_t cron_next(const struct cron *c, int64_t after_s) {
  int64_t t = after_s + 1;
  int last = split(c, t).tm_year + YEARS;
  for (;;) {
    struct tm tm = split(c, t);
    int64_t next = t;
    if (tm.tm_year > last) return INT64_MAX;
    if (!(c->months >> (tm.tm_mon + 1) & 1))
      next = join(c, tm.tm_year, tm.tm_mon + 1, 1);
    else if (!day_fits(c, &tm))
      next = join(c, tm.tm_year, tm.tm_mon, tm.tm_mday + 1);
    else if (!(c->hours >> tm.tm_hour & 1) || is_second(c, t, &tm))
      next = t + 3600 - tm.tm_min * 60 - tm.tm_sec;
    else if (!(c->minutes >> tm.tm_min & 1))
      next = t + 60 - tm.tm_sec;
    else if (!(c->seconds >> tm.tm_sec & 1))
      next = t + 1;
    else
      return t;
    /* where a clock goes back over midnight the day's first second may lie behind */
    t = next > t ? next : t + 1;
  }
}
