#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "loop/settings_source.h"

#define auto_settings __attribute__((cleanup(clean_settings)))
#define auto_problems __attribute__((cleanup(problems_free)))

static void clean_settings(struct settings **s) { settings_free(*s); }

static char dir[64];

static int make_dir(void **state) {
  (void)state;
  str_copy(dir, sizeof dir, "/tmp/tend-source-XXXXXX");
  return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state) {
  (void)state;
  char cmd[128];
  snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
  return system(cmd);
}

static const char *put(const char *name, const char *text, size_t n) {
  static char path[8][128];
  static int turn;
  char *p = path[turn++ % 8];
  snprintf(p, sizeof path[0], "%s/%s", dir, name);
  FILE *f = fopen(p, "w");
  assert_non_null(f);
  assert_int_equal(fwrite(text, 1, n, f), n);
  fclose(f);
  return p;
}

static const char *puts_to(const char *name, const char *text) { return put(name, text, strlen(text)); }

static const struct problem *about(const struct problems *ps, const char *name) {
  for (size_t i = 0; i < ps->n; i++)
    if (STR_EQ(ps->items[i].name, name)) return &ps->items[i];
  return NULL;
}

/* cJSON's texts end at a NUL: "5\0x" must not become "5". */
static void nul_in_json(void **state) {
  (void)state;
  static const char raw[] = "{\"execution_interval\": \"5\0x\"}";
  const char *const paths[] = {put("nul.json", raw, sizeof raw - 1),
                               puts_to("nul2.json", "{\"execution_interval\": \"5\\u0000x\"}")};
  for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
    auto_settings struct settings *s = settings_new();
    auto_problems struct problems ps = {0};
    settings_from_file(s, paths[i], &ps);
    const struct problem *p = about(&ps, "CONTAINER_CONFIG_FILE");
    assert_non_null(p);
    assert_non_null(strstr(p->allowed, "NUL"));
  }
}

static void environment(void **state) {
  (void)state;
  auto_settings struct settings *s = settings_new();
  char *env[] = {"PATH=/bin",
                 "CONTAINER_FLOW_NAME=rpa1",
                 "CONTAINER_LOG_LEVEL=warning",
                 "CONTAINER_LOG_LEVEL=debug",
                 "CONTAINER_DATA_DIR=a=b",
                 "CONTAINER_BROKEN",
                 "container_flow_name=x",
                 NULL};
  settings_from_environ(s, env);
  assert_int_equal(settings_resolve(s, NULL), 0);
  assert_int_equal(settings_choice(s, SET_LOG_LEVEL), 2); /* the first, as getenv */
  assert_string_equal(settings_str(s, SET_DATA_DIR), "a=b");
  assert_true(str_starts(settings_str(s, SET_WORKER_ID), "rpa1-"));
  assert_true(strlen(settings_str(s, SET_WORKER_ID)) > 5);
}

static void file_values(void **state) {
  (void)state;
  static const struct {
    const char *content, *value;
  } rows[] = {
      {"secret-1", "secret-1"},       {"secret-1\n", "secret-1"},     {"secret-1\r\n", "secret-1"},
      {"secret-1\n\n", "secret-1\n"}, {" secret-1 \n", " secret-1 "},
  };
  for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
    auto_settings struct settings *s = settings_new();
    auto_problems struct problems ps = {0};
    settings_give(s, LAYER_ENVIRONMENT, "CONTAINER_HTTP_TOKEN_FILE", puts_to("token", rows[i].content), "environment");
    settings_read_files(s, &ps);
    assert_int_equal(ps.n, 0);
    assert_int_equal(settings_resolve(s, &ps), 0);
    assert_string_equal(settings_str(s, SET_HTTP_TOKEN), rows[i].value);
    struct setting_view v;
    settings_view(s, "CONTAINER_HTTP_TOKEN", &v);
    assert_true(str_ends(v.origin, "/token"));
    assert_int_equal(v.layer, LAYER_ENVIRONMENT);
  }
}

