/* The machine in scenarios: what it does in the order of the contract. */
#include "machine_trace.h"

static struct machine_process main_process;
static struct machine_config config;

static int reset(void **state) {
  (void)state;
  main_process = (struct machine_process){.name = "main",
                                          .main = true,
                                          .instances = 1,
                                          .mode = MODE_SINGLE,
                                          .interval_ns = S(300),
                                          .restart = RESTART_DEFAULTS};
  config = (struct machine_config){.shutdown_timeout_ns = S(25), .processes = 1, .process = &main_process};
  return 0;
}

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
  main_process.restart.max_attempts = 0;
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
  main_process.mode = MODE_DAEMON;
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
  main_process.mode = MODE_DAEMON;
  main_process.interval_ns = S(1);
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  FEED(&t, IN_STARTED);
  FEED(&t, IN_EXITED);
  EXPECT_WAIT(&t, S(1), "KILL 0 9g SPAWN 0");
  trace_end(&t);
}

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
    main_process.mode = cases[i].mode;
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
    main_process.mode = (enum execution_mode)mode;
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
  main_process.stop = ladder;
  main_process.n_stop = 2;
  main_process.stop_group = true;
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  FEED(&t, IN_STARTED);
  EXPECT(&t, "shutdown_initiated ->STOPPING(signal) KILL 0 2gc", STOP_INPUT);
  EXPECT_WAIT(&t, S(2), "KILL 0 15gc");
  EXPECT_WAIT(&t, S(3), "KILL 0 9 KILL 0 9g");
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
    EXPECT_WAIT(&t, i < 5 ? S(10 << i) : S(300), "SPAWN 0");
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

  main_process.restart.max_attempts = 2;
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

static void operator_stops_and_starts(void **state) {
  (void)state;
  main_process.mode = MODE_SERVER;
  main_process.restart.policy = RESTART_UNLESS_STOPPED;
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
  EXPECT(&t, "->RESTARTING(operator) KILL 0 15c", IN_OPERATOR_RESTART, .process = MACHINE_ALL);
  EXPECT(&t, "process_exited[0 stopped 0] KILL 0 15gc ->STARTING(operator) startup_initiated CHECK_DEPENDENCIES 1",
         IN_EXITED);
  trace_end(&t);

  trace_begin(&t, &config);
  EXPECT(&t, "->STOPPED(mark)", IN_BEGIN, .stopped_mark = true);
  EXPECT(&t, "REMEMBER_STOP 0 ->STARTING(operator) startup_initiated VALIDATE", IN_OPERATOR_START,
         .process = MACHINE_ALL);
  trace_end(&t);
  main_process.restart.policy = RESTART_ALWAYS;
  trace_begin(&t, &config);
  EXPECT(&t, "->STARTING(begin) startup_initiated VALIDATE", IN_BEGIN, .stopped_mark = true);
  trace_end(&t);
}

