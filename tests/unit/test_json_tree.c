/* Reading JSON into a tree, and changing the tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json_text.h"

static void reads(const char *text, const char *expected) {
  auto_json cJSON *v = cJSON_Parse(text);
  if (!v) fail_msg("not read: %s", text);
  char *got = json_text(v);
  assert_string_equal(got, expected);
  free(got);
}

/* at: how many bytes were right */
static void refuses(const char *text, size_t at) {
  const char *end = NULL;
  cJSON *v = json_read(text, strlen(text), &end);
  if (v) fail_msg("read: %s", text);
  assert_int_equal(end - text, at);
}

static void values_are_read(void **state) {
  (void)state;
  reads("null", "null");
  reads(" true ", "true");
  reads("\xef\xbb\xbf\t\r\nfalse", "false");
  reads("[]", "[]");
  reads("{ }", "{}");
  reads("[1, [2, {\"a\": [3]}], \"x\"]", "[1,[2,{\"a\":[3]}],\"x\"]");
  reads("{\"a\": 1, \"b\": {\"c\": null}, \"a\": 2}", "{\"a\":1,\"b\":{\"c\":null},\"a\":2}");
  reads("1 and more", "1");
}

static void numbers_are_read(void **state) {
  (void)state;
  static const struct {
    const char *text;
    double value;
    int whole;
  } cases[] = {
      {"0", 0, 0},
      {"-0", 0, 0},
      {"17", 17, 17},
      {"-17", -17, -17},
      {"1.5", 1.5, 1},
      {"-0.25e2", -25, -25},
      {"1E+3", 1000, 1000},
      {"2e-3", 0.002, 0},
      {"1e10", 1e10, 0x7fffffff},
      {"-1e300", -1e300, -0x7fffffff - 1},
      {"0000", 0, 0}, /* the first; what follows is not looked at */
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    auto_json cJSON *v = cJSON_Parse(cases[i].text);
    assert_true(cJSON_IsNumber(v));
    assert_true(v->valuedouble == cases[i].value);
    assert_int_equal(v->valueint, cases[i].whole);
  }
  auto_json cJSON *huge = cJSON_Parse("1e999");
  assert_true(isinf(huge->valuedouble));
  char digits[300];
  memset(digits, '9', sizeof digits - 1);
  digits[sizeof digits - 1] = 0;
  auto_json cJSON *many = cJSON_Parse(digits);
  assert_true(many->valuedouble > 9e297);
}

