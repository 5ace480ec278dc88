/* The number of instances: bounds, steps, cool-downs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "core/restart.h"
#include "core/scale.h"

#define S(n) ((int64_t)(n)*NS_PER_S)

static const struct scale_rule rule = {.min = 2, .max = 8, .step = 3, .cooldown_ns = S(10), .down_cooldown_ns = S(60)};

static void bounds_and_steps(void **state) {
  (void)state;
  static const struct {
    unsigned count;
    double wanted;
    unsigned result;
  } rows[] = {
      {4, 4, 4}, {4, 5, 5},   {4, 4.01, 5},      {4, 3.99, 4},     {4, 7, 7},
      {4, 8, 7}, {7, 100, 8}, {8, 1e300, 8},     {4, INFINITY, 7}, {4, NAN, 4},
      {8, 2, 5}, {4, -1, 2},  {4, -INFINITY, 2}, {2, 0, 2},        {3, 1, 2},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct scale s = {.since_ns = S(0)};
    assert_int_equal(scale_decide(&rule, &s, rows[i].count, rows[i].wanted, S(60)), rows[i].result);
    assert_int_equal(s.changed, rows[i].result != rows[i].count);
  }
}

static void cool_downs(void **state) {
  (void)state;
  struct scale s = {.since_ns = S(0)};
  assert_int_equal(scale_decide(&rule, &s, 4, 2, S(59)), 4); /* not so soon after the begin */
  assert_int_equal(scale_decide(&rule, &s, 4, 5, S(1)), 5);  /* but more at once */
  assert_int_equal(scale_decide(&rule, &s, 5, 6, S(10)), 5);
  assert_int_equal(scale_decide(&rule, &s, 5, 6, S(11)), 6);
  assert_int_equal(scale_decide(&rule, &s, 6, 2, S(70)), 6);
  assert_int_equal(scale_decide(&rule, &s, 6, 6, S(71)), 6); /* no change, no rest */
  assert_int_equal(scale_decide(&rule, &s, 6, 2, S(71)), 3);
  assert_int_equal(scale_decide(&rule, &s, 3, 8, S(80)), 3);
  assert_int_equal(scale_decide(&rule, &s, 3, 8, S(81)), 6);
}

/* must: always within bounds, never two changes within the shorter rest, never more than a step */
static void walks(void **state) {
  (void)state;
  uint64_t seed = 7;
  for (unsigned round = 0; round < 200; round++) {
    struct scale_rule r = {.min = 1 + (unsigned)random_below(&seed, 4), .step = 1 + (unsigned)random_below(&seed, 5)};
    r.max = r.min + (unsigned)random_below(&seed, 10);
    r.cooldown_ns = S(random_below(&seed, 30));
    r.down_cooldown_ns = S(random_below(&seed, 90));
    struct scale s = {0};
    unsigned count = r.min;
    int64_t now = 0, changed = INT64_MIN;
    for (unsigned i = 0; i < 500; i++) {
      now += S(random_below(&seed, 5));
      unsigned next = scale_decide(&r, &s, count, (double)random_below(&seed, 30) - 5, now);
      assert_true(next >= r.min && next <= r.max);
      assert_true(next > count ? next - count <= r.step : count - next <= r.step);
      if (next != count) {
        assert_true(changed == INT64_MIN || now - changed >= (next > count ? r.cooldown_ns : r.down_cooldown_ns));
        changed = now;
      }
      count = next;
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bounds_and_steps),
      cmocka_unit_test(cool_downs),
      cmocka_unit_test(walks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
