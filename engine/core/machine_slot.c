/* The instances: started, ended, judged, waiting for their next start. */
#include <errno.h>
#include <sys/wait.h>

#include "base/exits.h"
#include "core/machine_state.h"

#define REST_MOMENT_NS (2 * NS_PER_S) /* from TERM to KILL for what an ended process left in its group */

void slot_set(struct machine *m, struct slot *s, enum instance_state state) {
  if (s->state != state) m->changed = true;
  s->state = state;
  s->since_ns = m->now;
  s->wanted = false;
  s->due_ns = s->step_ns = s->kill_ns = TIME_NEVER;
}

void slot_want(struct machine *m, struct slot *s) {
  if (s->state != INSTANCE_DOWN || s->held || s->spare || s->wanted) return;
  s->wanted = true;
  m->changed = true;
}

static struct machine_action *tell_of(struct machine *m, const struct slot *s, enum event_kind kind, enum level level) {
  struct machine_action *a = machine_tell(m, kind, level);
  a->slot = slot_index(m, s);
  return a;
}

static struct slot *find(struct machine *m, uint32_t slot, enum instance_state state) {
  return slot < m->slots && m->slot[slot].state == state ? &m->slot[slot] : NULL;
}

static void cancel_check(struct machine *m, struct slot *s) {
  if (s->state == INSTANCE_STARTING) machine_act(m, ACT_CANCEL_CHECK)->slot = slot_index(m, s);
}

/* A long run in good health makes the delays short again. */
void slot_note_good_run(struct machine *m, struct slot *s) {
  int64_t reset = slot_process(m, s)->how->restart.reset_ns;
  if (s->state != INSTANCE_UP || !m->healthy || reset <= 0) return;
  int64_t since = s->up_ns > m->healthy_ns ? s->up_ns : m->healthy_ns;
  if (m->now - since >= reset) s->restart.n = 0;
}

/* --- starting --- */

static void spawn(struct machine *m, struct slot *s) {
  if (s->rest_ns != TIME_NEVER) { /* two runs must not overlap, not even their children */
    struct machine_action *a = machine_act(m, ACT_KILL);
    a->slot = slot_index(m, s);
    a->signal = SIGNAL_KILL;
    a->group = true;
    s->rest_ns = TIME_NEVER;
  }
  slot_set(m, s, INSTANCE_SPAWNING);
  s->why = WHY_NONE;
  s->sent = 0;
  s->killed = false;
  machine_act(m, ACT_SPAWN)->slot = slot_index(m, s);
}

static void enter_up(struct machine *m, struct slot *s) {
  slot_set(m, s, INSTANCE_UP);
  s->up_ns = m->now;
  if (s->failing_ns == TIME_NEVER) return;
  tell_of(m, s, EVENT_RECOVERY_COMPLETED, LEVEL_INFO)->duration_ns = m->now - s->failing_ns;
  s->failing_ns = TIME_NEVER;
}

void machine_on_started(struct machine *m, const struct machine_input *in) {
  struct slot *s = find(m, in->slot, INSTANCE_SPAWNING);
  if (!s) return;
  const struct machine_process *p = slot_process(m, s);
  s->runs++;
  s->run_ns = m->now;
  s->spawn_fails = 0;
  tell_of(m, s, EVENT_PROCESS_STARTED, LEVEL_INFO);
  if (s->why != WHY_NONE) {
    slot_signal(m, s);
  } else if (m->goal != GOAL_NONE) { /* its turn to be stopped comes */
    slot_set(m, s, INSTANCE_UP);
    s->up_ns = m->now;
  } else if (p->has_startup_check) {
    slot_set(m, s, INSTANCE_STARTING);
    if (p->how->start_timeout_ns > 0) s->due_ns = m->now + p->how->start_timeout_ns;
    struct machine_action *a = machine_act(m, ACT_START_CHECK);
    a->slot = slot_index(m, s);
    a->deadline_ns = s->due_ns;
  } else {
    enter_up(m, s);
  }
}

void machine_on_startup_check(struct machine *m, const struct machine_input *in) {
  struct slot *s = find(m, in->slot, INSTANCE_STARTING);
  if (!s) return;
  if (in->ok) {
    enter_up(m, s);
  } else {
    slot_stop(m, s, WHY_START_TIMEOUT);
  }
}

/* --- failing --- */

