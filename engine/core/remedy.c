#include "core/remedy_state.h"

/* --- actions --- */

static struct remedy_action *act(struct remedy *r, enum remedy_action_kind kind) {
  struct remedy_action *a = r->n < r->cap ? &r->action[r->n++] : &r->spill;
  *a = (struct remedy_action){.kind = kind,
                              .rule = REMEDY_NONE,
                              .check = REMEDY_NONE,
                              .step = REMEDY_NONE,
                              .deadline_ns = TIME_NEVER,
                              .until_ns = TIME_NEVER};
  return a;
}

static struct remedy_action *act_of(struct remedy *r, const struct rule_state *s, enum remedy_action_kind kind) {
  struct remedy_action *a = act(r, kind);
  a->run = s->run;
  a->rule = (uint16_t)(s - r->rule);
  a->check = s->check;
  a->dry = s->dry;
  a->by_operator = s->by_operator;
  return a;
}

/* --- budget --- */

static void slide_window(struct remedy *r, struct rule_state *s) {
  const struct remedy_rule *c = config_of(r, s);
  while (s->count && r->now - s->ring[s->head] >= c->window_ns) {
    s->head = (s->head + 1) % c->max;
    s->count--;
  }
  if (s->escalated && r->now - s->over_ns >= c->window_ns) s->escalated = 0;
  if (s->count < c->max || s->escalated < c->escalations) s->gave_up = false;
}

static void spend(struct remedy *r, struct rule_state *s) {
  const struct remedy_rule *c = config_of(r, s);
  s->ring[(s->head + s->count) % c->max] = r->now;
  s->count++;
}

/* --- a run --- */

static void hold(struct remedy *r, struct rule_state *s, bool on) {
  if (s->check == REMEDY_NONE || s->dry || s->held == on) return;
  s->held = on;
  struct remedy_action *a = act(r, REMEDY_ACT_HOLD);
  a->rule = (uint16_t)(s - r->rule);
  a->check = s->check;
  a->on = on;
}

static void tell_recovered(struct remedy *r, uint16_t check) {
  struct check_state *c = &r->check[check];
  if (c->steps) {
    struct remedy_action *a = act(r, REMEDY_ACT_RECOVERED);
    a->check = check;
    a->rule = c->rule;
    a->step = c->step;
    a->steps = c->steps;
    a->duration_ns = r->now - c->since_ns;
  }
  c->steps = 0;
  c->failures = 0;
}

static void end_run(struct remedy *r, struct rule_state *s, enum remedy_result result) {
  struct remedy_action *a = act_of(r, s, REMEDY_ACT_END);
  a->result = result;
  a->steps = s->done;
  a->duration_ns = r->now - s->since_ns;
  if (s->check != REMEDY_NONE) {
    struct check_state *c = &r->check[s->check];
    if (!c->pending && (result == REMEDY_HEALED_RESULT || !c->failures)) tell_recovered(r, s->check);
    c->busy = REMEDY_NONE;
  }
  hold(r, s, false);
  s->phase = PHASE_IDLE;
  s->due_ns = TIME_NEVER;
  if (!s->dry || !s->by_operator) s->ready_ns = r->now + config_of(r, s)->cooldown_ns;
}

/* All steps are done, and none healed. */
static enum remedy_result result_of(const struct rule_state *s) {
  if (s->dry) return REMEDY_DRY_RUN_RESULT;
  if (s->check != REMEDY_NONE) return REMEDY_NOT_HEALED_RESULT;
  return s->any_failed ? REMEDY_FAILED_RESULT : REMEDY_DONE_RESULT;
}

static void begin_step(struct remedy *r, struct rule_state *s) {
  if (s->leaving) {
    end_run(r, s, REMEDY_CANCELLED_RESULT);
    return;
  }
  if (s->step == s->last) {
    end_run(r, s, result_of(s));
    return;
  }
  hold(r, s, true);
  s->phase = PHASE_STEP;
  s->due_ns = r->now + config_of(r, s)->step[s->step].timeout_ns;
  struct remedy_action *a = act_of(r, s, REMEDY_ACT_STEP);
  a->step = s->step;
  a->deadline_ns = s->due_ns;
}

