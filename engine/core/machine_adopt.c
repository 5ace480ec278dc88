/* A machine with another config that goes on with the life of the one before. */
#include "core/machine_state.h"

bool machine_can_adopt(const struct machine *from) { return from->goal == GOAL_NONE && !from->ended; }

/* The newest times of the ring that was, as many as there is room for. */
static void adopt_restart(struct restart *to, const struct restart *from) {
  unsigned n = from->count < to->cap ? from->count : to->cap;
  for (unsigned i = 0; i < n; i++) to->ring[i] = from->ring[(from->head + (from->count - n) + i) % from->cap];
  to->head = 0;
  to->count = n;
  to->n = from->n;
  to->total = from->total;
}

static void adopt_slot(struct machine *m, struct slot *to, const struct slot *from) {
  struct slot own = *to;
  *to = *from;
  to->process = own.process;
  to->instance = own.instance;
  to->restart = own.restart;
  adopt_restart(&to->restart, &from->restart);
  unsigned steps = slot_process(m, to)->how->n_stop ? slot_process(m, to)->how->n_stop : 1;
  if (to->step >= steps) to->step = steps - 1;
}

void machine_adopt(struct machine *to, const struct machine *from, const uint32_t *old) {
  to->seed = from->seed;
  to->now = from->now;
  to->state = from->state;
  to->cause = from->cause;
  to->since_ns = from->since_ns;
  to->pass = from->pass;
  to->resume = from->resume;
  to->waiting = from->waiting;
  to->only_bad = from->only_bad;
  to->begun = from->begun;
  to->started = from->started;
  to->passes = from->passes;
  to->pass_ns = from->pass_ns;
  to->failing_ns = from->failing_ns;
  to->retry_ns = from->retry_ns;
  to->retry_by_dependency = from->retry_by_dependency;
  to->healthy = from->healthy;
  to->healthy_ns = from->healthy_ns;
  to->held = from->held;
  to->failed = from->failed;
  to->failed_code = from->failed_code;
  to->failed_by_workload = from->failed_by_workload;
  to->stop_cause = from->stop_cause;
  bool living =
      from->begun && (from->state == STATE_STARTING || from->state == STATE_RUNNING || from->state == STATE_RESTARTING);
  for (unsigned i = 0; i < to->config->processes; i++) {
    if (old[i] == MACHINE_ALL) continue;
    unsigned n = from->config->process[old[i]].instances, own = to->config->process[i].instances;
    for (unsigned k = 0; k < own; k++) {
      struct slot *s = &to->slot[to->first[i] + k];
      if (k < n)
        adopt_slot(to, s, &from->slot[from->first[old[i]] + k]);
      else
        s->spare = living; /* SCALE takes it in */
    }
  }
}
