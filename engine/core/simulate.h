/* The lifecycle under a virtual clock: the same machine, checks, remedies and scaling as an engine's, in a world that
 * does what a scenario says. Nothing is started and no function of the flow is called: hooks and cleanups are done at
 * once, a validation is good, what a check or a step of a remedy gives is the scenario's.
 * Pure; the same input gives the same time line.
 */
#ifndef TEND_CORE_SIMULATE_H
#define TEND_CORE_SIMULATE_H

#include "core/machine.h"
#include "core/scenario.h"
#include "core/timeline.h"

/* A dependency, as it is waited for at a start. */
struct simulate_dependency {
  int64_t timeout_ns, interval_ns, max_interval_ns; /* all more than 0 */
  double backoff;                                   /* at least 1 */
  struct check_spec late;                           /* the check that goes on asking for it */
  int check;                                        /* the flow's check of the same thing; -1: none */
};

struct simulation {
  const struct plan *plan;
  const struct machine_config *machine;
  const struct simulate_dependency *dependencies; /* of plan->dependencies */
  const struct check_spec *checks;                /* of plan->checks */
  const struct check_spec *startups;              /* of plan->processes; of those with a start-up check */
  struct scenario *scenario;
};

/* How it stood at the end. */
struct simulate_end {
  int64_t at_ns;
  bool exited; /* tend has ended, with: */
  int exit_code;
  bool too_much; /* it was given up: so much happens in so little time that it would not end */
  enum machine_state state;
  const char *health;
  uint64_t restarts;
  unsigned remedies; /* runs */
};

/* 0 with *out and *end, -ENOMEM, or -EINVAL: the plan cannot be run. out is zeroed before. */
int simulate(const struct simulation *what, struct timeline *out, struct simulate_end *end);

#endif
