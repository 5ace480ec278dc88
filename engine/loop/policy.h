/* What the loop asks of the scripts, as function pointers, so that loop/ knows nothing of Lua.
 *
 * "Lua decides, C acts": every call has a deadline, and whatever is not a good answer means the default.
 * A function is named by the number that it got when the flow file was turned into a plan ("$fn": ref).
 */
#ifndef TEND_LOOP_POLICY_H
#define TEND_LOOP_POLICY_H

#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

enum policy_status { POLICY_OK, POLICY_ERROR, POLICY_TIMEOUT, POLICY_CANCELLED };

/* Called once, from the top of the loop. result is what the function returned as an array of values, valid
 * during the call only; err is set unless POLICY_OK. */
typedef void policy_done_fn(void *arg, enum policy_status status, const cJSON *result, const struct err *err);

struct policy {
  void *self;
  /* Starts a task. arg_json may be NULL. Returns a token for cancel; 0 with err when it cannot start (done
   * is then never called). */
  uint64_t (*call)(void *self, int ref, const char *task_name, const char *arg_json, int64_t deadline_ns,
                   policy_done_fn *done, void *arg, struct err *err);
  /* Ends the task; done is not called. A stale token is ignored. */
  void (*cancel)(void *self, uint64_t token);
  /* Collects the scripts' garbage; returns how many bytes it gave back. */
  int64_t (*collect)(void *self);
  /* What the scripts have used so far: CPU time, and memory now. */
  void (*usage)(void *self, int64_t *cpu_ns, int64_t *bytes);
};

#endif
