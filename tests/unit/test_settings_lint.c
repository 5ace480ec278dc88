/* Settings that are given but are probably not meant so. */
#include "settings_scene.h"

static void near_names(void **state) {
  (void)state;
  static const struct {
    const char *given, *near;
  } rows[] = {
      {"CONTAINER_RESTART_POLICI", "CONTAINER_RESTART_POLICY"},
      {"CONTAINER_RESTART_DELAY", "CONTAINER_RESTART_DELAY_SECONDS"},
      {"CONTAINER_EXECUTION_INTERVAL_SECONDS", "CONTAINER_EXECUTION_INTERVAL"},
      {"CONTAINER_FLOWNAME", "CONTAINER_FLOW_NAME"},
      {"CONTAINER_LOGLEVEL", "CONTAINER_LOG_LEVEL"},
      {"CONTAINER_ENVIROMENT", "CONTAINER_ENVIRONMENT"},
      {"CONTAINER_RPA1_BATCHSIZE", "CONTAINER_RPA1_BATCH_SIZE"},
      {"CONTAINER_DATABASE_HUB_CONECTION_STRING", "CONTAINER_DATABASE_HUB_CONNECTION_STRING"},
      {"CONTAINER_DATABASE_MY_HUB_POOLSIZE", "CONTAINER_DATABASE_MY_HUB_POOL_SIZE"},
      {"CONTAINER_DATABASE_HUB_POOL", "CONTAINER_DATABASE_HUB_POOL_SIZE"},
      {"CONTAINER_LOG_LEVL_FILE", "CONTAINER_LOG_LEVEL_FILE"},
      {"CONTAINER_LOG_LEVEL_FIL", "CONTAINER_LOG_LEVEL_FILE"},
      {"CONTAINER_RPA_DB_CONECTION_STRING_FILE", "CONTAINER_RPA_DB_CONNECTION_STRING_FILE"},
      {"CONTAINER_LOGLEVEL_FILE", "CONTAINER_LOG_LEVEL_FILE"},
      {"CONTAINER_DATABASE_HUB_CONECTION_STRING_FILE", "CONTAINER_DATABASE_HUB_CONNECTION_STRING_FILE"},
      {"CONTAINER_RPA2_BATCH_SIZE_FILE", NULL},
      {"CONTAINER_OUTPUT_FILE", NULL},
      {"CONTAINER_FILE", NULL},
      {"CONTAINER_LOG_FILE", NULL},
      {"CONTAINER_DATABASE_HUB_SERVICE_PORT", NULL},
      {"CONTAINER_DATABASE_HUB_HOST", NULL},
      {"CONTAINER_RPA2_BATCH_SIZE", NULL}, /* another flow's */
      {"CONTAINER_RPA2_VALIDATION_ENDPOINT", NULL},
      {"CONTAINER_RPA3_CONCURRENT_WORKERS", NULL},
      {"CONTAINER_X_SERVICE_HOST", NULL},
      {"CONTAINER_ID", NULL},
  };
  auto_settings struct settings *s = settings_new();
  auto_problems struct problems ps = {0};
  struct setting_def def = {.name = "CONTAINER_RPA1_BATCH_SIZE", SETTING_INTEGER};
  assert_int_equal(settings_declare(s, &def, NULL), 0);
  for (size_t i = 0; i < ARRAY_LEN(rows); i++) env(s, rows[i].given, "1");
  assert_int_equal(settings_resolve(s, &ps), 0); /* remarks, no problems */
  size_t near = 0;
  struct setting_remark remark;
  for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
    assert_true(settings_remark(s, i, &remark));
    assert_string_equal(remark.name, rows[i].given);
    if (!rows[i].near && remark.near) fail_msg("%s: %s", rows[i].given, remark.near);
    if (rows[i].near) assert_string_equal(remark.near, rows[i].near);
    near += rows[i].near != NULL;
  }
  assert_false(settings_remark(s, ARRAY_LEN(rows), &remark));
  settings_lint(s, &ps);
  assert_int_equal(ps.n, near);
  assert_int_equal(problems_errors(&ps), 0);
}

