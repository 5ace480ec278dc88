/* Remedies: random walks against what must always be true. */
#include "remedy_scene.h"

enum { RULES = 4, CHECKS = 3, STEPS = 3000 };

struct world {
  struct remedy *r;
  struct remedy_config config;
  struct remedy_rule rule[RULES];
  struct remedy_step step[RULES][6];
  uint16_t check[RULES][CHECKS];
  uint64_t seed;
  int64_t now;
  uint32_t stepping[RULES], asking[RULES]; /* runs that wait for an answer; 0: none */
  bool running[RULES], own[RULES], held[CHECKS];
  int64_t ended[RULES]; /* when its last run ended that makes it rest */
  bool ladder[RULES][4096];
  int64_t begun[RULES][4096]; /* runs of its own, within and over the budget */
  unsigned n_begun[RULES], ladders;
  bool active, maintenance, stopped;
};

static uint64_t any(struct world *w, uint64_t below) { return random_below(&w->seed, below); }

static void make_world(struct world *w, uint64_t seed) {
  *w = (struct world){.seed = seed * 7919 + 1};
  w->config =
      (struct remedy_config){.rule = w->rule, .rules = RULES, .checks = CHECKS, .answer_ns = S(20), .watch_ns = S(30)};
  for (unsigned i = 0; i < RULES; i++) {
    w->rule[i] = (struct remedy_rule){.check = w->check[i],
                                      .checks = (unsigned)any(w, CHECKS + 1),
                                      .failures = 1 + (unsigned)any(w, 3),
                                      .step = w->step[i],
                                      .steps = 1 + (unsigned)any(w, 3),
                                      .escalations = (unsigned)any(w, 3),
                                      .cooldown_ns = S(any(w, 20)),
                                      .max = 1 + (unsigned)any(w, 3),
                                      .window_ns = S(60 + any(w, 600)),
                                      .dry_run = any(w, 8) == 0};
    for (unsigned k = 0; k < w->rule[i].checks; k++) w->check[i][k] = (uint16_t)((i + k) % CHECKS);
    unsigned all = w->rule[i].steps + w->rule[i].escalations;
    for (unsigned k = 0; k < all; k++)
      w->step[i][k] = (struct remedy_step){S(1 + any(w, 10)), S(any(w, 2)), (unsigned)any(w, 3),
                                           any(w, 2) && k >= w->rule[i].steps};
    w->ended[i] = INT64_MIN;
  }
  w->r = remedy_new(&w->config);
  assert_non_null(w->r);
}

static unsigned begun_since(const struct world *w, unsigned rule, int64_t since) {
  unsigned n = 0;
  for (unsigned i = 0; i < w->n_begun[rule]; i++) n += w->begun[rule][i] > since;
  return n;
}

static void check_begin(struct world *w, const struct remedy_action *a) {
  const struct remedy_rule *c = &w->rule[a->rule];
  assert_false(w->running[a->rule]); /* must: one run of a rule at a time */
  w->running[a->rule] = true;
  w->own[a->rule] = !a->by_operator;
  if (a->by_operator) return;
  w->ladders++;
  assert_true(w->active && !w->maintenance && !w->stopped);
  assert_true(w->ended[a->rule] == INT64_MIN || w->now >= w->ended[a->rule] + c->cooldown_ns); /* must: it rests */
  assert_true(w->n_begun[a->rule] < 4096);
  w->begun[a->rule][w->n_begun[a->rule]++] = w->now;
  /* must: never over the budget, and one run for each step of the escalation */
  assert_true(begun_since(w, a->rule, w->now - c->window_ns) <= c->max + c->escalations);
  w->ladder[a->rule][w->n_begun[a->rule] - 1] = !a->over_budget;
  unsigned in_window = 0;
  for (unsigned i = 0; i < w->n_begun[a->rule]; i++)
    in_window += w->ladder[a->rule][i] && w->begun[a->rule][i] > w->now - c->window_ns;
  assert_true(in_window <= c->max);
  assert_int_equal(a->over_budget, a->step >= c->steps);
}

