#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "core/metric.h"
#include "core/vitals.h"

static const char *const by_file[] = {"file"};

static struct metric *declare(struct metrics *ms, enum metric_type type, const char *name, size_t n_labels) {
  struct err err = ERR_INIT;
  struct metric *m = metrics_declare(
      ms,
      &(struct metric_spec){.type = type, .name = name, .help = "Some help.", .labels = by_file, .n_labels = n_labels},
      &err);
  if (!m) print_message("%s\n", err.msg);
  return m;
}

static void test_values(void **state) {
  (void)state;
  struct metrics *ms = metrics_new();
  struct metric *c = declare(ms, METRIC_COUNTER, "rows_total", 1);
  const char *a[] = {"a.csv"};
  const char *b[] = {"b.csv"};
  assert_true(isnan(metric_get(c, a)));
  assert_int_equal(metric_add(c, a, 2), 0);
  assert_int_equal(metric_add(c, a, 0.5), 0);
  assert_int_equal(metric_add(c, b, 1), 0);
  assert_int_equal(metric_add(c, a, -1), -EINVAL);
  assert_int_equal(metric_add(c, a, NAN), -EINVAL);
  assert_int_equal(metric_set(c, a, 1), -EINVAL);
  assert_int_equal(metric_observe(c, a, 1), -EINVAL);
  assert_true(metric_get(c, a) == 2.5);
  assert_int_equal(metric_raise(c, b, 7), 0);
  assert_int_equal(metric_raise(c, b, 3), 0);
  assert_true(metric_get(c, b) == 7);
  metric_forget(c, a);
  assert_true(isnan(metric_get(c, a)));
  assert_true(metric_get(c, b) == 7);

  struct metric *g = declare(ms, METRIC_GAUGE, "queue_length", 0);
  assert_int_equal(metric_set(g, NULL, -3), 0);
  assert_int_equal(metric_add(g, NULL, 1), 0);
  assert_true(metric_get(g, NULL) == -2);
  assert_int_equal(metric_set(g, NULL, NAN), 0);
  assert_true(isnan(metric_get(g, NULL)));
  metrics_free(ms);
  metrics_free(NULL);
}

static void test_declare_again(void **state) {
  (void)state;
  struct metrics *ms = metrics_new();
  struct metric *m = declare(ms, METRIC_COUNTER, "rows_total", 1);
  assert_ptr_equal(declare(ms, METRIC_COUNTER, "rows_total", 1), m);
  assert_ptr_equal(metrics_find(ms, "rows_total"), m);
  struct err err = ERR_INIT;
  assert_null(metrics_declare(ms, &(struct metric_spec){.name = "rows_total", .help = "h"}, &err));
  assert_int_equal(err.code, -EEXIST);
  assert_non_null(strstr(err.msg, "rows_total"));
  metrics_free(ms);
}

static void test_refused_specs(void **state) {
  (void)state;
  struct metrics *ms = metrics_new();
  static const char *const le[] = {"le"};
  static const char *const twice[] = {"a", "a"};
  static const char *const odd[] = {"a-b"};
  static const double falling[] = {2, 1};
  const struct metric_spec bad[] = {
      {.type = METRIC_COUNTER, .name = "rows", .help = "h"},
      {.type = METRIC_COUNTER, .name = "Rows_total", .help = "h"},
      {.type = METRIC_GAUGE, .name = "rows_total", .help = "h"},
      {.type = METRIC_GAUGE, .name = "rows_count", .help = "h"},
      {.type = METRIC_GAUGE, .name = "1rows", .help = "h"},
      {.type = METRIC_GAUGE, .name = "", .help = "h"},
      {.type = METRIC_GAUGE, .name = NULL, .help = "h"},
      {.type = METRIC_GAUGE, .name = "rows", .help = ""},
      {.type = METRIC_GAUGE, .name = "rows", .help = NULL},
      {.type = METRIC_GAUGE, .name = "tend_rows", .help = "h"},
      {.type = METRIC_GAUGE, .name = "rows", .help = "h", .labels = le, .n_labels = 1},
      {.type = METRIC_GAUGE, .name = "rows", .help = "h", .labels = twice, .n_labels = 2},
      {.type = METRIC_GAUGE, .name = "rows", .help = "h", .labels = odd, .n_labels = 1},
      {.type = METRIC_GAUGE, .name = "rows", .help = "h", .n_labels = LIMIT_METRIC_LABELS + 1},
      {.type = METRIC_GAUGE, .name = "rows", .help = "h", .buckets = falling, .n_buckets = 1},
      {.type = METRIC_HISTOGRAM, .name = "rows", .help = "h", .buckets = falling, .n_buckets = 2},
  };
  for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
    struct err err = ERR_INIT;
    assert_null(metrics_declare(ms, &bad[i], &err));
    assert_int_equal(err.code, -EINVAL);
    assert_true(strlen(err.msg) > 10);
  }
  metrics_free(ms);
}

