/* The remedies of a plan as rules for core/remedy: those that the flow names, and for each liveness check that none of
 * them looks after one of its own, which restarts its process. Pure. The plan must outlive it. */
#ifndef TEND_CORE_REMEDY_PLAN_H
#define TEND_CORE_REMEDY_PLAN_H

#include "core/plan.h"
#include "core/remedy.h"

struct remedy_plan {
  struct remedy_config config;
  const struct plan_remedy **remedy; /* of each rule */
  /* what these point to */
  struct remedy_rule *rules_;
  struct remedy_step *steps_;
  struct remedy_implied *implied_;
};

/* failures: of each check of the plan, in a row until it is bad. NULL: no memory. */
struct remedy_plan *remedy_plan_new(const struct plan *plan, const unsigned *failures);
void remedy_plan_free(struct remedy_plan *p); /* NULL is allowed */

static inline unsigned remedy_plan_steps(const struct plan_remedy *m) {
  return (unsigned)(m->steps_n + m->escalations_n);
}

#endif