static void carry_out(struct world *w, const struct remedy_action *a) {
  const struct remedy_rule *c = a->rule < RULES ? &w->rule[a->rule] : NULL;
  switch (a->kind) {
    case REMEDY_ACT_BEGIN:
      check_begin(w, a);
      break;
    case REMEDY_ACT_STEP:
      assert_true(w->running[a->rule] && a->step < c->steps + c->escalations);
      assert_int_equal(w->stepping[a->rule], 0); /* must: one step at a time */
      assert_int_equal(w->asking[a->rule], 0);
      assert_int_equal(a->deadline_ns, w->now + c->step[a->step].timeout_ns);
      for (unsigned i = 0; i < RULES && a->check != REMEDY_NONE; i++) { /* must: one run for a check */
        struct remedy_view v;
        remedy_view(w->r, i, w->now, &v);
        assert_true(i == a->rule || !v.running || v.check != a->check);
      }
      w->stepping[a->rule] = a->run;
      break;
    case REMEDY_ACT_CANCEL:
      assert_int_equal(w->stepping[a->rule], a->run);
      w->stepping[a->rule] = 0;
      break;
    case REMEDY_ACT_ASK:
      assert_true(w->held[a->check] && !a->dry);
      assert_int_equal(w->stepping[a->rule], 0);
      w->asking[a->rule] = a->run;
      break;
    case REMEDY_ACT_HOLD:
      assert_int_equal(w->held[a->check], !a->on); /* must: each hold is released, once */
      w->held[a->check] = a->on;
      break;
    case REMEDY_ACT_END:
      assert_true(w->running[a->rule]);
      assert_int_equal(w->stepping[a->rule], 0);
      w->running[a->rule] = false;
      w->asking[a->rule] = 0;
      if (!a->dry || !a->by_operator) w->ended[a->rule] = w->now;
      if (a->result == REMEDY_ESCALATED_RESULT) w->active = false;
      assert_true(!a->dry || a->result == REMEDY_DRY_RUN_RESULT || a->result == REMEDY_CANCELLED_RESULT);
      break;
    case REMEDY_ACT_RECOVERED:
      assert_true(a->steps > 0);
      break;
    case REMEDY_ACT_GAVE_UP:
      assert_int_equal(begun_since(w, a->rule, w->now - c->window_ns) >= c->max, true);
      break;
    case REMEDY_ACT_MAINTENANCE:
      w->maintenance = a->on;
      break;
  }
}

static void give(struct world *w, const struct remedy_input *in) {
  struct remedy_out out;
  if (in->kind == REMEDY_IN_ACTIVE) w->active = in->on;
  if (in->kind == REMEDY_IN_STOP) w->active = false;
  remedy_feed(w->r, in, w->now, &out);
  for (unsigned i = 0; i < out.n; i++) carry_out(w, &out.action[i]);
  assert_true(remedy_due_ns(w->r) > w->now); /* must: no deadline is left behind */
}

static void one_step(struct world *w) {
  unsigned rule = (unsigned)any(w, RULES);
  uint16_t check = (uint16_t)any(w, CHECKS);
  w->now += (int64_t)any(w, 3) * S(any(w, 4));
  int64_t until = any(w, 2) ? TIME_NEVER : w->now + 1 + S(any(w, 30));
  if (remedy_due_ns(w->r) <= w->now) {
    give(w, &(struct remedy_input){TICK});
    return;
  }
  switch (any(w, 12)) {
    case 0:
      give(w, &(struct remedy_input){GOOD(check)});
      break;
    case 1:
      give(w, &(struct remedy_input){.kind = REMEDY_IN_MAINTENANCE, .on = any(w, 3) == 0, .until_ns = until});
      break;
    case 2:
      give(w, &(struct remedy_input){.kind = REMEDY_IN_ACTIVE, .on = any(w, 8) > 0});
      break;
    case 3:
      give(w, &(struct remedy_input){.kind = any(w, 20) ? REMEDY_IN_TICK : REMEDY_IN_STOP});
      break;
    case 4:
      give(w, &(struct remedy_input){ASK((uint16_t)rule, any(w, 2) ? REMEDY_NONE : (uint16_t)any(w, 6)),
                                     .dry = any(w, 3) == 0});
      break;
    case 5:
    case 6:
    case 7:
      if (w->stepping[rule]) {
        uint32_t run = w->stepping[rule];
        w->stepping[rule] = 0;
        give(w, &(struct remedy_input){DONE(run, (enum remedy_outcome)any(w, REMEDY_OUTCOMES))});
      }
      break;
    case 8:
      if (w->asking[rule]) {
        uint32_t run = w->asking[rule];
        w->asking[rule] = 0;
        give(w, &(struct remedy_input){ANSWER(run, (enum remedy_answer)any(w, 3))});
      }
      break;
    default:
      give(w, &(struct remedy_input){FAILING(check, 1 + (unsigned)any(w, 4))});
      break;
  }
}

/* must: it comes to an end, whatever was in progress, by its own time limits */
static void comes_to_rest(struct world *w) {
  give(w, &(struct remedy_input){.kind = REMEDY_IN_ACTIVE});
  for (unsigned i = 0; i < 500; i++) {
    bool running = false;
    for (unsigned k = 0; k < RULES; k++) running |= w->running[k];
    if (!running) return;
    assert_true(remedy_due_ns(w->r) < TIME_NEVER);
    w->now = remedy_due_ns(w->r);
    give(w, &(struct remedy_input){TICK});
  }
  fail_msg("a run does not end");
}

static void walks(void **state) {
  (void)state;
  static struct world w;
  unsigned ladders = 0;
  for (uint64_t seed = 1; seed <= 300; seed++) {
    make_world(&w, seed);
    give(&w, &(struct remedy_input){.kind = REMEDY_IN_ACTIVE, .on = true});
    for (unsigned i = 0; i < STEPS; i++) one_step(&w);
    comes_to_rest(&w);
    ladders += w.ladders;
    remedy_free(w.r);
  }
  assert_true(ladders > 1000); /* the walks see something */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(walks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
