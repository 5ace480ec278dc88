/* The numbers of the last hour, for plots: a ring of samples, five seconds apart at the least, taken with each health
 * round and while somebody watches. Pure. */
#ifndef TEND_CORE_TREND_H
#define TEND_CORE_TREND_H

#include "base/json.h"
#include "core/vitals.h"

enum { TREND_SAMPLES = 720 };

struct trend_sample {
  int64_t at_real_ns;
  float memory, cpu, disk, response_s; /* NAN: unknown; the first three are shares */
};

struct trend {
  int64_t last_ns; /* monotonic */
  unsigned n, next;
  struct trend_sample *samples; /* NULL until the first one */
};

void trend_add(struct trend *t, int64_t now_ns, int64_t now_real_ns, const struct vitals *v);
void trend_free(struct trend *t);
/* [[unix seconds, memory, cpu, disk, response in ms], …], the oldest first; null where unknown. */
void trend_json(const struct trend *t, struct json *j, const char *key);

#endif
