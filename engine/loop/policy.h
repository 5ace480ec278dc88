/* What the loop asks of the scripts, as function pointers, so that loop/ knows nothing of Lua.
 *
 * "Lua decides, C acts": every call has a deadline, and whatever is not a good answer means the default.
 * A function is named by the number that it got when the flow file was turned into a plan ("$fn": ref).
 */
#ifndef TEND_LOOP_POLICY_H
#define TEND_LOOP_POLICY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/json.h"
#include "core/operation.h"

enum policy_status { POLICY_OK, POLICY_ERROR, POLICY_TIMEOUT, POLICY_CANCELLED };

/* Called once, from the top of the loop. result is what the function returned as an array of values, valid
 * during the call only; err is set unless POLICY_OK. */
typedef void policy_done_fn(void *arg, enum policy_status status, const cJSON *result, const struct err *err);

/* What a task prints: 0; -EAGAIN: taken, but no more before `room`; -EPIPE: nobody reads any more. */
typedef int policy_write_fn(void *arg, const char *text, size_t n);

/* A command of a script (control.command) that a control client runs. */
struct policy_command {
  const struct operation *op; /* as `command` gave it */
  const cJSON *args;          /* checked against it; for the start only */
  uid_t uid;
  pid_t pid;
  policy_write_fn *write;
  policy_done_fn *done;
  void *arg; /* of both */
};

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
  /* The i-th command of the scripts, NULL after the last. Valid until the scripts are swapped. */
  const struct operation *(*command)(void *self, size_t i);
  /* As `call`: a token, or 0 with err. done is called in any case, POLICY_CANCELLED also where the scripts go. */
  uint64_t (*run_command)(void *self, const struct policy_command *c, struct err *err);
  /* What the task with this token prints will be taken again. */
  void (*room)(void *self, uint64_t token);
  /* What the function is: the same number in another generation where it does the same. */
  uint64_t (*identity)(void *self, int ref);
};

#endif
