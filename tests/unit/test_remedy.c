/* Remedies: what each input brings, as text; then random walks against what must always be true. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "core/remedy.h"
#include "core/restart.h"

#define S(n) ((int64_t)(n)*NS_PER_S)

/* Two checks. Rule 0: check 0 after 3 failures, steps a b, escalation restart, fail; rule 1: both checks. */
static const uint16_t checks_0[] = {0}, checks_1[] = {0, 1};
static struct remedy_step steps_0[] = {
    {S(10), 0, 0, false}, {S(10), S(2), 0, false}, {S(30), 0, 0, false}, {S(5), 0, 0, true}};
static struct remedy_step steps_1[] = {{S(10), 0, 0, false}};
static struct remedy_rule rules[2];
static struct remedy_config config;

struct trace {
  struct remedy *r;
  int64_t now;
  struct buf text;
};

static void begin(struct trace *t) {
  rules[0] = (struct remedy_rule){.check = checks_0,
                                  .checks = 1,
                                  .failures = 3,
                                  .step = steps_0,
                                  .steps = 2,
                                  .escalations = 2,
                                  .cooldown_ns = S(60),
                                  .max = 2,
                                  .window_ns = S(3600)};
  rules[1] = (struct remedy_rule){.check = checks_1,
                                  .checks = 2,
                                  .failures = 4,
                                  .step = steps_1,
                                  .steps = 1,
                                  .cooldown_ns = S(5),
                                  .max = 1,
                                  .window_ns = S(100)};
  config = (struct remedy_config){.rule = rules, .rules = 2, .checks = 2, .answer_ns = S(30), .watch_ns = S(50)};
  *t = (struct trace){0};
}

static void end(struct trace *t) {
  remedy_free(t->r);
  buf_free(&t->text);
}

static void print(struct buf *b, const struct remedy_action *a) {
  if (b->len) buf_char(b, ' ');
  switch (a->kind) {
    case REMEDY_ACT_BEGIN:
      buf_fmt(b, "begin[%u%s%s%s]", a->rule, a->over_budget ? " over" : "", a->by_operator ? " operator" : "",
              a->dry ? " dry" : "");
      break;
    case REMEDY_ACT_STEP:
      buf_fmt(b, "step[%u.%u]", a->rule, a->step);
      break;
    case REMEDY_ACT_CANCEL:
      buf_fmt(b, "cancel[%u.%u]", a->rule, a->step);
      break;
    case REMEDY_ACT_ASK:
      buf_fmt(b, "ask[%u]", a->check);
      break;
    case REMEDY_ACT_HOLD:
      buf_fmt(b, "%s[%u]", a->on ? "hold" : "release", a->check);
      break;
    case REMEDY_ACT_END:
      buf_fmt(b, "end[%u %s %u %llds]", a->rule, remedy_result_name(a->result), a->steps,
              (long long)(a->duration_ns / NS_PER_S));
      break;
    case REMEDY_ACT_RECOVERED:
      buf_fmt(b, "recovered[%u by %u.%u %u %llds]", a->check, a->rule, a->step, a->steps,
              (long long)(a->duration_ns / NS_PER_S));
      break;
    case REMEDY_ACT_GAVE_UP:
      buf_fmt(b, "gave_up[%u %u]", a->rule, a->check);
      break;
    case REMEDY_ACT_MAINTENANCE:
      buf_fmt(b, "maintenance[%s]", a->on ? "on" : "off");
      break;
  }
}

static const char *feed(struct trace *t, const struct remedy_input *in) {
  if (!t->r) {
    t->r = remedy_new(&config);
    assert_non_null(t->r);
    struct remedy_out none;
    remedy_feed(t->r, &(struct remedy_input){.kind = REMEDY_IN_ACTIVE, .on = true}, t->now, &none);
  }
  struct remedy_out out;
  remedy_feed(t->r, in, t->now, &out);
  buf_clear(&t->text);
  for (unsigned i = 0; i < out.n; i++) print(&t->text, &out.action[i]);
  assert_true(remedy_due_ns(t->r) > t->now); /* no deadline is left behind */
  return buf_cstr(&t->text);
}