/* A counter's name without _total is its family's in OpenMetrics, and of no other metric. */
static void test_one_family_in_openmetrics(void **state) {
  (void)state;
  struct metrics *ms = metrics_new();
  declare(ms, METRIC_COUNTER, "rows_total", 0);
  struct err err = ERR_INIT;
  assert_null(metrics_declare(ms, &(struct metric_spec){.type = METRIC_GAUGE, .name = "rows", .help = "h"}, &err));
  assert_int_equal(err.code, -EEXIST);
  assert_non_null(strstr(err.msg, "counter \"rows_total\""));
  declare(ms, METRIC_HISTOGRAM, "lag", 0);
  assert_null(
      metrics_declare(ms, &(struct metric_spec){.type = METRIC_COUNTER, .name = "lag_total", .help = "h"}, &err));
  declare(ms, METRIC_GAUGE, "row", 0);
  declare(ms, METRIC_COUNTER, "rows_seen_total", 0);
  metrics_free(ms);
}

static void test_bounds(void **state) {
  (void)state;
  struct metrics *ms = metrics_new();
  struct metric *m = declare(ms, METRIC_COUNTER, "rows_total", 1);
  char name[32];
  const char *values[] = {name};
  for (int i = 0; i < LIMIT_METRIC_SERIES + 5; i++) {
    snprintf(name, sizeof name, "%d", i);
    assert_int_equal(metric_add(m, values, 1), i < LIMIT_METRIC_SERIES ? 0 : -ENOSPC);
  }
  assert_int_equal(metrics_refused(ms), 5);
  snprintf(name, sizeof name, "%d", 7);
  assert_int_equal(metric_add(m, values, 1), 0);
  for (int i = 1; i < LIMIT_METRICS; i++) {
    snprintf(name, sizeof name, "gauge_%d", i);
    assert_non_null(declare(ms, METRIC_GAUGE, name, 0));
  }
  assert_null(declare(ms, METRIC_GAUGE, "one_more", 0));
  metrics_free(ms);
}

static void test_text(void **state) {
  (void)state;
  struct metrics *ms = metrics_new();
  struct metric *c = declare(ms, METRIC_COUNTER, "rows_total", 1);
  metric_add(c, (const char *[]){"a\"b\\c\nd\xff"}, 3);
  static const double buckets[] = {0.1, 1};
  struct metric *h = metrics_declare(
      ms,
      &(struct metric_spec){
          .type = METRIC_HISTOGRAM, .name = "batch_seconds", .help = "Two\nlines.", .buckets = buckets, .n_buckets = 2},
      NULL);
  metric_observe(h, NULL, 0.1);
  metric_observe(h, NULL, 0.5);
  metric_observe(h, NULL, 7);
  declare(ms, METRIC_GAUGE, "never_set", 0);
  auto_buf struct buf b = {0};
  const struct metrics_label common[] = {{"flow", "rpa1"}, {"file", "overridden"}};
  metrics_text(ms, METRICS_PROMETHEUS, common, 2, &b);
  assert_string_equal(buf_cstr(&b),
                      "# HELP rows_total Some help.\n"
                      "# TYPE rows_total counter\n"
                      "rows_total{flow=\"rpa1\",file=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\"} 3\n"
                      "# HELP batch_seconds Two\\nlines.\n"
                      "# TYPE batch_seconds histogram\n"
                      "batch_seconds_bucket{flow=\"rpa1\",file=\"overridden\",le=\"0.1\"} 1\n"
                      "batch_seconds_bucket{flow=\"rpa1\",file=\"overridden\",le=\"1\"} 2\n"
                      "batch_seconds_bucket{flow=\"rpa1\",file=\"overridden\",le=\"+Inf\"} 3\n"
                      "batch_seconds_sum{flow=\"rpa1\",file=\"overridden\"} 7.6\n"
                      "batch_seconds_count{flow=\"rpa1\",file=\"overridden\"} 3\n");
  buf_clear(&b);
  metrics_text(ms, METRICS_OPENMETRICS, NULL, 0, &b);
  assert_string_equal(buf_cstr(&b),
                      "# HELP rows Some help.\n"
                      "# TYPE rows counter\n"
                      "rows_total{file=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\"} 3\n"
                      "# HELP batch_seconds Two\\nlines.\n"
                      "# TYPE batch_seconds histogram\n"
                      "batch_seconds_bucket{le=\"0.1\"} 1\n"
                      "batch_seconds_bucket{le=\"1.0\"} 2\n"
                      "batch_seconds_bucket{le=\"+Inf\"} 3\n"
                      "batch_seconds_sum 7.6\n"
                      "batch_seconds_count 3\n"
                      "# EOF\n");
  metrics_free(ms);
}

static void test_zero_is_shown(void **state) {
  (void)state;
  struct metrics *ms = metrics_new();
  declare(ms, METRIC_COUNTER, "rows_total", 0);
  declare(ms, METRIC_HISTOGRAM, "wait_seconds", 0);
  auto_buf struct buf b = {0};
  metrics_text(ms, METRICS_PROMETHEUS, NULL, 0, &b);
  assert_non_null(strstr(buf_cstr(&b), "\nrows_total 0\n"));
  assert_non_null(strstr(buf_cstr(&b), "\nwait_seconds_count 0\n"));
  metrics_free(ms);
}

