/* Settings: the table, types, layers, what is declared, what is required, a reload. */
#include "settings_scene.h"

static void defaults(void **state) {
  (void)state;
  auto_settings struct settings *s = settings_new();
  auto_problems struct problems ps = {0};
  assert_int_equal(settings_resolve(s, &ps), 0);
  assert_int_equal(ps.n, 0);
  assert_int_equal(settings_choice(s, SET_EXECUTION_MODE), 0);
  assert_int_equal(settings_ns(s, SET_EXECUTION_INTERVAL), 300 * NS_PER_S);
  assert_int_equal(settings_choice(s, SET_RESTART_POLICY), 2);
  assert_int_equal(settings_int(s, SET_MAX_RESTART_ATTEMPTS), 5);
  assert_int_equal(settings_ns(s, SET_RESTART_DELAY_SECONDS), 10 * NS_PER_S);
  assert_true(settings_bool(s, SET_RESTART_EXPONENTIAL_BACKOFF));
  assert_int_equal(settings_ns(s, SET_MAX_RESTART_DELAY_SECONDS), 300 * NS_PER_S);
  assert_int_equal(settings_ns(s, SET_RESTART_WINDOW_MINUTES), 3600 * NS_PER_S);
  assert_int_equal(settings_ns(s, SET_SHUTDOWN_TIMEOUT_SECONDS), 25 * NS_PER_S);
  assert_int_equal(settings_int(s, SET_MIN_FREE_DISK_MB), 1024);
  assert_string_equal(settings_str(s, SET_HTTP_ADDRESS), "[::]:9464");
  assert_null(settings_str(s, SET_FLOW_NAME));
  assert_null(settings_str(s, SET_WORKER_ID)); /* made of a flow name that is not there */
  assert_false(settings_given(s, SET_RESTART_POLICY));
}

/* Every default of the table parses, every line has its text. */
static void table(void **state) {
  (void)state;
  for (int i = 0; i < SET_COUNT; i++) {
    const struct setting_def *def = setting_table((enum setting_id)i);
    assert_true(str_starts(def->name, "CONTAINER_"));
    assert_true(strlen(def->doc) > 10);
    assert_true(def->type != SETTING_CHOICE || def->choices);
    assert_true(def->type != SETTING_INTEGER || def->min < def->max);
    assert_true(def->type != SETTING_DURATION || def->min < def->max);
    for (int k = 0; k < i; k++) assert_string_not_equal(def->name, setting_table((enum setting_id)k)->name);
  }
}

struct row {
  enum setting_type type;
  int64_t min, max;
  const char *unit, *choices, *value;
  bool good;
  int64_t number;
};

