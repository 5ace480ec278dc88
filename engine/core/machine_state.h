/* The inside of the machine, shared by machine*.c only: its data, and what each file does for the others. */
#ifndef TEND_CORE_MACHINE_STATE_H
#define TEND_CORE_MACHINE_STATE_H

#include "base/clock.h"
#include "core/machine.h"
#include "core/shutdown.h"

/* Why an instance is being stopped; SPAWNING with one of these is stopped once it is known to run. */
enum stop_why { WHY_NONE, WHY_ALL, WHY_OPERATOR, WHY_RESTART, WHY_CHECK, WHY_START_TIMEOUT, WHY_SCALE };

struct slot {
  uint16_t process, instance;
  enum instance_state state;
  bool wanted; /* DOWN: start it as soon as `after` allows */
  bool held;   /* an operator stopped it alone */
  bool spare;  /* not among the instances that are asked for */
  int64_t since_ns, run_ns, up_ns;
  int64_t due_ns;  /* BACKOFF, INTERVAL: next start; STARTING: limit of the start-up check */
  int64_t rest_ns; /* when the rest of its ended group is killed */
  /* being stopped */
  enum stop_why why;
  unsigned step;
  int64_t step_ns, kill_ns;
  uint64_t sent; /* bits of the stop signals sent */
  bool killed;
  /* ends */
  uint64_t runs;
  bool by_dependency;   /* a bad dependency may have caused the last end: its return ends the wait */
  unsigned spawn_fails; /* in a row */
  int64_t failing_ns;   /* since when; TIME_NEVER: it is not */
  enum end_reason last_reason;
  int last_code;
  int end_code; /* as the container would end with it: after an asked-for stop by that rule */
  struct restart restart;
};

/* STARTING goes through these; `resume` is where the next pass begins. */
enum pass { PASS_VALIDATE, PASS_DEPENDENCIES, PASS_PROCESSES };

/* What the stop of all processes is for. */
enum goal { GOAL_NONE, GOAL_RESTART, GOAL_STOPPED, GOAL_HOLD, GOAL_EXIT };

enum stop_phase { PHASE_HOOKS, PHASE_LEVELS, PHASE_SWEEP_TERM, PHASE_SWEEP_KILL, PHASE_CLEANUP, PHASE_REPORT };

struct machine {
  const struct machine_config *config;
  const struct machine_process *main;
  uint64_t seed;
  int64_t now;
  enum machine_state state;
  enum machine_cause cause;
  int64_t since_ns;
  bool changed; /* another round of machine_advance is needed */
  bool stale;   /* an input was taken, and the rest has not seen it */

  enum pass pass, resume;
  bool waiting; /* for VALIDATED or DEPENDENCIES */
  bool only_bad;
  bool begun;   /* processes were started once: those that are not main come and go on their own */
  bool started; /* startup_completed at least once */
  unsigned passes;
  int64_t pass_ns;
  int64_t failing_ns; /* a failed start; TIME_NEVER: none */

  int64_t retry_ns; /* RESTARTING: the next start */
  bool retry_by_dependency;

  bool healthy;
  int64_t healthy_ns;

  enum goal goal;
  enum stop_phase phase;
  struct shutdown shutdown;
  int64_t phase_ns; /* the present phase ends then */
  int64_t drain_ns; /* end of the drain */
  int64_t poll_ns;  /* the next question of a sweep */
  int64_t again_ns; /* when its TERM is sent once more */
  bool hooks_running;
  bool at_once; /* a start that cannot succeed later: no hold */
  bool silent;  /* init has sent the stop signals of the lowest live level */
  bool forced;
  bool held, ended;
  bool failed;
  int failed_code;
  bool failed_by_workload;
  enum machine_cause stop_cause;

  unsigned slots, main_first;
  struct slot *slot;
  uint32_t *first;  /* of each process: its first slot */
  uint16_t *level;  /* of each process in the stop order */
  bool *main_needs; /* processes that main comes after */
  unsigned n, cap;  /* actions */
  struct machine_action *action;
  struct machine_action spill; /* written to when the array is full, which its size rules out */
};

typedef void machine_handler(struct machine *m, const struct machine_input *in);

/* One handler a word in the rows of machine.def. */
machine_handler machine_on_begin, machine_on_validated, machine_on_dependencies, machine_on_dependency_back,
    machine_on_dependency_bad, machine_on_health, machine_on_started, machine_on_spawn_failed, machine_on_startup_check,
    machine_on_exited, machine_on_check_failed, machine_on_fail, machine_on_scale, machine_on_stop,
    machine_on_operator_stop, machine_on_operator_start, machine_on_operator_restart, machine_on_hooks_done,
    machine_on_swept, machine_on_cleaned, machine_on_reported, machine_on_tick;

/* machine.c */
struct machine_action *machine_act(struct machine *m, enum machine_action_kind kind);
struct machine_action *machine_tell(struct machine *m, enum event_kind event, enum level level);
void machine_set_state(struct machine *m, enum machine_state to, enum machine_cause cause);
static inline const struct machine_process *slot_process(const struct machine *m, const struct slot *s) {
  return &m->config->process[s->process];
}
static inline bool slot_is_main(const struct machine *m, const struct slot *s) { return slot_process(m, s)->main; }
static inline uint32_t slot_index(const struct machine *m, const struct slot *s) { return (uint32_t)(s - m->slot); }
/* There is, or soon will be, a process. */
static inline bool slot_live(const struct slot *s) {
  return s->state == INSTANCE_SPAWNING || s->state == INSTANCE_STARTING || s->state == INSTANCE_UP ||
         s->state == INSTANCE_STOPPING;
}

/* machine_start.c: passes through STARTING */
void machine_start_pass(struct machine *m, enum machine_cause cause);
void machine_cancel_wait(struct machine *m);
void machine_ask_again(struct machine *m); /* for what is waited for, if anything is */
void machine_retry_with_main(struct machine *m);
bool machine_main_live(const struct machine *m);
void machine_advance_start(struct machine *m);

/* machine_slot.c: instances */
void slot_set(struct machine *m, struct slot *s, enum instance_state state);
void slot_want(struct machine *m, struct slot *s);
void slot_note_good_run(struct machine *m, struct slot *s);
void machine_advance_slots(struct machine *m);

/* machine_ladder.c: stop signals of one instance */
void slot_stop(struct machine *m, struct slot *s, enum stop_why why);
void slot_kill(struct machine *m, struct slot *s);
void slot_signal(struct machine *m, struct slot *s); /* SPAWNING with a reason to stop turned out to run */
void slot_advance_ladder(struct machine *m, struct slot *s);

/* machine_stop.c: the stop of everything */
void machine_stop_all(struct machine *m, enum goal goal);
void machine_end(struct machine *m, enum machine_cause cause);
void machine_fail(struct machine *m, enum machine_cause cause, int code, bool by_workload);
void machine_advance_stop(struct machine *m);
void machine_resume_stop(struct machine *m);
int64_t machine_stop_due_ns(const struct machine *m);

#endif
