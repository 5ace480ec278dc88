/* Tasks: every call into Lua is one. A task is a coroutine with a name, a deadline, a CPU budget and at most
 * one pending operation. The scheduler runs those that are ready once a turn of the loop, from its top, never nested.
 *
 * To wait, a primitive takes a token (task_wait), starts its operation with it, and returns
 * task_suspend(L, cancel, arg). The operation ends by task_ready(token, …), which only queues; a token that is stale
 * (late, double, cancelled) is a counted no-op. Cancel, deadline and shutdown are one function: the operation is
 * cancelled and the waiting call raises an error; so does each later one; what goes on all the same is closed.
 *
 * Runaways: while Lua runs, a timer sends SIGVTALRM, whose handler only sets a hook on the coroutine that runs. A task
 * yields after a slice of 3 ms of CPU and is closed when its budget is spent. What no hook can stop (a pattern that
 * backtracks for ever) ends the whole process after a second of CPU, with the name of who it was.
 */
#ifndef TEND_LUA_TASK_H
#define TEND_LUA_TASK_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "loop/loop.h"

struct effects;
struct keep_culprit;
struct sched;
struct vm;

#define TASK_SLICE_NS (3 * INT64_C(1000000))
#define TASK_GRACE_NS (50 * INT64_C(1000000))   /* for what a task that is being ended has to close */
#define TASK_STRETCH_NS (20 * INT64_C(1000000)) /* CPU where it cannot yield but is seen: in __tostring, say */
#define TASK_STUCK_NS INT64_C(1000000000)       /* CPU inside one call that nothing can interrupt */
#define TASK_BUDGET_NS INT64_C(1000000000)

enum task_end {
  TASK_DONE,      /* results are on co's stack */
  TASK_ERROR,     /* raised, out of memory, or over its budget */
  TASK_TIMEOUT,   /* its deadline passed */
  TASK_CANCELLED, /* by task_cancel or the end of its generation */
};

/* Called once when a task ends, from the scheduler; co holds nresults values for TASK_DONE, is in no protected call
 * (use lua_pcall for what may raise) and is gone afterwards. err names file and line. May start and cancel tasks. */
typedef void task_done_fn(void *arg, enum task_end end, lua_State *co, int nresults, const struct err *err);

/* Takes a text: 0; -EAGAIN: it is the last one that is taken before task_room; -EPIPE: nobody wants it. */
typedef int task_print_fn(void *arg, const char *text, size_t n);

struct task_spec {
  const char *name;           /* copied: "dependency rpa_db" */
  int64_t deadline_ns;        /* CLOCK_MONOTONIC; TIME_NEVER: none */
  int64_t budget_ns;          /* CPU; 0: without limit */
  task_done_fn *done;         /* may be NULL */
  bool loading;               /* it cannot wait */
  void (*dropped)(void *arg); /* called in place of done when the end is quiet; may be NULL */
  void *arg;
  task_print_fn *print; /* where `print` goes; NULL: the log. Not called any more once the end is quiet */
  void *print_arg;
  struct effects *effects; /* what it may do to the world (lua/effect.h); NULL: everything. Lives longer */
  bool once;               /* will not come again: never quarantined */
  size_t memory_max;       /* refused where its generation would hold more; 0: the generation's own limit */
};

struct sched *sched_new(struct loop *loop, struct err *err);
/* Who is stuck in a call for limit_ns of CPU: the process ends by SIGKILL, once the name is in *culprit; where there is
 * no culprit, with a line on standard error, and 78 (while a file loads) or 70. Without this: TASK_STUCK_NS, NULL. */
void sched_on_stuck(struct sched *s, int64_t limit_ns, struct keep_culprit *culprit);
void sched_free(struct sched *s);             /* after all vms */
int64_t sched_used_ns(const struct sched *s); /* CPU time of all tasks so far */

/* Takes a function and nargs arguments from the top of L (the main coroutine of vm) and queues them as a task.
 * Returns its id, 0 with err when there are too many tasks or there is no memory (the values are popped then too). */
uint64_t task_start(struct sched *s, struct vm *vm, lua_State *L, int nargs, const struct task_spec *spec,
                    struct err *err);

/* Ends a task: TASK_CANCELLED or TASK_TIMEOUT. `quiet`: done is not called. A stale id is ignored. */
void task_cancel(struct sched *s, uint64_t id, enum task_end why, bool quiet);
/* All tasks of a generation are ended and closed now, without callbacks. Not from inside a task. */
void task_end_all(struct sched *s, const struct vm *vm);
/* The id of the running task, 0 when none runs. */
uint64_t task_current(const struct sched *s);
/* What it prints is taken again. A stale id is ignored. */
void task_room(struct sched *s, uint64_t id);
unsigned task_count(const struct sched *s);
unsigned task_count_of(const struct sched *s, const struct vm *vm);
uint64_t task_stale(const struct sched *s); /* completions that came too late */

/* --- for primitives (they are called by Lua, with the sched of their state) --- */

/* Whether what runs prints to somebody; then `print` is task_print, as the last act of a C function: waits while the
 * reader is slow. At most LIMIT_CONTROL_STREAM bytes of one text are taken. */
bool task_prints(lua_State *L);
int task_print(lua_State *L, const char *text, size_t n);

/* Pushes what the waiting call returns, and returns how many values. Runs in the task; may raise. */
typedef int task_push_fn(lua_State *L, void *data);

/* The token for the operation about to start. Raises where waiting is not possible: outside of a task (while a flow
 * file loads), inside a coroutine that the script made, or when the task is being ended. */
uint64_t task_wait(lua_State *L);
void task_may_wait(lua_State *L); /* raises as task_wait does; for what is refused before it waits */
/* Yields until task_ready. cancel(arg) must end the operation so that it does not use arg again. */
int task_suspend(lua_State *L, void (*cancel)(void *arg), void *arg);
/* Completes; drop(data) is called once in any case, also for a stale token. Both may be NULL. */
void task_ready(struct sched *s, uint64_t token, task_push_fn *push, void *data, void (*drop)(void *data));

/* --- for the environment --- */

/* Runs the function with nargs on top of `co` (a thread of its own) to its end, for at most limit_ns of CPU, without
 * the loop; waiting calls raise. 0 with the results on co, or a negative errno; co is closed then. */
int sched_run_now(struct sched *s, lua_State *co, int nargs, int64_t limit_ns, int *nresults, struct err *err);
/* Resumes an inner coroutine on behalf of a script, keeping the runaway guard on whoever runs. As lua_resume; a forced
 * yield of the slice is told by *forced, the caller must then yield too and resume again later. */
int sched_resume_inner(lua_State *co, lua_State *from, int nargs, int *nresults, bool *forced);
/* True for the coroutine that the running task was started with. */
bool sched_is_task(lua_State *L);
/* The running task's budget is spent: whoever cannot yield must raise. */
bool sched_is_over(lua_State *L);
/* Closes a coroutine (its pending <close> variables run, bounded). */
int sched_close_inner(lua_State *co, lua_State *from);

/* The sched and the vm of a state: kept in lua_getextraspace, so every coroutine has them. */
struct lua_owner {
  struct sched *sched;
  struct vm *vm;
};
static inline struct lua_owner *lua_owner(lua_State *L) { return *(struct lua_owner **)lua_getextraspace(L); }

#endif
