/* The plan: a flow file's table, checked key by key, as immutable C data.
 *
 * The scripts turn the table that a flow file returns into JSON, a function in it into {"$fn": number}; plan_from_json
 * checks that and reports everything that is wrong at once. Pure: no file, no clock, no script is touched.
 *
 * struct plan owns all it points to, and texts and lists that are the same are there once; plan_free releases it. Times
 * are nanoseconds; PLAN_UNSET (-1) in a number, NULL in a text and PLAN_NO_FN in a function mean that the flow says
 * nothing and the setting or default decides.
 */
#ifndef TEND_CORE_PLAN_H
#define TEND_CORE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "core/problem.h"
#include "core/restart.h"
#include "core/settings.h"

enum { PLAN_UNSET = -1, PLAN_NO_FN = 0 };

/* Overrides of the restart settings for one process. */
struct plan_restart {
  int policy;       /* enum restart_policy */
  int max_attempts; /* 0: without limit */
  int64_t delay_ns, max_delay_ns, window_ns, reset_ns;
  int exponential; /* 0, 1 or PLAN_UNSET */
  int jitter_percent;
  const struct restart_rule *rules;
  size_t rules_n;
};

struct plan_stop_step {
  int signal;
  int64_t wait_ns; /* until the next step; the last one's: until SIGKILL. PLAN_UNSET: what is left of the time */
};

struct plan_stop {
  const struct plan_stop_step *ladder; /* at least one: TERM */
  size_t ladder_n;
  int64_t timeout_ns; /* the whole ladder; PLAN_UNSET: the workload's share of the shutdown timeout */
  bool group;         /* signals go to the process group */
};

/* One thing to ask: a probe kind with parameters, or a function. */
struct plan_check {
  const char *name;
  const char *description;    /* "" when there is none */
  const char *kind;           /* NULL: fn alone */
  const cJSON *params;        /* an object, for probe_start; never NULL when kind is given */
  int fn;                     /* is asked; where there is a kind, which is written in Lua then, with its params */
  bool required;              /* a dependency gates the start */
  int64_t timeout_ns;         /* dependency: the whole wait; check: one attempt */
  int64_t attempt_timeout_ns; /* dependency: one attempt, at most 10 s */
  int64_t interval_ns, max_interval_ns; /* between attempts; max: with backoff */
  double backoff;                       /* factor from attempt to attempt; 1: none */
  const char *skip;                     /* not NULL: left out, and why (a setting that is not given) */
  /* checks only; see core/check.h */
  int role;                /* enum check_role */
  int process;             /* index of the process it belongs to; PLAN_UNSET: the container's */
  int failures, successes; /* in a row, or failures of the last `window` */
  int window;              /* 0: in a row */
  int unknowns;            /* in a row until the alarm */
  int64_t initial_delay_ns, fast_interval_ns, down_interval_ns;
};

/* The number of instances follows what a function measures. */
struct plan_scale {
  unsigned min, max, step; /* step: most that one change adds or takes away */
  int fn;                  /* gives the number that is wanted, nil: as it is */
  int64_t interval_ns, timeout_ns, cooldown_ns, down_cooldown_ns;
};

struct plan_process {
  const char *name;
  const char *description;
  char **argv; /* NULL-terminated; argv[0] "tend" means the running binary */
  char **env;  /* "NAME=value", NULL-terminated, on top of tend's environment */
  const char *cwd;
  const char *user; /* name or uid, optionally ":group" */
  bool no_new_privs;
  unsigned instances;       /* at the start */
  struct plan_scale *scale; /* NULL: it stays so */
  uint16_t *after;          /* indices of processes */
  size_t after_n;
  unsigned level; /* 0: nothing comes before it; otherwise 1 + the highest of `after` */
  bool essential; /* its final failure ends the container; main always is */
  int mode;       /* enum execution_mode */
  int64_t interval_ns;
  const struct plan_restart *restart;
  const uint64_t *success_set; /* of 4: bit n: exit code n is a good end; bit 0 always */
  const struct plan_stop *stop;
  int64_t start_timeout_ns;   /* until the start-up check must have passed */
  struct plan_check *startup; /* NULL: started means executed */
  bool restart_on_change; /* a reload that changes what is executed restarts it; else that waits for its next start */
  /* made by a reload, for as long as something of it runs (plan_retire) */
  bool retired;   /* it is in the flow no more */
  unsigned extra; /* instances beyond those of the flow */
};

