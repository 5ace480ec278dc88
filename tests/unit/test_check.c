/* Health checks as pure state: thresholds, windows, waits, holds by table; random walks against what must always hold.
 */
#include "fixture.h"

#include "base/clock.h"
#include "base/str.h"
#include "core/check.h"
#include "core/restart.h"

#define S(n) ((int64_t)((n)*1e9))

static const struct check_spec plain = {
    .role = CHECK_READINESS, .interval_ns = S(10), .failures = 3, .successes = 1, .unknowns = 3};

static enum check_result result_of(char c) {
  return c == 'o' ? CHECK_OK : c == 'w' ? CHECK_WARN : c == 'f' ? CHECK_FAIL : CHECK_CANNOT;
}

/* Runs it once when it is due. */
static struct check_change run(struct check *c, const struct check_spec *s, enum check_result r, int64_t *now) {
  struct check_change change;
  assert_true(check_due_ns(c) != TIME_NEVER);
  if (check_due_ns(c) > *now) *now = check_due_ns(c);
  check_begin(c);
  assert_true(check_due_ns(c) == TIME_NEVER);
  check_end(c, s, r, *now, &change);
  return change;
}

static void states_by_table(void **state) {
  (void)state;
  static const struct {
    unsigned failures, successes, window;
    const char *results, *states, *turns, *alarms;
  } cases[] = {
      /* states: u h d x (unhealthy); turns: good after bad and the other way; alarms: + raised - over */
      {3, 1, 0, "offfo", "hhhxh", "tt..t", "....."},
      {3, 1, 0, "ffoff", "uuhhh", "t.tt.", "....."},
      {1, 1, 0, "fof", "xhx", "ttt", "..."},
      {3, 2, 0, "oofffofoo", "uhhhxxxxh", "t.t..ttt.", "........."},
      {3, 1, 0, "wow", "dhd", "t..", "..."},
      {2, 1, 0, "wffw", "ddxd", "tt.t", "...."},
      {2, 1, 0, "o???f?f?o", "hhhhhhxxh", "t...t...t", "...+-...."},
      {2, 1, 0, "???o", "uuuh", "...t", "..+-"},
      {2, 1, 0, "????????", "uuuuuuuu", "........", "..+....."},
      {3, 1, 5, "fofof", "uhhhx", "ttttt", "....."}, /* three of five */
      {3, 1, 5, "foofoofoof", "uhhhhhhhhh", "tt.tt.tt.t", ".........."},
      {3, 1, 3, "ofofof", "hhhhhh", "tttttt", "......"},
      {2, 1, 4, "ffoff", "uxhhx", "t.tt.", "....."}, /* a recovery empties the window */
      {2, 2, 4, "ffoffooo", "uxxxxxhh", "t.tt.t..", "........"},
      {2, 1, 2, "f?f", "uux", "t..", "..."},
  };
  static const char letters[] = "uhdx", turn[] = ".t", alarm[] = "-.+";
  for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
    struct check_spec s = plain;
    s.failures = cases[i].failures;
    s.successes = cases[i].successes;
    s.window = cases[i].window;
    struct check c;
    int64_t now = S(100);
    check_init(&c, now);
    check_start(&c, &s, now);
    char states[16] = "", turns[16] = "", alarms[16] = "";
    for (size_t k = 0; cases[i].results[k]; k++) {
      struct check_change change = run(&c, &s, result_of(cases[i].results[k]), &now);
      assert_int_equal(change.to, c.state);
      states[k] = letters[c.state];
      turns[k] = turn[change.turned];
      alarms[k] = alarm[change.alarm + 1];
    }
    if (strcmp(states, cases[i].states) != 0) print_message("case %zu: %s\n", i, cases[i].results);
    assert_string_equal(states, cases[i].states);
    assert_string_equal(turns, cases[i].turns);
    assert_string_equal(alarms, cases[i].alarms);
  }
}

static int64_t wait_after(struct check *c, const struct check_spec *s, enum check_result r, int64_t *now) {
  run(c, s, r, now);
  return check_due_ns(c) - *now;
}

