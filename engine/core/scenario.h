/* A scenario of `tend simulate`: what each dependency, check and process does, and when. Read from the table that a
 * scenario file returns, or from the events of a run that has been; each name in it must be one of the plan.
 *
 * Owned by who made it. Times are ns from the begin of the simulation.
 */
#ifndef TEND_CORE_SCENARIO_H
#define TEND_CORE_SCENARIO_H

#include "core/check.h"
#include "core/plan.h"
#include "core/remedy.h"

/* From at_ns on, until another entry behind it applies: or for lasts_ns only; or so long, every every_ns. */
struct scenario_entry {
  int64_t at_ns;
  int64_t lasts_ns; /* TIME_NEVER: to the end */
  int64_t every_ns; /* 0: once */
  enum check_result result;
  const char *reason; /* of a bad result, "" */
  const char *heals;  /* a step of a remedy that ends it when it works; NULL: none */
  int64_t healed_ns;  /* the occurrence, by its begin, that has been healed; -1: none. The simulation's own */
  double number;      /* of a scale: how many are wanted */
};

/* What one dependency, check or measure does over time: the last entry that applies holds; where none does it is
 * good. */
struct scenario_line {
  const char *name;
  struct scenario_entry *entries;
  size_t n;
};

/* One run of a process. */
struct scenario_run {
  int64_t runs_ns; /* until it ends by itself; TIME_NEVER: it does not */
  int status;      /* then, as of wait(2) */
  bool oom;
  bool fails;       /* it cannot be executed */
  int error;        /* then: errno */
  int64_t ready_ns; /* from its start until its start-up check is good; TIME_NEVER: never */
  int64_t stops_ns; /* from a stop signal to its end; TIME_NEVER: only SIGKILL ends it */
  int stop_exit;    /* its exit code then; -1: by the signal */
  unsigned repeats; /* so many times; 0: again and again */
};

/* The runs of a process, or of one of its instances, one after the other; after the last it runs to the end. */
struct scenario_process {
  unsigned process;
  int instance; /* -1: each one that has none of its own */
  struct scenario_run *runs;
  size_t n;
};

struct scenario_step {
  const char *name; /* "STEP" or "REMEDY/STEP" */
  enum remedy_outcome outcome;
  int64_t takes_ns;
};

enum scenario_order_kind {
  ORDER_SIGNAL,
  ORDER_START,
  ORDER_STOP,
  ORDER_RESTART,
  ORDER_SHUTDOWN,
  ORDER_MAINTENANCE,
  ORDER_REMEDIATE
};
/* What somebody does from outside. */
struct scenario_order {
  int64_t at_ns;
  enum scenario_order_kind kind;
  int signal;
  int process;      /* START STOP RESTART: index; -1: all */
  unsigned remedy;  /* REMEDIATE: index */
  int64_t lasts_ns; /* MAINTENANCE: TIME_NEVER: it stays on; 0: off */
  size_t number;    /* in the list */
};

struct scenario {
  int64_t lasts_ns;
  uint64_t seed;
  struct scenario_line *dependencies, *checks, *scale;
  size_t dependencies_n, checks_n, scale_n;
  struct scenario_process *processes;
  size_t processes_n;
  struct scenario_step *steps;
  size_t steps_n;
  struct scenario_order *orders; /* by time */
  size_t orders_n;
  struct plan *memory_; /* what lists and texts are in */
  cJSON *json_;         /* what names point into */
};

/* json NULL: nothing happens, for an hour. options: file and lines of the scenario. 0; -EINVAL (problems tell),
 * -ENOMEM. */
int scenario_read(const cJSON *json, const struct plan *plan, const struct plan_options *options, struct scenario **out,
                  struct problems *problems);
void scenario_free(struct scenario *s); /* NULL is allowed */

/* What the lines of an events.jsonl tell of the last run in it, as the table of a scenario file; without what the plan
 * has no longer. */
int scenario_from_events(const char *text, size_t n, const char *file, const struct plan *plan, cJSON **out,
                         struct err *err);

/* Seconds as a number, or a text with ms, s, m, h or d. 0, -EINVAL, -ERANGE. */
int scenario_duration(const cJSON *v, int64_t *out_ns);

static inline void clean_scenario(struct scenario **s) { scenario_free(*s); }
#define auto_scenario __attribute__((cleanup(clean_scenario)))

#endif