static void types(void **state) {
  (void)state;
  static const struct row rows[] = {
      {SETTING_STRING, .value = "any thing \"at\" all", .good = true},
      {SETTING_PATH, .value = "/a b/c", .good = true},
      {SETTING_PATH, .value = "/a\nb"},
      {SETTING_PATHS, .value = "/a:b:/c", .good = true},
      {SETTING_INTEGER, 1, 10, .value = "1", .good = true, .number = 1},
      {SETTING_INTEGER, 1, 10, .value = "10", .good = true, .number = 10},
      {SETTING_INTEGER, 1, 10, .value = "0"},
      {SETTING_INTEGER, 1, 10, .value = "11"},
      {SETTING_INTEGER, 1, 10, .value = "1.5"},
      {SETTING_INTEGER, 1, 10, .value = " 5"},
      {SETTING_INTEGER, 1, 10, .value = "5 "},
      {SETTING_INTEGER, 1, 10, .value = "5x"},
      {SETTING_INTEGER, 1, 10, .value = "0x5"},
      {SETTING_INTEGER, -5, 10, .value = "-5", .good = true, .number = -5},
      {SETTING_INTEGER, -5, 10, .value = "-6"},
      {SETTING_INTEGER, .value = "9223372036854775807", .good = true, .number = INT64_MAX},
      {SETTING_INTEGER, .value = "9223372036854775808"},
      {SETTING_BOOL, .value = "true", .good = true, .number = 1},
      {SETTING_BOOL, .value = "No", .good = true, .number = 0},
      {SETTING_BOOL, .value = "ON", .good = true, .number = 1},
      {SETTING_BOOL, .value = "0", .good = true, .number = 0},
      {SETTING_BOOL, .value = "2"},
      {SETTING_BOOL, .value = "maybe"},
      {SETTING_DURATION, 0, NS_PER_S * 60, "s", .value = "10", .good = true, .number = 10 * NS_PER_S},
      {SETTING_DURATION, 0, NS_PER_S * 60, "m", .value = "1", .good = true, .number = 60 * NS_PER_S},
      {SETTING_DURATION, 0, NS_PER_S * 60, "m", .value = "30s", .good = true, .number = 30 * NS_PER_S},
      {SETTING_DURATION, 0, NS_PER_S * 60, "s", .value = "250ms", .good = true, .number = 250 * NS_PER_MS},
      {SETTING_DURATION, 0, NS_PER_S * 60, "s", .value = "0.5", .good = true, .number = NS_PER_S / 2},
      {SETTING_DURATION, 0, NS_PER_S * 60, "s", .value = "1m", .good = true, .number = 60 * NS_PER_S},
      {SETTING_DURATION, 0, NS_PER_S * 60, "s", .value = "61"},
      {SETTING_DURATION, 0, NS_PER_S * 60, "s", .value = "-1"},
      {SETTING_DURATION, 0, NS_PER_S * 60, "s", .value = "5 minutes"},
      {SETTING_DURATION, 0, NS_PER_S * 60, "s", .value = "s"},
      {SETTING_DURATION, 0, NS_PER_S * 60, "s", .value = "1d"},
      {SETTING_DURATION, NS_PER_S, NS_PER_S * 60, "s", .value = "0"},
      {SETTING_CHOICE, .choices = "no always on-failure", .value = "always", .good = true, .number = 1},
      {SETTING_CHOICE, .choices = "no always on-failure", .value = "ON-FAILURE", .good = true, .number = 2},
      {SETTING_CHOICE, .choices = "no always on-failure", .value = "On_Failure", .good = true, .number = 2},
      {SETTING_CHOICE, .choices = "no always on-failure", .value = "on"},
      {SETTING_CHOICE, .choices = "no always on-failure", .value = "no always"},
      {SETTING_URL, .value = "http://prefect-server:4200/api", .good = true},
      {SETTING_URL, .value = "HTTPS://[::1]:8080/?a=b", .good = true},
      {SETTING_URL, .value = "http://user:pw@host", .good = true},
      {SETTING_URL, .value = "https://a", .good = true},
      {SETTING_URL, .value = "prefect-server:4200"},
      {SETTING_URL, .value = "ftp://host/"},
      {SETTING_URL, .value = "http://"},
      {SETTING_URL, .value = "http:///path"},
      {SETTING_URL, .value = "http://host:port/"},
      {SETTING_URL, .value = "http://host:70000/"},
      {SETTING_URL, .value = "http://ho st/"},
      {SETTING_URL, .value = "http://[::1/"},
      {SETTING_ADDRESS, .value = "[::]:9464", .good = true},
      {SETTING_ADDRESS, .value = "127.0.0.1:0", .good = true},
      {SETTING_ADDRESS, .value = ":8080", .good = true},
      {SETTING_ADDRESS, .value = "localhost:8080", .good = true},
      {SETTING_ADDRESS, .value = "Off", .good = true},
      {SETTING_ADDRESS, .value = "::1:8080"},
      {SETTING_ADDRESS, .value = "127.0.0.1"},
      {SETTING_ADDRESS, .value = "127.0.0.1:"},
      {SETTING_ADDRESS, .value = "127.0.0.1:65536"},
      {SETTING_ADDRESS, .value = "[]:80"},
      {SETTING_ADDRESS, .value = "a b:80"},
  };
  for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
    const struct row *r = &rows[i];
    auto_settings struct settings *s = settings_new();
    auto_problems struct problems ps = {0};
    struct setting_def def = {.name = "CONTAINER_F_X",
                              .type = r->type,
                              .unit = r->unit,
                              .min = r->min,
                              .max = r->max,
                              .choices = r->choices,
                              .doc = "x"};
    assert_int_equal(settings_declare(s, &def, NULL), 0);
    env(s, "CONTAINER_F_X", r->value);
    size_t errors = settings_resolve(s, &ps);
    if (errors != (r->good ? 0 : 1)) fail_msg("row %zu, \"%s\": %zu errors", i, r->value, errors);
    struct setting_view v;
    assert_true(settings_view(s, "CONTAINER_F_X", &v));
    if (r->good) {
      assert_string_equal(v.text, r->value);
      assert_int_equal(v.number, r->number);
      continue;
    }
    const struct problem *p = about(&ps, "CONTAINER_F_X");
    assert_non_null(p);
    assert_string_equal(p->value, r->value);
    assert_string_equal(p->source, "environment");
    assert_true(strlen(p->allowed) > 3);
    assert_true(strlen(p->fix) > 3);
    assert_null(v.text); /* no default: no value */
    assert_string_equal(v.shown, r->value);
  }
}

