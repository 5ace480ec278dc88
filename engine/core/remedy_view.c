/* The remedies: making them, and what can be seen. */
#include <stdlib.h>

#include "core/remedy_state.h"

/* Most that one feed can ask for: a few for each rule and each check. */
enum { ACTIONS_FIXED = 4, ACTIONS_RULE = 10, ACTIONS_CHECK = 2 };

const char *remedy_result_name(enum remedy_result r) {
  static const char *const names[] = {
#define R(id, name, doc) name,
      REMEDY_RESULTS(R)
#undef R
  };
  return r < REMEDY_RESULTS_N ? names[r] : "?";
}

const char *remedy_outcome_name(enum remedy_outcome o) {
  static const char *const names[] = {"ok", "failed", "timeout", "skipped"};
  return o < REMEDY_OUTCOMES ? names[o] : "?";
}

void remedy_view(const struct remedy *r, unsigned rule, int64_t now_ns, struct remedy_view *out) {
  const struct rule_state *s = &r->rule[rule];
  const struct remedy_rule *c = &r->config->rule[rule];
  bool running = s->phase != PHASE_IDLE;
  *out = (struct remedy_view){
      .running = running,
      .asking = running && s->phase != PHASE_STEP,
      .run = s->run,
      .check = running ? s->check : REMEDY_NONE,
      .step = running ? s->step : REMEDY_NONE,
      .dry = s->dry,
      .by_operator = s->by_operator,
      .gave_up = s->gave_up,
      .since_ns = s->since_ns,
      .ready_ns = s->ready_ns,
  };
  for (unsigned i = 0; i < s->count; i++) out->in_window += now_ns - s->ring[(s->head + i) % c->max] < c->window_ns;
}

bool remedy_is_failing(const struct remedy *r, unsigned check) {
  return r->check[check].failures > 0 || r->check[check].steps > 0;
}

bool remedy_tried(const struct remedy *r, unsigned check) { return r->check[check].steps > 0; }

uint32_t remedy_next_run(const struct remedy *r) { return r->runs + 1; }

bool remedy_maintenance(const struct remedy *r, int64_t *until_ns) {
  if (until_ns) *until_ns = r->maintenance_until_ns;
  return r->maintenance;
}

/* --- making it --- */

static bool rule_is_possible(const struct remedy_config *config, const struct remedy_rule *c) {
  if (!c->steps || c->steps + c->escalations > LIMIT_REMEDY_STEPS || !c->max || c->max > LIMIT_REMEDY_RUNS)
    return false;
  for (unsigned i = 0; i < c->checks; i++)
    if (c->check[i] >= config->checks) return false;
  for (unsigned i = 0; i < c->steps + c->escalations; i++)
    if (c->step[i].timeout_ns <= 0) return false;
  return true;
}

struct remedy *remedy_new(const struct remedy_config *config) {
  unsigned rings = 0;
  if (config->rules > LIMIT_REMEDIES + LIMIT_CHECKS || config->checks >= REMEDY_NONE || config->answer_ns <= 0 ||
      config->watch_ns <= 0)
    return NULL;
  for (unsigned i = 0; i < config->rules; i++) {
    if (!rule_is_possible(config, &config->rule[i])) return NULL;
    rings += config->rule[i].max;
  }
  unsigned cap = ACTIONS_FIXED + config->rules * ACTIONS_RULE + config->checks * ACTIONS_CHECK;
  /* one allocation, the strictest alignment first */
  struct remedy *r = calloc(1, sizeof *r + config->rules * sizeof *r->rule + cap * sizeof *r->action +
                                   rings * sizeof(int64_t) + config->checks * sizeof *r->check);
  if (!r) return NULL;
  r->rule = (struct rule_state *)(r + 1);
  r->action = (struct remedy_action *)(r->rule + config->rules);
  int64_t *ring = (int64_t *)(r->action + cap);
  r->check = (struct check_state *)(ring + rings);
  r->config = config;
  r->cap = cap;
  r->now = INT64_MIN;
  r->maintenance_until_ns = TIME_NEVER;
  for (unsigned i = 0; i < config->rules; i++) {
    r->rule[i] = (struct rule_state){.check = REMEDY_NONE, .due_ns = TIME_NEVER, .ready_ns = INT64_MIN, .ring = ring};
    ring += config->rule[i].max;
  }
  for (unsigned i = 0; i < config->checks; i++) r->check[i].busy = REMEDY_NONE;
  return r;
}

void remedy_free(struct remedy *r) { free(r); }
