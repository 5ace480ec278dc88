/* Remedies: what each input brings. */
#include "remedy_scene.h"

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
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
