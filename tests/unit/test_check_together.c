/* What all health checks mean together, and the history of the runs of one. */
#include "fixture.h"

#include "base/clock.h"
#include "base/str.h"
#include "core/check.h"
#include "core/history.h"
#include "core/restart.h"

#define S(n) ((int64_t)((n)*1e9))

static struct check_standing standing(const char *name, enum check_role role, enum check_state st) {
  return (struct check_standing){.name = name, .role = role, .state = st};
}

static void levels_by_table(void **state) {
  (void)state;
  static const struct {
    enum check_role role;
    enum check_state state;
    bool alarm;
    enum health_level level;
    bool ready;
  } cases[] = {
      {CHECK_MONITOR, CHECK_UNKNOWN, false, HEALTH_HEALTHY, true},
      {CHECK_MONITOR, CHECK_UNKNOWN, true, HEALTH_DEGRADED, true},
      {CHECK_MONITOR, CHECK_HEALTHY, false, HEALTH_HEALTHY, true},
      {CHECK_MONITOR, CHECK_DEGRADED, false, HEALTH_DEGRADED, true},
      {CHECK_MONITOR, CHECK_UNHEALTHY, false, HEALTH_DEGRADED, true},
      {CHECK_READINESS, CHECK_UNKNOWN, false, HEALTH_HEALTHY, false},
      {CHECK_READINESS, CHECK_HEALTHY, false, HEALTH_HEALTHY, true},
      {CHECK_READINESS, CHECK_HEALTHY, true, HEALTH_DEGRADED, true},
      {CHECK_READINESS, CHECK_DEGRADED, false, HEALTH_DEGRADED, true},
      {CHECK_READINESS, CHECK_UNHEALTHY, false, HEALTH_UNHEALTHY, false},
      {CHECK_LIVENESS, CHECK_UNKNOWN, false, HEALTH_HEALTHY, true},
      {CHECK_LIVENESS, CHECK_DEGRADED, false, HEALTH_DEGRADED, true},
      {CHECK_LIVENESS, CHECK_UNHEALTHY, false, HEALTH_UNHEALTHY, false},
      {CHECK_STARTUP, CHECK_UNHEALTHY, false, HEALTH_UNHEALTHY, false},
  };
  struct health_verdict v;
  check_overall(NULL, 0, &v);
  assert_true(v.level == HEALTH_HEALTHY && v.ready && !v.bad);
  for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
    struct check_standing list[2] = {standing("c", cases[i].role, cases[i].state),
                                     standing("good", CHECK_READINESS, CHECK_HEALTHY)};
    list[0].alarm = cases[i].alarm;
    check_overall(list, 2, &v);
    if (v.level != cases[i].level || v.ready != cases[i].ready) print_message("case %zu\n", i);
    assert_int_equal(v.level, cases[i].level);
    assert_int_equal(v.ready, cases[i].ready);
    assert_int_equal(v.bad, v.level != HEALTH_HEALTHY || !v.ready);
  }
}

static void the_worst_reasons_come_first(void **state) {
  (void)state;
  enum { N = 50 };
  struct check_standing list[N];
  for (int i = 0; i < N; i++) list[i] = standing("warned", CHECK_MONITOR, CHECK_DEGRADED);
  list[30] = standing("dead", CHECK_LIVENESS, CHECK_UNHEALTHY);
  list[40] = standing("pending", CHECK_READINESS, CHECK_UNKNOWN);
  list[49] = standing("gone", CHECK_READINESS, CHECK_UNHEALTHY);
  struct health_verdict v;
  check_overall(list, N, &v);
  assert_int_equal(v.bad, N);
  assert_int_equal(v.n_reasons, HEALTH_REASONS_MAX);
  assert_string_equal(v.reasons[0]->name, "dead");
  assert_string_equal(v.reasons[1]->name, "gone");
  for (unsigned i = 2; i < v.n_reasons; i++) assert_string_equal(v.reasons[i]->name, "warned");
  assert_false(v.ready);
}

