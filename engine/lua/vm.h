/* A generation: one lua_State built from one version of the scripts, with its memory limit, its environment
 * and its modules. Loads a flow file into plain JSON and runs the functions that the flow holds as tasks.
 *
 * The host and all it points to must outlive the vm. Nothing here blocks, except vm_load_flow, which runs the
 * flow file to its end (500 ms of CPU at most). Errors name file and line.
 */
#ifndef TEND_LUA_VM_H
#define TEND_LUA_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "core/settings.h"
#include "loop/children.h"
#include "loop/loop.h"
#include "loop/policy.h"
#include "probes/probe.h"
#include "loop/sink.h"
#include "lua/task.h"

struct vm;
struct control;
struct metrics;
struct script_state;
struct quarantine;
struct sources;

/* What a generation may use. Pointers may be NULL where said; calls that need them then give nil, err. */
struct vm_host {
  struct sched *sched; /* shared by all generations */
  struct loop *loop;
  struct sink *sink;          /* NULL: log lines go nowhere */
  struct settings *settings;  /* never NULL; settings.declare adds to it and resolves anew, without telling problems */
  struct problems *problems;  /* what was wrong with files of declared settings (NAME_FILE); NULL: nobody hears */
  struct probe_env *probes;   /* NULL: no probes */
  struct children *children;  /* NULL: no processes */
  struct metrics *metrics;    /* NULL: counted for nobody */
  struct script_state *state; /* what the table `state` is kept in; NULL: nobody keeps it */
  struct quarantine *quarantine; /* functions in it are not started; NULL: none is */
  const char *scripts;           /* colon list of directories for require */
  const char *flows;             /* colon list, searched after the scripts; NULL: none */
  const char *flow;              /* the flow's name */
  const struct sources *given;   /* these are loaded in place of files; NULL: the disk. As long as the vm loads */
  bool script;                   /* tend script: file calls are direct */
  size_t memory_mb;              /* 0: LIMIT_LUA_MB */
  int64_t budget_ns;             /* CPU of one task; 0: TASK_BUDGET_NS. Not for the task of a script */
  /* What the engine knows, as JSON: what is "metrics" (the lifecycle counters), "report" or "status". Appends to out; 0
   * or a negative errno. NULL: there is no engine around. */
  int (*ask)(void *arg, const char *what, struct buf *out);
  /* The control whose operations process.start and so on are; signals to the plan's processes: to how many, -ENOENT.
   * The argument is ask_arg. NULL: there is no engine around. */
  struct control *(*control)(void *arg);
  int (*signal)(void *arg, const char *process, int instance, int signal, bool group);
  void *ask_arg;
};

/* NULL with err: no memory, or our own scripts are damaged. */
struct vm *vm_new(const struct vm_host *host, struct err *err);
/* Ends every task of this generation (no callback comes) and all it holds. NULL is allowed. */
void vm_free(struct vm *vm);

/* Runs the flow file and gives the table that it returned as JSON, functions as {"$fn": N} for vm_policy. What
 * lifecycle.add_dependency_check and add_cleanup_handler added is appended to "dependencies" and "cleanup". An empty
 * table is written as {}. Key lines are plan_locate's business. The caller owns *plan. Once for each vm. */
int vm_load_flow(struct vm *vm, const char *path, cJSON **plan, struct err *err);

/* The same in slices, beside everything else, for a generation that is made aside. done is called once, from the loop,
 * with the table (its to free) or with err; not after vm_free. -1 with err: it cannot even begin, done is not called.
 */
typedef void vm_loaded_fn(void *arg, cJSON *plan, const struct err *err);
int vm_begin_flow(struct vm *vm, const char *path, vm_loaded_fn *done, void *arg, struct err *err);

/* The same for a file of another kind that returns a table; what: "scenario", for errors. */
int vm_load_table(struct vm *vm, const char *path, const char *what, cJSON **out, struct err *err);

/* Calls of the flow's functions as tasks. Valid as long as the vm. */
struct policy vm_policy(struct vm *vm);

/* Runs a script file as one task, with the arguments as `...` and `arg`; no CPU budget. done is called once with an
 * array of what the chunk returned. Returns the task's token, 0 with err when the file does not load. */
uint64_t vm_run_script(struct vm *vm, const char *path, char *const *argv, policy_done_fn *done, void *arg,
                       struct err *err);

/* What was given in place of files is used up: what is required from now on is on disk. */
void vm_given_over(struct vm *vm);
/* A signal has come: signal.stopping() is true from now on where it is a stop, and functions given to signal.on run
 * as tasks. Returns how many there were. */
unsigned vm_signal(struct vm *vm, int sig, bool stop);

/* The texts that were loaded: the flow file, and what it required. */
const struct sources *vm_sources(const struct vm *vm);
const struct sources *vm_missing(
    const struct vm *vm); /* what would have come in place of one, or where one was missed */
/* Other settings, another place for problems (NULL: none), from now on. */
void vm_use(struct vm *vm, struct settings *settings, struct problems *problems);
/* A generation that is not in force, or not yet: its timers stand still, nothing of it runs by itself. What was called
 * goes on to its end. */
void vm_pause(struct vm *vm, bool paused);
/* Tasks of this generation that go on. */
unsigned vm_tasks(const struct vm *vm);

/* Stores the table `state` now. */
void vm_state_save(struct vm *vm);
/* At a swap of generations, either way: stores the table of `from` (NULL: none; paused from then on); `to` has it then,
 * and what its flow file wrote into it where nothing has changed since. */
void vm_state_move(struct vm *from, struct vm *to);

/* The i-th of the Lua halves that are inside the program, its name as for require; NULL after the last. */
const char *vm_embedded(size_t i, const char **name, size_t *n);

size_t vm_memory(const struct vm *vm); /* bytes in use */

#endif