#define WANT(t, text, ...) assert_string_equal(feed(t, &(struct remedy_input){__VA_ARGS__}), text)
#define FAILING(c, n) .kind = REMEDY_IN_FAILING, .check = (c), .failures = (n)
#define GOOD(c) .kind = REMEDY_IN_GOOD, .check = (c)
#define DONE(n, what) .kind = REMEDY_IN_DONE, .run = (n), .outcome = (what)
#define ANSWER(n, what) .kind = REMEDY_IN_ANSWER, .run = (n), .answer = (what)
#define TICK .kind = REMEDY_IN_TICK
#define ASK(n, k) .kind = REMEDY_IN_ASK, .rule = (n), .step = (k)

/* Lets the time of the next deadline come. */
static const char *tick(struct trace *t) {
  t->now = remedy_due_ns(t->r);
  return feed(t, &(struct remedy_input){TICK});
}

static void the_step_that_heals_ends_the_ladder(void **state) {
  (void)state;
  struct trace t;
  begin(&t);
  WANT(&t, "", FAILING(0, 1));
  WANT(&t, "", FAILING(0, 2));
  t.now = S(2);
  WANT(&t, "begin[0] hold[0] step[0.0]", FAILING(0, 3));
  WANT(&t, "", FAILING(0, 4)); /* one run at a time, also of the other rule */
  WANT(&t, "", DONE(7, REMEDY_OK));
  WANT(&t, "", ANSWER(1, REMEDY_GOOD)); /* nobody has asked */
  t.now = S(3);
  WANT(&t, "ask[0]", DONE(1, REMEDY_FAILED)); /* it may have helped all the same */
  WANT(&t, "", DONE(1, REMEDY_OK));
  WANT(&t, "step[0.1]", ANSWER(1, REMEDY_BAD));
  WANT(&t, "", DONE(1, REMEDY_OK)); /* settles */
  assert_string_equal(tick(&t), "ask[0]");
  assert_int_equal(t.now, S(5));
  WANT(&t, "end[0 healed 2 3s] recovered[0 by 0.1 2 5s] release[0]", ANSWER(1, REMEDY_GOOD));
  WANT(&t, "", GOOD(0)); /* told once */
  assert_int_equal(remedy_due_ns(t.r), TIME_NEVER);
  end(&t);
}

static void a_new_run_of_the_process_begins_anew(void **state) {
  (void)state;
  struct trace t;
  begin(&t);
  WANT(&t, "begin[0] hold[0] step[0.0]", FAILING(0, 3));
  WANT(&t, "", .kind = REMEDY_IN_ANEW, .check = 0); /* the run goes on */
  WANT(&t, "ask[0]", DONE(1, REMEDY_OK));
  WANT(&t, "end[0 unknown 1 0s] release[0]", ANSWER(1, REMEDY_UNKNOWN));
  t.now = S(1);
  WANT(&t, "", .kind = REMEDY_IN_ANEW, .check = 0);
  assert_int_equal(remedy_due_ns(t.r), TIME_NEVER); /* no run follows the rest: nothing is bad of what runs now */
  WANT(&t, "recovered[0 by 0.0 1 1s]", GOOD(0));    /* the outage was one */
  end(&t);
  begin(&t);
  WANT(&t, "begin[0] hold[0] step[0.0]", FAILING(0, 3));
  WANT(&t, "cancel[0.0] end[0 cancelled 0 0s] release[0]", .kind = REMEDY_IN_STOP);
  t.now = S(10000);
  WANT(&t, "", .kind = REMEDY_IN_ACTIVE, .on = true); /* nor after a stop and a start */
  end(&t);
}

static void every_check_may_have_its_remedy(void **state) {
  (void)state;
  static const struct remedy_step step = {.timeout_ns = 1};
  static struct remedy_rule rule[LIMIT_REMEDIES + LIMIT_CHECKS];
  const unsigned n = sizeof rule / sizeof *rule;
  for (unsigned i = 0; i < n; i++)
    rule[i] = (struct remedy_rule){.step = &step, .steps = 1, .cooldown_ns = 1, .window_ns = 1, .max = 1};
  struct remedy_config all = {.rule = rule, .rules = n, .checks = LIMIT_CHECKS, .answer_ns = 1, .watch_ns = 1};
  struct remedy *r = remedy_new(&all);
  assert_non_null(r);
  remedy_free(r);
}

