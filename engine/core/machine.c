/* The machine: making it, one step, the table of handlers. What the handlers do is in machine_*.c. */
#include "core/machine.h"

#include <stdlib.h>

#include "base/limits.h"
#include "core/machine_state.h"

/* Most that one step can ask for: a few for the container, a few for each slot. */
enum { ACTIONS_FIXED = 32, ACTIONS_SLOT = 10, RING_UNLIMITED = 64 };

static void machine_on_ignore(struct machine *m, const struct machine_input *in) {
  (void)m;
  (void)in;
}

static machine_handler *const handlers[INPUTS][STATES] = {
#define ROW(input, initializing, starting, running, stopping, stopped, failed, restarting) \
  [IN_##input] = {machine_on_##initializing, machine_on_##starting, machine_on_##running,   machine_on_##stopping, \
                  machine_on_##stopped,      machine_on_##failed,   machine_on_##restarting},
#include "core/machine.def"
};

/* --- actions --- */

struct machine_action *machine_act(struct machine *m, enum machine_action_kind kind) {
  struct machine_action *a = m->n < m->cap ? &m->action[m->n++] : &m->spill;
  *a = (struct machine_action){
      .kind = kind, .slot = UINT32_MAX, .deadline_ns = TIME_NEVER, .duration_ns = -1, .level = LEVEL_INFO};
  return a;
}

struct machine_action *machine_tell(struct machine *m, enum event_kind event, enum level level) {
  struct machine_action *a = machine_act(m, ACT_EVENT);
  a->event = event;
  a->level = level;
  return a;
}

void machine_set_state(struct machine *m, enum machine_state to, enum machine_cause cause) {
  if (m->state == to) return;
  struct machine_action *a = machine_act(m, ACT_STATE);
  a->from = m->state;
  a->to = to;
  a->cause = cause;
  m->state = to;
  m->cause = cause;
  m->since_ns = m->now;
  m->changed = true;
}

/* --- a step --- */

/* The start and the stop of everything see what the instances have become, and the other way round, until nothing
 * changes any more. */
static void machine_advance(struct machine *m) {
  for (unsigned round = 0; round < 2 * m->slots + 16; round++) {
    m->changed = false;
    if (m->goal != GOAL_NONE) machine_advance_stop(m);
    if (m->ended) return;
    machine_advance_slots(m);
    machine_advance_start(m);
    if (!m->changed) return;
  }
}

void machine_step(struct machine *m, const struct machine_input *in, int64_t now_ns, struct machine_out *out) {
  if (now_ns > m->now) m->now = now_ns;
  m->n = 0;
  if (!m->ended && in->kind < INPUTS) {
    machine_handler *handler = handlers[in->kind][m->state];
    if (handler != machine_on_ignore) {
      handler(m, in);
      m->stale = true;
    }
    if (m->stale && !in->more) {
      m->stale = false;
      machine_advance(m);
    }
  }
  *out = (struct machine_out){m->action, m->n};
}

/* Its time has come: all of it is done in machine_advance. */
void machine_on_tick(struct machine *m, const struct machine_input *in) {
  (void)m;
  (void)in;
}

static int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }

int64_t machine_due_ns(const struct machine *m) {
  if (m->ended) return TIME_NEVER;
  int64_t due = machine_stop_due_ns(m);
  if (m->state == STATE_RESTARTING && m->goal == GOAL_NONE && !machine_main_live(m)) due = earlier(due, m->retry_ns);
  for (unsigned i = 0; i < m->slots; i++) {
    const struct slot *s = &m->slot[i];
    due = earlier(due, s->rest_ns);
    if (s->state == INSTANCE_STOPPING) due = earlier(due, earlier(s->step_ns, s->kill_ns));
    if (m->goal != GOAL_NONE) continue;
    bool later = s->state != INSTANCE_STARTING && slot_is_main(m, s)
                     ? m->state != STATE_RUNNING && !(m->state == STATE_STARTING && m->pass == PASS_PROCESSES)
                     : !m->begun;
    if (!later) due = earlier(due, s->due_ns);
  }
  return due;
}

/* --- making it --- */

