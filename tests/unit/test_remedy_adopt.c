/* Remedies that go on under other rules: budgets, runs that are under way, what is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "core/remedy.h"

#define S(n) ((int64_t)(n)*NS_PER_S)

static struct remedy_step steps[] = {{S(10), 0, 0, false}};
static const uint16_t zero[] = {0}, one[] = {1};

static struct remedy_rule rule(const uint16_t *check) {
  return (struct remedy_rule){
      .check = check, .checks = 1, .failures = 1, .step = steps, .steps = 1, .max = 2, .window_ns = S(3600)};
}

static struct remedy_config config(const struct remedy_rule *rules, unsigned n, unsigned checks) {
  return (struct remedy_config){.rule = rules, .rules = n, .checks = checks, .answer_ns = S(100), .watch_ns = S(100)};
}

static struct remedy_out feed(struct remedy *r, struct remedy_input in, int64_t now) {
  struct remedy_out out;
  remedy_feed(r, &in, now, &out);
  return out;
}

static unsigned count(struct remedy_out out, enum remedy_action_kind kind) {
  unsigned n = 0;
  for (unsigned i = 0; i < out.n; i++) n += out.action[i].kind == kind;
  return n;
}

/* Rule 0 is at its step, on check 0. */
static struct remedy *at_work(const struct remedy_config *c) {
  struct remedy *r = remedy_new(c);
  assert_non_null(r);
  feed(r, (struct remedy_input){.kind = REMEDY_IN_ACTIVE, .on = true}, S(1));
  struct remedy_out out =
      feed(r, (struct remedy_input){.kind = REMEDY_IN_FAILING, .check = 0, .failures = 1, .on = true}, S(2));
  assert_int_equal(count(out, REMEDY_ACT_STEP), 1);
  return r;
}

static void test_goes_on(void **state) {
  (void)state;
  const struct remedy_rule before[] = {rule(zero)}, after[] = {rule(zero), rule(one)};
  const struct remedy_config a = config(before, 1, 1), b = config(after, 2, 2);
  struct remedy *from = at_work(&a), *to = remedy_new(&b);
  /* what was rule 0 on check 0 is rule 1 on check 1 now; the first are new */
  const int rules[] = {-1, 0}, checks[] = {-1, 0};
  assert_true(remedy_goes_on(from, 0, checks, 2));
  remedy_adopt(to, from, rules, checks);
  remedy_free(from);
  struct remedy_view v;
  remedy_view(to, 1, S(3), &v);
  assert_true(v.running);
  assert_int_equal(v.check, 1);
  assert_int_equal(v.in_window, 1);
  assert_true(remedy_is_failing(to, 1));
  assert_false(remedy_is_failing(to, 0));
  assert_int_equal(remedy_due_ns(to), S(12));
  struct remedy_out out =
      feed(to, (struct remedy_input){.kind = REMEDY_IN_DONE, .run = v.run, .outcome = REMEDY_OK}, S(3));
  assert_int_equal(count(out, REMEDY_ACT_ASK), 1);
  assert_int_equal(out.action[0].check, 1);
  out = feed(to, (struct remedy_input){.kind = REMEDY_IN_ANSWER, .run = v.run, .answer = REMEDY_GOOD}, S(4));
  assert_int_equal(count(out, REMEDY_ACT_END), 1);
  /* the next run has the next number, and the budget is what is left */
  assert_int_equal(remedy_next_run(to), v.run + 1);
  feed(to, (struct remedy_input){.kind = REMEDY_IN_FAILING, .check = 1, .failures = 1, .on = true}, S(5));
  remedy_view(to, 1, S(5), &v);
  assert_int_equal(v.in_window, 2);
  remedy_free(to);
}

static void test_gone(void **state) {
  (void)state;
  const struct remedy_rule before[] = {rule(zero)}, after[] = {rule(zero)};
  const struct remedy_config a = config(before, 1, 1), b = config(after, 1, 1);
  struct remedy *from = at_work(&a), *to = remedy_new(&b);
  const int none[] = {-1};
  assert_false(remedy_goes_on(from, 0, none, 1)); /* its check is there no more */
  struct remedy_out out = feed(from, (struct remedy_input){.kind = REMEDY_IN_DROP, .rule = 0}, S(3));
  assert_int_equal(count(out, REMEDY_ACT_CANCEL), 1);
  assert_int_equal(count(out, REMEDY_ACT_END), 1);
  assert_int_equal(count(out, REMEDY_ACT_STEP), 0); /* the check is still bad, but nothing begins */
  remedy_adopt(to, from, none, none);
  struct remedy_view v;
  remedy_view(to, 0, S(3), &v);
  assert_false(v.running);
  assert_int_equal(v.in_window, 0);
  assert_false(remedy_is_failing(to, 0));
  remedy_free(from);
  remedy_free(to);
}

static void test_maintenance(void **state) {
  (void)state;
  const struct remedy_rule rules[] = {rule(zero)};
  const struct remedy_config c = config(rules, 1, 1);
  struct remedy *from = remedy_new(&c), *to = remedy_new(&c);
  feed(from, (struct remedy_input){.kind = REMEDY_IN_MAINTENANCE, .on = true, .until_ns = S(9)}, S(1));
  const int same[] = {0};
  remedy_adopt(to, from, same, same);
  int64_t until = 0;
  assert_true(remedy_maintenance(to, &until));
  assert_int_equal(until, S(9));
  remedy_free(from);
  remedy_free(to);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_goes_on),
      cmocka_unit_test(test_gone),
      cmocka_unit_test(test_maintenance),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
