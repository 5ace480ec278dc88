/* One version of settings and policies, as the supervisor uses it, and who makes the next one: the supervisor knows
 * neither files nor Lua.
 */
#ifndef TEND_SUPERVISOR_GENERATION_H
#define TEND_SUPERVISOR_GENERATION_H

#include "core/kept.h"
#include "core/plan.h"
#include "core/problem.h"
#include "core/settings.h"
#include "core/sources.h"
#include "loop/policy.h"

struct generation {
  unsigned number; /* the supervisor's */
  struct settings *settings;
  struct plan *plan;
  const struct policy *policy;   /* NULL: no scripts */
  struct problems *problems;     /* found while it was made; errors: it must not be used */
  const struct sources *sources; /* NULL: no scripts */
  const struct sources *missing; /* paths that were looked for in vain; NULL */
  cJSON **returned;              /* by the flow file, until it is kept */
  int kept_fd;                   /* its texts as they were given to init (core/kept), once they were; -1 */
  const char *file;              /* its flow file; "": none */
  const char *flows, *scripts;   /* colon lists of directories that were searched */
};

/* A new one; NULL with err: there is no memory. With errors among its problems it is good for nothing but to be told of
 * and freed. The receiver's. */
typedef void generation_made_fn(void *arg, struct generation *g, const struct err *err);

struct generations {
  void *self;
  /* Makes one from files and environment as they are now, aside and in slices; what a reload may not change of the
   * settings stays as in `in_force`. done is called once, from the loop. One at a time. */
  void (*make)(void *self, const struct generation *in_force, generation_made_fn *done, void *arg);
  /* One of what an engine before this one has kept (core/kept), whatever is on disk; at once. NULL: it cannot be. */
  struct generation *(*restore)(void *self, const struct generation *in_force, const char *bytes, size_t n);
  void (*abandon)(void *self); /* the one that is being made; done is not called */
  /* `to` is in force from now on, `from` no more: its settings are in the object that `from` had. Scripts of `from` do
   * nothing more by themselves, calls that run go on. */
  void (*activate)(void *self, struct generation *from, struct generation *to);
  bool (*busy)(const struct generation *g); /* calls of it go on */
  void (*free)(struct generation *g);
};

#endif
