/* Passes through STARTING: validation, dependencies, then RUNNING once main is up; what becomes of a failed start. */
#include "base/exits.h"
#include "core/machine_state.h"

static struct slot *life(struct machine *m) { return &m->slot[m->main_first]; }

static struct slot *main_end(struct machine *m) { return life(m) + m->main->instances; }

bool machine_main_live(const struct machine *m) {
  for (unsigned i = 0; i < m->main->instances; i++)
    if (slot_live(&m->slot[m->main_first + i])) return true;
  return false;
}

static void ask(struct machine *m) {
  m->waiting = true;
  if (m->pass == PASS_VALIDATE) {
    machine_act(m, ACT_VALIDATE);
  } else {
    machine_act(m, ACT_CHECK_DEPENDENCIES)->on = m->only_bad;
  }
}

void machine_ask_again(struct machine *m) {
  if (m->waiting) ask(m);
}

void machine_start_pass(struct machine *m, enum machine_cause cause) {
  machine_set_state(m, STATE_STARTING, cause);
  m->pass = m->resume;
  m->pass_ns = m->now;
  m->passes++;
  m->retry_ns = TIME_NEVER;
  m->retry_by_dependency = false;
  machine_tell(m, EVENT_STARTUP_INITIATED, LEVEL_INFO)->cause = cause;
  ask(m);
}

void machine_cancel_wait(struct machine *m) {
  if (m->waiting) machine_act(m, ACT_CANCEL_DEPENDENCIES);
  m->waiting = false;
}

void machine_on_begin(struct machine *m, const struct machine_input *in) {
  if (in->stopped_mark && m->main->how->restart.policy == RESTART_UNLESS_STOPPED) {
    machine_set_state(m, STATE_STOPPED, CAUSE_MARK);
  } else {
    machine_start_pass(m, CAUSE_BEGIN);
  }
}

static void fail_start(struct machine *m, enum machine_cause cause, enum end_reason reason, int code, bool can_pass) {
  const struct restart_config *c = &m->main->how->restart;
  struct restart *r = &life(m)->restart;
  bool again = can_pass && !m->config->simple && c->policy != RESTART_NO && !restart_exhausted(r, c, m->now);
  struct machine_action *a = machine_tell(m, EVENT_FAILURE_DETECTED, again ? LEVEL_ERROR : LEVEL_CRITICAL);
  a->cause = cause;
  a->reason = reason;
  a->exit_code = code;
  a->final = !again;
  if (m->failing_ns == TIME_NEVER) m->failing_ns = m->now;
  if (!again) {
    m->at_once = !can_pass;
    machine_fail(m, cause, code, false);
    return;
  }
  machine_set_state(m, STATE_FAILED, cause);
  a = machine_tell(m, EVENT_RESTART_INITIATED, LEVEL_WARNING);
  a->cause = cause;
  a->reason = reason;
  a->delay_ns = restart_take(r, c, m->now, &m->seed);
  a->attempt = r->n;
  a->in_window = restart_in_window(r, c, m->now);
  a->max_attempts = c->max_attempts;
  m->retry_ns = m->now + a->delay_ns;
  m->retry_by_dependency = reason == END_DEPENDENCY;
  machine_set_state(m, STATE_RESTARTING, cause);
}

void machine_on_validated(struct machine *m, const struct machine_input *in) {
  if (!m->waiting || m->pass != PASS_VALIDATE) return;
  m->waiting = false;
  if (!in->ok) {
    fail_start(m, CAUSE_VALIDATION, END_VALIDATION, in->exit_code, in->can_pass);
    return;
  }
  m->pass = m->resume = PASS_DEPENDENCIES;
  ask(m);
}

void machine_on_dependencies(struct machine *m, const struct machine_input *in) {
  if (!m->waiting || m->pass != PASS_DEPENDENCIES) return;
  m->waiting = false;
  m->only_bad = true; /* from now on those that were ready are not asked again */
  if (!in->ok) {
    fail_start(m, CAUSE_DEPENDENCY, END_DEPENDENCY, EXIT_DEPENDENCY, true);
    return;
  }
  machine_tell(m, EVENT_DEPENDENCIES_READY, LEVEL_INFO)->duration_ns = m->now - m->pass_ns;
  m->pass = PASS_PROCESSES;
  m->begun = true;
  for (unsigned i = 0; i < m->slots; i++) slot_want(m, &m->slot[i]);
}