struct plan_cleanup {
  const char *name;
  const char *description;
  const char *kind;    /* sync, remove_temporary, rotate_logs, close_files; NULL: fn is called */
  const char *helper;  /* of a kind: the action of `tend helper` that carries it out, with params as its options */
  const cJSON *params; /* an object when kind is given */
  int fn;
  int64_t timeout_ns;
  bool critical; /* run before the others */
};

/* P(id, name, timeout_s, doc): what a step of a remedy can be, beside a function and the kinds of cleanup */
#define PLAN_STEPS(P) \
  P(FUNCTION, "function", 30, "A function of the flow.") \
  P(CLEANUP, "cleanup", 60, "A kind of cleanup: remove_temporary, rotate_logs, sync, close_files.") \
  P(COLLECT, "collect", 5, "Garbage collection of the scripts.") \
  P(SIGNAL, "signal", 5, "A signal to a process.") \
  P(COMMAND, "command", 30, "A command; exit 0 is good.") \
  P(RESET_DATABASE, "reset_database", 30, "The connections of a database's pool are made anew.") \
  P(SLOW_CHECKS, "slow_checks", 5, "The checks run at longer intervals for a while.") \
  P(RESTART, "restart", 600, "A process is restarted by its policy.") \
  P(FAIL, "fail", 5, "The container fails for good.")

enum plan_step_kind {
#define P(id, name, timeout_s, doc) PLAN_STEP_##id,
  PLAN_STEPS(P)
#undef P
      PLAN_STEPS_N
};
const char *plan_step_kind_name(enum plan_step_kind kind);

struct plan_step {
  const char *name, *description; /* description "" when there is none */
  enum plan_step_kind kind;
  int fn;
  struct plan_cleanup cleanup; /* kind, helper, params */
  unsigned process;            /* SIGNAL, RESTART: index */
  int signal;
  bool group;           /* SIGNAL: to the process group */
  char **argv;          /* COMMAND */
  const char *database; /* RESET_DATABASE */
  double factor;        /* SLOW_CHECKS */
  int64_t for_ns;
  int64_t timeout_ns, settle_ns;
};

struct plan_remedy {
  const char *name, *description;
  uint16_t *checks; /* indices; none: by an operator alone */
  size_t checks_n;
  int failures;            /* in a row; PLAN_UNSET: as many as make the check bad */
  struct plan_step *steps; /* the ladder, then the escalation */
  size_t steps_n, escalations_n;
  int64_t cooldown_ns, window_ns;
  int max;
  bool dry_run;
};

struct plan_directory {
  const char *path;
  bool make; /* made when missing */
};

struct plan_setting {
  const char *name; /* with CONTAINER_ */
  const char *value;
  const char *origin; /* "flows/rpa1.lua:9" */
};

/* P(id, key, doc) */
#define PLAN_HOOKS(P) \
  P(START, "on_start", "Dependencies are ready; the processes are about to be started.") \
  P(RUNNING, "on_running", "The start is complete.") \
  P(DRAIN, "on_drain", "A stop begins; the processes still serve.") \
  P(STOP, "on_stop", "Before the stop signals.") \
  P(EXIT, "on_exit", "A process has ended by itself; what follows can be decided.") \
  P(UNHEALTHY, "on_unhealthy", "A check has become unhealthy; whether its remedy begins can be decided.") \
  P(RELOAD, "on_reload", "New policies are about to be in force; they can be refused.")

enum plan_hook_kind {
#define P(id, key, doc) PLAN_HOOK_##id,
  PLAN_HOOKS(P)
#undef P
      PLAN_HOOKS_N
};

struct plan_hook {
  const char *name;
  int fn;
  int64_t timeout_ns;
};