static void it_escalates_when_nothing_helped(void **state) {
  (void)state;
  struct trace t;
  begin(&t);
  WANT(&t, "begin[0] hold[0] step[0.0]", FAILING(0, 3));
  WANT(&t, "step[0.1]", DONE(1, REMEDY_SKIPPED)); /* nothing was done, so nothing is asked */
  t.now = S(1);
  assert_string_equal(tick(&t), "cancel[0.1]"); /* its time is over; it settles */
  assert_int_equal(t.now, S(10));
  assert_string_equal(tick(&t), "ask[0]");
  WANT(&t, "step[0.2]", ANSWER(1, REMEDY_BAD)); /* the restart */
  WANT(&t, "ask[0]", DONE(1, REMEDY_OK));
  WANT(&t, "step[0.3]", ANSWER(1, REMEDY_BAD));
  WANT(&t, "end[0 escalated 3 12s] release[0]", DONE(1, REMEDY_OK));
  WANT(&t, "", FAILING(0, 4)); /* the container ends */
  WANT(&t, "begin[1] hold[0] step[1.0]", .kind = REMEDY_IN_ACTIVE,
       .on = true); /* the other rule's turn, where somebody lives on */
  end(&t);
}

/* A check that wants two good results in a row. */
static void a_recovery_is_told_when_the_check_counts_as_good(void **state) {
  (void)state;
  struct trace t;
  begin(&t);
  feed(&t, &(struct remedy_input){FAILING(0, 3)});
  feed(&t, &(struct remedy_input){DONE(1, REMEDY_OK)});
  t.now = S(1);
  WANT(&t, "end[0 healed 1 1s] release[0]", ANSWER(1, REMEDY_GOOD), .unsettled = true);
  assert_true(remedy_tried(t.r, 0));
  t.now = S(100);
  WANT(&t, "", TICK); /* nothing is bad */
  WANT(&t, "recovered[0 by 0.0 1 100s]", GOOD(0));
  assert_false(remedy_tried(t.r, 0));
  feed(&t, &(struct remedy_input){FAILING(0, 3)});
  feed(&t, &(struct remedy_input){DONE(2, REMEDY_OK)});
  feed(&t, &(struct remedy_input){ANSWER(2, REMEDY_GOOD), .unsettled = true});
  t.now = S(110);
  WANT(&t, "", FAILING(0, 1)); /* the same outage goes on */
  WANT(&t, "recovered[0 by 0.0 1 10s]", GOOD(0));
  end(&t);
}

static void unknown_answers_end_a_run(void **state) {
  (void)state;
  struct trace t;
  begin(&t);
  feed(&t, &(struct remedy_input){FAILING(0, 3)});
  feed(&t, &(struct remedy_input){DONE(1, REMEDY_OK)});
  WANT(&t, "end[0 unknown 1 0s] release[0]", ANSWER(1, REMEDY_UNKNOWN));
  assert_int_equal(remedy_due_ns(t.r), S(60)); /* rests */
  assert_string_equal(tick(&t), "begin[0] hold[0] step[0.0]");
  feed(&t, &(struct remedy_input){DONE(2, REMEDY_OK)});
  assert_string_equal(tick(&t), "end[0 unknown 1 30s] release[0]"); /* no answer at all */
  WANT(&t, "recovered[0 by 0.0 2 90s]", GOOD(0));                   /* what was done in the outage counts */
  end(&t);
}

static void over_the_budget_it_escalates_and_then_gives_up(void **state) {
  (void)state;
  struct trace t;
  begin(&t);
  config.rules = 1;
  for (unsigned i = 1; i <= 2; i++) {
    WANT(&t, "begin[0] hold[0] step[0.0]", FAILING(0, 3));
    feed(&t, &(struct remedy_input){DONE(i, REMEDY_OK)});
    feed(&t, &(struct remedy_input){ANSWER(i, REMEDY_GOOD)});
    t.now += S(59);
    WANT(&t, "", FAILING(0, 3)); /* rests */
    WANT(&t, "", GOOD(0));
    t.now += S(1);
  }
  WANT(&t, "begin[0 over] hold[0] step[0.2]", FAILING(0, 3)); /* the restart at once */
  feed(&t, &(struct remedy_input){DONE(3, REMEDY_OK)});
  feed(&t, &(struct remedy_input){ANSWER(3, REMEDY_GOOD)});
  t.now += S(60);
  WANT(&t, "begin[0 over] hold[0] step[0.3]", FAILING(0, 3)); /* then the failure */
  WANT(&t, "end[0 not_healed 0 0s] release[0]", DONE(4, REMEDY_SKIPPED));
  t.now += S(60);
  WANT(&t, "gave_up[0 0]", TICK);
  WANT(&t, "", FAILING(0, 4)); /* told once */
  assert_int_equal(remedy_due_ns(t.r), S(3600));
  struct remedy_view v;
  remedy_view(t.r, 0, t.now, &v);
  assert_true(v.gave_up && !v.running && v.in_window == 2);
  assert_string_equal(tick(&t), "begin[0] hold[0] step[0.0]"); /* the window has room again */
  remedy_view(t.r, 0, t.now, &v);
  assert_true(!v.gave_up && v.running && v.in_window == 2 && v.step == 0 && v.check == 0);
  end(&t);
}