static void texts(void **state) {
  (void)state;
  struct check_standing c = standing("db", CHECK_READINESS, CHECK_UNHEALTHY);
  auto_buf struct buf b = {0};
  c.reason = "refused";
  c.detail = "cannot connect";
  check_standing_text(&c, &b);
  assert_string_equal(buf_cstr(&b), "check db is unhealthy: refused, cannot connect");
  buf_clear(&b);
  c.dependency = c.required = true;
  check_standing_text(&c, &b);
  assert_string_equal(buf_cstr(&b), "required dependency db is not ready: refused, cannot connect");
  buf_clear(&b);
  c = standing("x", CHECK_MONITOR, CHECK_HEALTHY);
  c.alarm = true;
  c.reason = "script";
  check_standing_text(&c, &b);
  assert_string_equal(buf_cstr(&b), "check x cannot be run: script");
  buf_clear(&b);
  c = standing("r", CHECK_READINESS, CHECK_UNKNOWN);
  check_standing_text(&c, &b);
  assert_string_equal(buf_cstr(&b), "check r has no result yet");
}

static void assert_close(int64_t got, int64_t want, int64_t slack_ns) {
  int64_t off = got > want ? got - want : want - got;
  assert_in_range(off, 0, slack_ns);
}

static void history_keeps_the_last_runs(void **state) {
  (void)state;
  struct history h = {0};
  uint32_t ring[HISTORY_RUNS] = {0};
  struct history_run runs[HISTORY_RUNS];
  int64_t at[600], duration[600];
  uint64_t seed = 3;
  assert_int_equal(history_list(&h, ring, runs, HISTORY_RUNS), 0);
  at[0] = S(1e6);
  for (int i = 0; i < 600; i++) {
    static const int64_t spans[] = {S(0.0005), S(1), S(3600)};
    if (i) at[i] = at[i - 1] + (int64_t)random_below(&seed, (uint64_t)spans[i % 3]);
    duration[i] = (int64_t)random_below(&seed, (uint64_t)spans[(i + 1) % 3]);
    history_add(&h, ring, at[i], duration[i], (unsigned)i % 4);
    unsigned n = history_list(&h, ring, runs, HISTORY_RUNS);
    assert_int_equal(n, i < HISTORY_RUNS ? i + 1 : HISTORY_RUNS);
    for (unsigned k = 0; k < n; k++) {
      int was = i - (int)(n - 1 - k);
      assert_int_equal(runs[k].result, was % 4);
      assert_close(runs[k].duration_ns, duration[was], 1000 + duration[was] / 1000);
      assert_close(runs[k].at_ns, at[was], 64000 + (at[i] - at[was]) / 1000);
    }
  }
  assert_int_equal(history_list(&h, ring, runs, 5), 5);
  assert_true(runs[4].at_ns == at[599]);
  assert_int_equal(runs[0].result, 595 % 4);
  history_add(&h, ring, INT64_MAX / 2, -5, 9);
  history_list(&h, ring, runs, 1);
  assert_true(runs[0].duration_ns == 0 && runs[0].result == 1);
  /* one that was cut off has written a run that nobody counts: over the oldest, where the ring is full */
  struct history before = h;
  history_add(&h, ring, INT64_MAX / 2 + S(1), 0, 0);
  history_resume(&before);
  assert_int_equal(history_list(&before, ring, runs, HISTORY_RUNS), HISTORY_RUNS - 1);
  assert_int_equal(runs[0].result, (600 - HISTORY_RUNS + 2) % 4);
  assert_int_equal(runs[HISTORY_RUNS - 2].result, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(levels_by_table),
      cmocka_unit_test(the_worst_reasons_come_first),
      cmocka_unit_test(texts),
      cmocka_unit_test(history_keeps_the_last_runs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
