#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/str.h"
#include "init/line.h"

static void ready_is_whole_lines(void **state) {
  (void)state;
  assert_int_equal(line_ready("", 0, 8, true, true), 0);
  assert_int_equal(line_ready("ab\ncd", 5, 8, false, false), 3);
  assert_int_equal(line_ready("abcd", 4, 8, false, false), 0);
  assert_int_equal(line_ready("abcd", 4, 8, true, false), 4);
  assert_int_equal(line_ready("abcd", 4, 8, false, true), 4);
  assert_int_equal(line_ready("abcdefgh", 8, 8, false, false), 8);
  assert_int_equal(line_ready("ab\ncd\n", 6, 8, false, false), 6);
}

static void cut_after_a_newline(void **state) {
  (void)state;
  assert_int_equal(line_cut("ab\ncd\nef", 8, 7), 6);
  assert_int_equal(line_cut("abcdef", 6, 4), 4);
  assert_int_equal(line_cut("ab\n", 3, 3), 3);
}

static void parts_keep_sequences_whole(void **state) {
  (void)state;
  bool whole;
  assert_int_equal(line_part("ab\ncd", 5, 10, &whole), 2);
  assert_true(whole);
  assert_int_equal(line_part("\n", 1, 10, &whole), 0);
  assert_true(whole);
  /* the newline right after a full part belongs to it */
  assert_int_equal(line_part("abcd\n", 5, 4, &whole), 4);
  assert_true(whole);
  assert_int_equal(line_part("abcdef", 6, 4, &whole), 4);
  assert_false(whole);
  const char *euro =
      "ab\xe2\x82\xac"
      "cd";
  assert_int_equal(line_part(euro, 7, 3, &whole), 2);
  assert_int_equal(line_part(euro, 7, 4, &whole), 2);
  assert_int_equal(line_part(euro, 7, 5, &whole), 5);
  /* no UTF-8: cut where the limit is */
  assert_int_equal(line_part("ab\x80\x80\x80\x80", 6, 4, &whole), 4);
}

static void drop_takes_whole_lines(void **state) {
  (void)state;
  uint64_t lines = 0;
  assert_int_equal(line_drop("ab\ncd\nef\n", 9, 4, &lines), 6);
  assert_int_equal(lines, 2);
  assert_int_equal(line_drop("abcdef", 6, 2, &lines), 6);
  assert_int_equal(lines, 3);
}

static void base64(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}};
  for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
    char out[16] = {0};
    assert_int_equal(line_base64(cases[i][0], strlen(cases[i][0]), out), strlen(cases[i][1]));
    assert_string_equal(out, cases[i][1]);
  }
  char out[8] = {0};
  line_base64("\xff\xfe\xfd", 3, out);
  assert_string_equal(out, "//79");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ready_is_whole_lines),
      cmocka_unit_test(cut_after_a_newline),
      cmocka_unit_test(parts_keep_sequences_whole),
      cmocka_unit_test(drop_takes_whole_lines),
      cmocka_unit_test(base64),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
