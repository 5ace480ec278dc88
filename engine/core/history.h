/* The last runs of a check, for plots and reports: a ring of 64 words, each with a result, a duration and the time
 * since the run before, packed to three digits. The words lie where the caller has room for them: HISTORY_RUNS of them,
 * always the same. Pure; no allocation.
 */
#ifndef TEND_CORE_HISTORY_H
#define TEND_CORE_HISTORY_H

#include <stdint.h>

enum { HISTORY_RUNS = 64 };

struct history {
  int64_t last_ns; /* end of the newest */
  uint8_t n, next; /* how many; where the next one goes */
};

struct history_run {
  int64_t at_ns;       /* its end; within 0.1 % of its age */
  int64_t duration_ns; /* within 0.1 % */
  unsigned result;     /* 0 to 3 */
};

/* at_ns must not go back. */
void history_add(struct history *h, uint32_t runs[HISTORY_RUNS], int64_t at_ns, int64_t duration_ns, unsigned result);
/* The newest `max`, oldest first; returns how many. */
unsigned history_list(const struct history *h, const uint32_t runs[HISTORY_RUNS], struct history_run *out,
                      unsigned max);
/* The runs may be one ahead of h, which is as it was before: whoever added was cut off in the middle. */
void history_resume(struct history *h);

#endif
