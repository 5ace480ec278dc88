/* One dependency while it is asked: attempts, waits, verdict. What several of them mean together is dependency.c's.
 */
#ifndef TEND_HEALTH_DEPENDENCY_ITEM_H
#define TEND_HEALTH_DEPENDENCY_ITEM_H

#include "health/ask.h"
#include "health/dependency.h"

struct item;
/* It is ready, or its time is over. Called from the loop, or from inside item_begin when it cannot even be tried. */
typedef void item_settled_fn(struct item *it);
/* An attempt failed and another one follows. */
typedef void item_waiting_fn(struct item *it);

struct item {
  struct dependencies *owner;
  struct probe_env *probes;
  const struct policy *policy;
  item_settled_fn *settled;
  item_waiting_fn *waiting;

  char *name, *description, *kind;
  cJSON *params;
  int fn;
  bool required;
  int64_t timeout_ns, attempt_timeout_ns, interval_ns, max_interval_ns;
  double backoff;

  enum dependency_state state;
  enum probe_status status;
  char reason[32], detail[256], told[32];
  cJSON *data;
  unsigned attempts;
  int64_t started_ns, settled_ns, checked_ns, deadline_ns, attempt_ns /* of the last attempt: how long */, wait_ns,
      next_ns;
  bool last;  /* no time for another attempt after this one */
  bool spent; /* no more attempts; waits for its deadline */

  struct timer *timer; /* the next attempt; while a function runs: its guard */
  struct ask ask;
};

int item_init(struct item *it, const struct dependency_spec *spec, struct err *err);
void item_free(struct item *it);
void item_begin(struct item *it, int64_t now_ns, int64_t deadline_ns);
void item_stop(struct item *it); /* back to idle, the last result stays */
void item_note(struct item *it, const struct probe_result *r);

#endif
