/* `tend start`, `tend stop`, `tend restart`: of one process, or of everything (main stands for everything). */
#include "core/machine_state.h"

static bool means_all(const struct machine *m, const struct machine_input *in) {
  return in->process == MACHINE_ALL || (in->process < m->config->processes && m->config->process[in->process].main);
}

/* The slots of the process that is meant: [*first, end) */
static struct slot *find_slots(struct machine *m, const struct machine_input *in, struct slot **end) {
  if (in->process >= m->config->processes) return *end = m->slot;
  struct slot *first = &m->slot[m->first[in->process]];
  *end = first + m->config->process[in->process].instances;
  return first;
}

/* The mark matters to unless-stopped only. */
static void remember(struct machine *m, bool on) {
  if (m->main->how->restart.policy == RESTART_UNLESS_STOPPED) machine_act(m, ACT_REMEMBER_STOP)->on = on;
}

/* A failure is left for STOPPED where it is held; its exit code stays the last word until a start. */
void machine_on_operator_stop(struct machine *m, const struct machine_input *in) {
  if (m->state == STATE_FAILED && !m->held && m->goal != GOAL_HOLD) return;
  if (means_all(m, in)) {
    m->held = false;
    remember(m, true);
    machine_set_state(m, STATE_STOPPING, CAUSE_OPERATOR);
    machine_stop_all(m, GOAL_STOPPED);
    return;
  }
  if (m->goal != GOAL_NONE) return;
  struct slot *end;
  for (struct slot *s = find_slots(m, in, &end); s < end; s++) {
    if (slot_live(s)) {
      slot_stop(m, s, WHY_OPERATOR);
    } else if (s->state != INSTANCE_FAILED && s->state != INSTANCE_DONE) {
      slot_set(m, s, INSTANCE_DOWN);
      s->held = true;
    }
  }
}

/* One that runs stays as it is; all else starts now, with the shortest delay ahead. */
static void start_slot(struct machine *m, struct slot *s) {
  if (s->state == INSTANCE_STOPPING && s->why == WHY_OPERATOR) s->why = WHY_RESTART;
  if (s->state == INSTANCE_SPAWNING && s->why == WHY_OPERATOR) s->why = WHY_NONE;
  if (slot_live(s)) return;
  s->held = false;
  s->restart.n = 0;
  slot_set(m, s, INSTANCE_DOWN);
  if (m->begun) slot_want(m, s);
}

static void start_anew(struct machine *m) {
  remember(m, false);
  m->failed = m->held = false;
  for (unsigned i = 0; i < m->slots; i++) {
    struct slot *s = &m->slot[i];
    slot_set(m, s, INSTANCE_DOWN);
    s->held = false;
    s->restart.n = 0;
    s->failing_ns = TIME_NEVER;
  }
  machine_start_pass(m, CAUSE_OPERATOR);
}

void machine_on_operator_start(struct machine *m, const struct machine_input *in) {
  if (m->goal != GOAL_NONE || (in->process != MACHINE_ALL && in->process >= m->config->processes)) return;
  if (m->state == STATE_STOPPED || m->state == STATE_FAILED) {
    start_anew(m);
    return;
  }
  bool all = in->process == MACHINE_ALL;
  struct slot *end = m->slot + m->slots;
  for (struct slot *s = all ? m->slot : find_slots(m, in, &end); s < end; s++) {
    if (slot_is_main(m, s) && (m->state == STATE_RESTARTING || m->pass != PASS_PROCESSES)) {
      s->restart.n = 0;
      if (s->state == INSTANCE_BACKOFF) s->due_ns = m->now;
    } else {
      start_slot(m, s);
    }
  }
  if (m->state == STATE_RESTARTING && means_all(m, in)) {
    m->retry_ns = m->now;
    m->cause = CAUSE_OPERATOR;
  }
}

static enum machine_cause cause_of(const struct machine_input *in) { return in->cause ? in->cause : CAUSE_OPERATOR; }

static void restart_main(struct machine *m, enum machine_cause cause) {
  machine_cancel_wait(m);
  machine_set_state(m, STATE_RESTARTING, cause);
  m->cause = cause;
  m->retry_ns = m->now;
  struct slot *s = &m->slot[m->main_first];
  for (unsigned i = 0; i < m->main->instances; i++, s++) {
    s->restart.n = 0;
    if (slot_live(s)) {
      slot_stop(m, s, WHY_RESTART);
    } else {
      slot_set(m, s, INSTANCE_DOWN);
    }
  }
}

static void tell_restart(struct machine *m, const struct machine_input *in) {
  struct machine_action *a = machine_tell(m, EVENT_RESTART_INITIATED, LEVEL_INFO);
  a->cause = cause_of(in);
  if (in->process != MACHINE_ALL) a->slot = machine_slot(m, in->process, 0);
}

void machine_on_operator_restart(struct machine *m, const struct machine_input *in) {
  if (m->goal != GOAL_NONE || (in->process != MACHINE_ALL && in->process >= m->config->processes)) return;
  tell_restart(m, in);
  if (in->process == MACHINE_ALL) {
    machine_set_state(m, STATE_RESTARTING, CAUSE_OPERATOR);
    m->cause = CAUSE_OPERATOR;
    m->retry_ns = m->now;
    for (unsigned i = 0; i < m->slots; i++) m->slot[i].restart.n = 0;
    machine_stop_all(m, GOAL_RESTART);
    return;
  }
  if (means_all(m, in)) {
    restart_main(m, cause_of(in));
    return;
  }
  struct slot *end;
  for (struct slot *s = find_slots(m, in, &end); s < end; s++) {
    s->held = false;
    if (slot_live(s)) {
      slot_stop(m, s, WHY_RESTART);
    } else {
      start_slot(m, s);
    }
  }
}
