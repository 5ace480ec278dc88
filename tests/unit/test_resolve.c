/* Names to addresses: literals, the hosts file, cancelling. No packet leaves the machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/str.h"
#include "loop/loop.h"
#include "probes/resolve.h"

static struct loop *loop;

struct answer {
  int calls;
  size_t n;
  char reason[16], detail[256], first[64];
};

static void on_answer(void *arg, const struct tend_addresses *found) {
  struct answer *a = arg;
  a->calls++;
  a->n = found->n;
  if (found->n)
    resolve_format(&found->list[0], a->first, sizeof a->first);
  else {
    str_copy(a->reason, sizeof a->reason, found->reason);
    str_copy(a->detail, sizeof a->detail, found->detail);
  }
  loop_stop(loop);
}

static struct answer ask(const char *host, uint16_t port) {
  struct answer a = {0};
  assert_non_null(resolve_start(loop, host, port, clock_mono_ns() + 5 * NS_PER_S, on_answer, &a));
  assert_int_equal(a.calls, 0); /* never from inside the call */
  loop_run(loop);
  assert_int_equal(a.calls, 1);
  return a;
}

static int setup(void **state) {
  (void)state;
  loop = loop_new();
  return loop ? 0 : -1;
}

static int teardown(void **state) {
  (void)state;
  loop_free(loop);
  return 0;
}

static void literals_are_not_asked(void **state) {
  (void)state;
  struct answer a = ask("127.0.0.1", 5432);
  assert_int_equal(a.n, 1);
  assert_string_equal(a.first, "127.0.0.1:5432");
  a = ask("::1", 80);
  assert_int_equal(a.n, 1);
  assert_string_equal(a.first, "[::1]:80");
  a = ask("10.1.2.3", 0);
  assert_string_equal(a.first, "10.1.2.3");
}

static void localhost_is_known(void **state) {
  (void)state;
  struct answer a = ask("localhost", 1);
  assert_true(a.n >= 1);
  assert_true(STR_EQ(a.first, "127.0.0.1:1") || STR_EQ(a.first, "[::1]:1"));
}

static void what_is_no_name_says_so(void **state) {
  (void)state;
  struct answer a = ask("not..a.name", 1);
  assert_int_equal(a.n, 0);
  assert_string_equal(a.reason, "dns");
  assert_non_null(strstr(a.detail, "\"not..a.name\""));
}

static void a_deadline_that_is_over_is_a_timeout(void **state) {
  (void)state;
  struct answer a = {0};
  /* whoever the name server is: there is no time to hear it */
  assert_non_null(resolve_start(loop, "name.invalid", 1, clock_mono_ns(), on_answer, &a));
  loop_run(loop);
  assert_int_equal(a.calls, 1);
  assert_int_equal(a.n, 0);
  assert_true(STR_EQ(a.reason, "timeout") || STR_EQ(a.reason, "dns"));
}

static void stop(void *arg) {
  (void)arg;
  loop_stop(loop);
}

static void cancelled_is_never_told(void **state) {
  (void)state;
  struct answer a = {0};
  struct resolve *literal = resolve_start(loop, "127.0.0.1", 1, clock_mono_ns() + NS_PER_S, on_answer, &a);
  struct resolve *asked = resolve_start(loop, "name.invalid", 1, clock_mono_ns() + NS_PER_S, on_answer, &a);
  resolve_cancel(literal);
  resolve_cancel(asked);
  resolve_cancel(NULL);
  struct timer *t = timer_new(loop, stop, NULL);
  timer_after(t, 20 * NS_PER_MS);
  loop_run(loop);
  timer_free(t);
  assert_int_equal(a.calls, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(literals_are_not_asked, setup, teardown),
      cmocka_unit_test_setup_teardown(localhost_is_known, setup, teardown),
      cmocka_unit_test_setup_teardown(what_is_no_name_says_so, setup, teardown),
      cmocka_unit_test_setup_teardown(a_deadline_that_is_over_is_a_timeout, setup, teardown),
      cmocka_unit_test_setup_teardown(cancelled_is_never_told, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
