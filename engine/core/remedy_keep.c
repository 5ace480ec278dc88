/* The remedies over the life of an engine: budgets, rests, what is known of the checks, maintenance. A run that was
 * under way is over, and rests like one that has ended. */
#include <string.h>

#include "core/remedy_state.h"

/* The bytes: this, then struct rule_state and struct check_state as they are, then the rings. */
struct head {
  uint32_t runs, rules, checks, rings;
  int64_t maintenance_until_ns;
  bool maintenance;
};

static uint32_t rings(const struct remedy *r) {
  uint32_t n = 0;
  for (unsigned i = 0; i < r->config->rules; i++) n += r->config->rule[i].max;
  return n;
}

void remedy_save(const struct remedy *r, struct buf *out) {
  const struct remedy_config *c = r->config;
  struct head h = {.runs = r->runs,
                   .rules = c->rules,
                   .checks = c->checks,
                   .rings = rings(r),
                   .maintenance_until_ns = r->maintenance_until_ns,
                   .maintenance = r->maintenance};
  buf_add(out, (const char *)&h, sizeof h);
  buf_add(out, (const char *)r->rule, c->rules * sizeof *r->rule);
  buf_add(out, (const char *)r->check, c->checks * sizeof *r->check);
  for (unsigned i = 0; i < c->rules; i++)
    buf_add(out, (const char *)r->rule[i].ring, c->rule[i].max * sizeof *r->rule[i].ring);
}

bool remedy_load(struct remedy *r, const void *bytes, size_t n, int64_t now_ns) {
  const struct remedy_config *c = r->config;
  struct head h;
  if (n < sizeof h) return false;
  memcpy(&h, bytes, sizeof h);
  size_t size = sizeof h + c->rules * sizeof *r->rule + c->checks * sizeof *r->check + rings(r) * sizeof(int64_t);
  if (h.rules != c->rules || h.checks != c->checks || h.rings != rings(r) || n != size) return false;
  const char *p = (const char *)bytes + sizeof h, *ring = p + size - sizeof h - h.rings * sizeof(int64_t);
  for (unsigned i = 0; i < h.rules; i++, p += sizeof *r->rule) {
    struct rule_state *s = &r->rule[i], old;
    memcpy(&old, p, sizeof old);
    bool ran = old.phase != PHASE_IDLE;
    s->ready_ns = ran ? now_ns + c->rule[i].cooldown_ns : old.ready_ns;
    s->head = old.head;
    s->count = old.count;
    s->escalated = old.escalated;
    s->over_ns = old.over_ns;
    s->gave_up = old.gave_up;
    memcpy(s->ring, ring, c->rule[i].max * sizeof *s->ring);
    ring += c->rule[i].max * sizeof *s->ring;
  }
  for (unsigned i = 0; i < h.checks; i++, p += sizeof *r->check) {
    memcpy(&r->check[i], p, sizeof *r->check);
    r->check[i].busy = REMEDY_NONE;
  }
  r->runs = h.runs;
  r->now = now_ns;
  r->maintenance = h.maintenance;
  r->maintenance_until_ns = h.maintenance_until_ns;
  return true;
}
