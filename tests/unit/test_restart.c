/* Restart decisions: the formula, the window, rules, and every policy with every exit code and signal, judged alone and
 * by the whole machine. */
#include "core/shutdown.h"
#include "machine_trace.h"

static const struct restart_config defaults = RESTART_DEFAULTS;

static void delays_of_the_defaults(void **state) {
  (void)state;
  static const int want[] = {10, 20, 40, 80, 160, 300, 300, 300};
  for (unsigned n = 0; n < 8; n++) assert_int_equal(restart_delay_ns(&defaults, n), S(want[n]));
  assert_int_equal(restart_delay_ns(&defaults, 4000000000u), S(300));
}

static void delays_of_other_settings(void **state) {
  (void)state;
  struct restart_config c = defaults;
  c.max_ns = S(100000);
  assert_int_equal(restart_delay_ns(&c, 5), S(320));
  assert_int_equal(restart_delay_ns(&c, 6), S(320)); /* the exponent ends at 5 */
  c.exponential = false;
  for (unsigned n = 0; n < 8; n++) assert_int_equal(restart_delay_ns(&c, n), S(10));
  c.base_ns = 0;
  assert_int_equal(restart_delay_ns(&c, 3), 0);
  c = (struct restart_config){.exponential = true, .base_ns = INT64_MAX / 3, .max_ns = INT64_MAX};
  assert_int_equal(restart_delay_ns(&c, 5), INT64_MAX);
}

static void jitter_is_added_on_top(void **state) {
  (void)state;
  struct restart_config c = defaults;
  c.jitter_percent = 25;
  uint64_t seed = 7;
  int64_t least = INT64_MAX, most = 0;
  for (int i = 0; i < 10000; i++) {
    struct restart r = {0};
    int64_t delay = restart_take(&r, &c, 0, &seed);
    assert_in_range(delay, S(10), S(12.5));
    if (delay < least) least = delay;
    if (delay > most) most = delay;
  }
  assert_true(least < S(10.01) && most > S(12.49));
}

static void window_forgets_one_by_one(void **state) {
  (void)state;
  int64_t ring[3];
  struct restart_config c = defaults;
  c.max_attempts = 3;
  struct restart r = {.cap = 3, .ring = ring};
  uint64_t seed = 1;
  for (int i = 0; i < 3; i++) {
    assert_false(restart_exhausted(&r, &c, S(100 * i)));
    restart_take(&r, &c, S(100 * i), &seed);
  }
  assert_true(restart_exhausted(&r, &c, S(200)));
  assert_true(restart_exhausted(&r, &c, S(3600) - 1));
  assert_false(restart_exhausted(&r, &c, S(3600)));
  assert_int_equal(restart_in_window(&r, &c, S(3600)), 2);
  restart_take(&r, &c, S(3600), &seed);
  assert_true(restart_exhausted(&r, &c, S(3650)));
  assert_int_equal(restart_in_window(&r, &c, S(3700)), 2);
  assert_int_equal(restart_in_window(&r, &c, S(7200)), 0);
  assert_int_equal(r.n, 4); /* the window does not touch the count in a row */
  assert_int_equal(r.total, 4);
}

static void without_limit_nothing_is_exhausted(void **state) {
  (void)state;
  int64_t ring[4];
  struct restart_config c = defaults;
  c.max_attempts = 0;
  struct restart r = {.cap = 4, .ring = ring};
  uint64_t seed = 1;
  for (int i = 0; i < 100; i++) {
    restart_take(&r, &c, i, &seed);
    assert_false(restart_exhausted(&r, &c, i));
  }
  assert_int_equal(restart_in_window(&r, &c, 100), 4);
}

static enum restart_verdict judge_with(const struct restart_rule *rules, unsigned n, bool simple,
                                       enum end_reason reason, int code, int signal) {
  return restart_judge(&defaults, MODE_SINGLE, simple, rules, n, reason, code, signal);
}

