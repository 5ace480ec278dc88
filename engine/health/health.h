/* The health checks of an engine: runs them when they are due, keeps what they said, and tells who listens. What a
 * result means is core/check's; when checks are to run at all (process up, container running) is the caller's:
 * health_start, health_stop.
 *
 * Owned by who made it. Checks are numbered from 0 in the order in which they were added; several may have one name
 * (the start-up check of each instance). Callbacks come from the loop, never from inside a call here, and may call
 * any function here but health_free.
 */
#ifndef TEND_HEALTH_HEALTH_H
#define TEND_HEALTH_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/check.h"
#include "core/history.h"
#include "loop/policy.h"
#include "probes/probe.h"

struct health;
struct keep;

/* Texts and params are borrowed: they must live as long. */
struct health_spec {
  const char *name, *description; /* description may be NULL */
  const char *kind;               /* of probe; NULL: the function */
  const cJSON *params;
  int fn;
  const char *process; /* whose it is; NULL: the container's */
  unsigned instance;
  bool dependency;         /* it is a dependency that goes on being asked */
  bool required;           /* of a dependency */
  struct check_spec check; /* spread is filled in */
};

struct health_view {
  size_t index;
  const char *name, *description, *kind; /* kind "function" for a function */
  const char *process;                   /* NULL: the container's */
  unsigned instance;
  bool dependency, required;
  const struct check_spec *spec;
  const struct check *check;   /* role's state, since, due, hold, counts in a row */
  const char *reason, *detail; /* of the last result, "" where there is none */
  int64_t duration_ns;         /* of the last run; -1: none yet */
  uint64_t runs;               /* counted ones */
  uint64_t results[CHECK_RESULTS];
  int64_t spent_ns; /* durations of all runs */
};

/* A counted result. change->from != change->to: a transition. Views are valid during the call. */
struct health_news {
  const struct health_view *check;
  const struct check_change *change;
  const struct probe_result *result;
};
typedef void health_news_fn(void *arg, const struct health_news *news);

struct health *health_new(struct loop *loop, struct probe_env *probes, const struct policy *policy, struct err *err);
void health_free(struct health *h); /* NULL is allowed */

/* From now on what is known of the checks is kept for a next engine; what the one before has left of those that have
 * been added is taken over, and those that ran go on. */
void health_keep(struct health *h, struct keep *keep);

/* Its number, stopped; or -ENOMEM with err. Kind and parameters have been checked before. */
int health_add(struct health *h, const struct health_spec *spec, struct err *err);
/* Everybody who listens hears of each result, in the order of health_listen. -ENOMEM. */
int health_listen(struct health *h, health_news_fn *fn, void *arg);

void health_start(struct health *h, size_t i); /* one that runs stays as it is */
void health_stop(struct health *h, size_t i);  /* a run that is under way is ended without a result */
void health_reset(struct health *h, size_t i); /* forgets what is known, history and totals stay; stays started */

/* Runs a started one now, or a second after its last result. */
void health_hurry(struct health *h, size_t i);

/* Not run before until_ns (a remedy is at work); counts in a row begin anew, the state stays. Now or the past: the
 * hold ends, and a started check runs at once. Of all checks of that name; -ENOENT. */
int health_hold(struct health *h, const char *name, int64_t until_ns);

/* Until until_ns checks that are good run at intervals times factor: to take load away. */
void health_pace(struct health *h, double factor, int64_t until_ns);

/* Runs it once, beside its schedule, started or not. counts: the result is taken as one of a normal run (listeners
 * hear of it, thresholds count); else nothing is changed by it. done is called once from the loop, at the check's
 * timeout at the latest, or by health_free (unknown). 0; -ENOENT, -ENOMEM with err. */
int health_probe_now(struct health *h, const char *name, bool counts, probe_done_fn *done, void *arg, struct err *err);

/* A result from elsewhere (a dependency that is the same thing): counts as one of a run. */
void health_note(struct health *h, size_t i, const struct probe_result *result);

/* --- a reload: `to` is made anew with the checks that there are now, and takes over from `from`, which is then freed
 * ---
 */
/* Check i goes on as what check j was: state, counts, history, its timer and the run that is under way; with the spec
 * that it was added to `to` with. */
void health_adopt(struct health *to, size_t i, struct health *from, size_t j);
/* Check i is another one than j was but stands in for it: it counts for what j was until it has an answer of its own.
 */
void health_inherit(struct health *to, size_t i, const struct health *from, size_t j);
/* What does not belong to one check. Listeners are those of `to` alone. */
void health_adopt_rest(struct health *to, const struct health *from);

size_t health_count(const struct health *h);
int health_find(const struct health *h, const char *name); /* the first of that name; -ENOENT */
/* False at the end. Texts are valid until the next turn. */
bool health_at(const struct health *h, size_t i, struct health_view *out);
/* The last runs, oldest first; returns how many (HISTORY_RUNS at most). */
unsigned health_history(const struct health *h, size_t i, struct history_run *out, unsigned max);
/* How it stands, for check_overall. */
struct check_standing health_standing(const struct health_view *v);

#endif
