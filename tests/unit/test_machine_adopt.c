/* A machine that goes on with the life of another: with other processes, other numbers, other bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "core/machine.h"

static struct machine_process process(const char *name, bool main, unsigned instances, unsigned attempts) {
  static struct machine_how how[8];
  assert_in_range(attempts, 1, 7);
  how[attempts] = (struct machine_how){.mode = MODE_SERVER,
                                       .restart = {.policy = RESTART_ALWAYS,
                                                   .max_attempts = attempts,
                                                   .base_ns = 10 * NS_PER_S,
                                                   .max_ns = 300 * NS_PER_S,
                                                   .window_ns = 3600 * NS_PER_S}};
  return (struct machine_process){.name = name, .how = &how[attempts], .main = main, .instances = instances};
}

static struct machine_config config(const struct machine_process *p, unsigned n) {
  return (struct machine_config){.shutdown_timeout_ns = 25 * NS_PER_S, .processes = n, .process = p};
}

static int64_t now = NS_PER_S;

static struct machine_out step(struct machine *m, struct machine_input in) {
  struct machine_out out;
  machine_step(m, &in, now, &out);
  return out;
}

static unsigned count(struct machine_out out, enum machine_action_kind kind, uint32_t slot) {
  unsigned n = 0;
  for (unsigned i = 0; i < out.n; i++) n += out.action[i].kind == kind && out.action[i].slot == slot;
  return n;
}

static enum instance_state state(const struct machine *m, uint32_t slot) {
  struct instance_view v;
  machine_instance(m, slot, now, &v);
  return v.state;
}

static struct machine *running(const struct machine_config *c) {
  struct machine *m = machine_new(c, 1);
  step(m, (struct machine_input){.kind = IN_BEGIN});
  step(m, (struct machine_input){.kind = IN_VALIDATED, .ok = true});
  step(m, (struct machine_input){.kind = IN_DEPENDENCIES, .ok = true});
  for (uint32_t i = 0; i < machine_slots(m); i++) step(m, (struct machine_input){.kind = IN_STARTED, .slot = i});
  struct machine_view v;
  machine_view(m, &v);
  assert_int_equal(v.state, STATE_RUNNING);
  return m;
}

static void test_processes_come_and_go(void **unused) {
  (void)unused;
  const struct machine_process before[] = {process("main", true, 1, 5), process("old", false, 1, 5)};
  const struct machine_process after[] = {process("new", false, 1, 5), process("main", true, 1, 5),
                                          process("old", false, 1, 5)};
  const struct machine_config a = config(before, 2), b = config(after, 3);
  struct machine *m = running(&a), *n = machine_new(&b, 2);
  assert_true(machine_can_adopt(m));
  machine_adopt(n, m, (uint32_t[]){MACHINE_ALL, 0, 1});
  machine_free(m);
  struct machine_view v;
  machine_view(n, &v);
  assert_int_equal(v.state, STATE_RUNNING);
  assert_true(v.started);
  assert_int_equal(state(n, 0), INSTANCE_DOWN);
  assert_int_equal(state(n, 1), INSTANCE_UP);
  assert_int_equal(state(n, 2), INSTANCE_UP);
  assert_int_equal(count(step(n, (struct machine_input){.kind = IN_OPERATOR_START, .process = 0}), ACT_SPAWN, 0), 1);
  assert_int_equal(count(step(n, (struct machine_input){.kind = IN_OPERATOR_STOP, .process = 2}), ACT_KILL, 2), 1);
  step(n, (struct machine_input){.kind = IN_EXITED, .slot = 2, .status = 15, .alone = true});
  assert_int_equal(state(n, 2), INSTANCE_DOWN);
  assert_int_equal(state(n, 1), INSTANCE_UP);
  machine_free(n);
}

/* The restarts in the window, and in a row, count on; a smaller window of attempts keeps the newest. */
static void test_budget_goes_on(void **unused) {
  (void)unused;
  const struct machine_process before[] = {process("main", true, 1, 5), process("w", false, 1, 5)};
  const struct machine_process after[] = {process("main", true, 1, 5), process("w", false, 1, 2)};
  const struct machine_config a = config(before, 2), b = config(after, 2);
  struct machine *m = running(&a), *n = machine_new(&b, 2);
  for (int i = 0; i < 3; i++) {
    step(m, (struct machine_input){.kind = IN_EXITED, .slot = 1, .status = 256, .alone = true});
    now += 100 * NS_PER_S;
    step(m, (struct machine_input){.kind = IN_TICK});
    step(m, (struct machine_input){.kind = IN_STARTED, .slot = 1});
  }
  struct instance_view before_view, after_view;
  machine_instance(m, 1, now, &before_view);
  assert_int_equal(before_view.in_window, 3);
  machine_adopt(n, m, (uint32_t[]){0, 1});
  machine_instance(n, 1, now, &after_view);
  assert_int_equal(after_view.state, INSTANCE_UP);
  assert_int_equal(after_view.restarts, before_view.restarts);
  assert_int_equal(after_view.runs, before_view.runs);
  assert_int_equal(after_view.n, before_view.n);
  assert_int_equal(after_view.in_window, 2);
  step(n, (struct machine_input){.kind = IN_EXITED, .slot = 1, .status = 256, .alone = true});
  assert_int_equal(state(n, 1), INSTANCE_FAILED);
  machine_free(m);
  machine_free(n);
}

/* What waits for its next start goes on waiting for the same time. */
static void test_delays_go_on(void **unused) {
  (void)unused;
  const struct machine_process p[] = {process("main", true, 1, 5)};
  const struct machine_config c = config(p, 1);
  struct machine *m = running(&c), *n = machine_new(&c, 2);
  step(m, (struct machine_input){.kind = IN_EXITED, .slot = 0, .status = 256, .alone = true});
  int64_t due = machine_due_ns(m);
  assert_true(due > now && due != TIME_NEVER);
  machine_adopt(n, m, (uint32_t[]){0});
  assert_int_equal(machine_due_ns(n), due);
  machine_free(m);
  machine_free(n);
}

static void test_not_while_it_ends(void **unused) {
  (void)unused;
  const struct machine_process p[] = {process("main", true, 1, 5)};
  const struct machine_config c = config(p, 1);
  struct machine *m = running(&c);
  step(m, (struct machine_input){.kind = IN_STOP, .level = STOP_BEGIN, .cause = CAUSE_SHUTDOWN});
  assert_false(machine_can_adopt(m));
  machine_free(m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_processes_come_and_go),
      cmocka_unit_test(test_budget_goes_on),
      cmocka_unit_test(test_delays_go_on),
      cmocka_unit_test(test_not_while_it_ends),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