static void file_trouble(void **state) {
  (void)state;
  char path[128];
  char *big = malloc(LIMIT_SETTING_VALUE + 2);
  memset(big, 'x', LIMIT_SETTING_VALUE + 2);
  struct {
    const char *path, *expected;
  } rows[] = {
      {"/nonexistent/secret", "No such file"},
      {dir, "directory"},
      {"/dev/zero", "device"},
      {put("big", big, LIMIT_SETTING_VALUE + 2), "more than"},
      {put("nul", "a\0b", 3), "NUL"},
      {NULL, "pipe"},
  };
  free(big);
  snprintf(path, sizeof path, "%s/fifo", dir);
  assert_int_equal(mkfifo(path, 0600), 0);
  rows[5].path = path;
  for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
    auto_settings struct settings *s = settings_new();
    auto_problems struct problems ps = {0};
    int64_t begin = clock_mono_ns();
    settings_give(s, LAYER_ENVIRONMENT, "CONTAINER_HTTP_TOKEN_FILE", rows[i].path, "environment");
    settings_read_files(s, &ps);
    assert_true(clock_mono_ns() - begin < NS_PER_S);
    assert_int_equal(ps.n, 1);
    assert_string_equal(ps.items[0].name, "CONTAINER_HTTP_TOKEN_FILE");
    assert_string_equal(ps.items[0].value, rows[i].path);
    if (!strstr(ps.items[0].allowed, rows[i].expected)) fail_msg("row %zu: %s", i, ps.items[0].allowed);
    assert_int_equal(problems_exit_code(&ps), 78);
  }
}

static void empty_file_is_not_given(void **state) {
  (void)state;
  auto_settings struct settings *s = settings_new();
  auto_problems struct problems ps = {0};
  settings_give(s, LAYER_ENVIRONMENT, "CONTAINER_HTTP_TOKEN_FILE", puts_to("empty", "\n"), "environment");
  settings_read_files(s, &ps);
  assert_int_equal(ps.n, 1);
  assert_true(ps.items[0].warning);
  settings_resolve(s, NULL);
  assert_null(settings_str(s, SET_HTTP_TOKEN));
}

static void both_given(void **state) {
  (void)state;
  auto_settings struct settings *s = settings_new();
  auto_problems struct problems ps = {0};
  char file[256];
  snprintf(file, sizeof file, "CONTAINER_HTTP_TOKEN_FILE=%s", puts_to("token", "from-file"));
  char *env[] = {"CONTAINER_HTTP_TOKEN=from-environment", file, NULL};
  settings_from_environ(s, env);
  settings_read_files(s, &ps);
  assert_int_equal(problems_errors(&ps), 1);
  assert_non_null(strstr(ps.items[0].allowed, "CONTAINER_HTTP_TOKEN_FILE"));
  assert_non_null(strstr(ps.items[0].allowed, "both"));
  assert_null(ps.items[0].value);
}

/* A name that ends in _FILE and is a setting itself is no file to be read; one of a flow is read when it is declared.
 */
static void names_that_end_in_file(void **state) {
  (void)state;
  auto_settings struct settings *s = settings_new();
  auto_problems struct problems ps = {0};
  char a[256];
  char b[256];
  snprintf(a, sizeof a, "CONTAINER_RPA1_TOKEN_FILE=%s", puts_to("token", "of-the-flow"));
  snprintf(b, sizeof b, "CONTAINER_DATABASE_ORDERS_CONNECTION_STRING_FILE=%s", puts_to("db", "host=x\n"));
  char *env[] = {"CONTAINER_CONFIG_FILE=/etc/x.json", "CONTAINER_RPA1_INPUT_FILE=/etc/passwd", a, b, NULL};
  settings_from_environ(s, env);
  settings_read_files(s, &ps);
  struct setting_def input = {.name = "CONTAINER_RPA1_INPUT_FILE", SETTING_PATH};
  struct setting_def token = {.name = "CONTAINER_RPA1_TOKEN"};
  assert_int_equal(settings_declare(s, &input, NULL), 0);
  assert_int_equal(settings_declare(s, &token, NULL), 0);
  settings_read_files(s, &ps);
  assert_int_equal(settings_resolve(s, &ps), 0);
  assert_int_equal(ps.n, 0);
  struct setting_view v;
  settings_view(s, "CONTAINER_RPA1_TOKEN", &v);
  assert_string_equal(v.text, "of-the-flow");
  settings_view(s, "CONTAINER_RPA1_INPUT_FILE", &v);
  assert_string_equal(v.text, "/etc/passwd");
  assert_string_equal(settings_str(s, SET_CONFIG_FILE), "/etc/x.json");
  struct setting_database db;
  assert_true(settings_database(s, 0, &db));
  assert_string_equal(db.connection, "host=x");
}