static void ask(struct remedy *r, struct rule_state *s) {
  s->phase = PHASE_ASK;
  s->due_ns = r->now + r->config->answer_ns;
  act_of(r, s, REMEDY_ACT_ASK);
}

static void watch(struct remedy *r, struct rule_state *s) {
  s->phase = PHASE_WATCH;
  s->due_ns = r->now + r->config->watch_ns;
  hold(r, s, false);
}

/* Whether the step that has ended helped. */
static void find_out(struct remedy *r, struct rule_state *s) {
  if (config_of(r, s)->step[s->step].patience) {
    watch(r, s);
  } else {
    ask(r, s);
  }
}

static void end_step(struct remedy *r, struct rule_state *s, enum remedy_outcome outcome) {
  const struct remedy_step *step = &config_of(r, s)->step[s->step];
  s->any_failed |= outcome == REMEDY_FAILED || outcome == REMEDY_TIMEOUT;
  bool done = outcome != REMEDY_SKIPPED && !s->dry;
  if (done) s->done++;
  if (done && s->check != REMEDY_NONE) {
    struct check_state *c = &r->check[s->check];
    c->rule = (uint16_t)(s - r->rule);
    c->step = s->step;
    c->steps++;
  }
  if (done && step->final && outcome == REMEDY_OK) {
    r->active = false; /* nothing else begins while the container ends */
    end_run(r, s, REMEDY_ESCALATED_RESULT);
  } else if (!done || s->check == REMEDY_NONE || s->leaving) {
    s->step++;
    begin_step(r, s);
  } else if (step->settle_ns > 0) {
    s->phase = PHASE_SETTLE;
    s->due_ns = r->now + step->settle_ns;
  } else {
    find_out(r, s);
  }
}

static void begin_run(struct remedy *r, struct rule_state *s, uint16_t check, uint16_t first, uint16_t last) {
  s->run = ++r->runs;
  s->check = check;
  s->step = first;
  s->last = last;
  s->leaving = s->any_failed = false;
  s->done = 0;
  s->since_ns = r->now;
  struct remedy_action *a = act_of(r, s, REMEDY_ACT_BEGIN);
  a->step = first;
  if (check != REMEDY_NONE) {
    r->check[check].busy = (uint16_t)(s - r->rule);
    a->failures = r->check[check].failures;
  }
  a->over_budget = !s->by_operator && first > 0;
  begin_step(r, s);
}

/* --- when --- */

/* The check of a rule that asks for a run; REMEDY_NONE: none. */
static uint16_t asking_check(const struct remedy *r, const struct rule_state *s) {
  const struct remedy_rule *c = config_of(r, s);
  for (unsigned i = 0; i < c->checks; i++) {
    const struct check_state *check = &r->check[c->check[i]];
    bool bad = c->failures ? check->failures >= c->failures : check->unhealthy;
    if (bad && check->failures && check->busy == REMEDY_NONE) return c->check[i];
  }
  return REMEDY_NONE;
}

static void consider(struct remedy *r, struct rule_state *s) {
  const struct remedy_rule *c = config_of(r, s);
  if (s->phase != PHASE_IDLE) return;
  uint16_t check = asking_check(r, s);
  if (check == REMEDY_NONE || r->now < s->ready_ns) return;
  slide_window(r, s);
  unsigned all = c->steps + c->escalations;
  s->by_operator = false;
  s->dry = c->dry_run;
  if (s->count < c->max) {
    spend(r, s);
    begin_run(r, s, check, 0, (uint16_t)all);
  } else if (s->escalated < c->escalations) {
    s->over_ns = r->now;
    begin_run(r, s, check, (uint16_t)(c->steps + s->escalated++), (uint16_t)all);
  } else if (!s->gave_up) {
    s->gave_up = true;
    struct remedy_action *a = act(r, REMEDY_ACT_GAVE_UP);
    a->rule = (uint16_t)(s - r->rule);
    a->check = check;
    a->failures = r->check[check].failures;
  }
}

static void consider_all(struct remedy *r) {
  if (!r->active || r->maintenance) return;
  for (unsigned i = 0; i < r->config->rules; i++) consider(r, &r->rule[i]);
}

