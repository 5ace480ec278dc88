#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/report.h"

#define SOME_TIME (INT64_C(1705314600) * NS_PER_S) /* 2024-01-15T10:30:00.000Z */

static char *const command[] = {(char *)"tend", (char *)"script", (char *)"job.lua", NULL};

static const struct report_process processes[] = {
    {.name = "main",
     .main = true,
     .essential = true,
     .state = "waiting",
     .since_real_ns = SOME_TIME,
     .runs = 2,
     .restarts = 1,
     .last_exit = {true, 137, 9, "signal KILL", SOME_TIME, 1500 * NS_PER_MS},
     .next = {"restart", SOME_TIME + 10 * NS_PER_S},
     .command = command},
    {.name = "side", .instance = 1, .state = "running", .pid = 42, .since_real_ns = SOME_TIME, .runs = 1},
};

static const struct report_check dependencies[] = {
    {.name = "rpa_database",
     .kind = "postgres",
     .required = true,
     .status = "failed",
     .reason = "refused",
     .detail = "db:5432 refused the connection",
     .attempts = 3,
     .failures = 3,
     .duration_ns = 1234567,
     .at_real_ns = SOME_TIME},
    {.name = "prefect_server", .kind = "tcp", .status = "waiting", .duration_ns = -1},
};

static const char *const warnings[] = {"no log directory"};

static struct status_view some_status(void) {
  return (struct status_view){
      .now_real_ns = SOME_TIME + 4 * NS_PER_S,
      .who = {"rpa1-worker-1", "rpa1"},
      .state = "RESTARTING",
      .since_real_ns = SOME_TIME,
      .reason = "main ended by signal KILL",
      .mode = "daemon",
      .environment = "production",
      .run_mode = "managed",
      .health = "unhealthy",
      .pid = 7,
      .started_real_ns = SOME_TIME - NS_PER_S,
      .uptime_s = 1.25,
      .restarts = 1,
      .restarts_in_window = 1,
      .next = {"restart", SOME_TIME + 10 * NS_PER_S},
      .processes = processes,
      .n_processes = ARRAY_LEN(processes),
      .dependencies = dependencies,
      .n_dependencies = ARRAY_LEN(dependencies),
      .warnings = warnings,
      .n_warnings = 1,
  };
}

static cJSON *parsed(const struct buf *b) {
  cJSON *v = NULL;
  struct err err = ERR_INIT;
  assert_false(b->failed);
  assert_int_equal(json_parse(b->data, b->len, "text", &v, &err), 0);
  return v;
}

static void assert_keys(const cJSON *object, const char *expected) {
  auto_buf struct buf keys = {0};
  const cJSON *item;
  cJSON_ArrayForEach(item, object) buf_fmt(&keys, "%s%s", keys.len ? " " : "", item->string);
  assert_string_equal(buf_cstr(&keys), expected);
}

static void test_status(void **state) {
  (void)state;
  struct status_view v = some_status();
  auto_buf struct buf b = {0};
  status_build(&v, &b);
  auto_json cJSON *s = parsed(&b);
  assert_keys(s,
              "container_id flow state since reason environment mode run_mode health ready maintenance "
              "maintenance_until pid version "
              "started uptime_seconds restarts restarts_in_window next processes dependencies checks remedies "
              "remediations warnings");
  const cJSON *next = cJSON_GetObjectItem(s, "next");
  assert_string_equal(cJSON_GetObjectItem(next, "due")->valuestring, "2024-01-15T10:30:10.000Z");
  assert_true(cJSON_GetObjectItem(next, "in_seconds")->valuedouble == 6);
  const cJSON *main_process = cJSON_GetArrayItem(cJSON_GetObjectItem(s, "processes"), 0);
  assert_keys(main_process, "name instance main essential spare state pid since runs restarts last_exit next command");
  assert_true(cJSON_IsNull(cJSON_GetObjectItem(main_process, "pid")));
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(main_process, "command")), 3);
  assert_int_equal(cJSON_GetObjectItem(cJSON_GetObjectItem(main_process, "last_exit"), "code")->valueint, 137);
  const cJSON *side = cJSON_GetArrayItem(cJSON_GetObjectItem(s, "processes"), 1);
  assert_int_equal(cJSON_GetObjectItem(side, "pid")->valueint, 42);
  assert_true(cJSON_IsNull(cJSON_GetObjectItem(side, "last_exit")));
  const cJSON *database = cJSON_GetArrayItem(cJSON_GetObjectItem(s, "dependencies"), 0);
  assert_true(cJSON_GetObjectItem(database, "duration_ms")->valuedouble == 1.235);
  const cJSON *prefect = cJSON_GetArrayItem(cJSON_GetObjectItem(s, "dependencies"), 1);
  assert_true(cJSON_IsNull(cJSON_GetObjectItem(prefect, "duration_ms")));
  assert_true(cJSON_IsNull(cJSON_GetObjectItem(prefect, "at")));
}