/* In the order in which they are called. */
struct plan_hooks {
  struct plan_hook *list;
  size_t n;
};

struct plan {
  const char *name;
  const char *summary;
  const char *file; /* as shown; "" for the built-in policy */
  int memory_mb, cpu_percent, cpus, disk_mb;
  int mode; /* enum execution_mode */
  struct plan_directory *directories;
  size_t directories_n;
  struct plan_setting *settings; /* the flow's values for tend's own settings, resources and mode included */
  size_t settings_n;
  const char **needs; /* names of settings that must have a value */
  size_t needs_n;
  struct plan_process *processes; /* in the order of `after`: what comes first is first */
  size_t processes_n, main;       /* main: index */
  struct plan_check *dependencies, *checks;
  size_t dependencies_n, checks_n;
  struct plan_check *skipped; /* dependencies and checks that were left out, for print only */
  size_t skipped_n;
  struct plan_remedy *remedies;
  size_t remedies_n;
  struct plan_cleanup *cleanup; /* in the order of registration */
  size_t cleanup_n;
  struct plan_hooks hooks[PLAN_HOOKS_N];

  struct plan_block *blocks_; /* the memory of all of it */
};

/* The line of the flow file in which the value at a key path ("dependencies[2].timeout") is; 0: unknown. */
typedef int plan_locate_fn(void *arg, const char *path);
/* Checks a probe's kind and parameters (probe_check). */
typedef int plan_probe_check_fn(const char *kind, const cJSON *params, struct err *err);

struct plan_options {
  const char *file; /* as shown: "flows/rpa1.lua" */
  const char *name; /* the flow asked for; the file must say the same or nothing. NULL: whatever it says */
  plan_locate_fn *locate;
  void *locate_arg;
  plan_probe_check_fn *check_probe; /* NULL: kinds and parameters are taken as they are */
};

/* 0 with *out, or -EINVAL (problems tell, all of them) or -ENOMEM. flow stays the caller's. */
int plan_from_json(const cJSON *flow, const struct plan_options *options, struct plan **out, struct problems *problems);
void plan_free(struct plan *plan); /* NULL is allowed */

/* [a-z0-9][a-z0-9_-]{0,62} */
bool plan_flow_name_valid(const char *name);

/* The built-in policy for a command without a flow file: one process, main. argv is copied. NULL: no memory. */
struct plan *plan_default(const char *name, char *const *argv);
/* Another command for main; copied. -EINVAL when it is empty, -ENOMEM. */
int plan_set_command(struct plan *plan, char *const *argv);

/* Index of a process by name, -1 when there is none. */
int plan_find_process(const struct plan *plan, const char *name);
/* How many instances there can be of it. */
static inline unsigned plan_slots(const struct plan_process *p) {
  return (p->scale ? p->scale->max : p->instances) + p->extra;
}

/* Processes of `from` (which: n indices) that a reload has taken away are in the new plan, behind its own, until
 * nothing of them runs: name, stop and order. Copied. -ENOMEM; -E2BIG: there are too many together. */
int plan_retire(struct plan *plan, const struct plan *from, const size_t *which, size_t n);
/* The plan as its flow says; plan_retire begins with this. */
void plan_forget_retired(struct plan *plan);

/* Gives the flow's values to LAYER_FLOW and requires what it needs (settings_resolve then misses it). A need that is
 * no setting is a problem. */
void plan_give_settings(const struct plan *plan, struct settings *settings, struct problems *problems);

/* Readable text and JSON for `tend check`. Parameters and environment may hold secrets: redact the result
 * (settings_redact) before it goes anywhere. */
void plan_print(const struct plan *plan, struct buf *out);
void plan_json(const struct plan *plan, struct json *j, const char *key);

/* A plan_locate_fn over the text of a flow file: the line on which the value at a key path of the last returned
 * table constructor begins, or of the nearest part of it that is written there. */
struct plan_text {
  const char *text;
  size_t n;
};
int plan_locate(void *plan_text, const char *path);

static inline void clean_plan(struct plan **p) { plan_free(*p); }
#define auto_plan __attribute__((cleanup(clean_plan)))

#endif
