#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

static void test_int(void **state) {
  (void)state;
  int64_t v = 7;
  assert_int_equal(str_int("42", 0, 100, &v), 0);
  assert_int_equal(v, 42);
  assert_int_equal(str_int("-3", -10, 10, &v), 0);
  assert_int_equal(v, -3);
  const char *const bad[] = {"", " 1", "1 ", "1x", "x", "0x10", "1.5", "--1", "99999999999999999999"};
  for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
    v = 5;
    assert_true(str_int(bad[i], INT64_MIN, INT64_MAX, &v) < 0);
    assert_int_equal(v, 5);
  }
  assert_int_equal(str_int("101", 0, 100, &v), -ERANGE);
}

static void test_duration(void **state) {
  (void)state;
  const struct {
    const char *text;
    int64_t ns;
  } good[] = {{"250ms", 250 * NS_PER_MS}, {"10s", 10 * NS_PER_S},     {"5m", 300 * NS_PER_S},
              {"1h", 3600 * NS_PER_S},    {"1.5s", 1500 * NS_PER_MS}, {"7", 7 * NS_PER_S}};
  for (size_t i = 0; i < ARRAY_LEN(good); i++) {
    int64_t ns = -1;
    assert_int_equal(str_duration(good[i].text, NS_PER_S, &ns), 0);
    assert_int_equal(ns, good[i].ns);
  }
  const char *const bad[] = {"", "s", "-1s", "1 s", "1d", "1e3", ".", "5mm", "nan"};
  int64_t ns;
  for (size_t i = 0; i < ARRAY_LEN(bad); i++) assert_int_equal(str_duration(bad[i], NS_PER_S, &ns), -EINVAL);
  char buf[32];
  assert_string_equal(str_format_duration(250 * NS_PER_MS, buf, sizeof buf), "250ms");
  assert_string_equal(str_format_duration(300 * NS_PER_S, buf, sizeof buf), "5m");
}

static void test_nearest(void **state) {
  (void)state;
  const char *const names[] = {"status", "start", "stop", "restart"};
  assert_string_equal(str_nearest("statsu", names, 4), "status");
  assert_string_equal(str_nearest("STOP", names, 4), "stop");
  assert_null(str_nearest("banana", names, 4));
  const char *const tie[] = {"rpa3", "rpa1", "rpa2"};
  assert_string_equal(str_nearest("rpa9", tie, 3), "rpa1");
  const char *const cases[] = {"Orders", "orders"};
  assert_string_equal(str_nearest("orders", cases, 2), "orders");
  assert_int_equal(str_distance("ab", "ba", 3), 1);
  assert_int_equal(str_distance("kitten", "sitting", 2), 3);
}

static void test_utf8(void **state) {
  (void)state;
  assert_true(str_utf8_valid("h\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 10));
  const char *const bad[] = {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "\xc3", "\xe2\x82"};
  for (size_t i = 0; i < ARRAY_LEN(bad); i++) assert_false(str_utf8_valid(bad[i], strlen(bad[i])));
}

static void test_signals(void **state) {
  (void)state;
  assert_int_equal(str_signal("TERM"), SIGTERM);
  assert_int_equal(str_signal("SIGINT"), SIGINT);
  assert_int_equal(str_signal("9"), SIGKILL);
  assert_int_equal(str_signal("RTMIN+1"), SIGRTMIN + 1);
  assert_int_equal(str_signal("NOPE"), 0);
  assert_int_equal(str_signal(""), 0);
  char buf[16];
  for (int sig = 1; sig < SIGRTMIN; sig++) {
    const char *name = str_signal_name(sig, buf, sizeof buf);
    if (!STR_EQ(name, "0")) assert_int_equal(str_signal(name), sig);
  }
}

static void plain_bytes_are_counted(void **state) {
  (void)state;
  char text[80];
  for (size_t n = 0; n < sizeof text; n++) {
    memset(text, 'x', sizeof text);
    assert_int_equal(str_plain(text, n), n);
    static const char ends[] = "\"\\\x01\x1f\x7f\x80\xff\n";
    for (size_t k = 0; k < n; k++)
      for (const char *e = ends; *e; e++) {
        text[k] = *e;
        assert_int_equal(str_plain(text, n), k);
        text[k] = k % 2 ? ' ' : '~';
      }
  }
  assert_int_equal(str_plain("\0", 1), 0);
  assert_true(str_utf8_valid("0123456789abcdef\xc3\xa4 0123456789abcdef", 34));
  assert_false(str_utf8_valid("0123456789abcdef0123456789abcde\xc3", 32));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_int),     cmocka_unit_test(test_duration),
                                     cmocka_unit_test(test_nearest), cmocka_unit_test(test_utf8),
                                     cmocka_unit_test(test_signals), cmocka_unit_test(plain_bytes_are_counted)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
