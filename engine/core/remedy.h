/* Remedies against failing checks, as a pure function: remedy_feed(state, input, now) → actions. No I/O, no clock, and
 * no allocation after remedy_new.
 *
 * A rule names checks and a ladder of steps. When one of its checks has failed so many times in a row, a run begins:
 * one step after the other, after each the check is asked again; the first good answer ends the run. Behind the ladder
 * come the steps of the escalation (restart of a process, failure of the container). A rule may begin so many runs in a
 * window and rests after each; a run over that budget skips the ladder, each further one a step of the escalation more;
 * where none is left the rule gives up until the window has room. So no window sees more than max + escalations runs.
 *
 * One check has one run at a time, a rule too; runs of different checks go on side by side. Where several rules fit,
 * the first in the list begins. An answer `unknown` ends a run without escalation: who cannot see must not act. In
 * maintenance no step begins but an operator's.
 *
 * The caller carries out the actions in their order and feeds what comes of them, never from inside carrying out; it
 * feeds REMEDY_IN_TICK at remedy_due_ns. Times are CLOCK_MONOTONIC ns. The config is not copied.
 */
#ifndef TEND_CORE_REMEDY_H
#define TEND_CORE_REMEDY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/limits.h"

enum { REMEDY_NONE = UINT16_MAX };

struct remedy_step {
  int64_t timeout_ns; /* more than 0 */
  int64_t settle_ns;  /* from its end to the question whether it helped */
  unsigned patience;  /* more than 0: the check is not asked but watched, and bad after so many failures in a row */
  bool final;         /* it ends the container: nothing is asked after it */
};

struct remedy_rule {
  const uint16_t *check; /* indices of checks; none: by an operator alone */
  unsigned checks;
  unsigned failures; /* in a row; 0: as soon as the check counts as unhealthy */
  const struct remedy_step *step;
  unsigned steps, escalations; /* step[steps + escalations] */
  int64_t cooldown_ns;         /* from the end of a run to the begin of the next */
  unsigned max;                /* runs in the window, at least 1 */
  int64_t window_ns;
  bool dry_run; /* its runs are told, nothing is done */
};

struct remedy_config {
  const struct remedy_rule *rule;
  unsigned rules, checks;
  int64_t answer_ns; /* the longest wait for a check's answer */
  int64_t watch_ns;  /* the longest time for which one is watched; then its answer is unknown */
};

enum remedy_input_kind {
  REMEDY_IN_FAILING,     /* check, failures, on (it counts as unhealthy): a bad result */
  REMEDY_IN_GOOD,        /* check: it is good (again) */
  REMEDY_IN_ANEW,        /* check: what it said before is over, its process runs anew */
  REMEDY_IN_DONE,        /* run, outcome: its step has ended */
  REMEDY_IN_ANSWER,      /* run, answer: what the check that was asked for says; unsettled: it takes more than that one
                            good result until it counts as good, which GOOD tells */
  REMEDY_IN_ACTIVE,      /* on: the container runs; runs begin only then */
  REMEDY_IN_MAINTENANCE, /* on, until_ns (TIME_NEVER: until it is turned off) */
  REMEDY_IN_ASK,         /* rule, step (REMEDY_NONE: all of the ladder), dry: an operator wants it, now */
  REMEDY_IN_DROP,        /* rule: it is there no more; its run ends */
  REMEDY_IN_STOP,        /* everything ends */
  REMEDY_IN_TICK,
};

enum remedy_outcome { REMEDY_OK, REMEDY_FAILED, REMEDY_TIMEOUT, REMEDY_SKIPPED, REMEDY_OUTCOMES };
enum remedy_answer { REMEDY_GOOD, REMEDY_BAD, REMEDY_UNKNOWN };

/* How a run ended. */
#define REMEDY_RESULTS(R) \
  R(HEALED, "healed", "The check is good again.") \
  R(NOT_HEALED, "not_healed", "All steps are done, the check is still bad.") \
  R(ESCALATED, "escalated", "The last step ends the container.") \
  R(UNKNOWN, "unknown", "The check could not be asked.") \
  R(DONE, "done", "An operator's steps are done; no check was bad.") \
  R(FAILED, "failed", "One of an operator's steps did not work.") \
  R(DRY_RUN, "dry_run", "Nothing was done.") \
  R(CANCELLED, "cancelled", "Maintenance, or the end of the container.")