static void a_rule_without_escalation_gives_up(void **state) {
  (void)state;
  struct trace t;
  begin(&t);
  WANT(&t, "", FAILING(1, 3));
  WANT(&t, "begin[1] hold[1] step[1.0]", FAILING(1, 4));
  WANT(&t, "ask[1]", DONE(1, REMEDY_OK));
  WANT(&t, "end[1 not_healed 1 0s] release[1]", ANSWER(1, REMEDY_BAD));
  assert_string_equal(tick(&t), "gave_up[1 1]");
  assert_int_equal(t.now, S(5));
  assert_string_equal(tick(&t), "begin[1] hold[1] step[1.0]");
  assert_int_equal(t.now, S(100));
  WANT(&t, "", GOOD(1)); /* its run is told at its end */
  WANT(&t, "ask[1]", DONE(2, REMEDY_OK));
  WANT(&t, "end[1 unknown 1 0s] recovered[1 by 1.0 2 100s] release[1]", ANSWER(2, REMEDY_UNKNOWN));
  end(&t);
}

static void different_checks_go_on_side_by_side(void **state) {
  (void)state;
  struct trace t;
  begin(&t);
  WANT(&t, "begin[0] hold[0] step[0.0]", FAILING(0, 9));
  WANT(&t, "begin[1] hold[1] step[1.0]", FAILING(1, 9));
  WANT(&t, "ask[1]", DONE(2, REMEDY_OK));
  WANT(&t, "ask[0]", DONE(1, REMEDY_OK));
  WANT(&t, "end[1 healed 1 0s] recovered[1 by 1.0 1 0s] release[1]", ANSWER(2, REMEDY_GOOD));
  end(&t);
}

static void nothing_begins_unless_the_container_runs(void **state) {
  (void)state;
  struct trace t;
  begin(&t);
  WANT(&t, "", .kind = REMEDY_IN_ACTIVE);
  WANT(&t, "", FAILING(0, 3));
  assert_int_equal(remedy_due_ns(t.r), TIME_NEVER);
  WANT(&t, "begin[0] hold[0] step[0.0]", .kind = REMEDY_IN_ACTIVE, .on = true);
  WANT(&t, "", .kind = REMEDY_IN_ACTIVE); /* a run goes on over a restart */
  WANT(&t, "ask[0]", DONE(1, REMEDY_OK));
  WANT(&t, "end[0 cancelled 1 0s] release[0]", .kind = REMEDY_IN_STOP);
  WANT(&t, "", ANSWER(1, REMEDY_GOOD));
  WANT(&t, "", .kind = REMEDY_IN_STOP);
  end(&t);
}

static void a_stop_ends_the_step_that_runs(void **state) {
  (void)state;
  struct trace t;
  begin(&t);
  feed(&t, &(struct remedy_input){FAILING(0, 3)});
  WANT(&t, "cancel[0.0] end[0 cancelled 0 0s] release[0]", .kind = REMEDY_IN_STOP);
  WANT(&t, "", DONE(1, REMEDY_OK));
  WANT(&t, "", FAILING(0, 4));
  end(&t);
}

