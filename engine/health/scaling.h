/* Processes whose number of instances follows what a function of the flow measures (`scale` of a process): asks the
 * function at its interval while the container runs, decides by core/scale, and tells the supervisor.
 *
 * All that the environment points to stays the caller's and must outlive it.
 */
#ifndef TEND_HEALTH_SCALING_H
#define TEND_HEALTH_SCALING_H

#include "core/metric.h"
#include "core/plan.h"
#include "loop/policy.h"
#include "loop/sink.h"

struct scaling;

struct scaling_env {
  struct loop *loop;
  struct sink *sink;
  struct metrics *metrics;
  const struct policy *policy; /* NULL: no functions, nothing is ever asked */
  const struct plan *plan;
  void *arg; /* of these */
  /* How many instances are asked for now; 0: it is left alone (stopped by an operator,
   * maintenance). */
  unsigned (*count)(void *arg, unsigned process);
  void (*set)(void *arg, unsigned process, unsigned count);
};

/* NULL with err. */
struct scaling *scaling_new(const struct scaling_env *env, struct err *err);
/* A reload: process i of `to` is what j of `from` was, with the same rule. Before scaling_follow, or all. */
void scaling_adopt(struct scaling *to, unsigned i, const struct scaling *from, unsigned j);
void scaling_free(struct scaling *s); /* NULL is allowed */

/* Whether anything is asked: the container runs. */
void scaling_follow(struct scaling *s, bool active);

#endif
