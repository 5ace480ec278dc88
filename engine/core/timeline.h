/* What a simulation has brought, in the order of time: events, and the states of things as rows. As text, JSON and
 * plot. Owns copies of all texts but `what` and states, which are literals. Times are ns from the begin.
 */
#ifndef TEND_CORE_TIMELINE_H
#define TEND_CORE_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"
#include "core/event.h"

struct timeline_entry {
  int64_t at_ns;
  const char *what; /* "state", or an event's name */
  enum level level;
  char *details; /* a JSON object */
};

struct timeline_change {
  int64_t at_ns;
  const char *state;
  char mark; /* in the plot */
};

/* The states of one thing over time. */
struct timeline_row {
  char *name;
  struct timeline_change *changes;
  size_t n, cap;
};

struct timeline {
  struct timeline_entry *entries;
  size_t n, cap;
  struct timeline_row *rows;
  size_t rows_n, rows_cap;
  int64_t end_ns;
  bool failed; /* no memory: it is not whole */
};

void timeline_free(struct timeline *t); /* any state */

void timeline_add(struct timeline *t, int64_t at_ns, const char *what, enum level level, const struct buf *details);
size_t timeline_row(struct timeline *t, const char *name);
/* Nothing where it is the state already. */
void timeline_set(struct timeline *t, size_t row, int64_t at_ns, const char *state, char mark);

/* "2d 03:04:05.678" */
enum { TIMELINE_TIME_MAX = 40 };
const char *timeline_time(int64_t ns, char to[TIMELINE_TIME_MAX]);

void timeline_text(const struct timeline *t, struct buf *out);
void timeline_json(const struct timeline *t, struct json *j, const char *key);
void timeline_json_rows(const struct timeline *t, struct json *j, const char *key);
/* One line a row, `width` characters for the whole time; where a row was in several states in the time of one character
 * the one that matters most is shown. */
void timeline_plot(const struct timeline *t, unsigned width, struct buf *out);

/* Lines of `expected` that are not in `got` with "-" before them, and those of `got` that are not in expected with "+";
 * with their line numbers. Returns how many. */
size_t timeline_differences(const char *expected, const char *got, struct buf *out);

#endif
