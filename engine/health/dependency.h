/* Dependency checks: what must be there before the processes start. All are asked at once, each again and again
 * until it is ready or its time is over; one that is ready is not asked again. Tells dependency_ready,
 * dependency_waiting and dependency_failed through the sink.
 *
 * Owned by who made it; callbacks come from the loop and may call any function here, dependencies_free too.
 */
#ifndef TEND_HEALTH_DEPENDENCY_H
#define TEND_HEALTH_DEPENDENCY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "loop/policy.h"
#include "probes/probe.h"
#include "loop/sink.h"

struct dependencies;
struct keep;

struct dependency_spec {
  const char *name, *description; /* description may be NULL */
  const char *kind;               /* of probe; NULL: the function `fn` */
  const cJSON *params;            /* of the kind; may be NULL */
  int fn;                         /* a policy function: true; or nil and an error; or {status, reason, detail} */
  bool required;
  int64_t timeout_ns;         /* the whole wait */
  int64_t attempt_timeout_ns; /* one attempt; 0: 10 s, which is also the most */
  int64_t interval_ns;        /* from the end of an attempt to the next */
  double backoff;             /* the interval grows by this factor each time; 0 or 1: not */
  int64_t max_interval_ns;    /* 0: 30 s, or the interval where that is longer */
};

enum dependency_state { DEPENDENCY_IDLE, DEPENDENCY_WAITING, DEPENDENCY_READY, DEPENDENCY_FAILED };
const char *dependency_state_name(enum dependency_state state); /* "idle", "waiting", "ready", "failed" */

struct dependency_view {
  const char *name, *description, *kind; /* kind "function" for a function */
  bool required;
  enum dependency_state state;  /* of the last run */
  enum probe_status status;     /* of the last attempt */
  const char *reason, *detail;  /* of the last attempt, "" when ok or none yet */
  unsigned attempts;            /* of the last run */
  int64_t duration_ns;          /* of the last run, until now where it waits */
  int64_t attempt_ns;           /* of the last attempt */
  int64_t next_ns, deadline_ns; /* WAITING: the next attempt (0: one runs), and when the wait ends; else 0 */
  int64_t checked_ns;           /* monotonic time of the last result, 0: none yet */
  const cJSON *data;            /* facts of the last result; may be NULL */
};

struct dependency_outcome {
  bool ok;
  const char *name;   /* of the first required one that failed; "" when ok, as are: */
  const char *reason; /* as in the probe's result */
  const char *detail;
  int64_t duration_ns; /* of this run */
  unsigned ready;      /* how many are ready */
  unsigned missing;    /* optional ones that are not */
};

typedef void dependencies_done_fn(void *arg, const struct dependency_outcome *outcome);

/* Copies the specs. NULL with err, which names the dependency and the key. probes, policy and sink must live longer;
 * policy may be NULL when no spec is a function, sink when nothing is to be told. */
struct dependencies *dependencies_new(struct probe_env *probes, const struct policy *policy, struct sink *sink,
                                      const struct dependency_spec *specs, size_t n, struct err *err);
void dependencies_free(struct dependencies *d); /* NULL is allowed */

/* Asks all, or with only_bad the required ones whose last result is not good (an optional one keeps nobody waiting
 * twice). done is called once, from the loop: when every
 * required one is ready and every optional one has settled, or as soon as a required one has failed (the others are
 * cancelled). A run that is under way ends first, without its callback. */
void dependencies_run(struct dependencies *d, bool only_bad, dependencies_done_fn *done, void *arg);
/* From now on what is known of them is kept for a next engine; what the one before has left is taken over. */
void dependencies_keep(struct dependencies *d, struct keep *keep);
/* Ends a run without its callback. */
void dependencies_stop(struct dependencies *d);

/* A result from elsewhere (a health check of the same thing): it is ready, or has failed. One that is being asked finds
 * out by itself. False: no such name. */
bool dependencies_note(struct dependencies *d, const char *name, const struct probe_result *result);

/* A reload: dependency i of `to` is what j of `from` was, and has its last result; a run does not go on. */
void dependencies_adopt(struct dependencies *to, size_t i, struct dependencies *from, size_t j);
bool dependencies_run_on(const struct dependencies *d); /* a run is under way */

bool dependencies_bad(const struct dependencies *d); /* a required one whose last result is not good */
/* i from 0; false at the end. Texts are valid until the next turn. */
bool dependencies_at(const struct dependencies *d, size_t i, struct dependency_view *out);

#endif
