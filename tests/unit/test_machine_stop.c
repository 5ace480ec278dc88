/* The machine in scenarios: stops of every kind, and what an operator asks for. */
#include "machine_fixture.h"

/* Feeds a stop to a running main that ends with `status`; returns the code of tend. */
static int stop_and_end(struct trace *t, int status) {
  FEED(t, STOP_INPUT);
  FEED(t, IN_EXITED, .status = status);
  FEED(t, IN_SWEPT);
  const char *exit = strstr(FEED(t, IN_REPORTED), "EXIT ");
  assert_non_null(exit);
  return (int)strtol(exit + 5, NULL, 10);
}

static void codes_after_a_stop(void **state) {
  (void)state;
  static const struct {
    enum execution_mode mode;
    int status, code;
  } cases[] = {
      {MODE_SINGLE, SIGTERM, 143},
      {MODE_DAEMON, SIGTERM, 0},
      {MODE_SERVER, SIGTERM, 0},
      {MODE_SINGLE, 0, 0},
      {MODE_DAEMON, 0, 0},
      {MODE_SERVER, 0, 0},
      {MODE_SINGLE, EXIT_STATUS(7), 7},
      {MODE_DAEMON, EXIT_STATUS(7), 7},
      {MODE_SERVER, EXIT_STATUS(143), 143},
      {MODE_SINGLE, SIGSEGV, 128 + SIGSEGV},
      {MODE_DAEMON, SIGSEGV, 128 + SIGSEGV},
      {MODE_DAEMON, SIGKILL, 137},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    main_how.mode = cases[i].mode;
    struct trace t;
    trace_begin(&t, &config);
    trace_to_spawn(&t);
    FEED(&t, IN_STARTED);
    assert_int_equal(stop_and_end(&t, cases[i].status), cases[i].code);
    trace_end(&t);
  }
}

static void stop_before_anything_started(void **state) {
  (void)state;
  for (int mode = MODE_DAEMON; mode <= MODE_SERVER; mode++) {
    main_how.mode = (enum execution_mode)mode;
    int code = mode == MODE_SINGLE ? 143 : 0;
    char text[128];
    snprintf(text, sizeof text, "->STOPPED(stopped) shutdown_completed[graceful %d] EXIT %d engine", code, code);
    struct trace t;
    trace_begin(&t, &config);
    FEED(&t, IN_BEGIN);
    EXPECT(&t, "shutdown_initiated ->STOPPING(signal) CANCEL_DEPENDENCIES REPORT", STOP_INPUT);
    EXPECT(&t, text, IN_REPORTED);
    trace_end(&t);
  }
}

static void ignored_stop_signal_is_killed_in_time(void **state) {
  (void)state;
  config.cleanups = 1;
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  FEED(&t, IN_STARTED);
  EXPECT(&t, "shutdown_initiated ->STOPPING(signal) KILL 0 15c", STOP_INPUT);
  EXPECT_WAIT(&t, S(20) - 1, "");
  EXPECT_WAIT(&t, 1, "KILL 0 9 KILL 0 9g");
  EXPECT(&t, "process_exited[0 stopped 137] KILL 0 15gc SWEEP 15", IN_EXITED, .status = SIGKILL);
  EXPECT(&t, "CLEANUP", IN_SWEPT);
  EXPECT(&t, "REPORT", IN_CLEANED);
  EXPECT(&t, "->STOPPED(stopped) shutdown_completed[forced 137] EXIT 137 workload", IN_REPORTED);
  trace_end(&t);
}

static void nobody_answers_and_tend_still_ends(void **state) {
  (void)state;
  config.cleanups = config.hooks = 1;
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  FEED(&t, IN_STARTED);
  EXPECT(&t, "shutdown_initiated ->STOPPING(signal) HOOKS", STOP_INPUT);
  EXPECT_WAIT(&t, S(25.5),
              "CANCEL_HOOKS KILL 0 15c KILL 0 9 KILL 0 9g SWEEP 15 SWEEP 9 CLEANUP CANCEL_CLEANUP REPORT "
              "->STOPPED(stopped) shutdown_completed[forced 137] EXIT 137 workload");
  trace_end(&t);
}

