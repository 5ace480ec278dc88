/* The lifecycle as a pure function: machine_step(state, input, now) → actions. No I/O, no clock, no Lua, and no
 * allocation after machine_new.
 *
 * The caller (the supervisor; `tend simulate`) carries out the actions in their order and feeds what comes of them
 * back as inputs, each in a step of its own, never from inside carrying out. The machine keeps its own deadlines:
 * machine_due_ns is the earliest; feed IN_TICK then. Times are CLOCK_MONOTONIC ns; time must not go back.
 * Inputs that make no sense in a state are ignored (machine.def says which).
 *
 * A process has `instances`; each is one slot, numbered through over all processes (machine_slot). For each
 * ACT_SPAWN the caller answers with IN_SPAWN_FAILED once, or IN_STARTED once and later IN_EXITED once, for that slot.
 *
 * The config is not copied: it and all it points to must outlive the machine.
 */
#ifndef TEND_CORE_MACHINE_H
#define TEND_CORE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/proto.h"
#include "base/stopreq.h"
#include "core/event.h"
#include "core/restart.h"

/* --- what it is told once ---------------------------------------------------------------------------------------- */

enum on_failure { ON_FAILURE_EXIT, ON_FAILURE_HOLD };

struct stop_step {
  int signal;
  int64_t wait_ns; /* then the next step; after the last SIGKILL. Negative, or 0 in the last: until the timeout */
};

/* How a process is run, run again and ended: the same for all that are alike. */
struct machine_how {
  enum execution_mode mode;
  int64_t interval_ns; /* mode daemon */
  struct restart_config restart;
  const struct restart_rule *rules;
  unsigned n_rules;
  uint64_t success[4];          /* bitmap of exit codes that are a good end; 0 always is one */
  uint64_t success_signals;     /* bits 1 << (N - 1): an end by them is good (INT under --tty) */
  const struct stop_step *stop; /* none: SIGTERM until the timeout */
  unsigned n_stop;
  bool stop_group;          /* stop signals go to its process group */
  int64_t stop_timeout_ns;  /* from its stop signal to SIGKILL; 0: the workload's share of the shutdown */
  int64_t start_timeout_ns; /* for the start-up check; 0: no limit */
};

struct machine_process {
  const char *name; /* for who prints, and to be found again by machine_load */
  const struct machine_how *how;
  unsigned instances;
  unsigned running;      /* of them at the start, the others wait for IN_SCALE; 0: all */
  const uint16_t *after; /* indices into processes; no cycle */
  unsigned n_after;
  bool main;      /* exactly one process is */
  bool essential; /* its final failure ends the container (main always does) */
  bool has_startup_check;
};

struct machine_config {
  bool simple; /* any bad end is final, no remedy restarts */
  enum on_failure on_failure;
  int64_t shutdown_timeout_ns;
  int64_t drain_ns;   /* not ready, still serving, before the stop signals */
  unsigned hooks;     /* pre-stop hooks; 0 and no drain: stop signals go out at once */
  unsigned cleanups;  /* cleanup handlers */
  unsigned processes; /* n of process[], at least 1 */
  const struct machine_process *process;
};

/* --- states ------------------------------------------------------------------------------------------------------ */

enum machine_state {
#define STATE(id, name, doc) STATE_##id,
#include "core/machine.def"
  STATES
};

enum instance_state {
#define INSTANCE(id, name, doc) INSTANCE_##id,
#include "core/machine.def"
  INSTANCES
};

/* Why the container changes its state; of a stop: why it stops. */
enum machine_cause {
#define CAUSE(id, name, doc) CAUSE_##id,
#include "core/machine.def"
  CAUSES
};

enum machine_input_kind {
#define INPUT(id, name, doc) IN_##id,
#include "core/machine.def"
  INPUTS
};

enum machine_action_kind {
#define ACTION(id, name, doc) ACT_##id,
#include "core/machine.def"
  ACTIONS
};

const char *machine_state_name(enum machine_state s);   /* "RUNNING" */
const char *instance_state_name(enum instance_state s); /* "backoff" */
const char *machine_cause_name(enum machine_cause c);   /* "signal" */
const char *spawn_stage_name(enum spawn_stage stage);   /* "exec" */

/* --- inputs ------------------------------------------------------------------------------------------------------ */

#define MACHINE_ALL UINT32_MAX /* as process of an operator's input */