static void lint(void **state) {
  (void)state;
  static const struct {
    const char *name, *value, *name2, *value2, *about;
  } rows[] = {
      {"CONTAINER_RESTART_WINDOW_MINUTES", "1", NULL, NULL, "CONTAINER_RESTART_WINDOW_MINUTES"},
      {"CONTAINER_RESTART_WINDOW_MINUTES", "301s", NULL, NULL, NULL}, /* 20 + 40 + 80 + 160 */
      {"CONTAINER_RESTART_WINDOW_MINUTES", "300s", NULL, NULL, "CONTAINER_RESTART_WINDOW_MINUTES"},
      {"CONTAINER_RESTART_WINDOW_MINUTES", "1", "CONTAINER_MAX_RESTART_ATTEMPTS", "0", NULL},
      {"CONTAINER_RESTART_WINDOW_MINUTES", "1", "CONTAINER_RESTART_EXPONENTIAL_BACKOFF", "no", NULL},
      {"CONTAINER_MAX_RESTART_DELAY_SECONDS", "5", NULL, NULL, "CONTAINER_MAX_RESTART_DELAY_SECONDS"},
      {"CONTAINER_HEALTH_CHECK_TIMEOUT_SECONDS", "31", NULL, NULL, "CONTAINER_HEALTH_CHECK_TIMEOUT_SECONDS"},
      {"CONTAINER_DEPENDENCY_RETRY_SECONDS", "120", NULL, NULL, "CONTAINER_DEPENDENCY_RETRY_SECONDS"},
      {"CONTAINER_SHUTDOWN_DRAIN_SECONDS", "25", NULL, NULL, "CONTAINER_SHUTDOWN_DRAIN_SECONDS"},
      {"CONTAINER_SHUTDOWN_TIMEOUT_SECONDS", "30", NULL, NULL, "CONTAINER_SHUTDOWN_TIMEOUT_SECONDS"},
      {"CONTAINER_SHUTDOWN_TIMEOUT_SECONDS", "29", NULL, NULL, NULL},
      {"CONTAINER_LOW_FREE_DISK_MB", "10", NULL, NULL, "CONTAINER_LOW_FREE_DISK_MB"},
      {"CONTAINER_EXECUTION_INTERVAL", "0", NULL, NULL, "CONTAINER_EXECUTION_INTERVAL"},
      {"CONTAINER_EXECUTION_INTERVAL", "0", "CONTAINER_EXECUTION_MODE", "server", NULL},
      {"CONTAINER_DATABASE_SURVEY_HUB_PORT", "80", NULL, NULL, "CONTAINER_DATABASE_SURVEY_HUB_PORT"},
      {"CONTAINER_HTTP_ADDRESS", ":9464", NULL, NULL, NULL},
      {"CONTAINER_HTTP_ADDRESS", "off", NULL, NULL, NULL},
      {"CONTAINER_HTTP_TOKEN", "short", NULL, NULL, "CONTAINER_HTTP_TOKEN"},
      {"CONTAINER_MAX_RESTART_ATTEMPTS", "0", "CONTAINER_RESTART_DELAY_SECONDS", "0",
       "CONTAINER_RESTART_DELAY_SECONDS"},
  };
  for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
    auto_settings struct settings *s = settings_new();
    auto_problems struct problems ps = {0};
    env(s, rows[i].name, rows[i].value);
    if (rows[i].name2) env(s, rows[i].name2, rows[i].value2);
    assert_int_equal(settings_resolve(s, &ps), 0);
    settings_lint(s, &ps);
    assert_int_equal(problems_errors(&ps), 0);
    if (rows[i].about && !about(&ps, rows[i].about)) fail_msg("row %zu: nothing about %s", i, rows[i].about);
    if (!rows[i].about && ps.n) fail_msg("row %zu: told about %s", i, ps.items[0].name);
  }
  auto_settings struct settings *s = settings_new();
  assert_int_equal(settings_resolve(s, NULL), 0);
  assert_true(settings_shutdown_above_docker(s));
  env(s, "CONTAINER_SHUTDOWN_TIMEOUT_SECONDS", "10");
  assert_int_equal(settings_resolve(s, NULL), 0);
  assert_false(settings_shutdown_above_docker(s));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(near_names),
      cmocka_unit_test(lint),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