/* --- inputs --- */

static struct rule_state *find_run(struct remedy *r, uint32_t run, enum phase phase) {
  for (unsigned i = 0; i < r->config->rules; i++)
    if (r->rule[i].run == run && r->rule[i].phase == phase && run) return &r->rule[i];
  return NULL;
}

static void on_answer(struct remedy *r, struct rule_state *s, enum remedy_answer answer) {
  if (answer == REMEDY_GOOD) {
    end_run(r, s, REMEDY_HEALED_RESULT);
  } else if (answer == REMEDY_UNKNOWN) {
    end_run(r, s, REMEDY_UNKNOWN_RESULT);
  } else {
    s->step++;
    begin_step(r, s);
  }
}

/* It is good, but its own thresholds want to see more. */
static void hold_back(struct remedy *r, const struct rule_state *s) {
  struct check_state *c = &r->check[s->check];
  c->failures = 0;
  c->pending = true;
}

/* The run that watches this check. */
static struct rule_state *watching(struct remedy *r, const struct check_state *c) {
  struct rule_state *s = c->busy == REMEDY_NONE ? NULL : &r->rule[c->busy];
  return s && s->phase == PHASE_WATCH ? s : NULL;
}

static void on_failing(struct remedy *r, const struct remedy_input *in) {
  if (in->check >= r->config->checks || !in->failures) return;
  struct check_state *c = &r->check[in->check];
  if (!c->failures && !c->pending) c->since_ns = r->now;
  c->pending = false;
  c->failures = in->failures;
  c->unhealthy = in->on;
  struct rule_state *s = watching(r, c);
  if (s && c->failures >= config_of(r, s)->step[s->step].patience) on_answer(r, s, REMEDY_BAD);
}

static void on_good(struct remedy *r, const struct remedy_input *in) {
  if (in->check >= r->config->checks) return;
  struct check_state *c = &r->check[in->check];
  c->failures = 0;
  c->pending = false;
  struct rule_state *s = watching(r, c);
  if (s) on_answer(r, s, REMEDY_GOOD);
  if (c->busy == REMEDY_NONE) tell_recovered(r, in->check); /* else at the end of its run */
}

/* What it said before asks for nothing more; the outage goes on until it is good. A run that is at work on it waits for
 * what it says of the new process. */
static void forget(struct check_state *c) {
  if (c->busy != REMEDY_NONE) return;
  c->pending = c->steps > 0;
  c->failures = 0;
  c->unhealthy = false;
}

static void set_maintenance(struct remedy *r, bool on, int64_t until_ns) {
  bool same = r->maintenance == on && (!on || r->maintenance_until_ns == until_ns);
  r->maintenance = on;
  r->maintenance_until_ns = on ? until_ns : TIME_NEVER;
  if (same) return;
  struct remedy_action *a = act(r, REMEDY_ACT_MAINTENANCE);
  a->on = on;
  a->until_ns = r->maintenance_until_ns;
  for (unsigned i = 0; on && i < r->config->rules; i++) {
    struct rule_state *s = &r->rule[i];
    if (s->phase == PHASE_IDLE || s->by_operator) continue;
    s->leaving = true; /* the step that runs comes to its end */
    if (s->phase != PHASE_STEP) end_run(r, s, REMEDY_CANCELLED_RESULT);
  }
}

static void on_ask(struct remedy *r, const struct remedy_input *in) {
  if (in->rule >= r->config->rules) return;
  struct rule_state *s = &r->rule[in->rule];
  const struct remedy_rule *c = config_of(r, s);
  bool one = in->step != REMEDY_NONE;
  if (s->phase != PHASE_IDLE || (one && in->step >= c->steps + c->escalations)) return;
  s->by_operator = true;
  s->dry = in->dry;
  uint16_t check = REMEDY_NONE;
  for (unsigned i = 0; !s->dry && i < c->checks && check == REMEDY_NONE; i++) {
    const struct check_state *k = &r->check[c->check[i]];
    if (k->failures && k->busy == REMEDY_NONE) check = c->check[i];
  }
  begin_run(r, s, check, one ? in->step : 0, (uint16_t)(one ? in->step + 1U : c->steps));
}