static void config_file(void **state) {
  (void)state;
  auto_settings struct settings *s = settings_new();
  auto_problems struct problems ps = {0};
  const char *path = puts_to("tend.json",
                             "{\n  \"restart_delay_seconds\": 2.5,\n"
                             "  \"CONTAINER_LOG_LEVEL\": \"debug\", \"Restart-Exponential-Backoff\": false,\n"
                             "  \"flows_dir\": [\"/a\", \"/b\"], \"http_token\": null,\n\n"
                             "  \"max_restart_attempts\": 3,\n  \"output_dir\": \"a \\\"{,\\\" b\",\n"
                             "  \"log_levle\": \"x\",\n"
                             "  \"log_level\": \"info\",\n"
                             "  \"execution_mode\": {\"a\": [1, 2]},\n"
                             "  \"restart_policy\": \"sometimes\"\n}\n");
  settings_from_file(s, path, &ps);
  settings_resolve(s, &ps);
  assert_int_equal(settings_ns(s, SET_RESTART_DELAY_SECONDS), 2500 * NS_PER_MS);
  assert_int_equal(settings_choice(s, SET_LOG_LEVEL), 0);
  assert_false(settings_bool(s, SET_RESTART_EXPONENTIAL_BACKOFF));
  assert_string_equal(settings_str(s, SET_FLOWS_DIR), "/a:/b");
  assert_int_equal(settings_int(s, SET_MAX_RESTART_ATTEMPTS), 3);
  assert_string_equal(settings_str(s, SET_OUTPUT_DIR), "a \"{,\" b");
  assert_int_equal(problems_errors(&ps), 4);
  assert_true(str_ends(about(&ps, "CONTAINER_LOG_LEVLE")->source, "tend.json:8"));
  assert_string_equal(about(&ps, "CONTAINER_LOG_LEVLE")->allowed, "CONTAINER_LOG_LEVEL");
  assert_true(str_ends(about(&ps, "CONTAINER_LOG_LEVEL")->source, "tend.json:9"));
  assert_true(str_ends(about(&ps, "CONTAINER_EXECUTION_MODE")->source, "tend.json:10"));
  assert_true(str_ends(about(&ps, "CONTAINER_RESTART_POLICY")->source, "tend.json:11"));
}

static void config_file_trouble(void **state) {
  (void)state;
  static const struct {
    const char *content, *expected;
  } rows[] = {
      {NULL, "No such file"},         {"", "not valid JSON"},        {"[1]", "not a JSON object"},
      {"{\n\"a\": 1,\n}", ":3:"},     {"{\"a\": 1} x", "not valid"}, {"\x7f\x45LF\x02", "not valid"},
      {"\"x\"", "not a JSON object"},
  };
  for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
    auto_settings struct settings *s = settings_new();
    auto_problems struct problems ps = {0};
    const char *path = rows[i].content ? puts_to("tend.json", rows[i].content) : "/nonexistent/tend.json";
    settings_give(s, LAYER_ENVIRONMENT, "CONTAINER_CONFIG_FILE", path, "environment");
    settings_resolve(s, NULL);
    settings_from_file(s, path, &ps);
    assert_int_equal(ps.n, 1);
    assert_string_equal(ps.items[0].name, "CONTAINER_CONFIG_FILE");
    assert_string_equal(ps.items[0].source, "environment");
    if (!strstr(ps.items[0].allowed, rows[i].expected)) fail_msg("row %zu: %s", i, ps.items[0].allowed);
  }
}

#define T(f) cmocka_unit_test_setup_teardown(f, make_dir, drop_dir)

int main(void) {
  const struct CMUnitTest tests[] = {
      T(environment),
      T(nul_in_json),
      T(file_values),
      T(file_trouble),
      T(empty_file_is_not_given),
      T(both_given),
      T(names_that_end_in_file),
      T(config_file),
      T(config_file_trouble),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