static bool config_is_possible(const struct machine_config *c, unsigned *slots, unsigned *rings) {
  unsigned mains = 0;
  if (!c->processes || c->processes > LIMIT_PROCESSES) return false;
  for (unsigned i = 0; i < c->processes; i++) {
    const struct machine_process *p = &c->process[i];
    if (!p->instances || p->instances > LIMIT_INSTANCES || p->running > p->instances || p->n_after > LIMIT_AFTER ||
        p->how->n_stop > LIMIT_STOP_STEPS || p->how->n_rules > LIMIT_RULES ||
        p->how->restart.max_attempts > LIMIT_WINDOW)
      return false;
    for (unsigned k = 0; k < p->n_after; k++)
      if (p->after[k] >= c->processes) return false;
    if (p->main && p->running && p->running < p->instances) return false;
    mains += p->main;
    *slots += p->instances;
    *rings += p->instances * (p->how->restart.max_attempts ? p->how->restart.max_attempts : RING_UNLIMITED);
  }
  return mains == 1 && *slots <= LIMIT_INSTANCES;
}

/* Levels of the stop order: who comes after somebody is stopped before him. False on a cycle. */
static bool find_levels(struct machine *m) {
  const struct machine_config *c = m->config;
  for (unsigned round = 0; round <= c->processes; round++) {
    bool changed = false;
    for (unsigned i = 0; i < c->processes; i++) {
      for (unsigned k = 0; k < c->process[i].n_after; k++) {
        uint16_t *before = &m->level[c->process[i].after[k]];
        if (*before > m->level[i]) continue;
        *before = (uint16_t)(m->level[i] + 1);
        changed = true;
      }
    }
    if (!changed) return true;
  }
  return false;
}

static void find_needs_of_main(struct machine *m) {
  const struct machine_config *c = m->config;
  for (bool changed = true; changed;) {
    changed = false;
    for (unsigned i = 0; i < c->processes; i++) {
      const struct machine_process *p = &c->process[i];
      for (unsigned k = 0; k < p->n_after && (p->main || m->main_needs[i]); k++) {
        if (m->main_needs[p->after[k]]) continue;
        m->main_needs[p->after[k]] = true;
        changed = true;
      }
    }
  }
}

static void number_slots(struct machine *m, int64_t *ring) {
  unsigned n = 0;
  for (unsigned i = 0; i < m->config->processes; i++) {
    const struct machine_process *p = &m->config->process[i];
    m->first[i] = n;
    if (p->main) {
      m->main = p;
      m->main_first = n;
    }
    for (unsigned k = 0; k < p->instances; k++, n++) {
      unsigned cap = p->how->restart.max_attempts ? p->how->restart.max_attempts : RING_UNLIMITED;
      m->slot[n] = (struct slot){.process = (uint16_t)i,
                                 .instance = (uint16_t)k,
                                 .spare = p->running && k >= p->running,
                                 .due_ns = TIME_NEVER,
                                 .rest_ns = TIME_NEVER,
                                 .step_ns = TIME_NEVER,
                                 .kill_ns = TIME_NEVER,
                                 .failing_ns = TIME_NEVER,
                                 .restart = {.cap = cap, .ring = ring}};
      ring += cap;
    }
  }
}

struct machine *machine_new(const struct machine_config *config, uint64_t seed) {
  unsigned slots = 0, rings = 0;
  if (!config_is_possible(config, &slots, &rings)) return NULL;
  size_t n = config->processes, cap = ACTIONS_FIXED + (size_t)slots * ACTIONS_SLOT;
  /* one allocation but for the actions, the strictest alignment first */
  size_t size = sizeof(struct machine) + slots * sizeof(struct slot) + rings * sizeof(int64_t) +
                n * (sizeof(uint32_t) + sizeof(uint16_t) + sizeof(bool));
  struct machine *m = calloc(1, size);
  if (m) m->action = calloc(cap, sizeof *m->action);
  if (!m || !m->action) {
    free(m);
    return NULL;
  }
  m->slot = (struct slot *)(m + 1);
  int64_t *ring = (int64_t *)(m->slot + slots);
  m->first = (uint32_t *)(ring + rings);
  m->level = (uint16_t *)(m->first + n);
  m->main_needs = (bool *)(m->level + n);
  m->config = config;
  m->seed = seed;
  m->slots = slots;
  m->cap = (unsigned)cap;
  m->now = INT64_MIN;
  m->healthy = true;
  m->healthy_ns = INT64_MIN;
  m->failing_ns = m->retry_ns = m->phase_ns = m->drain_ns = m->poll_ns = TIME_NEVER;
  m->shutdown.kill_at_ns = TIME_NEVER;
  number_slots(m, ring);
  if (!find_levels(m)) {
    machine_free(m);
    return NULL;
  }
  find_needs_of_main(m);
  return m;
}

void machine_free(struct machine *m) {
  if (m) free(m->action);
  free(m);
}

void machine_give_back(struct machine *m) {
  struct machine_action *fresh = calloc(m->cap, sizeof *fresh);
  if (!fresh) return;
  free(m->action);
  m->action = fresh;
  m->n = 0;
}
