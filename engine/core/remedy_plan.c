#include "core/remedy_plan.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "core/check.h"

#define WATCH_NS (900 * NS_PER_S)
#define ANSWER_NS (3700 * NS_PER_S) /* a check's own timeout, an hour at most, comes before */

/* A remedy that no flow names. */
struct remedy_implied {
  struct plan_remedy remedy;
  struct plan_step step;
  uint16_t check;
  char name[2 * LIMIT_NAME];
};

/* After a restart a check gets as many tries as make it bad. */
static unsigned patience(const struct plan_remedy *m, const unsigned *failures) {
  unsigned most = m->failures == PLAN_UNSET ? 1 : (unsigned)m->failures;
  for (size_t i = 0; i < m->checks_n; i++)
    if (failures[m->checks[i]] > most) most = failures[m->checks[i]];
  return most;
}

static struct remedy_step *make_rule(const struct plan_remedy *m, const unsigned *failures, struct remedy_rule *rule,
                                     struct remedy_step *step) {
  unsigned n = remedy_plan_steps(m);
  for (unsigned k = 0; k < n; k++)
    step[k] = (struct remedy_step){.timeout_ns = m->steps[k].timeout_ns,
                                   .settle_ns = m->steps[k].settle_ns,
                                   .patience = m->steps[k].kind == PLAN_STEP_RESTART ? patience(m, failures) : 0,
                                   .final = m->steps[k].kind == PLAN_STEP_FAIL};
  *rule = (struct remedy_rule){.check = m->checks,
                               .checks = (unsigned)m->checks_n,
                               .failures = m->failures == PLAN_UNSET ? 0 : (unsigned)m->failures,
                               .step = step,
                               .steps = (unsigned)m->steps_n,
                               .escalations = (unsigned)m->escalations_n,
                               .cooldown_ns = m->cooldown_ns,
                               .max = (unsigned)m->max,
                               .window_ns = m->window_ns,
                               .dry_run = m->dry_run};
  return step + n;
}

static bool is_implied(const struct plan *plan, size_t check) {
  if (plan->checks[check].role != CHECK_LIVENESS) return false;
  for (size_t i = 0; i < plan->remedies_n; i++)
    for (size_t k = 0; k < plan->remedies[i].checks_n; k++)
      if (plan->remedies[i].checks[k] == check) return false;
  return true;
}

/* The restart policy of the process has its own delays and window. */
static void imply(const struct plan *plan, size_t check, struct remedy_implied *m) {
  const struct plan_check *c = &plan->checks[check];
  m->check = (uint16_t)check;
  snprintf(m->name, sizeof m->name, "restart_%s", c->name);
  m->step = (struct plan_step){.name = "restart",
                               .description = "",
                               .kind = PLAN_STEP_RESTART,
                               .process = (unsigned)c->process,
                               .timeout_ns = 3600 * NS_PER_S};
  m->remedy = (struct plan_remedy){.name = m->name,
                                   .description = "",
                                   .checks = &m->check,
                                   .checks_n = 1,
                                   .failures = PLAN_UNSET,
                                   .steps = &m->step,
                                   .steps_n = 1,
                                   .window_ns = 3600 * NS_PER_S,
                                   .max = LIMIT_REMEDY_RUNS};
}

struct remedy_plan *remedy_plan_new(const struct plan *plan, const unsigned *failures) {
  size_t n = plan->remedies_n, implied = 0, steps = 0;
  for (size_t i = 0; i < n; i++) steps += remedy_plan_steps(&plan->remedies[i]);
  for (size_t i = 0; i < plan->checks_n; i++) implied += is_implied(plan, i);
  struct remedy_plan *p = calloc(1, sizeof *p);
  if (!p) return NULL;
  p->remedy = calloc(n + implied + 1, sizeof(const struct plan_remedy *));
  p->rules_ = calloc(n + implied + 1, sizeof *p->rules_);
  p->steps_ = calloc(steps + implied + 1, sizeof *p->steps_);
  p->implied_ = calloc(implied + 1, sizeof *p->implied_);
  if (!p->remedy || !p->rules_ || !p->steps_ || !p->implied_) {
    remedy_plan_free(p);
    return NULL;
  }
  for (size_t i = 0; i < n; i++) p->remedy[i] = &plan->remedies[i];
  for (size_t i = 0, k = 0; i < plan->checks_n; i++) {
    if (!is_implied(plan, i)) continue;
    imply(plan, i, &p->implied_[k]);
    p->remedy[n++] = &p->implied_[k++].remedy;
  }
  struct remedy_step *step = p->steps_;
  for (size_t i = 0; i < n; i++) step = make_rule(p->remedy[i], failures, &p->rules_[i], step);
  p->config = (struct remedy_config){.rule = p->rules_,
                                     .rules = (unsigned)n,
                                     .checks = (unsigned)plan->checks_n,
                                     .answer_ns = ANSWER_NS,
                                     .watch_ns = WATCH_NS};
  return p;
}

void remedy_plan_free(struct remedy_plan *p) {
  if (!p) return;
  free(p->remedy);
  free(p->rules_);
  free(p->steps_);
  free(p->implied_);
  free(p);
}
