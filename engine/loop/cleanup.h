/* Cleanup handlers: at the end of a run, one after the other: critical ones first, then in reverse order of
 * registration. Each has its own time limit inside the whole; one that fails or hangs does not stop the rest.
 *
 * A handler is a policy function or a built-in kind, which runs as a helper process (files may be on a volume
 * that hangs). Results stay readable for the report.
 */
#ifndef TEND_LOOP_CLEANUP_H
#define TEND_LOOP_CLEANUP_H

#include "core/plan.h"
#include "core/report.h"
#include "loop/attendant.h"
#include "loop/children.h"
#include "loop/policy.h"
#include "loop/sink.h"

struct cleanup;

struct cleanup_env {
  struct loop *loop;
  struct children *children;
  struct sink *sink;
  const struct policy *policy; /* NULL: no functions */
  struct attendant *ready;     /* for the next handler with a kind; NULL: none is started */
};

/* ok: every handler ended well. Called once, from the loop. */
typedef void cleanup_done_fn(void *arg, bool ok);

/* A helper for the first handler with a kind stands by, so that nobody waits for its start at the end. */
void cleanup_prepare(struct cleanup_env *env, const struct plan *plan);

/* Runs all handlers of the plan until deadline_ns. Memory short: NULL. env and plan must outlive it. */
struct cleanup *cleanup_start(struct cleanup_env *env, const struct plan *plan, int64_t deadline_ns,
                              cleanup_done_fn *done, void *arg);
/* Ends what runs; the rest counts as skipped; done is not called. */
void cleanup_cancel(struct cleanup *c);
void cleanup_free(struct cleanup *c); /* NULL is allowed */

size_t cleanup_results(const struct cleanup *c, const struct report_cleanup **out); /* c may be NULL: 0 */

/* Starts the helper of a handler with a kind; for cleanup and for remedies. dry_run: only kinds whose helper knows it.
 * The child's number; 0 with err. */
uint32_t cleanup_spawn(struct children *children, const struct plan_cleanup *h, bool dry_run,
                       const struct child_ops *ops, void *arg, struct err *err);

#endif
