/* The machine in scenarios of one process: starts, ends, restarts. */
#include "machine_fixture.h"

static void single_success(void **state) {
  (void)state;
  struct trace t;
  trace_begin(&t, &config);
  EXPECT(&t, "->STARTING(begin) startup_initiated VALIDATE", IN_BEGIN);
  EXPECT(&t, "CHECK_DEPENDENCIES 0", IN_VALIDATED, .ok = true);
  EXPECT(&t, "dependencies_ready SPAWN 0", IN_DEPENDENCIES, .ok = true);
  EXPECT(&t, "process_started[0] ->RUNNING(started) startup_completed", IN_STARTED);
  EXPECT(&t, "process_exited[0 clean 0] KILL 0 15gc shutdown_initiated ->STOPPING(completed) SWEEP 15", IN_EXITED);
  EXPECT(&t, "REPORT", IN_SWEPT);
  EXPECT(&t, "->STOPPED(stopped) shutdown_completed[graceful 0] EXIT 0 workload", IN_REPORTED);
  trace_end(&t);
}

static void single_restarts_by_the_formula(void **state) {
  (void)state;
  static const int delays[] = {10, 20, 40, 80, 160};
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  for (unsigned i = 0; i < 5; i++) {
    FEED(&t, IN_STARTED);
    char text[256];
    snprintf(text, sizeof text,
             "process_exited[0 exit 3] KILL 0 15gc failure_detected[0 exit] restart_initiated[0 exit %ds #%u w%u] "
             "->RESTARTING(process)",
             delays[i], i + 1, i + 1);
    EXPECT(&t, text, IN_EXITED, .status = EXIT_STATUS(3));
    trace_wait(&t, S(delays[i]) - 1);
    assert_int_equal(trace_state(&t), STATE_RESTARTING);
    EXPECT_WAIT(&t, 1, "->STARTING(retry) startup_initiated CHECK_DEPENDENCIES 1");
    EXPECT(&t, "dependencies_ready SPAWN 0", IN_DEPENDENCIES, .ok = true);
  }
  EXPECT(&t, "process_started[0] recovery_completed[0] ->RUNNING(started) startup_completed", IN_STARTED);
  EXPECT(&t,
         "process_exited[0 exit 3] KILL 0 15gc failure_detected[0 exit final] shutdown_initiated ->FAILED(process) "
         "SWEEP 15",
         IN_EXITED, .status = EXIT_STATUS(3));
  EXPECT(&t, "REPORT", IN_SWEPT);
  EXPECT(&t, "shutdown_completed[graceful 3] EXIT 3 workload", IN_REPORTED);
  trace_end(&t);
}

static void without_limit_delays_reach_the_maximum(void **state) {
  (void)state;
  static const int delays[] = {10, 20, 40, 80, 160, 300, 300};
  main_how.restart.max_attempts = 0;
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  for (unsigned i = 0; i < 7; i++) {
    FEED(&t, IN_STARTED);
    char want[64];
    snprintf(want, sizeof want, " %ds #%u ", delays[i], i + 1);
    assert_non_null(strstr(FEED(&t, IN_EXITED, .status = SIGSEGV), want));
    trace_wait(&t, S(delays[i]));
    EXPECT(&t, "dependencies_ready SPAWN 0", IN_DEPENDENCIES, .ok = true);
  }
  trace_end(&t);
}

static void daemon_waits_between_runs(void **state) {
  (void)state;
  main_how.mode = MODE_DAEMON;
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  FEED(&t, IN_STARTED);
  EXPECT(&t, "process_exited[0 clean 0] KILL 0 15gc", IN_EXITED);
  EXPECT_WAIT(&t, S(299), "KILL 0 9g");
  EXPECT_WAIT(&t, S(1), "SPAWN 0");
  EXPECT(&t, "process_started[0]", IN_STARTED);
  struct machine_view v;
  machine_view(t.m, &v);
  assert_int_equal(v.passes, 1);
  assert_int_equal(v.restarts, 0);
  /* stopped while it waits: nothing failed */
  FEED(&t, IN_EXITED);
  EXPECT(&t, "shutdown_initiated ->STOPPING(signal) SWEEP 15", STOP_INPUT);
  FEED(&t, IN_SWEPT);
  EXPECT(&t, "->STOPPED(stopped) shutdown_completed[graceful 0] EXIT 0 workload", IN_REPORTED);
  trace_end(&t);
}

