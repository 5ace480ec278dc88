/* A machine over the life of an engine: as bytes, and out of them again, for a plan that may name its processes in
 * another order. What is under way comes back with it; only answers that were on their way are lost, and are asked for
 * anew. */
#include <stdlib.h>
#include <string.h>

#include "core/machine_state.h"

/* The bytes: struct machine, one kept_process for each process, and of each slot the words in which it differs from the
 * one before (a thousand are much alike): a bit for each word, those words, then the times of its restarts, the oldest
 * first. Nothing of it is aligned. */
struct kept_process {
  uint64_t name; /* a hash */
  uint32_t first, instances;
};

enum { WORDS = sizeof(struct slot) / sizeof(uint64_t) };
_Static_assert(sizeof(struct slot) % sizeof(uint64_t) == 0 && WORDS <= 32, "a bit for each word of a slot");

static uint64_t hash(const char *name) {
  uint64_t h = UINT64_C(14695981039346656037);
  for (; name && *name; name++) h = (h ^ (unsigned char)*name) * UINT64_C(1099511628211);
  return h;
}

static void save_slot(const struct slot *slot, uint64_t before[WORDS], struct buf *out) {
  struct slot plain = *slot;
  const struct restart *r = &slot->restart;
  plain.restart.ring = NULL;
  plain.restart.head = 0;
  uint64_t words[WORDS], news[WORDS];
  memcpy(words, &plain, sizeof words);
  uint32_t bits = 0;
  size_t n = 0;
  for (unsigned i = 0; i < WORDS; i++) {
    if (words[i] == before[i]) continue;
    bits |= UINT32_C(1) << i;
    news[n++] = before[i] = words[i];
  }
  buf_add(out, (const char *)&bits, sizeof bits);
  buf_add(out, (const char *)news, n * sizeof *news);
  for (unsigned i = 0; i < r->count; i++) buf_add(out, (const char *)&r->ring[(r->head + i) % r->cap], sizeof *r->ring);
}

void machine_save(const struct machine *m, struct buf *out) {
  buf_add(out, (const char *)m, sizeof *m);
  for (unsigned i = 0; i < m->config->processes; i++) {
    const struct machine_process *p = &m->config->process[i];
    struct kept_process k = {.name = hash(p->name), .first = m->first[i], .instances = p->instances};
    buf_add(out, (const char *)&k, sizeof k);
  }
  uint64_t before[WORDS] = {0};
  for (unsigned i = 0; i < m->slots; i++) save_slot(&m->slot[i], before, out);
}

size_t machine_save_most(const struct machine *m) {
  size_t n = sizeof *m + m->config->processes * sizeof(struct kept_process);
  for (unsigned i = 0; i < m->slots; i++)
    n += sizeof(uint32_t) + sizeof(struct slot) + m->slot[i].restart.cap * sizeof *m->slot[i].restart.ring;
  return n;
}

struct kept_slot {
  struct slot slot;
  const char *ring; /* its times */
};

struct kept {
  struct machine machine;
  struct kept_process *process;
  unsigned processes;
  struct kept_slot *slot;
};

static void kept_free(struct kept *k) {
  free(k->process);
  free(k->slot);
}

struct reader {
  const char *p;
  size_t left;
};

static bool take(struct reader *r, void *to, size_t n) {
  if (r->left < n) return false;
  if (n) memcpy(to, r->p, n);
  r->p += n;
  r->left -= n;
  return true;
}

static bool read_slot(struct reader *r, uint64_t words[WORDS], struct kept_slot *out) {
  uint32_t bits;
  if (!take(r, &bits, sizeof bits)) return false;
  for (unsigned i = 0; i < 32; i++)
    if (bits & UINT32_C(1) << i && (i >= WORDS || !take(r, &words[i], sizeof words[i]))) return false;
  memcpy(&out->slot, words, sizeof out->slot);
  out->ring = r->p;
  size_t times = out->slot.restart.count * sizeof(int64_t);
  if (out->slot.restart.count > out->slot.restart.cap || r->left < times) return false;
  r->p += times;
  r->left -= times;
  return true;
}

/* Every part is where the counts say. */
static bool read_kept(const char *p, size_t n, struct kept *k) {
  struct reader r = {p, n};
  if (!take(&r, &k->machine, sizeof k->machine)) return false;
  if (!k->machine.slots || k->machine.slots > LIMIT_INSTANCES) return false;
  k->process = calloc(k->machine.slots, sizeof *k->process);
  k->slot = calloc(k->machine.slots, sizeof *k->slot);
  if (!k->process || !k->slot) return false;
  for (uint64_t slots = 0; slots < k->machine.slots; k->processes++) {
    struct kept_process *one = &k->process[k->processes];
    if (!take(&r, one, sizeof *one) || one->first != slots || !one->instances) return false;
    slots += one->instances;
    if (slots > k->machine.slots) return false;
  }
  uint64_t words[WORDS] = {0};
  for (unsigned i = 0; i < k->machine.slots; i++)
    if (!read_slot(&r, words, &k->slot[i])) return false;
  return r.left == 0;
}

/* The newest of them, as far as there is room. */
static void take_ring(struct restart *to, const struct restart *from, const char *ring) {
  unsigned n = from->count < to->cap ? from->count : to->cap;
  if (n) memcpy(to->ring, ring + (from->count - n) * sizeof *to->ring, n * sizeof *to->ring);
  to->n = from->n;
  to->total = from->total;
  to->head = 0;
  to->count = n;
}

static void take_slot(struct slot *to, const struct kept_slot *from) {
  struct slot old = *to;
  *to = from->slot;
  to->process = old.process;
  to->instance = old.instance;
  to->restart = old.restart;
  take_ring(&to->restart, &from->slot.restart, from->ring);
}

static const struct kept_process *find(const struct kept *k, const char *name) {
  uint64_t h = hash(name);
  for (unsigned i = 0; i < k->processes; i++)
    if (k->process[i].name == h) return &k->process[i];
  return NULL;
}

static void load(struct machine *m, const struct kept *k) {
  const struct machine new = *m;
  *m = k->machine;
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
    const struct kept_process *p = find(k, m->config->process[i].name);
    for (unsigned j = 0; p && j < p->instances && j < m->config->process[i].instances; j++)
      take_slot(&m->slot[m->first[i] + j], &k->slot[p->first + j]);
  }
}

bool machine_load(struct machine *m, const void *bytes, size_t n) {
  struct kept k = {.processes = 0};
  bool whole = read_kept(bytes, n, &k);
  if (whole) load(m, &k);
  kept_free(&k);
  return whole;
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