static void maintenance_holds_remedies(void **state) {
  (void)state;
  struct trace t;
  begin(&t);
  WANT(&t, "maintenance[on]", .kind = REMEDY_IN_MAINTENANCE, .on = true, .until_ns = S(50));
  WANT(&t, "", .kind = REMEDY_IN_MAINTENANCE, .on = true, .until_ns = S(50));
  WANT(&t, "", FAILING(0, 3));
  assert_true(remedy_maintenance(t.r, NULL));
  assert_int_equal(remedy_due_ns(t.r), S(50));
  assert_string_equal(tick(&t), "maintenance[off] begin[0] hold[0] step[0.0]");
  WANT(&t, "maintenance[on]", .kind = REMEDY_IN_MAINTENANCE, .on = true, .until_ns = TIME_NEVER);
  WANT(&t, "end[0 cancelled 1 0s] release[0]", DONE(1, REMEDY_OK)); /* the step that ran came to its end */
  assert_int_equal(remedy_due_ns(t.r), TIME_NEVER);
  WANT(&t, "begin[0 operator] hold[0] step[0.1]", ASK(0, 1)); /* an operator may */
  WANT(&t, "maintenance[on]", .kind = REMEDY_IN_MAINTENANCE, .on = true, .until_ns = S(5000));
  WANT(&t, "", DONE(2, REMEDY_OK));
  assert_string_equal(tick(&t), "ask[0]");
  WANT(&t, "end[0 not_healed 1 2s] release[0]", ANSWER(2, REMEDY_BAD));
  t.now += S(100);
  WANT(&t, "maintenance[off] begin[0] hold[0] step[0.0]", .kind = REMEDY_IN_MAINTENANCE);
  feed(&t, &(struct remedy_input){DONE(3, REMEDY_OK)});
  WANT(&t, "maintenance[on] end[0 cancelled 1 0s] release[0]", .kind = REMEDY_IN_MAINTENANCE, .on = true,
       .until_ns = S(900)); /* it only waited for the check */
  end(&t);
}

static void an_operator_runs_all_of_a_ladder_or_one_step(void **state) {
  (void)state;
  struct trace t;
  begin(&t);
  WANT(&t, "begin[0 operator] step[0.0]", ASK(0, REMEDY_NONE));
  WANT(&t, "", ASK(0, REMEDY_NONE));
  WANT(&t, "step[0.1]", DONE(1, REMEDY_OK));              /* nothing is bad: nothing is asked */
  WANT(&t, "end[0 failed 2 0s]", DONE(1, REMEDY_FAILED)); /* the escalation is not his by the ladder's name */
  WANT(&t, "begin[0 operator] step[0.2]", ASK(0, 2));
  WANT(&t, "end[0 done 1 0s]", DONE(2, REMEDY_OK));
  WANT(&t, "", ASK(0, 4));
  WANT(&t, "", ASK(2, 0));
  struct remedy_view v;
  remedy_view(t.r, 0, t.now, &v);
  assert_int_equal(v.in_window, 0); /* costs no budget */
  WANT(&t, "", FAILING(0, 3));      /* but the rule rests after it */
  assert_int_equal(remedy_due_ns(t.r), S(60));
  end(&t);
}

static void a_dry_run_changes_nothing(void **state) {
  (void)state;
  struct trace t;
  begin(&t);
  WANT(&t, "begin[0 operator dry] step[0.0]", ASK(0, REMEDY_NONE), .dry = true);
  WANT(&t, "step[0.1]", DONE(1, REMEDY_OK));
  WANT(&t, "end[0 dry_run 0 0s]", DONE(1, REMEDY_OK));
  rules[0].dry_run = true;
  WANT(&t, "begin[0 dry] step[0.0]", FAILING(0, 3)); /* no rest after it */
  for (unsigned i = 0; i < 3; i++) feed(&t, &(struct remedy_input){DONE(2, REMEDY_OK)});
  WANT(&t, "end[0 dry_run 0 0s]", DONE(2, REMEDY_OK));
  end(&t);
}