static void next_run_kills_the_rest_of_the_last(void **state) {
  (void)state;
  main_how.mode = MODE_DAEMON;
  main_how.interval_ns = S(1);
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  FEED(&t, IN_STARTED);
  FEED(&t, IN_EXITED);
  EXPECT_WAIT(&t, S(1), "KILL 0 9g SPAWN 0");
  trace_end(&t);
}

static void exec_errors_are_final(void **state) {
  (void)state;
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  EXPECT(&t, "failure_detected[0 exec_error final] shutdown_initiated ->FAILED(process) REPORT", IN_SPAWN_FAILED,
         .stage = SPAWN_EXEC, .error = 2);
  EXPECT(&t, "shutdown_completed[graceful 127] EXIT 127 engine", IN_REPORTED);
  trace_end(&t);
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  FEED(&t, IN_SPAWN_FAILED, .stage = SPAWN_EXEC, .error = 13);
  EXPECT(&t, "shutdown_completed[graceful 126] EXIT 126 engine", IN_REPORTED);
  trace_end(&t);
}

static void failed_forks_are_tried_again(void **state) {
  (void)state;
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  for (int i = 0; i < 20; i++) {
    EXPECT(&t, "failure_detected[0 system]", IN_SPAWN_FAILED, .stage = SPAWN_FORK, .error = 11);
    EXPECT_WAIT(&t, (i < 5 ? S(10 << i) : S(300)) - 1, "");
    EXPECT_WAIT(&t, 1, "SPAWN 0");
  }
  struct instance_view v;
  machine_instance(t.m, 0, t.now, &v);
  assert_int_equal(v.in_window, 0);
  EXPECT(&t, "process_started[0] recovery_completed[0] ->RUNNING(started) startup_completed", IN_STARTED);
  trace_end(&t);
}

static void failed_starts(void **state) {
  (void)state;
  struct trace t;
  trace_begin(&t, &config);
  FEED(&t, IN_BEGIN);
  EXPECT(&t, "failure_detected[ validation final] shutdown_initiated ->FAILED(validation) REPORT", IN_VALIDATED,
         .exit_code = 78);
  EXPECT(&t, "shutdown_completed[graceful 78] EXIT 78 engine", IN_REPORTED);
  trace_end(&t);

  main_how.restart.max_attempts = 2;
  config.cleanups = 1;
  trace_begin(&t, &config);
  FEED(&t, IN_BEGIN);
  EXPECT(&t,
         "failure_detected[ validation] ->FAILED(validation) restart_initiated[ validation 10s #1 w1] "
         "->RESTARTING(validation)",
         IN_VALIDATED, .can_pass = true, .exit_code = 75);
  EXPECT_WAIT(&t, S(10), "->STARTING(retry) startup_initiated VALIDATE");
  FEED(&t, IN_VALIDATED, .ok = true);
  EXPECT(&t,
         "failure_detected[ dependency] ->FAILED(dependency) restart_initiated[ dependency 20s #2 w2] "
         "->RESTARTING(dependency)",
         IN_DEPENDENCIES);
  /* the dependency is back: within a second, and n starts anew */
  EXPECT(&t, "", IN_DEPENDENCY_BACK);
  EXPECT_WAIT(&t, S(1), "->STARTING(retry) startup_initiated CHECK_DEPENDENCIES 1");
  EXPECT(&t, "failure_detected[ dependency final] shutdown_initiated ->FAILED(dependency) CLEANUP", IN_DEPENDENCIES);
  FEED(&t, IN_CLEANED);
  EXPECT(&t, "shutdown_completed[graceful 69] EXIT 69 engine", IN_REPORTED);
  trace_end(&t);
}

