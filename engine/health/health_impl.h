/* The inside of the checks, for health*.c alone. */
#ifndef TEND_HEALTH_HEALTH_IMPL_H
#define TEND_HEALTH_HEALTH_IMPL_H

#include "health/ask.h"
#include "health/health.h"

struct item {
  struct health *health;
  size_t index;
  struct health_spec spec;
  struct check check;
  struct timer *timer; /* the next run; while it runs: the guard */
  struct ask ask;
  char *reason, *detail; /* of the last result, one block of memory; NULL: nothing to say */
  int64_t duration_ns, spent_ns;
  uint64_t runs, results[CHECK_RESULTS];
  struct history history;
};

/* A run by hand. */
struct extra {
  struct extra *next;
  struct item *item;
  struct ask ask;
  bool counts;
  struct timer *timer;        /* the guard; or gives `failed` from the loop */
  struct probe_result failed; /* it could not even be started */
  probe_done_fn *done;
  void *arg;
};

struct listener {
  health_news_fn *fn;
  void *arg;
};

struct health {
  struct loop *loop;
  struct probe_env *probes;
  const struct policy *policy;
  struct item **items; /* each where it is for good: timers and asks point to it */
  size_t n, cap;
  struct listener *listeners;
  size_t n_listeners;
  struct extra *extras;
  double pace;
  int64_t pace_until_ns;
  struct keep *keep; /* NULL: nothing is kept */
};

/* Its timer, by when it is due. */
void health_arm(struct item *it);

#endif