static void drain_and_hooks_come_first(void **state) {
  (void)state;
  config.hooks = 1;
  config.drain_ns = S(3);
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  FEED(&t, IN_STARTED);
  EXPECT(&t, "shutdown_initiated ->STOPPING(signal) HOOKS", STOP_INPUT);
  EXPECT(&t, "", IN_HOOKS_DONE);
  EXPECT_WAIT(&t, S(3) - 1, "");
  EXPECT_WAIT(&t, 1, "KILL 0 15c");
  trace_end(&t);
}

static void later_stops_are_faster(void **state) {
  (void)state;
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  FEED(&t, IN_STARTED);
  FEED(&t, STOP_INPUT);
  t.now += S(5);
  EXPECT(&t, "", IN_STOP, .level = STOP_SOON);
  EXPECT_WAIT(&t, S(2) - 1, "");
  EXPECT_WAIT(&t, 1, "KILL 0 9 KILL 0 9g");
  trace_end(&t);

  trace_begin(&t, &config);
  trace_to_spawn(&t);
  FEED(&t, IN_STARTED);
  EXPECT(&t, "shutdown_initiated ->STOPPING(signal) KILL 0 9 KILL 0 9g", IN_STOP, .level = STOP_NOW,
         .cause = CAUSE_SIGNAL);
  EXPECT(&t, "process_exited[0 stopped 137] KILL 0 15gc SWEEP 9", IN_EXITED, .status = SIGKILL);
  trace_end(&t);
}

static void begun_sends_no_second_signal(void **state) {
  (void)state;
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  FEED(&t, IN_STARTED);
  EXPECT(&t, "shutdown_initiated ->STOPPING(signal)", STOP_INPUT, .begun = true);
  EXPECT(&t, "process_exited[0 stopped 143] KILL 0 15gc SWEEP 15", IN_EXITED, .status = SIGTERM);
  trace_end(&t);
}

static void spawning_is_stopped_once_it_runs(void **state) {
  (void)state;
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  EXPECT(&t, "shutdown_initiated ->STOPPING(signal)", STOP_INPUT, .begun = true);
  EXPECT(&t, "process_started[0] KILL 0 15c", IN_STARTED);
  trace_end(&t);
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  FEED(&t, STOP_INPUT);
  EXPECT(&t, "REPORT", IN_SPAWN_FAILED, .stage = SPAWN_FORK, .error = 11);
  trace_end(&t);
}

static void ladder_then_kill(void **state) {
  (void)state;
  static const struct stop_step ladder[] = {{SIGINT, S(2)}, {SIGTERM, S(3)}};
  main_how.stop = ladder;
  main_how.n_stop = 2;
  main_how.stop_group = true;
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  FEED(&t, IN_STARTED);
  EXPECT(&t, "shutdown_initiated ->STOPPING(signal) KILL 0 2gc", STOP_INPUT);
  EXPECT_WAIT(&t, S(2), "KILL 0 15gc");
  EXPECT_WAIT(&t, S(3), "KILL 0 9 KILL 0 9g");
  trace_end(&t);
}

