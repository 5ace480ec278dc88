/* The machine in scenarios of several processes, and of dependencies that go and come back. */
#include "machine_fixture.h"

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
  several_how[3].restart.policy = RESTART_NO;
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

static void rule_restarts_everything(void **state) {
  (void)state;
  make_several();
  static struct restart_rule rule = {.has_exit = true, .exit = {1 << 7}, .action = RULE_RESTART_ALL};
  several_how[0].rules = &rule;
  several_how[0].n_rules = 1;
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

static void two_instances_of_main_make_it_run(void **state) {
  (void)state;
  main_process.instances = 2;
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  EXPECT(&t, "process_started[0]", IN_STARTED);
  EXPECT(&t, "process_started[1] ->RUNNING(started) startup_completed", IN_STARTED, .slot = 1);
  /* one waits for its restart: the other keeps the container running, also when it is done */
  FEED(&t, IN_EXITED, .status = EXIT_STATUS(1));
  assert_int_equal(trace_state(&t), STATE_RUNNING);
  EXPECT(&t, "process_exited[1 clean 0] KILL 1 15gc", IN_EXITED, .slot = 1);
  trace_wait(&t, S(10));
  FEED(&t, IN_STARTED);
  EXPECT(&t, "process_exited[0 clean 0] KILL 0 15gc shutdown_initiated ->STOPPING(completed) SWEEP 15", IN_EXITED);
  trace_end(&t);
}

static void the_last_instance_takes_the_container_along(void **state) {
  (void)state;
  main_process.instances = 2;
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  FEED(&t, IN_STARTED);
  FEED(&t, IN_STARTED, .slot = 1);
  FEED(&t, IN_EXITED, .status = EXIT_STATUS(1));
  t.now += S(3);
  FEED(&t, IN_EXITED, .slot = 1, .status = EXIT_STATUS(1));
  assert_int_equal(trace_state(&t), STATE_RESTARTING);
  trace_wait(&t, S(7)); /* the first one's ten seconds */
  EXPECT(&t, "dependencies_ready SPAWN 0", IN_DEPENDENCIES, .ok = true);
  EXPECT(&t, "process_started[0] recovery_completed[0] ->RUNNING(started) startup_completed", IN_STARTED);
  EXPECT_WAIT(&t, S(3), "SPAWN 1");
  trace_end(&t);
}

/* A process failed while a dependency was bad; and a start failed for it: both go on within a second of its return. */
static void dependency_back_wakes_within_a_second(void **state) {
  (void)state;
  int64_t least = INT64_MAX, most = 0;
  for (uint64_t seed = 1; seed <= 200; seed++) {
    for (int start = 0; start < 2; start++) {
      struct trace t = {.m = machine_new(&config, seed), .now = S(1000)};
      FEED(&t, IN_BEGIN);
      FEED(&t, IN_VALIDATED, .ok = true);
      for (int i = 0; i < 2; i++) {
        FEED(&t, IN_DEPENDENCIES, .ok = !start);
        FEED(&t, IN_STARTED);
        FEED(&t, IN_EXITED, .status = EXIT_STATUS(1), .dependency_bad = true);
        if (i == 0) trace_wait(&t, S(10));
      }
      t.now += S(3);
      trace_feed(&t, (struct machine_input){.kind = IN_TICK});
      int64_t delay = machine_due_ns(t.m) - t.now;
      assert_int_equal(delay, S(17));
      FEED(&t, IN_DEPENDENCY_BACK);
      delay = machine_due_ns(t.m) - t.now;
      assert_in_range(delay, 0, S(1));
      if (delay < least) least = delay;
      if (delay > most) most = delay;
      trace_wait(&t, delay);
      assert_int_equal(trace_state(&t), STATE_STARTING);
      const char *text = FEED(&t, IN_DEPENDENCIES);
      assert_non_null(strstr(text, "10s #1 w3")); /* n starts anew, the window does not */
      trace_end(&t);
    }
  }
  assert_true(least < S(0.1) && most > S(0.9));
}

/* It was found bad after the end that it may have caused. */
static void dependency_found_bad_later(void **state) {
  (void)state;
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  FEED(&t, IN_STARTED);
  FEED(&t, IN_EXITED, .status = EXIT_STATUS(1));
  FEED(&t, IN_DEPENDENCY_BAD);
  trace_wait(&t, S(2));
  assert_int_equal(trace_state(&t), STATE_RESTARTING);
  FEED(&t, IN_DEPENDENCY_BACK);
  assert_in_range(machine_due_ns(t.m) - t.now, 0, S(1));
  trace_wait(&t, S(1));
  assert_int_equal(trace_state(&t), STATE_STARTING);
  trace_end(&t);
}

static void dependency_back_wakes_nobody_else(void **state) {
  (void)state;
  struct trace t;
  trace_begin(&t, &config);
  trace_to_spawn(&t);
  FEED(&t, IN_STARTED);
  FEED(&t, IN_EXITED, .status = EXIT_STATUS(1));
  FEED(&t, IN_DEPENDENCY_BACK);
  trace_wait(&t, S(10) - 1);
  assert_int_equal(trace_state(&t), STATE_RESTARTING);
  trace_end(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SCENARIO(several_start_in_order_and_stop_in_reverse), SCENARIO(failure_of_another_degrades_or_ends),
      SCENARIO(main_cannot_start_after_one_that_failed),    SCENARIO(rule_restarts_everything),
      SCENARIO(two_instances_of_main_make_it_run),          SCENARIO(the_last_instance_takes_the_container_along),
      SCENARIO(dependency_back_wakes_within_a_second),      SCENARIO(dependency_found_bad_later),
      SCENARIO(dependency_back_wakes_nobody_else),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