static void texts_are_read(void **state) {
  (void)state;
  static const struct {
    const char *text, *value;
  } cases[] = {
      {"\"\"", ""},
      {"\"a\\\"b\\\\c\\/d\"", "a\"b\\c/d"},
      {"\"\\b\\f\\n\\r\\t\"", "\b\f\n\r\t"},
      {"\"\\u0041\\u00e4\\u20AC\"", "A\xc3\xa4\xe2\x82\xac"},
      {"\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80"},
      {"\"a\\u0000b\"", "a"},
      {"\"\xff\x01\"", "\xff\x01"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    auto_json cJSON *v = cJSON_Parse(cases[i].text);
    assert_non_null(v);
    assert_string_equal(cJSON_GetStringValue(v), cases[i].value);
  }
}

static void what_is_no_json_is_refused(void **state) {
  (void)state;
  refuses("", 0);
  refuses("x", 0);
  refuses("nul", 0);
  refuses("[1, 2", 4);
  refuses("[1 2]", 3);
  refuses("[1,]", 3);
  refuses("{\"a\" 1}", 5);
  refuses("{a: 1}", 1);
  refuses("{\"a\": 1,}", 8);
  refuses("[-]", 1);
  refuses("[1.]", 1);
  refuses("[.5]", 1);
  refuses("[01]", 2);
  refuses("[1e]", 1);
  refuses("\"a", 1);
  refuses("\"a\\", 2);
  refuses("\"\\x\"", 1);
  refuses("\"\\u12g4\"", 1);
  refuses("\"\\ud83d\"", 1);
  refuses("\"\\ud83d\\u0041\"", 1);
  refuses("\"\\ude00\"", 1);
  assert_null(cJSON_Parse(NULL));
  assert_null(cJSON_ParseWithLength("[1, 2]", 5));
}

static void depth_has_a_limit(void **state) {
  (void)state;
  enum { MOST = 1000 };
  char text[2 * (MOST + 1) + 1];
  memset(text, '[', MOST);
  memset(text + MOST, ']', MOST);
  text[2 * MOST] = 0;
  auto_json cJSON *v = cJSON_Parse(text);
  assert_non_null(v);
  memset(text, '[', MOST + 1);
  memset(text + MOST + 1, ']', MOST + 1);
  text[2 * MOST + 2] = 0;
  assert_null(cJSON_Parse(text));
}

/* Whatever is cut off or changed, nothing is read beyond the end. */
static void damaged_texts_do_no_harm(void **state) {
  (void)state;
  static const char whole[] = "{\"a\": [1.5e3, \"\\ud83d\\ude00\\n\", {\"b\": [null, true, false, -2]}], \"c\": {}}";
  size_t n = sizeof whole - 1;
  for (size_t cut = 0; cut <= n; cut++) {
    char *text = malloc(cut + 1); /* so that a sanitizer sees it */
    memcpy(text, whole, cut);
    cJSON *v = json_read(text, cut, NULL);
    assert_int_equal(v != NULL, cut == n);
    cJSON_Delete(v);
    free(text);
  }
  unsigned random = 12345;
  for (int i = 0; i < 20000; i++) {
    char text[sizeof whole];
    memcpy(text, whole, n);
    for (int k = 0; k < 3; k++) {
      random = random * 1103515245 + 12345;
      text[(random >> 8) % n] = "{}[]\",:\\u0e-9 x\xff"[(random >> 20) % 17];
    }
    cJSON_Delete(json_read(text, n, NULL));
  }
}

static void names_are_found(void **state) {
  (void)state;
  auto_json cJSON *v = cJSON_Parse("{\"Key\": 1, \"key\": 2, \"other\": 3}");
  assert_int_equal(cJSON_GetObjectItem(v, "KEY")->valueint, 1);
  assert_int_equal(cJSON_GetObjectItemCaseSensitive(v, "key")->valueint, 2);
  assert_null(cJSON_GetObjectItemCaseSensitive(v, "KEY"));
  assert_null(cJSON_GetObjectItem(NULL, "key"));
  assert_null(cJSON_GetObjectItem(v, NULL));
  assert_int_equal(cJSON_GetArraySize(v), 3);
  assert_int_equal(cJSON_GetArrayItem(v, 2)->valueint, 3);
  assert_null(cJSON_GetArrayItem(v, 3));
  assert_null(cJSON_GetArrayItem(v, -1));
  assert_int_equal(cJSON_GetArraySize(NULL), 0);
}

static void trees_are_changed(void **state) {
  (void)state;
  auto_json cJSON *v = cJSON_CreateObject();
  cJSON *list = cJSON_AddArrayToObject(v, "list");
  for (int i = 0; i < 4; i++) assert_true(cJSON_AddItemToArray(list, cJSON_CreateNumber(i)));
  cJSON_Delete(cJSON_DetachItemFromArray(list, 3));
  cJSON_Delete(cJSON_DetachItemFromArray(list, 0));
  cJSON_AddItemToArray(list, cJSON_CreateString("end"));
  cJSON_AddBoolToObject(v, "on", true);
  cJSON_AddNumberToObject(v, "n", 0.5);
  cJSON_AddStringToObject(v, "s", "text");
  cJSON_AddObjectToObject(v, "o");
  static const char name[] = "constant";
  cJSON_AddItemToObjectCS(v, name, cJSON_CreateNull());
  assert_ptr_equal(cJSON_GetObjectItem(v, name)->string, name);
  cJSON_DeleteItemFromObjectCaseSensitive(v, "n");
  cJSON_DeleteItemFromObjectCaseSensitive(v, "nothing");
  char *text = json_text(v);
  assert_string_equal(text, "{\"list\":[1,2,\"end\"],\"on\":true,\"s\":\"text\",\"o\":{},\"constant\":null}");
  free(text);
  cJSON *s = cJSON_DetachItemFromObjectCaseSensitive(v, "s");
  assert_true(cJSON_AddItemToObject(v, "t", s));
  assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(v, "t")), "text");
  assert_false(cJSON_AddItemToArray(list, NULL));
  assert_false(cJSON_AddItemToArray(list, list));
  assert_null(cJSON_AddStringToObject(v, "none", NULL));
}

