/* What the files of the remedies share; nobody else includes it. */
#ifndef TEND_HEALTH_REMEDIES_IMPL_H
#define TEND_HEALTH_REMEDIES_IMPL_H

#include "base/limits.h"
#include "core/remedy_plan.h"
#include "health/remedies.h"

enum { STEP_DETAIL_MAX = 200, CAUSE_MAX = 300, TRY_AGAIN_MAX = 8 };

/* One step of the present or last run. */
struct step_record {
  bool begun, ended;
  enum remedy_outcome outcome;
  int64_t started_ns, duration_ns;
  char detail[STEP_DETAIL_MAX];
};

/* One remedy: what it is, its run, the step that is being carried out. */
struct job {
  struct remedies *r;
  const struct plan_remedy *plan;
  struct step_record *record; /* one for each step, those of the escalation included */
  /* the run: the present one, else the last */
  uint32_t run; /* 0: none yet */
  uint16_t check;
  bool dry, by_operator;
  int64_t begun_real_ns;
  char cause[CAUSE_MAX];
  uint64_t runs;
  int last_result; /* enum remedy_result; -1: none yet */
  /* the step */
  bool stepping;
  unsigned step;
  uint32_t child;
  uint64_t task;
  bool restarting;
  uint64_t mark;
};

/* A step of it, as it was: the flow may have another one by now. */
struct past_step {
  struct step_record record;
  char name[LIMIT_NAME];
  const char *kind; /* lives for ever */
};

/* A run that has ended. */
struct past {
  char remedy[2 * LIMIT_NAME], check[LIMIT_NAME]; /* check "": none */
  bool dry, by_operator;
  enum remedy_result result;
  int64_t at_real_ns, duration_ns;
  char *cause;
  struct past_step *steps;
  size_t n_steps;
};

/* A check's answer that is under way. */
struct question {
  struct remedies *r;
  uint32_t run;
  uint16_t check;
  struct question *next;
};

struct remedy_waiter {
  uint32_t run;
  remedies_done_fn *done;
  void *arg;
  struct remedy_waiter *next;
};

struct remedies {
  struct keep *keep; /* NULL: nothing is kept */
  struct remedies_env env;
  struct remedy_plan *rules;
  struct remedy *core;
  struct timer *timer;
  struct job **job; /* each where it is for good: what it started has it as its argument */
  unsigned n;
  struct remedy_input *queue;
  unsigned queued, queue_cap;
  bool busy;
  bool active, ended;
  remedies_gate_fn *gate;
  remedies_ungate_fn *given_up;
  void *gate_arg;
  struct gate {
    enum { GATE_OPEN, GATE_ASKED, GATE_CLOSED } state;
    unsigned failures; /* of the last bad result that did not pass */
    bool unhealthy;
  } * gates; /* of each check */
  remedies_reset_fn *reset;
  void *reset_arg;
  struct question *questions;
  struct remedy_waiter *waiters;
  struct past *past; /* a ring of LIMIT_REMEDY_PAST; n_past grows without end; NULL: nothing was done */
  uint64_t n_past;
  struct metric *runs_total, *steps_total, *maintenance;
};

/* remedies.c */
int remedies_find_check(const struct remedies *r, const char *name); /* -1: none */
void remedies_feed(struct remedies *r, const struct remedy_input *in);
static inline const struct plan_step *job_step(const struct job *j) { return &j->plan->steps[j->step]; }
static inline unsigned job_steps(const struct job *j) { return (unsigned)(j->plan->steps_n + j->plan->escalations_n); }
static inline const char *check_name(const struct remedies *r, uint16_t check) {
  return check == REMEDY_NONE ? NULL : r->env.plan->checks[check].name;
}

/* remedies_step.c: one step; it ends with remedies_step_done, later or at once */
void remedies_step_start(struct job *j, int64_t deadline_ns);
void remedies_step_cancel(struct job *j);
const char *remedies_step_kind(const struct plan_step *s);

/* remedies_tell.c: events, metrics, what is kept of a run */
void remedies_step_done(struct job *j, enum remedy_outcome outcome, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void remedies_note_step(struct job *j, enum remedy_outcome outcome);
void remedies_tell_begin(struct job *j, const struct remedy_action *a);
void remedies_tell_end(struct job *j, const struct remedy_action *a, struct buf *summary);
void remedies_tell_recovered(struct remedies *r, const struct remedy_action *a);
void remedies_tell_gave_up(struct remedies *r, const struct remedy_action *a);
void remedies_tell_maintenance(struct remedies *r, const struct remedy_action *a);
int remedies_declare(struct remedies *r, struct err *err); /* the metrics */
void remedies_forget(struct remedies *r);

#endif
