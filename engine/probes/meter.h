/* The container's use as shares of what it may use, from looks at base/usage that are at least half a second apart:
 * who asks sooner gets the last one. The first look is what CPU time and kills are counted from.
 *
 * Zero-initialised it is ready; it is opened by the first look.
 */
#ifndef TEND_PROBES_METER_H
#define TEND_PROBES_METER_H

#include "base/usage.h"

struct meter {
  bool open;
  struct usage_source source;
  struct usage usage; /* the last look */
  int64_t looked_ns;  /* when */
  int64_t kills_before;
  int64_t rate_from_ns, rate_from_cpu_ns; /* where the present CPU share began */
  double cpu;                             /* see meter_cpu */
};

/* Looks, where the last look is old enough. now_ns is monotonic. */
const struct usage *meter_look(struct meter *m, int64_t now_ns);
void meter_close(struct meter *m);

/* Of the last look; NAN where it is not known. Memory and tasks: 0 to 1 of the limit. CPU: 0 to 1 of what may be used,
 * between the last two looks. */
double meter_memory(const struct meter *m);
double meter_cpu(const struct meter *m);
double meter_tasks(const struct meter *m);
/* Since the first look; -1 where it is not known. */
int64_t meter_oom_kills(const struct meter *m);

#endif