static void copies_are_equal_and_apart(void **state) {
  (void)state;
  auto_json cJSON *v = cJSON_Parse("{\"a\": [1, \"x\", null, {\"b\": true}], \"c\": 2}");
  cJSON_AddItemToObjectCS(v, "d", cJSON_CreateBool(false));
  auto_json cJSON *copy = cJSON_Duplicate(v, true);
  assert_true(cJSON_Compare(v, copy, true));
  cJSON_AddItemToArray(cJSON_GetObjectItem(copy, "a"), cJSON_CreateNull());
  assert_false(cJSON_Compare(v, copy, true));
  auto_json cJSON *turned = cJSON_Parse("{\"d\": false, \"c\": 2, \"a\": [1, \"x\", null, {\"b\": true}]}");
  assert_true(cJSON_Compare(v, turned, true));
  auto_json cJSON *more = cJSON_Parse("{\"d\": false, \"c\": 2, \"a\": [1, \"x\", null, {\"b\": true}], \"e\": 1}");
  assert_false(cJSON_Compare(v, more, true));
  auto_json cJSON *loud = cJSON_Parse("{\"A\": [1, \"x\", null, {\"B\": true}], \"c\": 2, \"D\": false}");
  assert_false(cJSON_Compare(v, loud, true));
  assert_true(cJSON_Compare(v, loud, false));
  auto_json cJSON *bare = cJSON_Duplicate(v, false);
  assert_int_equal(cJSON_GetArraySize(bare), 0);
  assert_false(cJSON_Compare(v, NULL, true));
}

/* Lua's mathematics and ours, base/late_math.c. */
static void mathematics_are_the_librarys(void **state) {
  (void)state;
  volatile double half = 0.5, two = 2;
  assert_true(pow(two, 10) == 1024);
  assert_true(fabs(sin(half) - 0.479425538604203) < 1e-15);
  assert_true(fabs(log(two) - 0.693147180559945) < 1e-15);
  assert_true(fmod(7.5, two) == 1.5);
  volatile double halves[] = {0.5, 1.5, 2.5, -0.5, -2.5, 0.49999999999999994, 4503599627370495.5, 1e300};
  const double rounded[] = {1, 2, 3, -1, -3, 0, 4503599627370496.0, 1e300};
  for (int i = 0; i < 8; i++) assert_true(round(halves[i]) == rounded[i]);
  assert_true(signbit(round(-0.25 * half)));
  assert_true(isnan(round(NAN)));
  assert_int_equal(llround(halves[4]), -3);
  assert_true(fmin(two, half) == 0.5 && fmax(two, half) == 2 && fmin(NAN, half) == 0.5 && fmax(half, NAN) == 0.5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(values_are_read),
      cmocka_unit_test(numbers_are_read),
      cmocka_unit_test(texts_are_read),
      cmocka_unit_test(what_is_no_json_is_refused),
      cmocka_unit_test(depth_has_a_limit),
      cmocka_unit_test(damaged_texts_do_no_harm),
      cmocka_unit_test(names_are_found),
      cmocka_unit_test(trees_are_changed),
      cmocka_unit_test(copies_are_equal_and_apart),
      cmocka_unit_test(mathematics_are_the_librarys),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