static struct machine_action *tell_failure(struct machine *m, struct slot *s, enum end_reason reason, bool final) {
  bool grave = final && (slot_is_main(m, s) || slot_process(m, s)->essential);
  struct machine_action *a = tell_of(m, s, EVENT_FAILURE_DETECTED, grave ? LEVEL_CRITICAL : LEVEL_ERROR);
  a->cause = CAUSE_PROCESS;
  a->reason = reason;
  a->exit_code = s->last_code;
  a->final = final;
  if (s->failing_ns == TIME_NEVER) s->failing_ns = m->now;
  return a;
}

static void fail_slot(struct machine *m, struct slot *s, int code, bool by_workload) {
  slot_set(m, s, INSTANCE_FAILED);
  if (slot_is_main(m, s) || slot_process(m, s)->essential) machine_fail(m, CAUSE_PROCESS, code, by_workload);
}

/* Main has nothing left that runs or soon will: the container waits with it. */
static void follow_main(struct machine *m) {
  for (unsigned i = 0; i < m->main->instances; i++) {
    const struct slot *s = &m->slot[m->main_first + i];
    if (slot_live(s) || s->state == INSTANCE_INTERVAL || s->wanted) return;
  }
  machine_set_state(m, STATE_RESTARTING, CAUSE_PROCESS);
  m->retry_ns = TIME_NEVER;
  machine_retry_with_main(m);
}

static void restart(struct machine *m, struct slot *s, enum end_reason reason, bool all, int64_t given_ns) {
  const struct restart_config *c = &slot_process(m, s)->how->restart;
  if (reason != END_CLEAN) tell_failure(m, s, reason, false);
  struct machine_action *a = tell_of(m, s, EVENT_RESTART_INITIATED, LEVEL_WARNING);
  int64_t delay = restart_take(&s->restart, c, m->now, &m->seed);
  if (given_ns >= 0) delay = given_ns;
  a->cause = CAUSE_PROCESS;
  a->reason = reason;
  a->delay_ns = delay;
  a->attempt = s->restart.n;
  a->in_window = restart_in_window(&s->restart, c, m->now);
  a->max_attempts = c->max_attempts;
  slot_set(m, s, INSTANCE_BACKOFF);
  s->due_ns = m->now + delay;
  if (all) {
    machine_set_state(m, STATE_RESTARTING, CAUSE_PROCESS);
    m->retry_ns = s->due_ns;
    machine_stop_all(m, GOAL_RESTART);
  } else if (slot_is_main(m, s)) {
    follow_main(m);
  }
}

static void end_well(struct machine *m, struct slot *s) {
  slot_set(m, s, INSTANCE_DONE);
  if (!slot_is_main(m, s)) return;
  for (unsigned i = 0; i < m->main->instances; i++)
    if (m->slot[m->main_first + i].state != INSTANCE_DONE) return;
  machine_end(m, CAUSE_COMPLETED);
}

static enum restart_verdict verdict_on(const struct machine *m, struct slot *s, const struct machine_input *in,
                                       enum end_reason reason, int code, int signal) {
  const struct machine_process *p = slot_process(m, s);
  enum restart_verdict verdict = in->decided ? in->verdict
                                             : restart_judge(&p->how->restart, p->how->mode, m->config->simple,
                                                             p->how->rules, p->how->n_rules, reason, code, signal);
  bool again = verdict == VERDICT_RESTART || verdict == VERDICT_RESTART_ALL;
  return again && restart_exhausted(&s->restart, &p->how->restart, m->now) ? VERDICT_FINAL : verdict;
}

static void judge(struct machine *m, struct slot *s, const struct machine_input *in, enum end_reason reason, int code,
                  int signal) {
  const struct machine_process *p = slot_process(m, s);
  if (reason == END_CLEAN) s->restart.n = 0;
  enum restart_verdict verdict = verdict_on(m, s, in, reason, code, signal);
  switch (verdict) {
    case VERDICT_AGAIN:
      slot_set(m, s, INSTANCE_INTERVAL);
      s->due_ns = m->now + p->how->interval_ns;
      break;
    case VERDICT_DONE:
      end_well(m, s);
      break;
    case VERDICT_RESTART:
    case VERDICT_RESTART_ALL:
      restart(m, s, reason, verdict == VERDICT_RESTART_ALL, in->decided ? in->delay_ns : -1);
      break;
    case VERDICT_FINAL:
      tell_failure(m, s, reason, true);
      fail_slot(m, s, s->last_code, true);
      break;
  }
}

