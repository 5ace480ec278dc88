/* One thing to ask, a probe or a function of the flow, and one attempt at it: what dependencies and checks share.
 * A function that raises, exceeds its limits or returns nonsense gives the status unknown.
 */
#ifndef TEND_HEALTH_ASK_H
#define TEND_HEALTH_ASK_H

#include "loop/policy.h"
#include "probes/probe.h"

/* Borrowed: what it points to must outlive the attempt. */
struct ask_what {
  struct probe_env *probes;
  const struct policy *policy; /* may be NULL when it is no function */
  const char *name;
  const char *kind;    /* NULL: the function alone */
  const cJSON *params; /* of the kind; may be NULL */
  int fn;              /* 0: a probe of that kind; else this function, where there is a kind with its parameters */
};

/* An attempt; zero-initialised it is none. */
struct ask {
  struct probe *probe;
  uint64_t task;
  const struct policy *policy;
  int64_t started_ns;
  probe_done_fn *done;
  void *arg;
};

/* Starts it. done is called once, from the loop, at the deadline at the latest. When it cannot even be started *failed
 * says why (status unknown), -EINVAL is returned, and done is never called. about: the argument as JSON of a function
 * without a kind, may be NULL. The ask must stay where it is until done or ask_cancel. */
int ask_start(struct ask *a, const struct ask_what *what, const char *about, int64_t deadline_ns, probe_done_fn *done,
              void *arg, struct probe_result *failed);
bool ask_runs(const struct ask *a);
void ask_cancel(struct ask *a); /* done is not called; nothing when none runs */

#endif
