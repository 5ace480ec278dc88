/* The number of instances of a process: those over it are stopped and stay down. */
#include "machine_trace.h"

static const uint16_t after_side[] = {1};
static struct machine_process process[3];
static struct machine_config config;

/* main (slot 0); side with 2 of 4 instances (1 to 4); last comes after side (5). */
static void begin(struct trace *t) {
  static const struct machine_how how = {.mode = MODE_SERVER, .restart = RESTART_DEFAULTS};
  for (int i = 0; i < 3; i++)
    process[i] = (struct machine_process){.main = i == 0,
                                          .instances = i == 1 ? 4 : 1,
                                          .running = i == 1 ? 2 : 0,
                                          .after = after_side,
                                          .n_after = i == 2,
                                          .how = &how};
  config = (struct machine_config){.shutdown_timeout_ns = S(25), .processes = 3, .process = process};
  trace_begin(t, &config);
  FEED(t, IN_BEGIN);
  FEED(t, IN_VALIDATED, .ok = true);
  EXPECT(t, "dependencies_ready SPAWN 0 SPAWN 1 SPAWN 2", IN_DEPENDENCIES, .ok = true);
  FEED(t, IN_STARTED, .slot = 0);
  EXPECT(t, "process_started[1]", IN_STARTED, .slot = 1);
  EXPECT(t, "process_started[2] SPAWN 5", IN_STARTED, .slot = 2); /* spare ones hold back nobody */
  FEED(t, IN_STARTED, .slot = 5);
}

static struct instance_view view(const struct trace *t, uint32_t slot) {
  struct instance_view v;
  machine_instance(t->m, slot, t->now, &v);
  return v;
}

#define SCALE(n) IN_SCALE, .process = 1, .count = (n)

static void up_and_down(void **state) {
  (void)state;
  struct trace t;
  begin(&t);
  assert_true(view(&t, 3).spare && !view(&t, 2).spare);
  EXPECT(&t, "", SCALE(2));
  EXPECT(&t, "SPAWN 3 SPAWN 4", SCALE(4));
  FEED(&t, IN_STARTED, .slot = 3);
  FEED(&t, IN_STARTED, .slot = 4);
  EXPECT(&t, "KILL 3 15c KILL 4 15c", SCALE(2));
  EXPECT(&t, "process_exited[3 stopped 143] KILL 3 15gc", IN_EXITED, .slot = 3, .status = SIGTERM);
  EXPECT(&t, "process_exited[4 stopped 1] KILL 4 15gc", IN_EXITED, .slot = 4, .status = EXIT_STATUS(1));
  EXPECT_WAIT(&t, S(1000), "KILL 3 9g KILL 4 9g"); /* and nothing more: they stay down */
  assert_int_equal(view(&t, 3).state, INSTANCE_DOWN);
  assert_int_equal(view(&t, 4).restarts, 0);
  EXPECT(&t, "KILL 2 15c", SCALE(1));
  EXPECT(&t, "", SCALE(2)); /* as soon as it is gone */
  EXPECT(&t, "process_exited[2 stopped 143] KILL 2 15gc KILL 2 9g SPAWN 2", IN_EXITED, .slot = 2, .status = SIGTERM);
  EXPECT(&t, "", SCALE(1)); /* it is not known yet whether it runs */
  EXPECT(&t, "process_started[2] KILL 2 15c", IN_STARTED, .slot = 2);
  FEED(&t, IN_EXITED, .slot = 2, .status = SIGTERM);
  EXPECT(&t, "KILL 2 9g SPAWN 2", SCALE(2));
  EXPECT(&t, "", SCALE(1));
  EXPECT(&t, "", SCALE(2));
  EXPECT(&t, "process_started[2]", IN_STARTED, .slot = 2);
  trace_end(&t);
}

static void what_cannot_be(void **state) {
  (void)state;
  struct trace t;
  begin(&t);
  EXPECT(&t, "", SCALE(0));
  EXPECT(&t, "", SCALE(5));
  EXPECT(&t, "", IN_SCALE, .process = 0, .count = 1); /* main */
  EXPECT(&t, "", IN_SCALE, .process = 3, .count = 1);
  trace_end(&t);
  process[1].running = 5;
  assert_null(machine_new(&config, 1));
  process[1].running = 0;
  process[0].instances = 2;
  process[0].running = 1;
  assert_null(machine_new(&config, 1));
}

static void waits_and_ends_go_with_it(void **state) {
  (void)state;
  struct trace t;
  begin(&t);
  FEED(&t, IN_EXITED, .slot = 2, .status = EXIT_STATUS(1));
  assert_int_equal(view(&t, 2).state, INSTANCE_BACKOFF);
  EXPECT(&t, "", SCALE(1));
  EXPECT_WAIT(&t, S(100), "KILL 2 9g"); /* no start after the wait */
  EXPECT(&t, "SPAWN 2", SCALE(2));
  FEED(&t, IN_STARTED, .slot = 2);
  EXPECT(&t, "KILL 2 15c", IN_CHECK_FAILED, .slot = 2);
  EXPECT(&t, "", SCALE(1)); /* the restart is no more */
  EXPECT(&t, "process_exited[2 stopped 143] KILL 2 15gc", IN_EXITED, .slot = 2, .status = SIGTERM);
  EXPECT_WAIT(&t, S(100), "KILL 2 9g");
  trace_end(&t);
}

static void operators(void **state) {
  (void)state;
  struct trace t;
  begin(&t);
  EXPECT(&t, "", IN_OPERATOR_START, .process = 1); /* as many as are asked for */
  FEED(&t, IN_OPERATOR_STOP, .process = 1);
  FEED(&t, IN_EXITED, .slot = 1, .status = SIGTERM);
  EXPECT(&t, "", SCALE(1));
  FEED(&t, IN_EXITED, .slot = 2, .status = SIGTERM);
  EXPECT(&t, "", SCALE(3)); /* of a process that an operator has stopped: for later */
  assert_int_equal(view(&t, 1).state, INSTANCE_DOWN);
  trace_wait(&t, S(10));
  EXPECT(&t, "SPAWN 1 SPAWN 2 SPAWN 3", IN_OPERATOR_START, .process = 1);
  for (uint32_t i = 1; i < 4; i++) FEED(&t, IN_STARTED, .slot = i);
  EXPECT(&t, "restart_initiated[5 0s #0 w0] KILL 5 15c", IN_OPERATOR_RESTART, .process = 2);
  trace_end(&t);
}

static void it_outlives_a_restart_of_everything(void **state) {
  (void)state;
  struct trace t;
  begin(&t);
  FEED(&t, SCALE(3));
  FEED(&t, IN_STARTED, .slot = 3);
  FEED(&t, IN_OPERATOR_RESTART, .process = MACHINE_ALL);
  EXPECT(&t, "", SCALE(4)); /* not while everything is being stopped */
  assert_true(view(&t, 4).spare);
  for (uint32_t i = 0; i < 6; i++) FEED(&t, IN_EXITED, .slot = i, .status = SIGTERM);
  trace_wait(&t, S(5));
  EXPECT(&t, "dependencies_ready SPAWN 0 SPAWN 1 SPAWN 2 SPAWN 3", IN_DEPENDENCIES, .ok = true);
  trace_end(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(up_and_down),
      cmocka_unit_test(what_cannot_be),
      cmocka_unit_test(waits_and_ends_go_with_it),
      cmocka_unit_test(operators),
      cmocka_unit_test(it_outlives_a_restart_of_everything),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