static void test_overdue_is_now(void **state) {
  (void)state;
  struct status_view v = some_status();
  v.now_real_ns = SOME_TIME + 60 * NS_PER_S;
  auto_buf struct buf b = {0};
  status_build(&v, &b);
  assert_non_null(strstr(b.data, "\"in_seconds\": 0}"));
}

static void test_why_and_health(void **state) {
  (void)state;
  const struct why_link chain[] = {{"RESTARTING: main is started again in 6 s", SOME_TIME, 0},
                                   {"main ended by signal KILL", SOME_TIME - NS_PER_S, 1}};
  auto_buf struct buf b = {0};
  why_build(&(struct why_view){.state = "RESTARTING",
                               .answer = "main ended by signal KILL",
                               .chain = chain,
                               .n_chain = 2,
                               .now_real_ns = SOME_TIME,
                               .next = &(struct report_next){"restart of main", SOME_TIME + 6 * NS_PER_S},
                               .n_next = 1},
            &b);
  assert_string_equal(
      b.data,
      "{\"state\": \"RESTARTING\", \"answer\": \"main ended by signal KILL\", \"chain\": [{\"what\": "
      "\"RESTARTING: main is started again in 6 s\", \"at\": \"2024-01-15T10:30:00.000Z\", \"depth\": 0}, {\"what\": "
      "\"main ended by signal KILL\", \"at\": \"2024-01-15T10:29:59.000Z\", \"depth\": 1}], \"next\": [{\"what\": "
      "\"restart of main\", "
      "\"due\": \"2024-01-15T10:30:06.000Z\", \"in_seconds\": 6}]}");
  buf_clear(&b);
  const char *const reasons[] = {"disk is at 95 %"};
  health_build(&(struct report_health){"degraded", "RUNNING", true, reasons, 1}, &b);
  assert_string_equal(b.data,
                      "{\"status\": \"degraded\", \"healthy\": true, \"ready\": true, \"state\": \"RUNNING\", "
                      "\"reasons\": [\"disk is at 95 %\"]}");
  buf_clear(&b);
  health_build(&(struct report_health){"unknown", "STARTING", false, NULL, 0}, &b);
  assert_string_equal(
      b.data,
      "{\"status\": \"unknown\", \"healthy\": false, \"ready\": false, \"state\": \"STARTING\", \"reasons\": []}");
}