static void address_parts(void **state) {
  (void)state;
  char host[64];
  int port = -1;
  assert_int_equal(setting_address("[fe80::1%eth0]:80", host, sizeof host, &port), 0);
  assert_string_equal(host, "fe80::1%eth0");
  assert_int_equal(port, 80);
  assert_int_equal(setting_address("*:81", host, sizeof host, &port), 0);
  assert_string_equal(host, "");
  assert_int_equal(setting_address("127.0.0.1:82", host, sizeof host, &port), 0);
  assert_string_equal(host, "127.0.0.1");
  assert_int_equal(setting_address("255.255.255.255:82", host, sizeof host, &port), 0);
  assert_int_equal(setting_address("1.example:82", host, sizeof host, &port), 0);
  static const char *const wrong[] = {"256.1.1.1:1", "1.2.3:1", "1.2.3.4.5:1", "1.2.3.:1",
                                      "1.2.3.4.:1",  "127:1",   "1..2.3:1"};
  for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
    assert_int_equal(setting_address(wrong[i], host, sizeof host, &port), -EINVAL);
  assert_int_equal(setting_address("off", host, sizeof host, &port), -ENOENT);
}

/* Of any two layers the higher one wins, whatever the order in which they were given. */
static void precedence(void **state) {
  (void)state;
  static const char *const values[] = {"11", "12", "13", "14", "15"};
  for (int low = LAYER_DEFAULT; low <= LAYER_COMMAND_LINE; low++) {
    for (int high = low; high <= LAYER_COMMAND_LINE; high++) {
      for (int order = 0; order < 2; order++) {
        auto_settings struct settings *s = settings_new();
        for (int k = 0; k < 2; k++) {
          int layer = (k == 0) == (order == 0) ? low : high;
          settings_give(s, (enum setting_layer)layer, "CONTAINER_RESTART_DELAY_SECONDS", values[layer], "there");
        }
        assert_int_equal(settings_resolve(s, NULL), 0);
        assert_int_equal(settings_ns(s, SET_RESTART_DELAY_SECONDS), (11 + high) * NS_PER_S);
        struct setting_view v;
        assert_true(settings_view(s, "CONTAINER_RESTART_DELAY_SECONDS", &v));
        assert_int_equal(v.layer, high);
        assert_int_equal(settings_given(s, SET_RESTART_DELAY_SECONDS), high > LAYER_DEFAULT);
      }
    }
  }
}

static void empty_is_not_given(void **state) {
  (void)state;
  auto_settings struct settings *s = settings_new();
  settings_give(s, LAYER_FILE, "CONTAINER_LOG_LEVEL", "debug", "f.json:1");
  env(s, "CONTAINER_LOG_LEVEL", "");
  env(s, "CONTAINER_NO_SUCH", "");
  assert_int_equal(settings_resolve(s, NULL), 0);
  assert_int_equal(settings_choice(s, SET_LOG_LEVEL), 0);
  struct setting_view v;
  assert_true(settings_view(s, "CONTAINER_LOG_LEVEL", &v));
  assert_int_equal(v.layer, LAYER_FILE);
  struct setting_remark remark;
  assert_false(settings_remark(s, 0, &remark));
}

static void all_errors_at_once(void **state) {
  (void)state;
  auto_settings struct settings *s = settings_new();
  auto_problems struct problems ps = {0};
  env(s, "CONTAINER_RESTART_POLICY", "sometimes");
  env(s, "CONTAINER_MAX_RESTART_ATTEMPTS", "-1");
  env(s, "CONTAINER_RESTART_DELAY_SECONDS", "soon");
  settings_give(s, LAYER_FILE, "CONTAINER_LOG_LEVL", "info", "tend.json:7");
  settings_give(s, LAYER_FILE, "CONTAINER_SOMETHING_ELSE", "1", "tend.json:8");
  assert_int_equal(settings_resolve(s, &ps), 4);
  assert_int_equal(problems_errors(&ps), 4);
  assert_int_equal(problems_exit_code(&ps), 78);
  assert_string_equal(about(&ps, "CONTAINER_RESTART_POLICY")->allowed, "one of no, always, on-failure, unless-stopped");
  assert_string_equal(about(&ps, "CONTAINER_MAX_RESTART_ATTEMPTS")->allowed, "a whole number from 0 to 1024");
  assert_string_equal(about(&ps, "CONTAINER_RESTART_DELAY_SECONDS")->allowed,
                      "a duration from 0s to 24h: a number of seconds, or with ms, s, m or h");
  assert_string_equal(about(&ps, "CONTAINER_LOG_LEVL")->allowed, "CONTAINER_LOG_LEVEL");
  assert_string_equal(about(&ps, "CONTAINER_LOG_LEVL")->source, "tend.json:7");
  assert_true(about(&ps, "CONTAINER_SOMETHING_ELSE")->warning);
  /* what reads them goes on with the defaults */
  assert_int_equal(settings_choice(s, SET_RESTART_POLICY), 2);
  assert_int_equal(settings_ns(s, SET_RESTART_DELAY_SECONDS), 10 * NS_PER_S);
  struct setting_view v;
  settings_view(s, "CONTAINER_RESTART_POLICY", &v);
  assert_string_equal(v.shown, "sometimes");
  assert_string_equal(v.origin, "environment");
}

