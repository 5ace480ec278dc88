/* The flow's hooks: functions called at points of the lifecycle, in the order of the plan. C says what it would do and
 * what else there is; each hook may choose; the last choice counts. One that fails, is late or gives no answer changes
 * nothing, and is told where something went wrong.
 */
#ifndef TEND_SUPERVISOR_HOOKS_H
#define TEND_SUPERVISOR_HOOKS_H

#include "base/json.h"
#include "core/plan.h"
#include "loop/policy.h"
#include "loop/sink.h"

enum { HOOK_CHOICES = 6, HOOK_WORD = 16 };

struct hook_run;

/* What is chosen: `word` is one of the choices. */
struct hook_answer {
  const char *word;
  int64_t delay_ns;    /* negative: none was given */
  char by[LIMIT_NAME]; /* the hook that chose; "": it is the default */
  char reason[256];    /* its second value, or `reason` in a table; "" */
};

typedef void hook_done_fn(void *arg, const struct hook_answer *answer);

struct hook_call {
  const struct policy *const *policy; /* where the one in force is: a chain does not go on in another's */
  struct sink *sink;
  const struct plan *plan;
  enum plan_hook_kind kind;
  /* The members of the table that each hook gets, as JSON without the braces ("\"process\": \"main\""); may be NULL. */
  const char *about;
  const char *choices[HOOK_CHOICES]; /* the first is the default; none: hooks are told, and choose nothing */
  int64_t deadline_ns;               /* of all together; TIME_NEVER */
  int64_t each_ns;                   /* of one that names no time */
  hook_done_fn *done;                /* may be NULL */
  void *arg;
};

/* Begins to call them. NULL: there are none, or there is no time; done is not called then. done is called once, from
 * the loop, after which the run is gone. */
struct hook_run *hooks_run(const struct hook_call *call);
void hooks_cancel(struct hook_run *run); /* done is not called; NULL is allowed */

const char *hook_point_name(enum plan_hook_kind kind); /* "on_exit" */

#endif