/* --- vitals ----------------------------------------------------------------------------------------------------- */

static struct vitals some_vitals(void) {
  static const struct vitals_database databases[] = {{"rpa_db", 0.0452, true}, {"other", NAN, false}};
  static const struct vitals_directory directories[] = {{"data", 0.2, 0.1}, {"output", 0.458, NAN}, {"logs", NAN, NAN}};
  static const char *const states[] = {"STARTING", "RUNNING"};
  return (struct vitals){.health = "healthy",
                         .memory_used = 0.673,
                         .memory_bytes = 1e8,
                         .memory_max_bytes = 2e8,
                         .cpu_used = 0.231,
                         .cpu_throttled_s = NAN,
                         .tasks = 7,
                         .oom_kills = 1,
                         .pressure = {0.25, NAN, NAN},
                         .directories = directories,
                         .n_directories = 3,
                         .databases = databases,
                         .n_databases = 2,
                         .uptime_s = 3600,
                         .total_uptime_s = 4000.5,
                         .state = "RUNNING",
                         .states = states,
                         .n_states = 2,
                         .counts = {.startups = 3, .startups_ok = 2, .startups_failed = 1, .restarts = 2}};
}

static void test_vitals_json(void **state) {
  (void)state;
  struct vitals v = some_vitals();
  auto_buf struct buf b = {0};
  struct json j = JSON_INIT(&b);
  vitals_json(&v, &j, NULL);
  assert_string_equal(
      buf_cstr(&b),
      "{\"container_health_status\": 1, \"database_response_time_ms\": 45.2, \"memory_usage_percent\": 67.3, "
      "\"cpu_usage_percent\": 23.1, \"disk_usage_percent\": 45.8, \"health_check_failures\": 0, \"restart_count\": 2, "
      "\"uptime_seconds\": 3600, \"startup_count\": 3, \"successful_startups\": 2, \"failed_startups\": 1, "
      "\"graceful_shutdowns\": 0, \"forced_shutdowns\": 0, \"total_uptime_seconds\": 4000.5}");
  buf_clear(&b);
  j = (struct json)JSON_INIT(&b);
  v = (struct vitals){.health = "degraded", .memory_used = NAN, .cpu_used = NAN};
  vitals_json(&v, &j, NULL);
  assert_non_null(strstr(b.data,
                         "{\"container_health_status\": 1, \"database_response_time_ms\": null, "
                         "\"memory_usage_percent\": null, \"cpu_usage_percent\": null, "
                         "\"disk_usage_percent\": null, "));
}

static void test_vitals_publish(void **state) {
  (void)state;
  struct vitals v = some_vitals();
  struct metrics *ms = metrics_new();
  assert_int_equal(vitals_publish(&v, ms), 0);
  v.state = "STARTING";
  v.counts.restarts = 3;
  assert_int_equal(vitals_publish(&v, ms), 0);
  auto_buf struct buf b = {0};
  metrics_text(ms, METRICS_PROMETHEUS, NULL, 0, &b);
  static const char *const lines[] = {
      "\ntend_healthy 1\n",
      "\ntend_state{state=\"RUNNING\"} 0\n",
      "\ntend_state{state=\"STARTING\"} 1\n",
      "\ntend_restarts_total 3\n",
      "\ntend_database_response_seconds{database=\"rpa_db\"} 0.0452\n",
      "\ntend_database_up{database=\"other\"} 0\n",
      "\ntend_disk_usage_ratio{directory=\"output\"} 0.458\n",
      "\ntend_startups_total{result=\"failed\"} 1\n",
      "\ntend_shutdowns_total{kind=\"forced\"} 0\n",
      "\ntend_health_check_failures_total 0\n",
      "\ntend_uptime_seconds 3600\n",
      "\ntend_memory_usage_ratio 0.673\n",
      "\ntend_cpu_usage_ratio 0.231\n",
      "\ntend_memory_limit_bytes 200000000\n",
      "\ntend_disk_inodes_usage_ratio{directory=\"data\"} 0.1\n",
      "\ntend_pressure_ratio{resource=\"cpu\"} 0.25\n",
      "\ntend_oom_kills_total 1\n",
      "\ntend_tasks 7\n",
  };
  for (size_t i = 0; i < ARRAY_LEN(lines); i++)
    if (!strstr(b.data, lines[i])) fail_msg("not there: %s", lines[i]);
  assert_null(strstr(b.data, "NaN"));
  metrics_free(ms);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_values),         cmocka_unit_test(test_declare_again),
      cmocka_unit_test(test_refused_specs),  cmocka_unit_test(test_one_family_in_openmetrics),
      cmocka_unit_test(test_bounds),         cmocka_unit_test(test_text),
      cmocka_unit_test(test_zero_is_shown),  cmocka_unit_test(test_vitals_json),
      cmocka_unit_test(test_vitals_publish),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