static void start_check_gates_running(void **state) {
  (void)state;
  main_process.has_startup_check = true;
  main_how.start_timeout_ns = S(30);
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  EXPECT(&t, "process_started[0] START_CHECK 0", IN_STARTED);
  EXPECT(&t, "->RUNNING(started) startup_completed", IN_STARTUP_CHECK, .ok = true);
  trace_end(&t);
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  FEED(&t, IN_STARTED);
  EXPECT_WAIT(&t, S(30), "CANCEL_CHECK 0 KILL 0 15c");
  EXPECT(&t,
         "process_exited[0 start_timeout 143] KILL 0 15gc failure_detected[0 start_timeout] "
         "restart_initiated[0 start_timeout 10s #1 w1] ->RESTARTING(process)",
         IN_EXITED, .status = SIGTERM);
  trace_end(&t);
}

static void good_health_makes_delays_short_again(void **state) {
  (void)state;
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  for (int i = 0; i < 2; i++) {
    FEED(&t, IN_STARTED);
    FEED(&t, IN_EXITED, .status = EXIT_STATUS(1));
    trace_wait(&t, S(20));
    FEED(&t, IN_DEPENDENCIES, .ok = true);
  }
  FEED(&t, IN_STARTED);
  t.now += S(299);
  assert_non_null(strstr(FEED(&t, IN_EXITED, .status = EXIT_STATUS(1)), "40s #3 w3"));
  trace_wait(&t, S(40));
  FEED(&t, IN_DEPENDENCIES, .ok = true);
  FEED(&t, IN_STARTED);
  t.now += S(300);
  assert_non_null(strstr(FEED(&t, IN_EXITED, .status = EXIT_STATUS(1)), "10s #1 w4"));
  trace_end(&t);
}

static void failed_check_restarts(void **state) {
  (void)state;
  main_how.mode = MODE_SERVER;
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  FEED(&t, IN_STARTED);
  EXPECT(&t, "KILL 0 15c", IN_CHECK_FAILED);
  EXPECT(&t,
         "process_exited[0 check 0] KILL 0 15gc failure_detected[0 check] restart_initiated[0 check 10s #1 w1] "
         "->RESTARTING(process)",
         IN_EXITED);
  trace_end(&t);
}

static void impossible_configs_are_refused(void **state) {
  (void)state;
  main_process.main = false;
  assert_null(machine_new(&config, 1));
  main_process.main = true;
  main_process.instances = 0;
  assert_null(machine_new(&config, 1));
  main_process.instances = 1;
  static const uint16_t itself[] = {0}, nobody[] = {1};
  main_process.n_after = 1;
  main_process.after = itself;
  assert_null(machine_new(&config, 1));
  main_process.after = nobody;
  assert_null(machine_new(&config, 1));
}

static void memory_is_a_reason_of_its_own(void **state) {
  (void)state;
  static const struct restart_rule rule = {.reasons = 1 << END_OOM, .action = RULE_FAIL};
  main_how.rules = &rule;
  main_how.n_rules = 1;
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  FEED(&t, IN_STARTED);
  FEED(&t, IN_EXITED, .status = SIGKILL);
  assert_int_equal(trace_state(&t), STATE_RESTARTING);
  trace_wait(&t, S(10));
  FEED(&t, IN_DEPENDENCIES, .ok = true);
  FEED(&t, IN_STARTED);
  EXPECT(&t,
         "process_exited[0 oom 137] KILL 0 15gc failure_detected[0 oom final] shutdown_initiated ->FAILED(process) "
         "SWEEP 15",
         IN_EXITED, .status = SIGKILL, .oom = true);
  trace_end(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SCENARIO(single_success),
      SCENARIO(single_restarts_by_the_formula),
      SCENARIO(without_limit_delays_reach_the_maximum),
      SCENARIO(daemon_waits_between_runs),
      SCENARIO(next_run_kills_the_rest_of_the_last),
      SCENARIO(exec_errors_are_final),
      SCENARIO(failed_forks_are_tried_again),
      SCENARIO(failed_starts),
      SCENARIO(start_check_gates_running),
      SCENARIO(good_health_makes_delays_short_again),
      SCENARIO(failed_check_restarts),
      SCENARIO(impossible_configs_are_refused),
      SCENARIO(memory_is_a_reason_of_its_own),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