static void operator_stops_and_starts(void **state) {
  (void)state;
  main_how.mode = MODE_SERVER;
  main_how.restart.policy = RESTART_UNLESS_STOPPED;
  config.cleanups = 1;
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  FEED(&t, IN_STARTED);
  EXPECT(&t, "REMEMBER_STOP 1 ->STOPPING(operator) KILL 0 15c", IN_OPERATOR_STOP, .process = MACHINE_ALL);
  EXPECT(&t, "process_exited[0 stopped 143] KILL 0 15gc ->STOPPED(stopped)", IN_EXITED, .status = SIGTERM);
  EXPECT(&t, "REMEMBER_STOP 0 ->STARTING(operator) startup_initiated CHECK_DEPENDENCIES 1", IN_OPERATOR_START,
         .process = MACHINE_ALL);
  FEED(&t, IN_DEPENDENCIES, .ok = true);
  FEED(&t, IN_STARTED);
  EXPECT(&t, "restart_initiated ->RESTARTING(operator) KILL 0 15c", IN_OPERATOR_RESTART, .process = MACHINE_ALL);
  EXPECT(&t, "process_exited[0 stopped 0] KILL 0 15gc ->STARTING(operator) startup_initiated CHECK_DEPENDENCIES 1",
         IN_EXITED);
  trace_end(&t);

  trace_begin(&t, &config);
  EXPECT(&t, "->STOPPED(mark)", IN_BEGIN, .stopped_mark = true);
  EXPECT(&t, "REMEMBER_STOP 0 ->STARTING(operator) startup_initiated VALIDATE", IN_OPERATOR_START,
         .process = MACHINE_ALL);
  trace_end(&t);
  main_how.restart.policy = RESTART_ALWAYS;
  trace_begin(&t, &config);
  EXPECT(&t, "->STARTING(begin) startup_initiated VALIDATE", IN_BEGIN, .stopped_mark = true);
  trace_end(&t);
}

static void hold_waits_for_a_stop(void **state) {
  (void)state;
  main_how.restart.policy = RESTART_NO;
  config.on_failure = ON_FAILURE_HOLD;
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  FEED(&t, IN_STARTED);
  EXPECT(&t, "process_exited[0 exit 9] KILL 0 15gc failure_detected[0 exit final] ->FAILED(process)", IN_EXITED,
         .status = EXIT_STATUS(9));
  EXPECT_WAIT(&t, S(1000), "KILL 0 9g");
  struct machine_view v;
  machine_view(t.m, &v);
  assert_true(v.held);
  EXPECT(&t, "shutdown_initiated ->STOPPING(signal) SWEEP 15", STOP_INPUT);
  FEED(&t, IN_SWEPT);
  EXPECT(&t, "->STOPPED(stopped) shutdown_completed[graceful 9] EXIT 9 workload", IN_REPORTED);
  trace_end(&t);
}

static void a_held_failure_can_be_stopped(void **state) {
  (void)state;
  main_how.restart.policy = RESTART_NO;
  config.on_failure = ON_FAILURE_HOLD;
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  FEED(&t, IN_STARTED);
  FEED(&t, IN_EXITED, .status = EXIT_STATUS(9));
  EXPECT(&t, "->STOPPING(operator) ->STOPPED(stopped)", IN_OPERATOR_STOP, .process = MACHINE_ALL);
  EXPECT(&t, "shutdown_initiated ->STOPPING(signal) SWEEP 15", STOP_INPUT);
  FEED(&t, IN_SWEPT);
  EXPECT(&t, "->STOPPED(stopped) shutdown_completed[graceful 9] EXIT 9 workload", IN_REPORTED);
  trace_end(&t);
}

static void a_crash_during_the_stop_is_no_failure(void **state) {
  (void)state;
  make_several();
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  for (unsigned i = 0; i < 5; i++) FEED(&t, IN_STARTED, .slot = i);
  FEED(&t, STOP_INPUT);
  EXPECT(&t, "process_exited[0 exit 1] KILL 0 15gc", IN_EXITED, .slot = 0, .status = EXIT_STATUS(1));
  assert_int_equal(trace_state(&t), STATE_STOPPING);
  trace_end(&t);
}