static void waits(void **state) {
  (void)state;
  struct check_spec s = plain;
  s.fast_interval_ns = S(2);
  s.down_interval_ns = S(60);
  s.initial_delay_ns = S(5);
  s.spread = UINT32_MAX; /* the whole interval at the first settled wait */
  struct check c;
  int64_t now = S(100);
  check_init(&c, now);
  assert_true(check_due_ns(&c) == TIME_NEVER);
  check_start(&c, &s, now);
  assert_true(check_due_ns(&c) == S(105));
  check_start(&c, &s, S(103));
  assert_true(check_due_ns(&c) == S(105));
  assert_true(wait_after(&c, &s, CHECK_FAIL, &now) == S(2)); /* no state yet */
  assert_in_range(wait_after(&c, &s, CHECK_OK, &now), S(9.99), S(10));
  assert_true(wait_after(&c, &s, CHECK_OK, &now) == S(10));
  assert_true(wait_after(&c, &s, CHECK_FAIL, &now) == S(2)); /* on its way down */
  assert_true(wait_after(&c, &s, CHECK_FAIL, &now) == S(2));
  assert_true(wait_after(&c, &s, CHECK_FAIL, &now) == S(60)); /* down */
  assert_true(wait_after(&c, &s, CHECK_CANNOT, &now) == S(60));
  s.successes = 2;
  assert_true(wait_after(&c, &s, CHECK_OK, &now) == S(2)); /* on its way up */
  assert_true(wait_after(&c, &s, CHECK_OK, &now) == S(10));
  s.fast_interval_ns = s.down_interval_ns = 0;
  for (int i = 0; i < 5; i++) assert_true(wait_after(&c, &s, CHECK_FAIL, &now) == S(10));
  check_stop(&c);
  assert_true(check_due_ns(&c) == TIME_NEVER);
  check_start(&c, &s, now + S(3)); /* it waits on from its last result */
  assert_true(check_due_ns(&c) == now + S(10));
  check_stop(&c);
  check_start(&c, &s, now + S(30));
  assert_true(check_due_ns(&c) == now + S(30));
}

/* Eight milliseconds hold eight of a thousand a second; names that differ in the last letter alone are no exception. */
static void names_that_are_alike_are_spread(void **state) {
  (void)state;
  unsigned slots[125] = {0}, most = 0, few[10] = {0}, used = 0;
  for (int i = 0; i < 1000; i++) {
    char name[32];
    snprintf(name, sizeof name, "c%d", i);
    unsigned slot = (unsigned)((uint64_t)check_spread(name) * 125 >> 32);
    if (++slots[slot] > most) most = slots[slot];
    if (i < 10 && !few[slot * 10 / 125]++) used++;
  }
  assert_in_range(most, 8, 24);
  assert_in_range(used, 4, 10);
}

static void checks_that_begin_together_run_apart(void **state) {
  (void)state;
  struct check_spec s = plain;
  s.role = CHECK_MONITOR;
  unsigned first[10] = {0}, second[10] = {0};
  for (int i = 0; i < 1000; i++) {
    char name[32];
    struct check c;
    int64_t now = 0;
    snprintf(name, sizeof name, "check%d", i);
    s.spread = check_spread(name);
    assert_int_equal(s.spread, check_spread(name));
    check_init(&c, 0);
    check_start(&c, &s, 0);
    int64_t due = check_due_ns(&c);
    assert_in_range(due, 0, S(1));
    first[due * 10 / (S(1) + 1)]++;
    int64_t wait = wait_after(&c, &s, CHECK_OK, &now);
    assert_in_range(wait, S(5), S(10));
    second[(wait - S(5)) * 10 / (S(5) + 1)]++;
    assert_true(wait_after(&c, &s, CHECK_OK, &now) == S(10));
  }
  for (int i = 0; i < 10; i++) { /* 100 each, more or less */
    assert_in_range(first[i], 60, 140);
    assert_in_range(second[i], 60, 140);
  }
}