static void what_was_restarted_is_watched(void **state) {
  (void)state;
  struct trace t;
  begin(&t);
  steps_0[2].patience = 2;
  WANT(&t, "begin[0 operator] step[0.2]", ASK(0, 2));
  WANT(&t, "end[0 done 1 0s]", DONE(1, REMEDY_OK)); /* nothing to watch */
  WANT(&t, "", FAILING(0, 3));
  WANT(&t, "begin[0 operator] hold[0] step[0.2]", ASK(0, 2));
  WANT(&t, "release[0]", DONE(2, REMEDY_OK));
  WANT(&t, "", ANSWER(2, REMEDY_BAD)); /* nobody has asked */
  WANT(&t, "", FAILING(1, 2));
  WANT(&t, "", FAILING(0, 1));
  WANT(&t, "end[0 not_healed 1 0s]", FAILING(0, 2));
  t.now = S(60);
  WANT(&t, "", FAILING(0, 1));
  WANT(&t, "begin[0] hold[0] step[0.0]", FAILING(0, 3));
  feed(&t, &(struct remedy_input){DONE(3, REMEDY_SKIPPED)});
  feed(&t, &(struct remedy_input){DONE(3, REMEDY_SKIPPED)});
  WANT(&t, "release[0]", DONE(3, REMEDY_OK));
  WANT(&t, "hold[0] step[0.3]", FAILING(0, 2));
  WANT(&t, "ask[0]", DONE(3, REMEDY_TIMEOUT));
  WANT(&t, "end[0 not_healed 2 0s] release[0]", ANSWER(3, REMEDY_BAD));
  WANT(&t, "begin[0 operator] hold[0] step[0.2]", ASK(0, 2));
  WANT(&t, "release[0]", DONE(4, REMEDY_OK));
  WANT(&t, "end[0 healed 1 0s] recovered[0 by 0.2 4 60s]", GOOD(0));
  WANT(&t, "begin[0 operator] step[0.2]", ASK(0, 2));
  WANT(&t, "end[0 done 1 0s]", DONE(5, REMEDY_OK));
  feed(&t, &(struct remedy_input){FAILING(0, 1)});
  feed(&t, &(struct remedy_input){ASK(0, 2)});
  feed(&t, &(struct remedy_input){DONE(6, REMEDY_OK)});
  assert_string_equal(tick(&t), "end[0 unknown 1 50s]"); /* it said nothing */
  steps_0[2].patience = 0;
  end(&t);
}

static void a_rule_may_wait_for_the_checks_own_verdict(void **state) {
  (void)state;
  struct trace t;
  begin(&t);
  rules[0].failures = 0;
  WANT(&t, "", FAILING(0, 3));
  WANT(&t, "begin[0] hold[0] step[0.0]", FAILING(0, 1), .on = true);
  feed(&t, &(struct remedy_input){DONE(1, REMEDY_OK)});
  feed(&t, &(struct remedy_input){ANSWER(1, REMEDY_GOOD)});
  t.now = S(100);
  WANT(&t, "", TICK); /* good ones are left alone */
  end(&t);
}

static void what_cannot_be_is_refused(void **state) {
  (void)state;
  struct trace t;
  begin(&t);
  rules[0].max = 0;
  assert_null(remedy_new(&config));
  rules[0].max = LIMIT_REMEDY_RUNS + 1;
  assert_null(remedy_new(&config));
  rules[0].max = 1;
  rules[0].steps = 0;
  assert_null(remedy_new(&config));
  rules[0].steps = LIMIT_REMEDY_STEPS;
  assert_null(remedy_new(&config));
  rules[0].steps = 2;
  config.checks = 1;
  assert_null(remedy_new(&config));
  config.checks = 2;
  t.r = remedy_new(&config);
  assert_non_null(t.r);
  WANT(&t, "", FAILING(9, 9));
  WANT(&t, "", GOOD(9));
  end(&t);
}

/* --- random walks ------------------------------------------------------------------------------------------------ */

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
      cmocka_unit_test(the_step_that_heals_ends_the_ladder),
      cmocka_unit_test(a_new_run_of_the_process_begins_anew),
      cmocka_unit_test(every_check_may_have_its_remedy),
      cmocka_unit_test(it_escalates_when_nothing_helped),
      cmocka_unit_test(a_recovery_is_told_when_the_check_counts_as_good),
      cmocka_unit_test(unknown_answers_end_a_run),
      cmocka_unit_test(over_the_budget_it_escalates_and_then_gives_up),
      cmocka_unit_test(a_rule_without_escalation_gives_up),
      cmocka_unit_test(different_checks_go_on_side_by_side),
      cmocka_unit_test(nothing_begins_unless_the_container_runs),
      cmocka_unit_test(a_stop_ends_the_step_that_runs),
      cmocka_unit_test(maintenance_holds_remedies),
      cmocka_unit_test(an_operator_runs_all_of_a_ladder_or_one_step),
      cmocka_unit_test(a_dry_run_changes_nothing),
      cmocka_unit_test(what_was_restarted_is_watched),
      cmocka_unit_test(a_rule_may_wait_for_the_checks_own_verdict),
      cmocka_unit_test(what_cannot_be_is_refused),
      cmocka_unit_test(walks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
