/* The stop of everything: drain and hooks, levels, sweep, cleanup, report, exit; and what it is for: the end of tend,
 * an operator's stop, a restart of all, a held failure. */
#include "base/exits.h"
#include "core/machine_state.h"

#define SWEEP_POLL_NS (20 * NS_PER_MS)

static int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }

static bool any_live(const struct machine *m) {
  for (unsigned i = 0; i < m->slots; i++)
    if (slot_live(&m->slot[i])) return true;
  return false;
}

static bool anything_ran(const struct machine *m) {
  for (unsigned i = 0; i < m->slots; i++)
    if (m->slot[i].runs) return true;
  return false;
}

/* --- beginning --- */

static void begin_hooks(struct machine *m) {
  bool wanted = (m->goal == GOAL_EXIT || m->goal == GOAL_STOPPED) && !m->silent && any_live(m);
  m->phase = wanted ? PHASE_HOOKS : PHASE_LEVELS;
  m->hooks_running = false;
  if (!wanted) return;
  m->phase_ns = shutdown_hooks_until(&m->shutdown);
  m->drain_ns = machine_main_live(m) ? shutdown_drain_until(&m->shutdown, m->config->drain_ns) : m->now;
  if (!m->config->hooks) return;
  m->hooks_running = true;
  machine_act(m, ACT_HOOKS)->deadline_ns = m->phase_ns;
}

void machine_stop_all(struct machine *m, enum goal goal) {
  enum goal before = m->goal;
  m->goal = goal;
  m->changed = true;
  machine_cancel_wait(m);
  if (goal != GOAL_RESTART) m->retry_ns = TIME_NEVER;
  for (unsigned i = 0; i < m->slots; i++) {
    struct slot *s = &m->slot[i];
    s->wanted = false;
    if (s->state == INSTANCE_STARTING) {
      machine_act(m, ACT_CANCEL_CHECK)->slot = i;
      slot_set(m, s, INSTANCE_UP);
      s->up_ns = m->now;
    } else if (s->state == INSTANCE_BACKOFF || s->state == INSTANCE_INTERVAL) {
      slot_set(m, s, INSTANCE_DOWN);
    }
  }
  if (before == GOAL_NONE) m->shutdown.kill_at_ns = TIME_NEVER;
  shutdown_begin(&m->shutdown, m->config->shutdown_timeout_ns, m->config->cleanups, m->now);
  if (before == GOAL_NONE) begin_hooks(m);
}

static void tell_begin(struct machine *m, enum machine_cause cause, int signal) {
  m->stop_cause = cause;
  struct machine_action *a = machine_tell(m, EVENT_SHUTDOWN_INITIATED, LEVEL_INFO);
  a->cause = cause;
  a->signal = signal;
}

void machine_end(struct machine *m, enum machine_cause cause) {
  tell_begin(m, cause, 0);
  machine_set_state(m, STATE_STOPPING, cause);
  machine_stop_all(m, GOAL_EXIT);
}

void machine_fail(struct machine *m, enum machine_cause cause, int code, bool by_workload) {
  m->failed = true;
  m->failed_code = code ? code : EXIT_FAILED;
  m->failed_by_workload = code && by_workload;
  bool hold = m->config->on_failure == ON_FAILURE_HOLD && !m->at_once;
  if (!hold) tell_begin(m, cause, 0);
  machine_set_state(m, STATE_FAILED, cause);
  machine_stop_all(m, hold ? GOAL_HOLD : GOAL_EXIT);
}

/* --- phases --- */

/* Which code tend ends with, and whether it is the workload's. */
static int final_code(const struct machine *m, bool *by_workload) {
  *by_workload = m->failed_by_workload;
  if (m->failed) return m->failed_code;
  bool ran = false, killed = false;
  int code = 0;
  for (unsigned i = 0; i < m->main->instances; i++) {
    const struct slot *s = &m->slot[m->main_first + i];
    ran |= s->runs || s->last_reason == END_EXEC_ERROR;
    killed |= slot_live(s) && s->killed;
    if (!code || s->end_code == 128 + SIGNAL_KILL) code = s->end_code;
  }
  *by_workload = ran;
  if (killed) return 128 + SIGNAL_KILL;
  if (ran) return code;
  return m->main->how->mode == MODE_SINGLE ? EXIT_TERMINATED : 0;
}

static void report(struct machine *m) {
  bool by_workload;
  int code = final_code(m, &by_workload);
  struct machine_action *a = machine_act(m, ACT_REPORT);
  a->deadline_ns = m->phase_ns;
  a->cause = m->stop_cause;
  a->graceful = !m->forced;
  a->exit_code = code;
  a->from_workload = by_workload;
}