/* --- ends --- */

static bool is_success(const struct machine_process *p, int code, int signal) {
  if (signal) return signal <= 64 && (p->how->success_signals >> (signal - 1) & 1);
  return code == 0 || (p->how->success[code / 64 % 4] >> (code % 64) & 1);
}

static enum end_reason classify(const struct machine *m, const struct slot *s, const struct machine_input *in, int code,
                                int signal) {
  switch (s->why) {
    case WHY_CHECK:
      return END_CHECK;
    case WHY_START_TIMEOUT:
      return END_START_TIMEOUT;
    case WHY_ALL:
    case WHY_OPERATOR:
    case WHY_RESTART:
    case WHY_SCALE:
      return END_STOPPED;
    case WHY_NONE:
      break;
  }
  if (in->oom && signal) return END_OOM;
  if (is_success(slot_process(m, s), code, signal)) return END_CLEAN;
  return signal ? END_SIGNAL : END_EXIT;
}

/* An instance that was stopped because it was asked for is down; s->why says what follows. */
static void settle_stopped(struct machine *m, struct slot *s) {
  enum stop_why why = s->why;
  slot_set(m, s, INSTANCE_DOWN);
  s->why = WHY_NONE;
  s->restart.n = 0;
  s->failing_ns = TIME_NEVER;
  if (why == WHY_OPERATOR) s->held = true;
  if (why == WHY_RESTART && !slot_is_main(m, s) && m->goal == GOAL_NONE) slot_want(m, s);
}

void machine_on_exited(struct machine *m, const struct machine_input *in) {
  if (in->slot >= m->slots) return;
  struct slot *s = &m->slot[in->slot];
  if (!slot_live(s) || s->state == INSTANCE_SPAWNING) return;
  int signal = WIFSIGNALED(in->status) ? WTERMSIG(in->status) : 0;
  int code = signal ? EXIT_SIGNALED + signal : WEXITSTATUS(in->status);
  enum end_reason reason = classify(m, s, in, code, signal);
  slot_note_good_run(m, s);
  cancel_check(m, s);
  bool bad = reason != END_CLEAN && reason != END_STOPPED;
  struct machine_action *a = tell_of(m, s, EVENT_PROCESS_EXITED, bad ? LEVEL_WARNING : LEVEL_INFO);
  a->reason = reason;
  a->exit_code = code;
  a->signal = signal;
  a->duration_ns = m->now - in->late_ns - s->run_ns;
  if (!in->alone) {
    a = machine_act(m, ACT_KILL);
    a->slot = slot_index(m, s);
    a->signal = SIGNAL_TERM;
    a->group = a->cont = true;
    s->rest_ns = m->now + REST_MOMENT_NS;
  }
  bool single = m->main->how->mode == MODE_SINGLE;
  s->last_reason = reason;
  s->last_code = code;
  s->end_code = reason == END_STOPPED ? shutdown_exit_code(code, signal, s->sent, single) : code;
  s->by_dependency = in->dependency_bad;
  if (reason == END_STOPPED) {
    settle_stopped(m, s);
  } else {
    s->why = WHY_NONE;
    if (m->goal == GOAL_NONE) {
      judge(m, s, in, reason, code, signal);
    } else { /* on its own, while everything is being stopped */
      slot_set(m, s, INSTANCE_DOWN);
    }
  }
}

bool machine_preview_exit(struct machine *m, const struct machine_input *in, int64_t now_ns,
                          struct machine_preview *out) {
  if (in->slot >= m->slots) return false;
  struct slot *s = &m->slot[in->slot];
  if (!slot_live(s) || s->state == INSTANCE_SPAWNING || m->goal != GOAL_NONE) return false;
  int signal = WIFSIGNALED(in->status) ? WTERMSIG(in->status) : 0;
  int code = signal ? EXIT_SIGNALED + signal : WEXITSTATUS(in->status);
  enum end_reason reason = classify(m, s, in, code, signal);
  if (reason == END_STOPPED) return false;
  m->now = now_ns;
  slot_note_good_run(m, s);
  const struct restart_config *c = &slot_process(m, s)->how->restart;
  *out = (struct machine_preview){.reason = reason,
                                  .verdict = verdict_on(m, s, in, reason, code, signal),
                                  .delay_ns = restart_delay_ns(c, reason == END_CLEAN ? 0 : s->restart.n),
                                  .n = s->restart.n,
                                  .in_window = restart_in_window(&s->restart, c, now_ns)};
  return true;
}

