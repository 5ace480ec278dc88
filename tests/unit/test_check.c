/* Health checks as pure state: thresholds, windows, waits, holds by table; random walks against what must always hold;
 * what all of them mean together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(states_by_table),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