static void one_process_is_stopped_and_started(void **state) {
  (void)state;
  make_several();
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  for (unsigned i = 0; i < 5; i++) FEED(&t, IN_STARTED, .slot = i);
  EXPECT(&t, "KILL 4 15c", IN_OPERATOR_STOP, .process = 3);
  EXPECT(&t, "process_exited[4 stopped 143] KILL 4 15gc", IN_EXITED, .slot = 4, .status = SIGTERM);
  EXPECT_WAIT(&t, S(1000), "KILL 4 9g");
  EXPECT(&t, "SPAWN 4", IN_OPERATOR_START, .process = 3);
  FEED(&t, IN_STARTED, .slot = 4);
  EXPECT(&t, "restart_initiated[4 0s #0 w0] KILL 4 15c", IN_OPERATOR_RESTART, .process = 3);
  EXPECT(&t, "process_exited[4 stopped 143] KILL 4 15gc KILL 4 9g SPAWN 4", IN_EXITED, .slot = 4, .status = SIGTERM);
  assert_int_equal(trace_state(&t), STATE_RUNNING);
  trace_end(&t);
}

static void what_must_be_swept_with_force_is_not_graceful(void **state) {
  (void)state;
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  FEED(&t, IN_STARTED);
  FEED(&t, STOP_INPUT);
  FEED(&t, IN_EXITED, .status = SIGTERM);
  for (int i = 0; i < 100; i++) {
    EXPECT(&t, "", IN_SWEPT, .left = 1);
    const char *want = i == 49 ? "SWEEP 15" : i < 99 ? "SWEEP 0" : "SWEEP 9"; /* half-way TERM once more */
    assert_non_null(strstr(trace_wait(&t, NS_PER_MS * 20), want));
  }
  EXPECT(&t, "REPORT", IN_SWEPT);
  EXPECT(&t, "->STOPPED(stopped) shutdown_completed[forced 143] EXIT 143 workload", IN_REPORTED);
  trace_end(&t);
}

/* Fails main until n restarts in a row. */
static void fail_times(struct trace *t, unsigned n) {
  for (unsigned i = 0; i < n; i++) {
    if (i) {
      trace_wait(t, S(300));
      FEED(t, IN_DEPENDENCIES, .ok = true);
    }
    FEED(t, IN_STARTED);
    FEED(t, IN_EXITED, .status = EXIT_STATUS(1));
  }
}

static void manual_starts_make_delays_short_again(void **state) {
  (void)state;
  static const struct {
    enum machine_input_kind kind;
    uint32_t process;
    const char *want;
  } manual[] = {
#define BEGINS "->STARTING(operator) startup_initiated CHECK_DEPENDENCIES 1"
      {IN_OPERATOR_START, MACHINE_ALL, BEGINS},
      {IN_OPERATOR_START, 0, BEGINS},
      {IN_OPERATOR_RESTART, MACHINE_ALL, "restart_initiated " BEGINS},
      {IN_OPERATOR_RESTART, 0, "restart_initiated[0 0s #0 w0] " BEGINS},
#undef BEGINS
  };
  for (size_t i = 0; i < sizeof manual / sizeof manual[0]; i++) {
    struct trace t;
    trace_begin(&t, &config);
    trace_to_spawn(&t);
    fail_times(&t, 3);
    EXPECT(&t, manual[i].want, manual[i].kind, .process = manual[i].process);
    FEED(&t, IN_DEPENDENCIES, .ok = true);
    FEED(&t, IN_STARTED);
    assert_non_null(strstr(FEED(&t, IN_EXITED, .status = EXIT_STATUS(1)), "10s #1 w4"));
    trace_end(&t);
  }
  /* out of a held failure; the window still holds what it held */
  config.on_failure = ON_FAILURE_HOLD;
  main_how.restart.max_attempts = 2;
  main_how.restart.window_ns = S(700);
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  fail_times(&t, 3);
  assert_int_equal(trace_state(&t), STATE_FAILED);
  t.now += S(301);
  FEED(&t, IN_OPERATOR_START, .process = MACHINE_ALL);
  FEED(&t, IN_DEPENDENCIES, .ok = true);
  FEED(&t, IN_STARTED);
  assert_non_null(strstr(FEED(&t, IN_EXITED, .status = EXIT_STATUS(1)), "10s #1 w2"));
  trace_end(&t);
}

