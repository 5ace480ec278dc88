/* Remedies with other rules that go on with what was. */
#include <string.h>

#include "core/remedy_state.h"

static uint16_t inverse(const int *map, unsigned n, uint16_t from) {
  for (unsigned i = 0; from != REMEDY_NONE && i < n; i++)
    if (map[i] == from) return (uint16_t)i;
  return REMEDY_NONE;
}

bool remedy_goes_on(const struct remedy *from, unsigned rule, const int *check, unsigned checks) {
  const struct rule_state *s = &from->rule[rule];
  return s->phase == PHASE_IDLE || s->check == REMEDY_NONE || inverse(check, checks, s->check) != REMEDY_NONE;
}

static void adopt_check(struct remedy *to, struct check_state *c, const struct check_state *was, const int *rule) {
  unsigned rules = to->config->rules;
  *c = *was;
  c->busy = inverse(rule, rules, was->busy);
  c->rule = inverse(rule, rules, was->rule);
  if (c->rule == REMEDY_NONE) {
    c->rule = 0;
    c->steps = 0;
  }
}

void remedy_adopt(struct remedy *to, const struct remedy *from, const int *rule, const int *check) {
  to->now = from->now;
  to->runs = from->runs;
  to->active = from->active;
  to->maintenance = from->maintenance;
  to->maintenance_until_ns = from->maintenance_until_ns;
  for (unsigned i = 0; i < to->config->checks; i++)
    if (check[i] >= 0) adopt_check(to, &to->check[i], &from->check[check[i]], rule);
  for (unsigned i = 0; i < to->config->rules; i++) {
    if (rule[i] < 0) continue;
    struct rule_state *s = &to->rule[i];
    int64_t *ring = s->ring;
    *s = from->rule[rule[i]];
    memcpy(ring, s->ring, to->config->rule[i].max * sizeof *ring);
    s->ring = ring;
    s->check = inverse(check, to->config->checks, s->check);
  }
}
