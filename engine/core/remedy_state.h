/* The inside of the remedies, shared by remedy*.c only. */
#ifndef TEND_CORE_REMEDY_STATE_H
#define TEND_CORE_REMEDY_STATE_H

#include "base/clock.h"
#include "core/remedy.h"

enum phase { PHASE_IDLE, PHASE_STEP, PHASE_SETTLE, PHASE_ASK, PHASE_WATCH };

struct check_state {
  unsigned failures; /* in a row; 0: good */
  bool unhealthy;
  bool pending;     /* a run has healed it, its recovery is told when it counts as good */
  int64_t since_ns; /* of the first of them */
  uint16_t busy;    /* the rule whose run looks after it; REMEDY_NONE */
  /* what was done about it since then */
  uint16_t rule, step;
  unsigned steps;
};

struct rule_state {
  enum phase phase;
  uint32_t run;
  uint16_t check;      /* REMEDY_NONE: none is bad (an operator's run) */
  uint16_t step, last; /* present, and the one after the last */
  bool dry, by_operator, leaving, any_failed;
  bool held;      /* its check */
  unsigned done;  /* steps of this run that were carried out */
  int64_t due_ns; /* of the phase */
  int64_t since_ns;
  /* budget */
  int64_t ready_ns;
  unsigned head, count;
  int64_t *ring;      /* max times of begun runs, oldest at head */
  unsigned escalated; /* runs over the budget, the last one at over_ns; forgotten a window after it */
  int64_t over_ns;
  bool gave_up;
};

struct remedy {
  const struct remedy_config *config;
  struct rule_state *rule;
  struct check_state *check;
  int64_t now;
  uint32_t runs;
  bool active, maintenance;
  int64_t maintenance_until_ns;
  unsigned n, cap;
  struct remedy_action *action;
  struct remedy_action spill; /* written to when the array is full, which its size rules out */
};

static inline const struct remedy_rule *config_of(const struct remedy *r, const struct rule_state *s) {
  return &r->config->rule[s - r->rule];
}

#endif