static void stop_run(struct remedy *r, struct rule_state *s) {
  if (s->phase == PHASE_IDLE) return;
  if (s->phase == PHASE_STEP) act_of(r, s, REMEDY_ACT_CANCEL)->step = s->step;
  end_run(r, s, REMEDY_CANCELLED_RESULT);
}

static void stop_all(struct remedy *r) {
  r->active = false;
  for (unsigned i = 0; i < r->config->rules; i++) stop_run(r, &r->rule[i]);
  for (unsigned i = 0; i < r->config->checks; i++) forget(&r->check[i]);
}

static void on_tick(struct remedy *r) {
  if (r->maintenance && r->maintenance_until_ns <= r->now) set_maintenance(r, false, TIME_NEVER);
  for (unsigned i = 0; i < r->config->rules; i++) {
    struct rule_state *s = &r->rule[i];
    if (s->due_ns > r->now) continue;
    switch (s->phase) {
      case PHASE_IDLE:
        break;
      case PHASE_STEP:
        act_of(r, s, REMEDY_ACT_CANCEL)->step = s->step;
        end_step(r, s, REMEDY_TIMEOUT);
        break;
      case PHASE_SETTLE:
        find_out(r, s);
        break;
      case PHASE_ASK:
      case PHASE_WATCH:
        on_answer(r, s, REMEDY_UNKNOWN);
        break;
    }
  }
}

void remedy_feed(struct remedy *r, const struct remedy_input *in, int64_t now_ns, struct remedy_out *out) {
  if (now_ns > r->now) r->now = now_ns;
  r->n = 0;
  struct rule_state *s;
  switch (in->kind) {
    case REMEDY_IN_FAILING:
      on_failing(r, in);
      break;
    case REMEDY_IN_GOOD:
      on_good(r, in);
      break;
    case REMEDY_IN_ANEW:
      if (in->check < r->config->checks) forget(&r->check[in->check]);
      break;
    case REMEDY_IN_DONE:
      s = find_run(r, in->run, PHASE_STEP);
      if (s) end_step(r, s, in->outcome);
      break;
    case REMEDY_IN_ANSWER:
      s = find_run(r, in->run, PHASE_ASK);
      if (s && in->answer == REMEDY_GOOD && in->unsettled) hold_back(r, s);
      if (s) on_answer(r, s, in->answer);
      break;
    case REMEDY_IN_ACTIVE:
      r->active = in->on;
      break;
    case REMEDY_IN_MAINTENANCE:
      set_maintenance(r, in->on, in->until_ns);
      break;
    case REMEDY_IN_ASK:
      on_ask(r, in);
      break;
    case REMEDY_IN_DROP:
      if (in->rule < r->config->rules) stop_run(r, &r->rule[in->rule]);
      *out = (struct remedy_out){r->action, r->n};
      return; /* nothing begins in its place */
    case REMEDY_IN_STOP:
      stop_all(r);
      break;
    case REMEDY_IN_TICK:
      on_tick(r);
      break;
  }
  consider_all(r);
  *out = (struct remedy_out){r->action, r->n};
}

static int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }

int64_t remedy_due_ns(const struct remedy *r) {
  int64_t due = r->maintenance ? r->maintenance_until_ns : TIME_NEVER;
  for (unsigned i = 0; i < r->config->rules; i++) {
    const struct rule_state *s = &r->rule[i];
    const struct remedy_rule *c = config_of(r, s);
    if (s->phase != PHASE_IDLE) {
      due = earlier(due, s->due_ns);
      continue;
    }
    if (!r->active || r->maintenance || asking_check(r, s) == REMEDY_NONE) continue;
    int64_t room = TIME_NEVER; /* in the budget */
    if (s->gave_up && s->count) room = s->ring[s->head] + c->window_ns;
    if (s->gave_up && s->escalated) room = earlier(room, s->over_ns + c->window_ns);
    due = earlier(due, s->gave_up && room > s->ready_ns ? room : s->ready_ns);
  }
  return due;
}