struct machine_input {
  enum machine_input_kind kind;
  uint32_t slot;                /* STARTED SPAWN_FAILED STARTUP_CHECK EXITED CHECK_FAILED */
  uint32_t process;             /* OPERATOR_*: index or MACHINE_ALL; SCALE: index */
  uint32_t count;               /* SCALE: from 1 to its instances; not of main */
  bool ok;                      /* VALIDATED DEPENDENCIES STARTUP_CHECK HEALTH */
  bool can_pass;                /* VALIDATED, not ok: the reason can pass (75, 73), so the restart policy decides */
  int exit_code;                /* VALIDATED, not ok: 73 75 78 */
  bool stopped_mark;            /* BEGIN: the mark of an operator's stop was found (matters under unless-stopped) */
  bool dependency_bad;          /* EXITED: a required dependency is bad now, so its return ends the wait */
  int status;                   /* EXITED: as of wait(2) */
  bool oom;                     /* EXITED */
  bool alone;                   /* EXITED: nobody else of its group is left */
  bool decided;                 /* EXITED: a policy has said what follows, in place of rules and restart policy */
  enum restart_verdict verdict; /* then; the window still limits restarts */
  int64_t delay_ns;             /* of its restart; negative: as usual */
  int64_t late_ns;              /* EXITED: how long ago that was */
  bool skip_drain;              /* HOOKS_DONE: the stop signals need not wait for the drain either */
  bool more;                /* another one of this kind, of another slot, follows at once: they are judged together */
  enum spawn_stage stage;   /* SPAWN_FAILED */
  int error;                /* SPAWN_FAILED: positive errno */
  enum stop_level level;    /* STOP */
  enum machine_cause cause; /* STOP: CAUSE_SIGNAL, CAUSE_SHUTDOWN (tend shutdown), CAUSE_TERMINAL; OPERATOR_RESTART:
                               CAUSE_NONE: an operator, or CAUSE_RELOAD */
  int signal;               /* STOP by a signal: which */
  bool begun;               /* STOP: init has already sent the first stop signals */
  unsigned left;            /* SWEPT: processes still there */
};

/* --- actions ----------------------------------------------------------------------------------------------------- */

struct machine_action {
  enum machine_action_kind kind;
  uint32_t slot; /* SPAWN START_CHECK CANCEL_CHECK KILL, events of a process; UINT32_MAX: none */
  int signal;    /* KILL SWEEP; event: the signal that ended it or the stop signal */
  bool group;    /* KILL: to the process group */
  bool cont;     /* KILL: SIGCONT follows, so that a stopped process can obey */
  bool on;       /* REMEMBER_STOP: set or remove the mark; CHECK_DEPENDENCIES: only those whose last result is bad */
  int64_t deadline_ns;         /* HOOKS CLEANUP REPORT START_CHECK (TIME_NEVER: none) */
  enum machine_state from, to; /* STATE */
  enum machine_cause cause;    /* STATE REPORT EXIT, events of start and shutdown */
  /* EVENT: only what belongs to the kind is set */
  enum event_kind event;
  enum level level;
  enum end_reason reason;
  int64_t duration_ns; /* -1: none */
  int64_t delay_ns;    /* restart_initiated, failure_detected of a spawn: until the next try */
  unsigned attempt;    /* restart_initiated: which in a row, from 1 */
  unsigned in_window;  /* restart_initiated: restarts in the window, this one included */
  unsigned max_attempts;
  bool final;             /* failure_detected: no restart follows */
  bool graceful;          /* REPORT, shutdown_completed: nothing had to be killed and no deadline passed */
  int exit_code;          /* REPORT, EXIT, process_exited (128+N for a signal), shutdown_completed, failure_detected */
  bool from_workload;     /* REPORT, EXIT, shutdown_completed: exit_source is workload, else engine */
  enum spawn_stage stage; /* failure_detected, reason exec_error or system */
  int error;
};

struct machine_out {
  const struct machine_action *action; /* the machine's; valid until the next step */
  unsigned n;
};

/* --- use --------------------------------------------------------------------------------------------------------- */

struct machine;

/* seed: for jitter and the random part of a second; the same seed and inputs give the same actions. NULL: no
 * memory, or a config that cannot be (no process, no main or two, no instance, a cycle, bounds of base/limits.h). */