static int64_t soon(struct machine *m) { return m->now + (int64_t)random_below(&m->seed, NS_PER_S + 1); }

/* RESTARTING starts again when the first instance of main may. */
void machine_retry_with_main(struct machine *m) {
  for (struct slot *s = life(m); s < main_end(m); s++)
    if (s->state == INSTANCE_BACKOFF && s->due_ns < m->retry_ns) m->retry_ns = s->due_ns;
}

void machine_on_dependency_back(struct machine *m, const struct machine_input *in) {
  (void)in;
  if (m->goal != GOAL_NONE) return;
  for (unsigned i = 0; i < m->slots; i++) {
    struct slot *s = &m->slot[i];
    if (s->state != INSTANCE_BACKOFF || !s->by_dependency) continue;
    int64_t due = soon(m);
    if (due < s->due_ns) s->due_ns = due;
    s->restart.n = 0;
    s->by_dependency = false;
  }
  if (m->state != STATE_RESTARTING) return;
  if (m->retry_by_dependency) {
    int64_t due = soon(m);
    if (due < m->retry_ns) m->retry_ns = due;
    life(m)->restart.n = 0;
    m->retry_by_dependency = false;
  } else {
    machine_retry_with_main(m);
  }
}

/* What waits for its restart would have to wait for the dependency, too: its return ends the wait. */
void machine_on_dependency_bad(struct machine *m, const struct machine_input *in) {
  (void)in;
  for (unsigned i = 0; i < m->slots; i++) {
    struct slot *s = &m->slot[i];
    if (s->state == INSTANCE_BACKOFF && s->last_reason != END_SYSTEM) s->by_dependency = true;
  }
}

void machine_on_health(struct machine *m, const struct machine_input *in) {
  if (in->ok == m->healthy) return;
  for (unsigned i = 0; i < m->slots && m->healthy; i++) slot_note_good_run(m, &m->slot[i]);
  m->healthy = in->ok;
  m->healthy_ns = m->now;
}

/* --- going on --- */

/* Main waits for a process that failed for good before main ever ran. */
static const struct slot *find_obstacle(const struct machine *m) {
  if (m->slot[m->main_first].runs) return NULL;
  for (unsigned i = 0; i < m->slots; i++)
    if (m->main_needs[m->slot[i].process] && m->slot[i].state == INSTANCE_FAILED) return &m->slot[i];
  return NULL;
}

static bool main_is_up(const struct machine *m) {
  bool up = false;
  for (unsigned i = 0; i < m->main->instances; i++) {
    const struct slot *s = &m->slot[m->main_first + i];
    if ((slot_live(s) && s->state != INSTANCE_UP) || s->wanted) return false;
    up |= s->state == INSTANCE_UP || s->state == INSTANCE_INTERVAL || s->state == INSTANCE_DONE;
  }
  return up;
}

static void enter_running(struct machine *m) {
  machine_set_state(m, STATE_RUNNING, CAUSE_STARTED);
  m->started = true;
  struct machine_action *a = machine_tell(m, EVENT_STARTUP_COMPLETED, LEVEL_INFO);
  a->duration_ns = m->now - m->pass_ns;
  a->attempt = m->passes;
  if (m->failing_ns == TIME_NEVER) return;
  machine_tell(m, EVENT_RECOVERY_COMPLETED, LEVEL_INFO)->duration_ns = m->now - m->failing_ns;
  m->failing_ns = TIME_NEVER;
}

void machine_advance_start(struct machine *m) {
  if (m->goal != GOAL_NONE) return;
  if (m->state == STATE_RESTARTING && m->retry_ns <= m->now && !machine_main_live(m)) {
    machine_start_pass(m, m->cause == CAUSE_OPERATOR || m->cause == CAUSE_RELOAD ? m->cause : CAUSE_RETRY);
  } else if (m->state == STATE_STARTING && m->pass == PASS_PROCESSES) {
    const struct slot *obstacle = find_obstacle(m);
    if (obstacle) {
      machine_fail(m, CAUSE_PROCESS, obstacle->last_code,
                   obstacle->last_reason != END_EXEC_ERROR && obstacle->last_reason != END_SYSTEM);
    } else if (main_is_up(m)) {
      enter_running(m);
    }
  }
}