/* What no later try can change: the code to end with; 0: it can. */
static int final_code(enum spawn_stage stage, int error) {
  if (error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE) return 0;
  if (stage == SPAWN_EXEC) return error == ENOENT || error == ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
  if (stage == SPAWN_CWD) return EXIT_NOT_EXECUTABLE;
  return stage == SPAWN_USER ? EXIT_NO_PERMISSION : 0;
}

void machine_on_spawn_failed(struct machine *m, const struct machine_input *in) {
  struct slot *s = find(m, in->slot, INSTANCE_SPAWNING);
  if (!s) return;
  int code = final_code(in->stage, in->error);
  bool final = code || m->config->simple;
  if (!final && (s->why != WHY_NONE || m->goal != GOAL_NONE)) { /* it was to be stopped anyway */
    settle_stopped(m, s);
    return;
  }
  s->why = WHY_NONE;
  s->by_dependency = false;
  s->last_reason = code ? END_EXEC_ERROR : END_SYSTEM;
  s->last_code = s->end_code = code ? code : EXIT_SYSTEM;
  struct machine_action *a = tell_failure(m, s, s->last_reason, final);
  a->stage = in->stage;
  a->error = in->error;
  if (final && m->goal != GOAL_NONE) {
    slot_set(m, s, INSTANCE_FAILED); /* told; the stop that is under way decides the rest */
  } else if (final) {
    fail_slot(m, s, s->last_code, false);
  } else {
    a->delay_ns = restart_delay_ns(&slot_process(m, s)->how->restart, s->spawn_fails++);
    slot_set(m, s, INSTANCE_BACKOFF);
    s->due_ns = m->now + a->delay_ns;
  }
}

void machine_on_check_failed(struct machine *m, const struct machine_input *in) {
  if (in->slot >= m->slots || m->config->simple || m->goal != GOAL_NONE) return;
  struct slot *s = &m->slot[in->slot];
  if (s->state != INSTANCE_UP && s->state != INSTANCE_STARTING) return;
  slot_stop(m, s, WHY_CHECK);
}

/* --- going on --- */

/* Its predecessors are up. One that ran before need not wait for those that are gone for good. */
static bool is_ready(const struct machine *m, const struct slot *s) {
  const struct machine_process *p = slot_process(m, s);
  for (unsigned k = 0; k < p->n_after; k++) {
    const struct slot *q = &m->slot[m->first[p->after[k]]];
    for (unsigned i = 0; i < m->config->process[p->after[k]].instances; i++, q++) {
      bool up = q->state == INSTANCE_UP || q->state == INSTANCE_INTERVAL || q->state == INSTANCE_DONE;
      bool gone = (q->state == INSTANCE_FAILED || q->held) && s->runs;
      if (!up && !gone && !q->spare) return false;
    }
  }
  return true;
}

static bool may_start(const struct machine *m, const struct slot *s) {
  if (m->goal != GOAL_NONE) return false;
  bool starting = m->state == STATE_STARTING && m->pass == PASS_PROCESSES;
  if (slot_is_main(m, s)) return starting || m->state == STATE_RUNNING;
  return m->begun && (m->state == STATE_STARTING || m->state == STATE_RUNNING || m->state == STATE_RESTARTING);
}

static void advance_slot(struct machine *m, struct slot *s) {
  if (s->rest_ns <= m->now) {
    struct machine_action *a = machine_act(m, ACT_KILL);
    a->slot = slot_index(m, s);
    a->signal = SIGNAL_KILL;
    a->group = true;
    s->rest_ns = TIME_NEVER;
  }
  if (s->state == INSTANCE_STOPPING) slot_advance_ladder(m, s);
  if (!may_start(m, s)) return;
  if (s->due_ns <= m->now) {
    if (s->state == INSTANCE_STARTING) {
      slot_stop(m, s, WHY_START_TIMEOUT);
    } else {
      slot_set(m, s, INSTANCE_DOWN);
      slot_want(m, s);
    }
  }
  if (s->wanted && is_ready(m, s)) spawn(m, s);
}

void machine_advance_slots(struct machine *m) {
  for (unsigned i = 0; i < m->slots; i++) advance_slot(m, &m->slot[i]);
}