static void hold_waits_for_a_stop(void **state) {
  (void)state;
  main_process.restart.policy = RESTART_NO;
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

static void start_check_gates_running(void **state) {
  (void)state;
  main_process.has_startup_check = true;
  main_process.start_timeout_ns = S(30);
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
  main_process.mode = MODE_SERVER;
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

/* database <- worker x2 <- main; metrics stands alone */
static struct machine_process several[4];
static const uint16_t after_database[] = {0}, after_worker[] = {1};

static void make_several(void) {
  for (int i = 0; i < 4; i++) {
    several[i] = main_process;
    several[i].main = i == 2;
    several[i].mode = MODE_SERVER;
  }
  several[1].instances = 2;
  several[1].after = after_database;
  several[2].after = after_worker;
  several[1].n_after = several[2].n_after = 1;
  config.processes = 4;
  config.process = several;
}

static void several_start_in_order_and_stop_in_reverse(void **state) {
  (void)state;
  make_several();
  struct trace t;
  trace_begin(&t, &config);
  FEED(&t, IN_BEGIN);
  FEED(&t, IN_VALIDATED, .ok = true);
  EXPECT(&t, "dependencies_ready SPAWN 0 SPAWN 4", IN_DEPENDENCIES, .ok = true);
  EXPECT(&t, "process_started[4]", IN_STARTED, .slot = 4);
  EXPECT(&t, "process_started[0] SPAWN 1 SPAWN 2", IN_STARTED, .slot = 0);
  EXPECT(&t, "process_started[1]", IN_STARTED, .slot = 1);
  EXPECT(&t, "process_started[2] SPAWN 3", IN_STARTED, .slot = 2);
  EXPECT(&t, "process_started[3] ->RUNNING(started) startup_completed", IN_STARTED, .slot = 3);
  EXPECT(&t, "shutdown_initiated ->STOPPING(signal) KILL 3 15c KILL 4 15c", STOP_INPUT);
  EXPECT(&t, "process_exited[3 stopped 143] KILL 3 15gc", IN_EXITED, .slot = 3, .status = SIGTERM);
  EXPECT(&t, "process_exited[4 stopped 143] KILL 4 15gc KILL 1 15c KILL 2 15c", IN_EXITED, .slot = 4,
         .status = SIGTERM);
  FEED(&t, IN_EXITED, .slot = 1, .status = SIGTERM);
  EXPECT(&t, "process_exited[2 stopped 143] KILL 2 15gc KILL 0 15c", IN_EXITED, .slot = 2, .status = SIGTERM);
  EXPECT(&t, "process_exited[0 stopped 0] KILL 0 15gc SWEEP 15", IN_EXITED, .slot = 0);
  FEED(&t, IN_SWEPT);
  assert_non_null(strstr(FEED(&t, IN_REPORTED), "EXIT 0 workload"));
  trace_end(&t);
}

static void failure_of_another_degrades_or_ends(void **state) {
  (void)state;
  make_several();
  several[3].restart.policy = RESTART_NO;
  for (int essential = 0; essential < 2; essential++) {
    several[3].essential = essential;
    struct trace t;
    trace_begin(&t, &config);
    trace_to_spawn(&t);
    for (unsigned i = 0; i < 5; i++) FEED(&t, IN_STARTED, .slot = i);
    assert_int_equal(trace_state(&t), STATE_RUNNING);
    FEED(&t, IN_EXITED, .slot = 4, .status = EXIT_STATUS(5));
    struct machine_view v;
    machine_view(t.m, &v);
    assert_int_equal(v.state, essential ? STATE_FAILED : STATE_RUNNING);
    assert_true(v.degraded);
    trace_end(&t);
  }
}

static void main_cannot_start_after_one_that_failed(void **state) {
  (void)state;
  make_several();
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  FEED(&t, IN_STARTED, .slot = 4);
  FEED(&t, IN_SPAWN_FAILED, .slot = 0, .stage = SPAWN_EXEC, .error = 2);
  assert_int_equal(trace_state(&t), STATE_FAILED);
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
  EXPECT(&t, "KILL 4 15c", IN_OPERATOR_RESTART, .process = 3);
  EXPECT(&t, "process_exited[4 stopped 143] KILL 4 15gc KILL 4 9g SPAWN 4", IN_EXITED, .slot = 4, .status = SIGTERM);
  assert_int_equal(trace_state(&t), STATE_RUNNING);
  trace_end(&t);
}

static void rule_restarts_everything(void **state) {
  (void)state;
  make_several();
  static struct restart_rule rule = {.has_exit = true, .exit = {1 << 7}, .action = RULE_RESTART_ALL};
  several[0].rules = &rule;
  several[0].n_rules = 1;
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  for (unsigned i = 0; i < 5; i++) FEED(&t, IN_STARTED, .slot = i);
  EXPECT(&t,
         "process_exited[0 exit 7] KILL 0 15gc failure_detected[0 exit] restart_initiated[0 exit 10s #1 w1] "
         "->RESTARTING(process) KILL 3 15c KILL 4 15c",
         IN_EXITED, .slot = 0, .status = EXIT_STATUS(7));
  for (unsigned i = 4; i > 0; i--) FEED(&t, IN_EXITED, .slot = i, .status = SIGTERM);
  trace_wait(&t, S(10));
  EXPECT(&t, "dependencies_ready SPAWN 0 SPAWN 4", IN_DEPENDENCIES, .ok = true);
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

int main(void) {
#define T(f) cmocka_unit_test_setup(f, reset)
  const struct CMUnitTest tests[] = {
      T(single_success),
      T(single_restarts_by_the_formula),
      T(without_limit_delays_reach_the_maximum),
      T(daemon_waits_between_runs),
      T(next_run_kills_the_rest_of_the_last),
      T(codes_after_a_stop),
      T(stop_before_anything_started),
      T(ignored_stop_signal_is_killed_in_time),
      T(nobody_answers_and_tend_still_ends),
      T(drain_and_hooks_come_first),
      T(later_stops_are_faster),
      T(begun_sends_no_second_signal),
      T(spawning_is_stopped_once_it_runs),
      T(ladder_then_kill),
      T(exec_errors_are_final),
      T(failed_forks_are_tried_again),
      T(failed_starts),
      T(operator_stops_and_starts),
      T(hold_waits_for_a_stop),
      T(start_check_gates_running),
      T(good_health_makes_delays_short_again),
      T(failed_check_restarts),
      T(several_start_in_order_and_stop_in_reverse),
      T(failure_of_another_degrades_or_ends),
      T(main_cannot_start_after_one_that_failed),
      T(one_process_is_stopped_and_started),
      T(rule_restarts_everything),
      T(a_crash_during_the_stop_is_no_failure),
      T(impossible_configs_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