static void hold_and_hurry(void **state) {
  (void)state;
  struct check_spec s = plain;
  s.failures = 2;
  struct check c;
  int64_t now = S(100);
  check_init(&c, now);
  check_start(&c, &s, now);
  run(&c, &s, CHECK_OK, &now);
  run(&c, &s, CHECK_FAIL, &now);
  check_hold(&c, now + S(60), now);
  assert_int_equal(c.failures, 0);
  assert_true(check_due_ns(&c) == now + S(60));
  check_hurry(&c, now + S(1));
  assert_true(check_due_ns(&c) == now + S(60)); /* the hold stays */
  check_hold(&c, now + S(30), now + S(1));
  assert_true(check_due_ns(&c) == now + S(30));
  run(&c, &s, CHECK_FAIL, &now);
  assert_int_equal(c.state, CHECK_HEALTHY); /* the first one again */
  run(&c, &s, CHECK_FAIL, &now);
  assert_int_equal(c.state, CHECK_UNHEALTHY);
  check_hold(&c, now + S(60), now);
  assert_int_equal(c.state, CHECK_UNHEALTHY);
  check_hold(&c, 0, now + S(5)); /* it ends: run at once */
  assert_true(check_due_ns(&c) == now + S(5));
  run(&c, &s, CHECK_OK, &now);
  assert_int_equal(c.state, CHECK_HEALTHY);
  check_hurry(&c, now + S(1));
  assert_true(check_due_ns(&c) == now + S(1));
  check_begin(&c);
  check_hurry(&c, now + S(1));
  assert_true(check_due_ns(&c) == TIME_NEVER);
  check_stop(&c);
  check_hurry(&c, now + S(1));
  check_hold(&c, 0, now);
  assert_true(check_due_ns(&c) == TIME_NEVER);
}

static void outage_and_reset(void **state) {
  (void)state;
  struct check_spec s = plain;
  struct check c;
  int64_t now = S(100);
  check_init(&c, now);
  check_start(&c, &s, now);
  run(&c, &s, CHECK_OK, &now);
  int64_t since = c.since_ns;
  run(&c, &s, CHECK_FAIL, &now);
  int64_t began = now;
  run(&c, &s, CHECK_FAIL, &now);
  assert_true(c.since_ns == since);
  assert_int_equal(run(&c, &s, CHECK_FAIL, &now).failures, 3);
  assert_true(c.since_ns == now);
  run(&c, &s, CHECK_CANNOT, &now);
  struct check_change change = run(&c, &s, CHECK_WARN, &now);
  assert_int_equal(change.from, CHECK_UNHEALTHY);
  assert_int_equal(change.to, CHECK_DEGRADED);
  assert_true(change.outage_ns == now - began);
  assert_true(run(&c, &s, CHECK_OK, &now).outage_ns == 0);
  for (int i = 0; i < 3; i++) run(&c, &s, CHECK_FAIL, &now);
  began = now - S(20); /* of the second outage */
  assert_true(run(&c, &s, CHECK_OK, &now).outage_ns == now - began);
  run(&c, &s, CHECK_FAIL, &now);
  run(&c, &s, CHECK_FAIL, &now);
  check_reset(&c, &s, now);
  assert_true(c.active);
  assert_int_equal(c.state, CHECK_UNKNOWN);
  assert_true(check_due_ns(&c) == now); /* readiness runs at once */
  assert_true(run(&c, &s, CHECK_FAIL, &now).turned);
  assert_int_equal(c.failures, 1);
}

/* A walk of random results, holds, stops and resets, against what must hold whatever happens, and against a model that
 * remembers every counted result. */
