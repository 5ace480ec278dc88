/* How many instances of a process there shall be: what was measured, within bounds, not too much at once and not too
 * often. Pure; times are CLOCK_MONOTONIC ns. */
#ifndef TEND_CORE_SCALE_H
#define TEND_CORE_SCALE_H

#include <stdbool.h>
#include <stdint.h>

struct scale_rule {
  unsigned min, max;
  unsigned step;            /* most that one change adds or takes away, at least 1 */
  int64_t cooldown_ns;      /* from the last change to one that adds */
  int64_t down_cooldown_ns; /* from the last change, or the begin, to one that takes away */
};

struct scale {
  bool changed;
  int64_t since_ns; /* of the last change, before the first: of the begin */
};

/* The new number; count: as it is. wanted is rounded up; what is no number changes nothing. */
unsigned scale_decide(const struct scale_rule *rule, struct scale *s, unsigned count, double wanted, int64_t now_ns);

#endif
