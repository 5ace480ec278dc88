/* Settings whose value names another; values that nobody may see, or that are too long. */
#include "settings_scene.h"

static void expansion(void **state) {
  (void)state;
  auto_settings struct settings *s = settings_new();
  auto_problems struct problems ps = {0};
  settings_variable(s, "HOSTNAME", "box");
  env(s, "CONTAINER_FLOW_NAME", "rpa1");
  env(s, "CONTAINER_DATA_DIR", "/d");
  env(s, "CONTAINER_OUTPUT_DIR", "/o/${DATA_DIR}"); /* a user's value is taken as it is */
  struct setting_def in = {.name = "CONTAINER_RPA1_INPUT_DIR", .type = SETTING_PATH, .fallback = "${DATA_DIR}/input"};
  struct setting_def out = {
      .name = "CONTAINER_RPA1_NEXT", .type = SETTING_PATH, .fallback = "${RPA1_INPUT_DIR}/${FLOW_NAME}"};
  assert_int_equal(settings_declare(s, &out, NULL), 0);
  assert_int_equal(settings_declare(s, &in, NULL), 0);
  assert_int_equal(settings_resolve(s, &ps), 0);
  assert_string_equal(settings_str(s, SET_WORKER_ID), "rpa1-box");
  assert_string_equal(settings_str(s, SET_OUTPUT_DIR), "/o/${DATA_DIR}");
  struct setting_view v;
  settings_view(s, "CONTAINER_RPA1_NEXT", &v);
  assert_string_equal(v.text, "/d/input/rpa1");
  assert_string_equal(v.origin, "default");
}

static void expansion_errors(void **state) {
  (void)state;
  static const struct {
    const char *a, *b, *expected;
  } rows[] = {
      {"${F_B}", "${F_A}", "CONTAINER_F_A -> CONTAINER_F_B -> CONTAINER_F_A"},
      {"x${F_A}", "1", "CONTAINER_F_A -> CONTAINER_F_A"},
      {"${DATA_DUR}", "1", "CONTAINER_DATA_DIR"},
      {"${NOTHING_LIKE_THAT}", "1", "there is no CONTAINER_NOTHING_LIKE_THAT"},
      {"${F_B", "1", "closed"},
      {"${}", "1", "closed"},
  };
  for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
    auto_settings struct settings *s = settings_new();
    auto_problems struct problems ps = {0};
    struct setting_def a = {.name = "CONTAINER_F_A", .fallback = rows[i].a};
    struct setting_def b = {.name = "CONTAINER_F_B", .fallback = rows[i].b};
    assert_int_equal(settings_declare(s, &a, NULL), 0);
    assert_int_equal(settings_declare(s, &b, NULL), 0);
    assert_true(settings_resolve(s, &ps) >= 1);
    if (!strstr(ps.items[0].allowed, rows[i].expected)) fail_msg("row %zu: %s", i, ps.items[0].allowed);
    assert_int_equal(settings_resolve(s, NULL), ps.n); /* again: the same */
  }
}

/* A chain longer than anybody writes ends, with a message. */
static void long_chain(void **state) {
  (void)state;
  auto_settings struct settings *s = settings_new();
  for (int i = 0; i < 200; i++) {
    char name[32];
    char next[32];
    snprintf(name, sizeof name, "CONTAINER_F_N%d", i);
    snprintf(next, sizeof next, "${F_N%d}", i + 1);
    struct setting_def def = {.name = name, .fallback = i == 199 ? "end" : next};
    assert_int_equal(settings_declare(s, &def, NULL), 0);
  }
  assert_true(settings_resolve(s, NULL) > 0);
}

static void secrets_are_never_shown(void **state) {
  (void)state;
  auto_settings struct settings *s = settings_new();
  auto_problems struct problems ps = {0};
  struct setting_def declared = {.name = "CONTAINER_F_API_KEY", SETTING_INTEGER, .min = 1, .max = 9};
  struct setting_def copy = {
      .name = "CONTAINER_F_COPY", SETTING_INTEGER, .fallback = "${HTTP_TOKEN}", .min = 1, .max = 2};
  env(s, "CONTAINER_HTTP_TOKEN", "hunter2hunter2");
  env(s, "CONTAINER_F_API_KEY", "correct-horse");
  assert_int_equal(settings_declare(s, &declared, NULL), 0); /* secret by its name */
  assert_int_equal(settings_declare(s, &copy, NULL), 0);     /* by what goes into it */
  assert_int_equal(settings_resolve(s, &ps), 2);
  auto_buf struct buf b = {0};
  for (size_t i = 0; i < ps.n; i++) problem_text(&ps.items[i], &b);
  struct json j = JSON_INIT(&b);
  problems_json(&ps, false, &j, NULL);
  struct setting_view v;
  for (size_t i = 0; settings_at(s, i, &v); i++)
    if (v.shown) buf_str(&b, v.shown);
  assert_null(strstr(buf_cstr(&b), "hunter2"));
  assert_null(strstr(buf_cstr(&b), "horse"));
  assert_non_null(strstr(buf_cstr(&b), "***"));
  assert_string_equal(settings_str(s, SET_HTTP_TOKEN), "hunter2hunter2");
  buf_clear(&b);
  buf_str(&b, "token hunter2hunter2 and correct-horse");
  settings_redact(s, &b);
  assert_string_equal(buf_cstr(&b), "token *** and ***");
}

/* The value of another setting may quote a secret; so may a value that lost. */
static void secrets_of_all_layers(void **state) {
  (void)state;
  auto_settings struct settings *s = settings_new();
  auto_problems struct problems ps = {0};
  settings_give(s, LAYER_FILE, "CONTAINER_HTTP_TOKEN", "losing-secret", "f:1");
  env(s, "CONTAINER_HTTP_TOKEN", "winning-secret");
  env(s, "CONTAINER_OTHER_PASSWORD", "unknown-secret");
  env(s, "CONTAINER_OTHER_TOKEN_FILE", "/run/secrets/token"); /* where it lies is no secret */
  env(s, "CONTAINER_LOG_LEVEL", "losing-secret winning-secret unknown-secret /run/secrets/token");
  assert_int_equal(settings_resolve(s, &ps), 1);
  assert_string_equal(ps.items[0].value, "*** *** *** /run/secrets/token");
}

static void long_values(void **state) {
  (void)state;
  auto_settings struct settings *s = settings_new();
  auto_problems struct problems ps = {0};
  auto_buf struct buf b = {0};
  for (int i = 0; i <= LIMIT_SETTING_VALUE; i++) buf_char(&b, 'x');
  env(s, "CONTAINER_WORKER_ID", buf_cstr(&b));
  assert_int_equal(settings_resolve(s, &ps), 1);
  assert_string_equal(ps.items[0].allowed, "at most 32768 bytes");
  assert_true(strlen(ps.items[0].value) < 300);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(expansion),
      cmocka_unit_test(expansion_errors),
      cmocka_unit_test(long_chain),
      cmocka_unit_test(secrets_are_never_shown),
      cmocka_unit_test(secrets_of_all_layers),
      cmocka_unit_test(long_values),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