static void one_that_was_stopped_stays_down(void **state) {
  (void)state;
  make_several();
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  for (unsigned i = 0; i < 5; i++) FEED(&t, IN_STARTED, .slot = i);
  FEED(&t, IN_OPERATOR_STOP, .process = 3);
  FEED(&t, IN_EXITED, .slot = 4, .status = SIGTERM);
  FEED(&t, IN_EXITED, .slot = 3, .status = EXIT_STATUS(1));
  trace_wait(&t, S(10));
  EXPECT(&t, "dependencies_ready SPAWN 3", IN_DEPENDENCIES, .ok = true);
  trace_end(&t);
}

static void nothing_starts_while_all_is_being_stopped(void **state) {
  (void)state;
  make_several();
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  for (unsigned i = 0; i < 5; i++) FEED(&t, IN_STARTED, .slot = i);
  EXPECT(&t, "restart_initiated[0 0s #0 w0] KILL 0 15c", IN_OPERATOR_RESTART, .process = 0);
  EXPECT(&t, "restart_initiated ->RESTARTING(operator) KILL 3 15c KILL 4 15c", IN_OPERATOR_RESTART,
         .process = MACHINE_ALL);
  EXPECT(&t, "", IN_OPERATOR_RESTART, .process = 1);
  EXPECT(&t, "", IN_OPERATOR_START, .process = 1);
  EXPECT(&t, "", IN_OPERATOR_STOP, .process = 1);
  EXPECT(&t, "process_exited[0 stopped 143] KILL 0 15gc", IN_EXITED, .slot = 0, .status = SIGTERM);
  for (unsigned i = 4; i > 1; i--) FEED(&t, IN_EXITED, .slot = i, .status = SIGTERM);
  EXPECT(&t, "process_exited[1 stopped 143] KILL 1 15gc ->STARTING(operator) startup_initiated CHECK_DEPENDENCIES 1",
         IN_EXITED, .slot = 1, .status = SIGTERM);
  EXPECT(&t, "dependencies_ready KILL 0 9g SPAWN 0 KILL 4 9g SPAWN 4", IN_DEPENDENCIES, .ok = true);
  trace_end(&t);
}

static void a_code_of_its_own_after_a_kill(void **state) {
  (void)state;
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  FEED(&t, IN_STARTED);
  FEED(&t, IN_STOP, .level = STOP_NOW, .cause = CAUSE_SIGNAL);
  FEED(&t, IN_EXITED, .status = EXIT_STATUS(4)); /* it was on its way out already */
  FEED(&t, IN_SWEPT);
  EXPECT(&t, "->STOPPED(stopped) shutdown_completed[forced 4] EXIT 4 workload", IN_REPORTED);
  trace_end(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SCENARIO(codes_after_a_stop),
      SCENARIO(stop_before_anything_started),
      SCENARIO(ignored_stop_signal_is_killed_in_time),
      SCENARIO(nobody_answers_and_tend_still_ends),
      SCENARIO(drain_and_hooks_come_first),
      SCENARIO(later_stops_are_faster),
      SCENARIO(begun_sends_no_second_signal),
      SCENARIO(spawning_is_stopped_once_it_runs),
      SCENARIO(ladder_then_kill),
      SCENARIO(operator_stops_and_starts),
      SCENARIO(hold_waits_for_a_stop),
      SCENARIO(a_held_failure_can_be_stopped),
      SCENARIO(a_crash_during_the_stop_is_no_failure),
      SCENARIO(one_process_is_stopped_and_started),
      SCENARIO(what_must_be_swept_with_force_is_not_graceful),
      SCENARIO(manual_starts_make_delays_short_again),
      SCENARIO(one_that_was_stopped_stays_down),
      SCENARIO(nothing_starts_while_all_is_being_stopped),
      SCENARIO(a_code_of_its_own_after_a_kill),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