static void walk(uint64_t *seed) {
  struct check_spec s = {.role = (enum check_role)random_below(seed, CHECK_ROLES),
                         .interval_ns = S(1) + (int64_t)random_below(seed, S(60)),
                         .initial_delay_ns = random_below(seed, 2) ? S(3) : 0,
                         .fast_interval_ns = random_below(seed, 2) ? S(1) : 0,
                         .down_interval_ns = random_below(seed, 2) ? S(90) : 0,
                         .failures = 1 + (unsigned)random_below(seed, 5),
                         .successes = 1 + (unsigned)random_below(seed, 3),
                         .unknowns = (unsigned)random_below(seed, 4),
                         .spread = (uint32_t)random_next(seed)};
  if (random_below(seed, 3) == 0) s.window = s.failures + (unsigned)random_below(seed, CHECK_WINDOW_MAX - 5);
  struct check c;
  int64_t now = S(1000);
  bool bad[CHECK_WINDOW_MAX * 8]; /* counted results since the last recovery, hold or reset */
  unsigned n = 0, good_in_row = 0, bad_in_row = 0, unknowns = 0;
  check_init(&c, now);
  check_start(&c, &s, now);
  for (int step = 0; step < 400; step++) {
    now += (int64_t)random_below(seed, S(40));
    uint64_t what = random_below(seed, 40);
    if (what == 0) {
      check_stop(&c);
      assert_true(check_due_ns(&c) == TIME_NEVER);
      check_start(&c, &s, now);
    } else if (what == 1) {
      check_reset(&c, &s, now);
      assert_int_equal(c.state, CHECK_UNKNOWN);
      n = good_in_row = bad_in_row = unknowns = 0;
    } else if (what == 2) {
      int64_t until = now + (int64_t)random_below(seed, S(100)) - S(20);
      check_hold(&c, until, now);
      if (until > now) assert_true(check_due_ns(&c) >= until);
      n = good_in_row = bad_in_row = unknowns = 0;
    }
    assert_true(c.active && !c.running);
    int64_t due = check_due_ns(&c);
    if (due > now) now = due;
    enum check_state was = c.state;
    bool alarmed = c.alarm;
    enum check_result r = (enum check_result)random_below(seed, CHECK_RESULTS);
    struct check_change change;
    check_begin(&c);
    check_end(&c, &s, r, now, &change);
    assert_int_equal(change.from, was);
    assert_int_equal(change.to, c.state);
    if (change.from != change.to) assert_true(c.since_ns == now);
    if (r == CHECK_CANNOT) {
      unknowns++;
      assert_int_equal(c.state, was);
      assert_false(change.turned);
      assert_int_equal(change.alarm > 0, !alarmed && s.unknowns && unknowns == s.unknowns);
    } else {
      bool is_bad = r == CHECK_FAIL;
      unknowns = 0;
      assert_false(c.alarm);
      bad_in_row = is_bad ? bad_in_row + 1 : 0;
      good_in_row = is_bad ? 0 : good_in_row + 1;
      bad[n++] = is_bad;
      unsigned in_window = 0;
      for (unsigned k = 0; k < s.window && k < n; k++) in_window += bad[n - 1 - k];
      bool trips = is_bad && (s.window ? in_window >= s.failures : bad_in_row >= s.failures);
      bool settles = !is_bad && good_in_row >= s.successes;
      bool up = was == CHECK_HEALTHY || was == CHECK_DEGRADED;
      enum check_state good = r == CHECK_WARN ? CHECK_DEGRADED : CHECK_HEALTHY;
      assert_int_equal(c.state, trips ? CHECK_UNHEALTHY : !is_bad && (up || settles) ? good : was);
      if (was == CHECK_UNHEALTHY && c.state != was) n = 0;
      assert_int_equal(c.failures, bad_in_row);
    }
    int64_t longest = s.down_interval_ns > s.interval_ns ? s.down_interval_ns : s.interval_ns;
    assert_in_range(c.due_ns - now, s.fast_interval_ns ? 1 : s.interval_ns / 2, longest);
  }
}

static void random_walks(void **state) {
  (void)state;
  uint64_t seed = 20240115;
  for (int i = 0; i < 2000; i++) walk(&seed);
}

/* Under pressure what is good is asked less often, and nothing else. */
static void slower_when_good(void **state) {
  (void)state;
  static const struct check_spec spec = {.role = CHECK_READINESS,
                                         .interval_ns = S(10),
                                         .fast_interval_ns = S(1),
                                         .down_interval_ns = S(5),
                                         .failures = 2,
                                         .successes = 1};
  struct check c;
  int64_t now = S(100);
  check_init(&c, now);
  check_slow(&c, 4, now); /* not active: nothing to wait for */
  assert_true(check_due_ns(&c) == TIME_NEVER);
  check_start(&c, &spec, now);
  run(&c, &spec, CHECK_OK, &now);
  run(&c, &spec, CHECK_OK, &now);
  check_slow(&c, 4, now);
  assert_true(check_due_ns(&c) == now + S(40));
  run(&c, &spec, CHECK_FAIL, &now);
  check_slow(&c, 4, now); /* on its way to bad */
  assert_true(check_due_ns(&c) == now + S(1));
  run(&c, &spec, CHECK_FAIL, &now);
  check_slow(&c, 4, now); /* bad */
  assert_true(check_due_ns(&c) == now + S(5));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(states_by_table),
      cmocka_unit_test(waits),
      cmocka_unit_test(names_that_are_alike_are_spread),
      cmocka_unit_test(checks_that_begin_together_run_apart),
      cmocka_unit_test(hold_and_hurry),
      cmocka_unit_test(slower_when_good),
      cmocka_unit_test(outage_and_reset),
      cmocka_unit_test(random_walks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
