#include "probes/meter.h"

#include <math.h>

#include "base/clock.h"

#define LOOK_EVERY_NS (500 * NS_PER_MS)

static void note_cpu(struct meter *m, int64_t now_ns) {
  int64_t used = m->usage.cpu_ns, passed = now_ns - m->rate_from_ns;
  bool known = used >= 0 && m->rate_from_cpu_ns >= 0 && passed > 0 && m->usage.cpus > 0;
  double share = known ? (double)(used - m->rate_from_cpu_ns) / ((double)passed * m->usage.cpus) : NAN;
  m->cpu = share < 0 ? NAN : share;
  m->rate_from_ns = now_ns;
  m->rate_from_cpu_ns = used;
}

const struct usage *meter_look(struct meter *m, int64_t now_ns) {
  bool first = !m->looked_ns;
  if (!first && now_ns - m->looked_ns < LOOK_EVERY_NS) return &m->usage;
  if (!m->open) m->open = usage_open(&m->source, "") == 0;
  usage_read(&m->source, &m->usage);
  m->looked_ns = now_ns;
  if (first) {
    m->kills_before = m->usage.oom_kills;
    m->rate_from_cpu_ns = -1;
  }
  note_cpu(m, now_ns);
  return &m->usage;
}

void meter_close(struct meter *m) {
  if (m->open) usage_close(&m->source);
  *m = (struct meter){0};
}

double meter_memory(const struct meter *m) {
  const struct usage *u = &m->usage;
  return m->open && u->memory_bytes >= 0 && u->memory_max_bytes > 0
             ? (double)u->memory_bytes / (double)u->memory_max_bytes
             : NAN;
}

double meter_cpu(const struct meter *m) { return m->open ? m->cpu : NAN; }

double meter_tasks(const struct meter *m) {
  const struct usage *u = &m->usage;
  return m->open && u->tasks >= 0 && u->tasks_max > 0 ? (double)u->tasks / (double)u->tasks_max : NAN;
}

int64_t meter_oom_kills(const struct meter *m) {
  if (!m->open || m->usage.oom_kills < 0 || m->kills_before < 0) return -1;
  return m->usage.oom_kills - m->kills_before;
}
