#include <signal.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/stopreq.h"

static void one_repeat_counts_once(void **state) {
  (void)state;
  struct stopreq s = {0};
  assert_int_equal(stopreq_note(&s, SIGTERM, 0), STOP_BEGIN);
  assert_int_equal(stopreq_note(&s, SIGTERM, NS_PER_S - 1), STOP_NONE);
  assert_int_equal(stopreq_note(&s, SIGTERM, 2 * NS_PER_S), STOP_SOON);
  assert_int_equal(stopreq_note(&s, SIGTERM, 4 * NS_PER_S), STOP_NOW);
  assert_int_equal(stopreq_note(&s, SIGTERM, 9 * NS_PER_S), STOP_NONE);
}

static void another_signal_is_no_repeat(void **state) {
  (void)state;
  struct stopreq s = {0};
  assert_int_equal(stopreq_note(&s, SIGTERM, 0), STOP_BEGIN);
  assert_int_equal(stopreq_note(&s, SIGINT, 10), STOP_SOON);
  assert_int_equal(stopreq_note(&s, SIGTERM, 20), STOP_NOW);
}

static void quit_is_at_once(void **state) {
  (void)state;
  struct stopreq s = {0};
  assert_int_equal(stopreq_note(&s, SIGQUIT, 0), STOP_NOW);
  assert_int_equal(stopreq_note(&s, SIGQUIT, 5 * NS_PER_S), STOP_NONE);
  struct stopreq later = {0};
  assert_int_equal(stopreq_note(&later, SIGTERM, 0), STOP_BEGIN);
  assert_int_equal(stopreq_note(&later, SIGQUIT, 1), STOP_NOW);
}

static void others_are_no_stop(void **state) {
  (void)state;
  struct stopreq s = {0};
  for (int sig = 1; sig <= SIGRTMAX; sig++)
    if (sig != SIGTERM && sig != SIGINT && sig != SIGQUIT) assert_int_equal(stopreq_note(&s, sig, sig), STOP_NONE);
  assert_int_equal(s.level, STOP_NONE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_repeat_counts_once),
      cmocka_unit_test(another_signal_is_no_repeat),
      cmocka_unit_test(quit_is_at_once),
      cmocka_unit_test(others_are_no_stop),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
