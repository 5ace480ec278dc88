/* What remedies and scale rules ask for: the failure of the container, another number of instances. */
#include "core/machine_state.h"

void machine_on_fail(struct machine *m, const struct machine_input *in) {
  (void)in;
  struct machine_action *a = machine_tell(m, EVENT_FAILURE_DETECTED, LEVEL_CRITICAL);
  a->cause = CAUSE_REMEDY;
  a->reason = END_CHECK;
  a->final = true;
  machine_fail(m, CAUSE_REMEDY, 0, false);
}

/* An operator's stop of it comes before a change of the number. */
static void put_aside(struct machine *m, struct slot *s) {
  s->spare = true;
  if (slot_live(s)) {
    if (s->why != WHY_OPERATOR) slot_stop(m, s, WHY_SCALE);
  } else if (s->state != INSTANCE_FAILED && s->state != INSTANCE_DONE) {
    slot_set(m, s, INSTANCE_DOWN);
  }
}

static void take_back(struct machine *m, struct slot *s) {
  s->spare = false;
  if (s->why == WHY_SCALE) s->why = s->state == INSTANCE_SPAWNING ? WHY_NONE : WHY_RESTART;
  if (!slot_live(s) && m->begun) slot_want(m, s);
}

void machine_on_scale(struct machine *m, const struct machine_input *in) {
  if (m->goal != GOAL_NONE || in->process >= m->config->processes) return;
  const struct machine_process *p = &m->config->process[in->process];
  if (p->main || !in->count || in->count > p->instances) return;
  struct slot *s = &m->slot[m->first[in->process]];
  for (unsigned i = 0; i < p->instances; i++, s++) {
    if (i >= in->count && !s->spare) put_aside(m, s);
    if (i < in->count && s->spare) take_back(m, s);
  }
}