static void test_report(void **state) {
  (void)state;
  struct event_ring *ring = event_ring_new(10);
  for (int i = 0; i < 12; i++) {
    struct event e = {.real_ns = SOME_TIME,
                      .kind = i % 2 ? EVENT_HEALTH_CHECK : EVENT_NOTICE,
                      .level = LEVEL_INFO,
                      .duration_ns = -1,
                      .details = "{\"a\": 1}"};
    event_ring_add(ring, &e);
  }
  const struct report_phase phases[] = {{"validation", SOME_TIME, 3 * NS_PER_MS, "ok"},
                                        {"dependencies", SOME_TIME, -1, "failed"}};
  const struct report_cleanup cleanups[] = {{"sync", "timeout", "took longer than 5 s", true, 5 * NS_PER_S}};
  static const char *const checks[] = {"db", "db2"};
  const struct report_remedy remedies[] = {
      {.name = "database", .state = "resting", .checks = checks, .n_checks = 2, .runs = 2, .ready_real_ns = SOME_TIME}};
  const struct report_step steps[] = {{"reset", "reset_database", "ok", "3 connections", 5 * NS_PER_MS},
                                      {"restart", "restart", "skipped", "", -1}};
  const struct report_remediation runs[] = {{.remedy = "database",
                                             .check = "db",
                                             .trigger = "check",
                                             .cause = "timeout",
                                             .result = "healed",
                                             .at_real_ns = SOME_TIME,
                                             .duration_ns = NS_PER_S,
                                             .steps = steps,
                                             .n_steps = 2}};
  struct report_input in = {
      .status = some_status(),
      .vitals = {.health = "healthy", .memory_used = NAN, .cpu_used = NAN},
      .restart = {.policy = "on-failure",
                  .max_attempts = 5,
                  .delay_ns = 10 * NS_PER_S,
                  .max_delay_ns = 300 * NS_PER_S,
                  .window_ns = 3600 * NS_PER_S,
                  .exponential = true},
      .events = ring,
      .startup_result = "failed",
      .startup_duration_ns = 20 * NS_PER_MS,
      .phases = phases,
      .n_phases = 2,
      .cleanups = cleanups,
      .n_cleanups = 1,
      .exit_known = true,
      .exit_code = 137,
      .exit_source = "workload",
      .exit_reason = "restart attempts are used up",
  };
  in.status.remedies = remedies;
  in.status.n_remedies = 1;
  in.status.remediations = runs;
  in.status.n_remediations = 1;
  auto_buf struct buf b = {0};
  report_build(&in, &b);
  auto_json cJSON *r = parsed(&b);
  assert_keys(r,
              "container_info metrics restart_config event_history dependency_checks startup previous_run checks "
              "remedies remediations processes "
              "exit");
  const cJSON *remedy = cJSON_GetObjectItem(r, "remedies")->child, *run = cJSON_GetObjectItem(r, "remediations")->child;
  assert_keys(remedy, "name checks state step check dry_run runs runs_in_window max ready_at last_result");
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(remedy, "checks")), 2);
  assert_keys(run, "remedy check trigger cause result dry_run at duration_ms steps");
  assert_keys(cJSON_GetObjectItem(run, "steps")->child, "name kind outcome detail duration_ms");
  assert_int_equal(cJSON_GetObjectItem(run, "duration_ms")->valueint, 1000);
  const cJSON *events = cJSON_GetObjectItem(r, "event_history");
  assert_int_equal(cJSON_GetArraySize(events), 10);
  assert_keys(cJSON_GetArrayItem(events, 0), "timestamp level component container_id flow event details");
  assert_true(cJSON_GetObjectItem(cJSON_GetObjectItem(r, "restart_config"), "window_minutes")->valuedouble == 60);
  assert_keys(cJSON_GetObjectItem(r, "exit"), "code exit_source reason graceful cleanup");
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(r, "dependency_checks")), 2);
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(cJSON_GetObjectItem(r, "startup"), "phases")), 2);

  in.exit_known = false;
  in.events = NULL;
  buf_clear(&b);
  report_build(&in, &b);
  auto_json cJSON *running = parsed(&b);
  assert_true(cJSON_IsNull(cJSON_GetObjectItem(running, "exit")));
  event_ring_free(ring);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_status),
      cmocka_unit_test(test_overdue_is_now),
      cmocka_unit_test(test_why_and_health),
      cmocka_unit_test(test_report),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