struct machine *machine_new(const struct machine_config *config, uint64_t seed);
void machine_free(struct machine *m);
/* A new config while everything goes on: `to` was just made with it, and takes over the life of `from` (which is then
 * good for machine_free alone): state, delays, budgets, and of each process i of `to` the instances of process old[i]
 * of `from` (MACHINE_ALL: it is new). All instances of `from` that are not down must have a place in `to`. Not while
 * everything is being stopped (machine_can_adopt). What is new is not started by this: OPERATOR_START; nor what is too
 * much stopped: OPERATOR_STOP, SCALE; due times are to be asked for anew. */
bool machine_can_adopt(const struct machine *from);
void machine_adopt(struct machine *to, const struct machine *from, const uint32_t *old);

void machine_step(struct machine *m, const struct machine_input *in, int64_t now_ns, struct machine_out *out);
/* Between two steps: memory that the actions of a large one have needed goes back. Those of the last step are over. */
void machine_give_back(struct machine *m);
/* When IN_TICK is wanted; TIME_NEVER: not. */
int64_t machine_due_ns(const struct machine *m);

/* --- over the life of an engine ---------------------------------------------------------------------------------- */

/* Appends the machine as bytes that the same program understands. */
void machine_save(const struct machine *m, struct buf *out);
size_t machine_save_most(const struct machine *m); /* so many at most, whatever it has lived through */
/* Makes a new machine what that one was; instances are found by the name of their process, those of no such name stay
 * new. False: the bytes are none of a machine, and nothing was changed. bytes must be aligned for any type. */
bool machine_load(struct machine *m, const void *bytes, size_t n);
/* After it, once: the actions whose answers can have been lost, all others having been carried out. */
void machine_resume(struct machine *m, int64_t now_ns, struct machine_out *out);

/* --- what can be seen -------------------------------------------------------------------------------------------- */

/* What would follow if that instance ended now. */
struct machine_preview {
  enum end_reason reason;
  enum restart_verdict verdict;
  int64_t delay_ns; /* of a restart, without jitter */
  unsigned n, in_window;
};
/* False: its end is not judged, since it is being stopped or was asked to. */
bool machine_preview_exit(struct machine *m, const struct machine_input *exited, int64_t now_ns,
                          struct machine_preview *out);

unsigned machine_slots(const struct machine *m);
uint32_t machine_slot(const struct machine *m, unsigned process, unsigned instance);
unsigned machine_slot_process(const struct machine *m, uint32_t slot);
unsigned machine_slot_instance(const struct machine *m, uint32_t slot);
/* Level of the stop order, 0 is stopped first; for init's plan. */
unsigned machine_slot_level(const struct machine *m, uint32_t slot);
/* The first stop signal of a slot and how long all levels have together; for init's plan. */
int machine_slot_stop_signal(const struct machine *m, uint32_t slot);
int64_t machine_grace_ns(const struct machine *m);

struct machine_view {
  enum machine_state state;
  enum machine_cause cause; /* of the last change */
  bool accepting;           /* RUNNING and not draining */
  bool degraded;            /* a process that is not essential failed for good, or an instance is in back-off */
  bool held;                /* FAILED, waiting for a stop (on_failure hold) */
  bool stopping;            /* tend itself ends */
  bool started;             /* startup_completed at least once */
  int64_t since_ns;         /* of the state */
  int64_t due_ns;           /* RESTARTING: the next start; TIME_NEVER */
  unsigned passes;          /* through STARTING */
  uint64_t restarts;        /* of all processes */
};
void machine_view(const struct machine *m, struct machine_view *out);

struct instance_view {
  enum instance_state state;
  bool held;        /* an operator stopped it alone */
  bool rests;       /* of its last run something may be left */
  bool spare;       /* more than the number of instances that is asked for: stopped, and stays so */
  int64_t since_ns; /* of the state */
  int64_t due_ns;   /* BACKOFF, INTERVAL: the next start; TIME_NEVER */
  unsigned n;       /* restarts in a row */
  uint64_t restarts, runs;
  unsigned in_window;
  enum end_reason last_reason; /* END_NONE: never ended */
  int last_code;               /* 128+N for a signal */
};
void machine_instance(const struct machine *m, uint32_t slot, int64_t now_ns, struct instance_view *out);

/* Appends the table of states × inputs as Markdown, with the lists of states, inputs and actions; for docs/. */
void machine_markdown(struct buf *out);

#endif