static void rules_come_before_the_policy(void **state) {
  (void)state;
  const struct restart_rule rules[] = {
      {.has_exit = true, .exit = {1 << 2, 1}, .action = RULE_FAIL}, /* 2 and 64 */
      {.signals = UINT64_C(1) << (SIGUSR1 - 1), .action = RULE_STOP},
      {.reasons = 1 << END_OOM, .action = RULE_RESTART_ALL},
      {.reasons = 1 << END_EXIT, .has_exit = true, .exit = {1 << 9}, .action = RULE_STOP},
      {.has_exit = true, .exit = {1}, .action = RULE_RESTART},
  };
  assert_int_equal(judge_with(rules, 5, false, END_EXIT, 2, 0), VERDICT_FINAL);
  assert_int_equal(judge_with(rules, 5, false, END_EXIT, 64, 0), VERDICT_FINAL);
  assert_int_equal(judge_with(rules, 5, false, END_EXIT, 3, 0), VERDICT_RESTART);
  assert_int_equal(judge_with(rules, 5, false, END_SIGNAL, 128 + SIGUSR1, SIGUSR1), VERDICT_DONE);
  assert_int_equal(judge_with(rules, 5, false, END_SIGNAL, 128 + SIGUSR2, SIGUSR2), VERDICT_RESTART);
  assert_int_equal(judge_with(rules, 5, false, END_OOM, 137, SIGKILL), VERDICT_RESTART_ALL);
  assert_int_equal(judge_with(rules, 5, false, END_EXIT, 9, 0), VERDICT_DONE);
  assert_int_equal(judge_with(rules, 5, false, END_CLEAN, 0, 0), VERDICT_RESTART);
  /* simple: none restarts */
  assert_int_equal(judge_with(rules, 5, true, END_OOM, 137, SIGKILL), VERDICT_FINAL);
  assert_int_equal(judge_with(rules, 5, true, END_CLEAN, 0, 0), VERDICT_DONE);
  /* the first match wins */
  const struct restart_rule order[] = {{.action = RULE_STOP}, {.action = RULE_FAIL}};
  assert_int_equal(judge_with(order, 2, false, END_EXIT, 1, 0), VERDICT_DONE);
}

/* --- the whole machine: mode × policy × simple × every end --- */

/* What the contract says of an end, in the words of the test. */
static enum machine_state state_after(enum execution_mode mode, enum restart_policy policy, bool simple, bool good) {
  if (good && mode == MODE_DAEMON) return STATE_RUNNING;
  bool always = policy == RESTART_ALWAYS || policy == RESTART_UNLESS_STOPPED;
  if (good) return mode == MODE_SERVER && always && !simple ? STATE_RESTARTING : STATE_STOPPING;
  return policy == RESTART_NO || simple ? STATE_FAILED : STATE_RESTARTING;
}

static void one_end(enum execution_mode mode, enum restart_policy policy, bool simple, int status) {
  struct machine_how how = {.mode = mode, .interval_ns = S(300), .restart = defaults};
  const struct machine_process p = {.how = &how, .main = true, .instances = 1};
  how.restart.policy = policy;
  struct machine_config c = {.simple = simple, .shutdown_timeout_ns = S(25), .processes = 1, .process = &p};
  struct trace t;
  trace_begin(&t, &c);
  trace_to_spawn(&t);
  FEED(&t, IN_STARTED);
  FEED(&t, IN_EXITED, .status = status);
  int code = status & 0x7f ? 128 + (status & 0x7f) : status >> 8;
  enum machine_state want = state_after(mode, policy, simple, code == 0);
  assert_int_equal(trace_state(&t), want);
  if (want == STATE_STOPPING || want == STATE_FAILED) {
    FEED(&t, IN_SWEPT);
    char text[64];
    snprintf(text, sizeof text, "EXIT %d workload", code);
    assert_non_null(strstr(FEED(&t, IN_REPORTED), text));
  } else {
    /* an asked-for stop while it waits: the workload's own code, never hidden */
    FEED(&t, STOP_INPUT);
    FEED(&t, IN_SWEPT);
    char text[64];
    snprintf(text, sizeof text, "EXIT %d workload", code);
    assert_non_null(strstr(FEED(&t, IN_REPORTED), text));
  }
  trace_end(&t);
}

static void every_policy_with_every_end(void **state) {
  (void)state;
  for (int mode = MODE_DAEMON; mode <= MODE_SERVER; mode++) {
    for (int policy = RESTART_NO; policy <= RESTART_UNLESS_STOPPED; policy++) {
      for (int simple = 0; simple < 2; simple++) {
        for (int code = 0; code < 256; code++)
          one_end((enum execution_mode)mode, (enum restart_policy)policy, simple, EXIT_STATUS(code));
        for (int sig = 1; sig <= 64; sig++)
          one_end((enum execution_mode)mode, (enum restart_policy)policy, simple, sig);
      }
    }
  }
}

static void every_success_code_is_good(void **state) {
  (void)state;
  struct machine_how how = {.mode = MODE_SINGLE, .restart = defaults};
  const struct machine_process p = {.how = &how, .main = true, .instances = 1};
  struct machine_config c = {.shutdown_timeout_ns = S(25), .processes = 1, .process = &p};
  for (int code = 0; code < 256; code++) {
    memset(how.success, 0, sizeof how.success);
    how.success[code / 64] = UINT64_C(1) << (code % 64);
    for (int other = 0; other < 256; other++) {
      struct trace t;
      trace_begin(&t, &c);
      trace_to_spawn(&t);
      FEED(&t, IN_STARTED);
      FEED(&t, IN_EXITED, .status = EXIT_STATUS(other));
      assert_int_equal(trace_state(&t), other == code || other == 0 ? STATE_STOPPING : STATE_RESTARTING);
      trace_end(&t);
    }
  }
}