static void declare(void **state) {
  (void)state;
  auto_settings struct settings *s = settings_new();
  struct err err = ERR_INIT;
  env(s, "CONTAINER_RPA1_BATCH_SIZE", "7");
  struct setting_def def = {
      .name = "CONTAINER_RPA1_BATCH_SIZE", SETTING_INTEGER, .fallback = "25", .min = 1, .max = 100};
  assert_int_equal(settings_declare(s, &def, &err), 0);
  assert_int_equal(settings_declare(s, &def, &err), -EEXIST);
  assert_non_null(strstr(err.msg, "CONTAINER_RPA1_BATCH_SIZE"));
  def.name = "CONTAINER_RESTART_POLICY";
  assert_int_equal(settings_declare(s, &def, &err), -EEXIST);
  def.name = "RPA1_X";
  assert_int_equal(settings_declare(s, &def, &err), -EINVAL);
  def.name = "CONTAINER_rpa";
  assert_int_equal(settings_declare(s, &def, &err), -EINVAL);
  assert_int_equal(settings_resolve(s, NULL), 0);
  struct setting_view v;
  settings_view(s, "CONTAINER_RPA1_BATCH_SIZE", &v);
  assert_int_equal(v.number, 7);
  struct setting_remark remark;
  assert_false(settings_remark(s, 0, &remark)); /* known by now */
  /* too many are refused, not forgotten */
  int rc = 0;
  for (int i = 0; i < 10000 && rc == 0; i++) {
    char name[32];
    snprintf(name, sizeof name, "CONTAINER_F_N%d", i);
    def.name = name;
    rc = settings_declare(s, &def, &err);
  }
  assert_int_equal(rc, -E2BIG);
}

static void required(void **state) {
  (void)state;
  auto_settings struct settings *s = settings_new();
  auto_problems struct problems ps = {0};
  assert_int_equal(settings_require(s, "CONTAINER_RPA_DB_CONNECTION_STRING", "flow rpa1"), 0);
  assert_int_equal(settings_require(s, "CONTAINER_NO_SUCH", "flow rpa1"), -ENOENT);
  struct setting_def def = {.name = "CONTAINER_F_X", .flags = SETTING_REQUIRED, .doc = "what it is"};
  assert_int_equal(settings_declare(s, &def, NULL), 0);
  assert_int_equal(settings_resolve(s, &ps), 2);
  const struct problem *p = about(&ps, "CONTAINER_RPA_DB_CONNECTION_STRING");
  assert_string_equal(p->check, "environment");
  assert_non_null(strstr(p->allowed, "flow rpa1"));
  assert_non_null(strstr(p->fix, "_FILE"));
  assert_non_null(strstr(about(&ps, "CONTAINER_F_X")->fix, "what it is"));
  env(s, "CONTAINER_RPA_DB_CONNECTION_STRING", "postgresql://h/db");
  env(s, "CONTAINER_F_X", "1");
  assert_int_equal(settings_resolve(s, NULL), 0);
}