static void enter_report(struct machine *m) {
  m->phase = PHASE_REPORT;
  m->phase_ns = shutdown_report_until(&m->shutdown, m->now);
  m->poll_ns = TIME_NEVER;
  m->changed = true;
  report(m);
}

static void enter_cleanup(struct machine *m) {
  m->poll_ns = TIME_NEVER;
  if (!m->config->cleanups || m->resume == PASS_VALIDATE) { /* never validated: nothing was made */
    enter_report(m);
    return;
  }
  m->phase = PHASE_CLEANUP;
  m->phase_ns = shutdown_cleanup_until(&m->shutdown);
  m->changed = true;
  machine_act(m, ACT_CLEANUP)->deadline_ns = m->phase_ns;
}

static void sweep(struct machine *m, int signal) {
  m->poll_ns = TIME_NEVER; /* until the answer */
  machine_act(m, ACT_SWEEP)->signal = signal;
}

static void enter_sweep(struct machine *m, int signal) {
  bool kill = signal == SIGNAL_KILL;
  m->phase = kill ? PHASE_SWEEP_KILL : PHASE_SWEEP_TERM;
  m->phase_ns =
      kill ? shutdown_sweep_kill_until(&m->shutdown, m->now) : shutdown_sweep_term_until(&m->shutdown, m->now);
  /* a process that was just forked may lose the first one: until its exec it has its parent's handlers */
  m->again_ns = m->now + (m->phase_ns - m->now) / 2;
  m->changed = true;
  if (kill) m->forced = true;
  sweep(m, signal);
}

static void finish_levels(struct machine *m) {
  enum goal goal = m->goal;
  m->changed = true;
  if (goal == GOAL_EXIT) {
    if (!anything_ran(m)) {
      enter_cleanup(m);
    } else {
      enter_sweep(m, m->shutdown.level == STOP_NOW ? SIGNAL_KILL : SIGNAL_TERM);
    }
    return;
  }
  m->goal = GOAL_NONE;
  m->phase_ns = m->drain_ns = TIME_NEVER;
  if (goal == GOAL_HOLD) m->held = true;
  if (goal == GOAL_STOPPED) machine_set_state(m, STATE_STOPPED, CAUSE_STOPPED);
  for (unsigned i = 0; i < m->slots && goal == GOAL_RESTART; i++)
    if (m->slot[i].state != INSTANCE_DOWN) slot_set(m, &m->slot[i], INSTANCE_DOWN);
}

static void advance_levels(struct machine *m) {
  unsigned lowest = UINT16_MAX;
  for (unsigned i = 0; i < m->slots; i++)
    if (slot_live(&m->slot[i]) && machine_slot_level(m, i) < lowest) lowest = machine_slot_level(m, i);
  bool gone = lowest == UINT16_MAX;
  if (!gone && m->goal == GOAL_EXIT && shutdown_gone_by(&m->shutdown) <= m->now) {
    m->forced = true;
    gone = true;
  }
  if (gone) {
    finish_levels(m);
    return;
  }
  bool all = m->shutdown.level >= STOP_SOON || m->shutdown.kill_at_ns <= m->now;
  for (unsigned i = 0; i < m->slots; i++) {
    struct slot *s = &m->slot[i];
    if (slot_live(s) && s->why != WHY_ALL && (all || machine_slot_level(m, i) == lowest)) slot_stop(m, s, WHY_ALL);
  }
  m->silent = false;
}

static bool hooks_are_over(const struct machine *m) {
  if (!any_live(m) || m->shutdown.level >= STOP_SOON || m->silent) return true;
  return (!m->hooks_running || m->phase_ns <= m->now) && (m->drain_ns <= m->now || !machine_main_live(m));
}

static void leave_hooks(struct machine *m) {
  if (m->hooks_running) machine_act(m, ACT_CANCEL_HOOKS);
  m->hooks_running = false;
  m->phase = PHASE_LEVELS;
  m->changed = true;
}

static void leave(struct machine *m) {
  bool by_workload;
  int code = final_code(m, &by_workload);
  struct machine_action *a = machine_act(m, ACT_EXIT);
  a->cause = m->stop_cause;
  a->exit_code = code;
  a->from_workload = by_workload;
}

static void finish(struct machine *m) {
  bool by_workload;
  int code = final_code(m, &by_workload);
  if (m->state == STATE_STOPPING) machine_set_state(m, STATE_STOPPED, CAUSE_STOPPED);
  struct machine_action *a = machine_tell(m, EVENT_SHUTDOWN_COMPLETED, LEVEL_INFO);
  a->cause = m->stop_cause;
  a->graceful = !m->forced;
  a->duration_ns = m->now - m->shutdown.begin_ns;
  a->exit_code = code;
  a->from_workload = by_workload;
  leave(m);
  m->ended = true;
}

