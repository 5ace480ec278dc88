/* What can be seen of the machine, for status, metrics and init's plan. */
#include "core/machine_state.h"

unsigned machine_slots(const struct machine *m) { return m->slots; }

uint32_t machine_slot(const struct machine *m, unsigned process, unsigned instance) {
  return m->first[process] + instance;
}

unsigned machine_slot_process(const struct machine *m, uint32_t slot) { return m->slot[slot].process; }

unsigned machine_slot_instance(const struct machine *m, uint32_t slot) { return m->slot[slot].instance; }

unsigned machine_slot_level(const struct machine *m, uint32_t slot) { return m->level[m->slot[slot].process]; }

int machine_slot_stop_signal(const struct machine *m, uint32_t slot) {
  const struct machine_process *p = slot_process(m, &m->slot[slot]);
  return p->how->n_stop ? p->how->stop[0].signal : SIGNAL_TERM;
}

int64_t machine_grace_ns(const struct machine *m) {
  const struct machine_config *c = m->config;
  return c->shutdown_timeout_ns - shutdown_reserve_ns(c->shutdown_timeout_ns, c->cleanups);
}

void machine_view(const struct machine *m, struct machine_view *out) {
  *out = (struct machine_view){
      .state = m->state,
      .cause = m->cause,
      .accepting = m->state == STATE_RUNNING,
      .held = m->held,
      .stopping = m->goal == GOAL_EXIT,
      .started = m->started,
      .since_ns = m->since_ns,
      .due_ns = m->state == STATE_RESTARTING && m->goal == GOAL_NONE ? m->retry_ns : TIME_NEVER,
      .passes = m->passes,
  };
  for (unsigned i = 0; i < m->slots; i++) {
    const struct slot *s = &m->slot[i];
    out->degraded |= s->state == INSTANCE_FAILED || s->state == INSTANCE_BACKOFF;
    out->restarts += s->restart.total;
  }
}

void machine_instance(const struct machine *m, uint32_t slot, int64_t now_ns, struct instance_view *out) {
  const struct slot *s = &m->slot[slot];
  bool waits = s->state == INSTANCE_BACKOFF || s->state == INSTANCE_INTERVAL;
  struct restart window = s->restart; /* only looked at: what has left the window stays in the ring */
  *out = (struct instance_view){
      .state = s->state,
      .held = s->held,
      .rests = s->rest_ns != TIME_NEVER,
      .spare = s->spare,
      .since_ns = s->since_ns,
      .due_ns = waits ? s->due_ns : TIME_NEVER,
      .n = s->restart.n,
      .restarts = s->restart.total,
      .runs = s->runs,
      .in_window = restart_in_window(&window, &slot_process(m, s)->how->restart, now_ns),
      .last_reason = s->last_reason,
      .last_code = s->last_code,
  };
}