static void databases(void **state) {
  (void)state;
  auto_settings struct settings *s = settings_new();
  struct setting_database db;
  assert_int_equal(settings_resolve(s, NULL), 0);
  assert_false(settings_database(s, 0, &db));
  env(s, "CONTAINER_DATABASE_ORDERS_CONNECTION_STRING", "host=o password=geheim99");
  env(s, "CONTAINER_DATABASE_ORDERS_POOL_SIZE", "9");
  env(s, "CONTAINER_RPA_DB_CONNECTION_STRING", "postgresql://u:pw@h/db");
  env(s, "CONTAINER_DATABASE_RPA_DB_TIMEOUT", "7");
  env(s, "CONTAINER_DATABASE_SURVEY_HUB_HOST", "hub");
  assert_int_equal(settings_resolve(s, NULL), 0);
  assert_true(settings_database(s, 0, &db));
  assert_string_equal(db.name, "rpa_db");
  assert_string_equal(db.setting, "CONTAINER_RPA_DB_CONNECTION_STRING");
  assert_string_equal(db.connection, "postgresql://u:pw@h/db");
  assert_int_equal(db.timeout_ns, 7 * NS_PER_S);
  assert_int_equal(db.pool_size, 5);
  assert_true(settings_database(s, 1, &db));
  assert_string_equal(db.name, "orders");
  assert_int_equal(db.pool_size, 9);
  assert_int_equal(db.timeout_ns, 30 * NS_PER_S);
  assert_string_equal(db.health_query, "SELECT 1");
  assert_string_equal(db.setting, "CONTAINER_DATABASE_ORDERS_CONNECTION_STRING");
  assert_false(settings_database(s, 2, &db));
  struct setting_view v;
  settings_view(s, "CONTAINER_DATABASE_ORDERS_CONNECTION_STRING", &v);
  assert_string_equal(v.shown, "***");
  /* bounds hold there, too */
  env(s, "CONTAINER_DATABASE_ORDERS_POOL_SIZE", "0");
  assert_int_equal(settings_resolve(s, NULL), 1);
}

/* A reload: what it may not change keeps the value in force, and says so; the two change places. */
static void test_reload(void **state) {
  (void)state;
  auto_settings struct settings *now = settings_new(), *next = settings_new();
  const struct setting_def own[] = {{.name = "CONTAINER_X_A", .flags = SETTING_RELOADABLE, .fallback = "1"},
                                    {.name = "CONTAINER_X_B", .fallback = "1"}};
  for (int i = 0; i < 2; i++) {
    struct settings *s = i ? next : now;
    for (size_t k = 0; k < ARRAY_LEN(own); k++) assert_int_equal(settings_declare(s, &own[k], NULL), 0);
    settings_give(s, LAYER_FILE, "CONTAINER_LOG_LEVEL", i ? "DEBUG" : "INFO", "c.json:1");
    settings_give(s, LAYER_FILE, "CONTAINER_WORKER_ID", i ? "b" : "a", "c.json:2");
    settings_give(s, LAYER_FILE, "CONTAINER_X_A", i ? "2" : "1", "c.json:3");
    settings_give(s, LAYER_FILE, "CONTAINER_X_B", i ? "2" : "1", "c.json:4");
    settings_give(s, LAYER_FILE, "CONTAINER_RPA_DB_CONNECTION_STRING",
                  i ? "postgresql://a:second-one@h/d" : "postgresql://a:first-one@h/d", "c.json:5");
    if (i) settings_keep_to(s, now);
    assert_int_equal(settings_resolve(s, NULL), 0);
  }
  struct setting_view v;
  assert_int_equal(settings_choice(next, SET_LOG_LEVEL), 0);
  assert_string_equal(settings_str(next, SET_WORKER_ID), "a");
  assert_true(settings_view(next, "CONTAINER_WORKER_ID", &v) && v.waits);
  assert_true(settings_view(next, "CONTAINER_LOG_LEVEL", &v) && !v.waits);
  assert_true(settings_view(next, "CONTAINER_X_A", &v) && !v.waits);
  assert_string_equal(v.text, "2");
  assert_true(settings_view(next, "CONTAINER_X_B", &v) && v.waits);
  assert_string_equal(v.text, "1");
  settings_exchange(now, next);
  assert_int_equal(settings_choice(now, SET_LOG_LEVEL), 0);
  assert_int_equal(settings_choice(next, SET_LOG_LEVEL), 1);
  for (int i = 0; i < 2; i++) { /* each knows the secrets of both */
    struct buf text = {0};
    buf_str(&text, "first-one second-one");
    settings_redact(i ? next : now, &text);
    assert_string_equal(buf_cstr(&text), "*** ***");
    buf_free(&text);
  }
  /* in the same file as before: nothing waits any more */
  settings_give(next, LAYER_FILE, "CONTAINER_WORKER_ID", "a", "c.json:2");
  settings_keep_to(next, now);
  assert_int_equal(settings_resolve(next, NULL), 0);
  assert_true(settings_view(next, "CONTAINER_WORKER_ID", &v) && !v.waits);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(defaults),           cmocka_unit_test(table),       cmocka_unit_test(types),
      cmocka_unit_test(address_parts),      cmocka_unit_test(precedence),  cmocka_unit_test(empty_is_not_given),
      cmocka_unit_test(all_errors_at_once), cmocka_unit_test(declare),     cmocka_unit_test(required),
      cmocka_unit_test(databases),          cmocka_unit_test(test_reload),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