/* What runs for the stop and has to answer. */
void machine_resume_stop(struct machine *m) {
  if (m->ended) {
    leave(m);
    return;
  }
  if (m->goal == GOAL_NONE) return;
  switch (m->phase) {
    case PHASE_HOOKS:
      m->hooks_running = m->hooks_running && m->phase_ns > m->now; /* only the drain may go on after their deadline */
      if (m->hooks_running) machine_act(m, ACT_HOOKS)->deadline_ns = m->phase_ns;
      break;
    case PHASE_LEVELS:
      break;
    case PHASE_SWEEP_TERM:
      sweep(m, 0);
      break;
    case PHASE_SWEEP_KILL:
      sweep(m, SIGNAL_KILL);
      break;
    case PHASE_CLEANUP:
      machine_act(m, ACT_CLEANUP)->deadline_ns = m->phase_ns;
      break;
    case PHASE_REPORT:
      report(m);
      break;
  }
}

void machine_advance_stop(struct machine *m) {
  bool over = m->phase_ns <= m->now;
  switch (m->phase) {
    case PHASE_HOOKS:
      if (!hooks_are_over(m)) break;
      leave_hooks(m);
      advance_levels(m);
      break;
    case PHASE_LEVELS:
      advance_levels(m);
      break;
    case PHASE_SWEEP_TERM:
      if (over || m->shutdown.level == STOP_NOW) {
        enter_sweep(m, SIGNAL_KILL);
      } else if (m->poll_ns <= m->now) {
        bool again = m->again_ns <= m->now;
        if (again) m->again_ns = TIME_NEVER;
        sweep(m, again ? SIGNAL_TERM : 0);
      }
      break;
    case PHASE_SWEEP_KILL:
      if (over) {
        enter_cleanup(m);
      } else if (m->poll_ns <= m->now) {
        sweep(m, SIGNAL_KILL);
      }
      break;
    case PHASE_CLEANUP:
      if (!over) break;
      machine_act(m, ACT_CANCEL_CLEANUP);
      m->forced = true;
      enter_report(m);
      break;
    case PHASE_REPORT:
      if (over) finish(m);
      break;
  }
}

int64_t machine_stop_due_ns(const struct machine *m) {
  if (m->goal == GOAL_NONE) return TIME_NEVER;
  int64_t hooks = m->hooks_running ? m->phase_ns : m->now;
  switch (m->phase) {
    case PHASE_HOOKS:
      return hooks > m->drain_ns ? hooks : m->drain_ns;
    case PHASE_LEVELS:
      if (m->shutdown.kill_at_ns > m->now) return m->shutdown.kill_at_ns;
      return m->goal == GOAL_EXIT ? shutdown_gone_by(&m->shutdown) : TIME_NEVER;
    default:
      return earlier(m->phase_ns, m->poll_ns);
  }
}

/* --- inputs --- */

void machine_on_stop(struct machine *m, const struct machine_input *in) {
  if (m->goal != GOAL_EXIT) {
    m->silent = in->begun;
    m->held = false;
    tell_begin(m, in->cause, in->signal);
    machine_set_state(m, STATE_STOPPING, in->cause);
    machine_stop_all(m, GOAL_EXIT);
  }
  if (!shutdown_hasten(&m->shutdown, in->level, m->now)) return;
  m->changed = true;
  if (m->phase != PHASE_CLEANUP) return;
  if (in->level == STOP_SOON) m->phase_ns = earlier(m->phase_ns, m->now + STOP_SOON_NS);
  if (in->level == STOP_NOW) m->phase_ns = m->now;
}

void machine_on_hooks_done(struct machine *m, const struct machine_input *in) {
  m->hooks_running = false;
  if (in->skip_drain && m->phase == PHASE_HOOKS) m->drain_ns = m->now;
}

void machine_on_swept(struct machine *m, const struct machine_input *in) {
  if (m->goal != GOAL_EXIT || (m->phase != PHASE_SWEEP_TERM && m->phase != PHASE_SWEEP_KILL)) return;
  if (in->left) {
    m->poll_ns = m->now + SWEEP_POLL_NS;
  } else {
    enter_cleanup(m);
  }
}

void machine_on_cleaned(struct machine *m, const struct machine_input *in) {
  (void)in;
  if (m->goal == GOAL_EXIT && m->phase == PHASE_CLEANUP) enter_report(m);
}

void machine_on_reported(struct machine *m, const struct machine_input *in) {
  (void)in;
  if (m->goal == GOAL_EXIT && m->phase == PHASE_REPORT) finish(m);
}