static void never_zero_on_failure(void **state) {
  (void)state;
  /* a server that ends well, under always, until the window is full */
  struct machine_how how = {.mode = MODE_SERVER, .restart = defaults};
  const struct machine_process p = {.how = &how, .main = true, .instances = 1};
  how.restart.policy = RESTART_ALWAYS;
  how.restart.max_attempts = 1;
  struct machine_config c = {.shutdown_timeout_ns = S(25), .processes = 1, .process = &p};
  struct trace t;
  trace_begin(&t, &c);
  trace_to_spawn(&t);
  FEED(&t, IN_STARTED);
  FEED(&t, IN_EXITED);
  trace_wait(&t, S(10));
  FEED(&t, IN_DEPENDENCIES, .ok = true);
  FEED(&t, IN_STARTED);
  FEED(&t, IN_EXITED);
  assert_int_equal(trace_state(&t), STATE_FAILED);
  FEED(&t, IN_SWEPT);
  assert_non_null(strstr(FEED(&t, IN_REPORTED), "EXIT 1 engine"));
  trace_end(&t);
}

/* --- the shutdown's arithmetic --- */

static void reserve(void **state) {
  (void)state;
  assert_int_equal(shutdown_reserve_ns(S(25), 1), S(5));
  assert_int_equal(shutdown_reserve_ns(S(100), 1), S(10));
  assert_int_equal(shutdown_reserve_ns(S(4), 1), S(1));
  assert_int_equal(shutdown_reserve_ns(S(1), 1), S(0.5));
  assert_int_equal(shutdown_reserve_ns(S(25), 0), S(1));
  assert_int_equal(shutdown_reserve_ns(0, 1), 0);
}

static void budget_is_in_order(void **state) {
  (void)state;
  for (int ms = 0; ms < 60000; ms += 37) {
    struct shutdown s = {.kill_at_ns = TIME_NEVER};
    shutdown_begin(&s, ms * NS_PER_MS, ms % 2, S(5));
    assert_true(s.begin_ns <= shutdown_hooks_until(&s) && shutdown_hooks_until(&s) <= s.kill_at_ns);
    assert_true(s.kill_at_ns <= s.end_at_ns);
    assert_true(shutdown_drain_until(&s, S(1000)) == s.kill_at_ns);
    int64_t at = shutdown_gone_by(&s); /* the worst case, step by step */
    at = shutdown_sweep_term_until(&s, at);
    at = shutdown_sweep_kill_until(&s, at);
    assert_true(s.end_at_ns < S(5) + S(2) || at <= shutdown_cleanup_until(&s));
    if (shutdown_cleanup_until(&s) > at) at = shutdown_cleanup_until(&s);
    assert_true(shutdown_report_until(&s, at) <= s.begin_ns + ms * NS_PER_MS + S(0.5));
  }
}

static void a_higher_level_shortens_only(void **state) {
  (void)state;
  struct shutdown s = {.kill_at_ns = TIME_NEVER};
  shutdown_begin(&s, S(25), 1, 0);
  assert_true(shutdown_hasten(&s, STOP_BEGIN, 0));
  assert_false(shutdown_hasten(&s, STOP_BEGIN, 0));
  assert_int_equal(s.kill_at_ns, S(20));
  assert_true(shutdown_hasten(&s, STOP_SOON, S(19)));
  assert_int_equal(s.kill_at_ns, S(20)); /* 21 would be later */
  assert_int_equal(s.end_at_ns, S(25));
  assert_true(shutdown_hasten(&s, STOP_NOW, S(19.5)));
  assert_int_equal(s.kill_at_ns, S(19.5));
  assert_int_equal(s.end_at_ns, S(24.5));
  assert_false(shutdown_hasten(&s, STOP_SOON, S(20)));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(delays_of_the_defaults),
      cmocka_unit_test(delays_of_other_settings),
      cmocka_unit_test(jitter_is_added_on_top),
      cmocka_unit_test(window_forgets_one_by_one),
      cmocka_unit_test(without_limit_nothing_is_exhausted),
      cmocka_unit_test(rules_come_before_the_policy),
      cmocka_unit_test(every_policy_with_every_end),
      cmocka_unit_test(every_success_code_is_good),
      cmocka_unit_test(never_zero_on_failure),
      cmocka_unit_test(reserve),
      cmocka_unit_test(budget_is_in_order),
      cmocka_unit_test(a_higher_level_shortens_only),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
