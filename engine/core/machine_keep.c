/* A machine over the life of an engine: as bytes, and out of them again, for a plan that may name its processes in
 * another order. What is under way comes back with it; only answers that were on their way are lost, and are asked for
 * anew. */
#include <string.h>

#include "core/machine_state.h"

/* The bytes: struct machine, its slots, one kept_process for each process, the rings of all slots one after the other.
 */
struct kept_process {
  uint64_t name; /* a hash */
  uint32_t first, instances;
};

static uint64_t hash(const char *name) {
  uint64_t h = UINT64_C(14695981039346656037);
  for (; name && *name; name++) h = (h ^ (unsigned char)*name) * UINT64_C(1099511628211);
  return h;
}

void machine_save(const struct machine *m, struct buf *out) {
  buf_add(out, (const char *)m, sizeof *m);
  buf_add(out, (const char *)m->slot, m->slots * sizeof *m->slot);
  for (unsigned i = 0; i < m->config->processes; i++) {
    const struct machine_process *p = &m->config->process[i];
    struct kept_process k = {.name = hash(p->name), .first = m->first[i], .instances = p->instances};
    buf_add(out, (const char *)&k, sizeof k);
  }
  for (unsigned i = 0; i < m->slots; i++) {
    const struct restart *r = &m->slot[i].restart;
    buf_add(out, (const char *)r->ring, r->cap * sizeof *r->ring);
  }
}

struct kept {
  struct machine machine;
  const struct slot *slot;
  const struct kept_process *process;
  unsigned processes;
  const int64_t *rings;
};

/* Every part is where the sizes say. */
static bool read_kept(const char *p, size_t n, struct kept *k) {
  if (n < sizeof k->machine) return false;
  memcpy(&k->machine, p, sizeof k->machine);
  size_t at = sizeof k->machine;
  if (k->machine.slots > LIMIT_INSTANCES || n - at < k->machine.slots * sizeof *k->slot) return false;
  k->slot = (const struct slot *)(p + at);
  at += k->machine.slots * sizeof *k->slot;
  k->process = (const struct kept_process *)(p + at);
  for (uint64_t slots = 0; slots < k->machine.slots; at += sizeof *k->process, k->processes++) {
    if (n - at < sizeof *k->process) return false;
    if (k->process[k->processes].first != slots) return false;
    slots += k->process[k->processes].instances;
    if (!k->process[k->processes].instances || slots > k->machine.slots) return false;
  }
  k->rings = (const int64_t *)(p + at);
  uint64_t rings = 0;
  for (unsigned i = 0; i < k->machine.slots; i++) rings += k->slot[i].restart.cap;
  return n - at == rings * sizeof *k->rings;
}

/* The newest of them, as far as there is room. */
static void take_ring(struct restart *to, const struct restart *from, const int64_t *ring) {
  unsigned n = from->count < to->cap ? from->count : to->cap;
  for (unsigned i = 0; i < n && from->cap; i++) to->ring[i] = ring[(from->head + from->count - n + i) % from->cap];
  to->n = from->n;
  to->total = from->total;
  to->head = 0;
  to->count = n;
}

static void take_slot(struct slot *to, const struct slot *from, const int64_t *ring) {
  struct slot old = *to;
  *to = *from;
  to->process = old.process;
  to->instance = old.instance;
  to->restart = old.restart;
  take_ring(&to->restart, &from->restart, ring);
}

static const struct kept_process *find(const struct kept *k, const char *name) {
  uint64_t h = hash(name);
  for (unsigned i = 0; i < k->processes; i++)
    if (k->process[i].name == h) return &k->process[i];
  return NULL;
}

static const int64_t *ring_of(const struct kept *k, unsigned slot) {
  const int64_t *ring = k->rings;
  for (unsigned i = 0; i < slot; i++) ring += k->slot[i].restart.cap;
  return ring;
}

bool machine_load(struct machine *m, const void *bytes, size_t n) {
  struct kept k = {.processes = 0};
  if (!read_kept(bytes, n, &k)) return false;
  const struct machine new = *m;
  *m = k.machine;
  m->config = new.config;
  m->main = new.main;
  m->slots = new.slots;
  m->main_first = new.main_first;
  m->slot = new.slot;
  m->first = new.first;
  m->level = new.level;
  m->main_needs = new.main_needs;
  m->n = 0;
  m->cap = new.cap;
  m->action = new.action;
  for (unsigned i = 0; i < m->config->processes; i++) {
    const struct kept_process *p = find(&k, m->config->process[i].name);
    for (unsigned j = 0; p && j < p->instances && j < m->config->process[i].instances; j++)
      take_slot(&m->slot[m->first[i] + j], &k.slot[p->first + j], ring_of(&k, p->first + j));
  }
  return true;
}

static void resume_slot(struct machine *m, uint32_t i) {
  const struct slot *s = &m->slot[i];
  if (s->state == INSTANCE_SPAWNING) machine_act(m, ACT_SPAWN)->slot = i;
  if (s->state != INSTANCE_STARTING) return;
  struct machine_action *a = machine_act(m, ACT_START_CHECK);
  a->slot = i;
  a->deadline_ns = s->due_ns;
}

void machine_resume(struct machine *m, int64_t now_ns, struct machine_out *out) {
  if (now_ns > m->now) m->now = now_ns;
  m->n = 0;
  m->stale = true; /* the next input is followed by all that has become due */
  if (!m->ended) {
    for (uint32_t i = 0; i < m->slots; i++) resume_slot(m, i);
    machine_ask_again(m);
  }
  machine_resume_stop(m);
  *out = (struct machine_out){m->action, m->n};
}
