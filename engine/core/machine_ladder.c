/* The stop of one instance: its signals one after the other, then SIGKILL. */
#include "core/machine_state.h"

static const struct stop_step default_step = {SIGNAL_TERM, 0};

static unsigned count_steps(const struct machine_process *p) { return p->how->n_stop ? p->how->n_stop : 1; }

static const struct stop_step *step_of(const struct machine_process *p, unsigned i) {
  return p->how->n_stop ? &p->how->stop[i] : &default_step;
}

static struct machine_action *act_kill(struct machine *m, const struct slot *s, int signal, bool group) {
  struct machine_action *a = machine_act(m, ACT_KILL);
  a->slot = slot_index(m, s);
  a->signal = signal;
  a->group = group;
  return a;
}

void slot_kill(struct machine *m, struct slot *s) {
  act_kill(m, s, SIGNAL_KILL, false);
  act_kill(m, s, SIGNAL_KILL, true);
  s->killed = true;
  s->step_ns = s->kill_ns = TIME_NEVER;
  if (m->goal == GOAL_EXIT) m->forced = true;
}

static bool share_is_over(const struct machine *m, const struct slot *s) {
  return s->why == WHY_ALL && m->shutdown.kill_at_ns <= m->now;
}

static void take_step(struct machine *m, struct slot *s, bool silent) {
  const struct machine_process *p = slot_process(m, s);
  const struct stop_step *step = step_of(p, s->step);
  if (step->signal == SIGNAL_KILL) {
    slot_kill(m, s);
    return;
  }
  if (!silent) act_kill(m, s, step->signal, p->how->stop_group)->cont = true;
  s->sent |= UINT64_C(1) << (step->signal - 1);
  bool last = s->step + 1 == count_steps(p);
  bool rest_of_time = step->wait_ns < 0 || (last && !step->wait_ns);
  s->step_ns = rest_of_time ? TIME_NEVER : m->now + step->wait_ns;
}

static void begin_ladder(struct machine *m, struct slot *s, bool silent) {
  slot_set(m, s, INSTANCE_STOPPING);
  s->step = 0;
  s->sent = 0;
  s->killed = false;
  if (share_is_over(m, s)) {
    slot_kill(m, s);
    return;
  }
  int64_t timeout = slot_process(m, s)->how->stop_timeout_ns;
  s->kill_ns = m->now + (timeout > 0 ? timeout : machine_grace_ns(m));
  take_step(m, s, silent);
}

void slot_stop(struct machine *m, struct slot *s, enum stop_why why) {
  bool first = s->why == WHY_NONE;
  if (s->why != WHY_ALL) s->why = why;
  if (s->state == INSTANCE_SPAWNING || !slot_live(s)) return;
  if (s->state == INSTANCE_STOPPING && !first) return;
  slot_note_good_run(m, s);
  if (s->state == INSTANCE_STARTING) machine_act(m, ACT_CANCEL_CHECK)->slot = slot_index(m, s);
  begin_ladder(m, s, m->silent && why == WHY_ALL);
}

void slot_signal(struct machine *m, struct slot *s) { begin_ladder(m, s, false); }

void slot_advance_ladder(struct machine *m, struct slot *s) {
  if (s->killed) return;
  if (s->kill_ns <= m->now || share_is_over(m, s)) {
    slot_kill(m, s);
    return;
  }
  while (s->step_ns <= m->now) {
    if (++s->step == count_steps(slot_process(m, s))) {
      slot_kill(m, s);
    } else {
      take_step(m, s, false);
    }
  }
}