enum remedy_result {
#define R(id, name, doc) REMEDY_##id##_RESULT,
  REMEDY_RESULTS(R)
#undef R
      REMEDY_RESULTS_N
};

const char *remedy_result_name(enum remedy_result r);   /* "not_healed" */
const char *remedy_outcome_name(enum remedy_outcome o); /* "ok", "failed", "timeout", "skipped" */

struct remedy_input {
  enum remedy_input_kind kind;
  uint16_t check, rule, step;
  unsigned failures;
  uint32_t run;
  enum remedy_outcome outcome;
  enum remedy_answer answer;
  bool on, dry, unsettled;
  int64_t until_ns;
};

enum remedy_action_kind {
  REMEDY_ACT_BEGIN,     /* tell: a run begins: run, rule, check, failures, over_budget */
  REMEDY_ACT_STEP,      /* carry out: run, rule, step, dry, deadline_ns; answer DONE */
  REMEDY_ACT_CANCEL,    /* end the step of that run; no answer */
  REMEDY_ACT_ASK,       /* ask the check: run, check; answer ANSWER */
  REMEDY_ACT_HOLD,      /* check, on: its own turns rest while a run looks after it */
  REMEDY_ACT_END,       /* tell: a run has ended: result, steps, duration_ns */
  REMEDY_ACT_RECOVERED, /* tell: a check that had remedies is good again: rule, step of the last one, steps, duration_ns
                         */
  REMEDY_ACT_GAVE_UP,   /* tell: rule, check: the budget and the escalation are used up */
  REMEDY_ACT_MAINTENANCE, /* tell: on, until_ns */
};

struct remedy_action {
  enum remedy_action_kind kind;
  uint32_t run;
  uint16_t rule, check, step; /* REMEDY_NONE where there is none */
  unsigned failures, steps;   /* steps: carried out */
  bool on, dry, by_operator, over_budget;
  enum remedy_result result;
  int64_t duration_ns, deadline_ns, until_ns;
};

struct remedy_out {
  const struct remedy_action *action; /* valid until the next feed */
  unsigned n;
};

struct remedy;

/* NULL: no memory, or a config that cannot be (bounds of base/limits.h, an index that is none, no step, max 0). */
struct remedy *remedy_new(const struct remedy_config *config);
void remedy_free(struct remedy *r); /* NULL is allowed */
/* A new config while everything goes on: `to` was just made with it and takes over from `from`, which is then good for
 * remedy_free alone. rule, check: of each in `to` the number of the same one in `from`, with the same steps and budget;
 * negative: there is none. Before, rules of `from` that are not there any more are dropped (REMEDY_IN_DROP), and those
 * that do not go on because the check of their run is gone. */
bool remedy_goes_on(const struct remedy *from, unsigned rule, const int *check, unsigned checks);
void remedy_adopt(struct remedy *to, const struct remedy *from, const int *rule, const int *check);
void remedy_feed(struct remedy *r, const struct remedy_input *in, int64_t now_ns, struct remedy_out *out);
int64_t remedy_due_ns(const struct remedy *r); /* TIME_NEVER: no tick is wanted */

/* Over the life of an engine: as bytes, for the same config. False: they are none of such, and nothing was changed. */
void remedy_save(const struct remedy *r, struct buf *out);
bool remedy_load(struct remedy *r, const void *bytes, size_t n, int64_t now_ns);

struct remedy_view {
  bool running, asking; /* asking: waits for the check */
  uint32_t run;
  uint16_t check, step; /* of the run; REMEDY_NONE */
  bool dry, by_operator, gave_up;
  unsigned in_window;
  int64_t since_ns; /* of the run */
  int64_t ready_ns; /* no run of its own begins before */
};
void remedy_view(const struct remedy *r, unsigned rule, int64_t now_ns, struct remedy_view *out);
/* Its last result was bad. */
bool remedy_is_failing(const struct remedy *r, unsigned check);
/* Steps were carried out since the check failed. */
bool remedy_tried(const struct remedy *r, unsigned check);
uint32_t remedy_next_run(const struct remedy *r);                   /* the number of the run that begins next */
bool remedy_maintenance(const struct remedy *r, int64_t *until_ns); /* until_ns may be NULL */

#endif
