/* The simulation: scenarios right and wrong, what comes of them, recorded runs, time lines and their differences. */
#include "fixture.h"

#include "base/clock.h"
#include "base/str.h"
#include "core/configure.h"
#include "core/simulate.h"

#define S(n) ((int64_t)(n)*NS_PER_S)

static struct settings *settings;
static struct plan *plan;
static struct lifecycle *lifecycle;
static struct simulate_dependency dependencies[4];
static struct check_spec checks[4], startups[4];

static const struct plan_options flow_options = {.file = "flows/x.lua"}, options = {.file = "x.scenario"};

static void load(const char *flow) {
  auto_json cJSON *json = parse(flow);
  struct problems problems = {0};
  settings = settings_new();
  settings_resolve(settings, NULL);
  if (plan_from_json(json, &flow_options, &plan, &problems)) {
    struct buf b = {0};
    for (size_t i = 0; i < problems.n; i++) problem_text(&problems.items[i], &b);
    fail_msg("%s", buf_cstr(&b));
  }
  lifecycle = lifecycle_new(plan, settings, false, false);
  const struct check_spec spec = {
      .role = CHECK_MONITOR, .interval_ns = S(10), .timeout_ns = S(1), .failures = 2, .successes = 1, .unknowns = 3};
  for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
    checks[i] = startups[i] = spec;
    if (i < plan->checks_n) checks[i].role = (enum check_role)plan->checks[i].role;
    startups[i].role = CHECK_STARTUP;
    startups[i].failures = UINT32_MAX;
    dependencies[i] = (struct simulate_dependency){S(60), S(2), S(30), 1, spec, -1};
  }
}

static void unload(void) {
  lifecycle_free(lifecycle);
  plan_free(plan);
  settings_free(settings);
}

static struct scenario *read_scenario(const char *text) {
  auto_json cJSON *json = text ? parse(text) : NULL;
  struct problems problems = {0};
  struct scenario *s = NULL;
  if (scenario_read(json, plan, &options, &s, &problems)) {
    struct buf b = {0};
    for (size_t i = 0; i < problems.n; i++) problem_text(&problems.items[i], &b);
    fail_msg("%s: %s", text, buf_cstr(&b));
  }
  return s;
}

static struct timeline line;
static struct simulate_end end;
static struct buf text;

static void play(struct scenario *s) {
  const struct simulation what = {plan, &lifecycle->config, dependencies, checks, startups, s};
  timeline_free(&line);
  buf_clear(&text);
  assert_int_equal(simulate(&what, &line, &end), 0);
  timeline_text(&line, &text);
}

static void run(const char *scenario) {
  auto_scenario struct scenario *s = read_scenario(scenario);
  play(s);
}

static void told(const char *what) {
  if (!strstr(buf_cstr(&text), what)) fail_msg("not told: %s\n%s", what, buf_cstr(&text));
}

static void not_told(const char *what) {
  if (strstr(buf_cstr(&text), what)) fail_msg("told: %s\n%s", what, buf_cstr(&text));
}

/* main and two workers; a dependency, checks of container and worker, a ladder */
#define FLOW \
  "{'name': 'x', 'mode': 'server', 'processes': {'main': {'command': ['a'], 'startup': {'kind': 'tcp', 'params': " \
  "{}}}," \
  " 'worker': {'command': ['b'], 'instances': 2, 'essential': false}}," \
  " 'dependencies': [{'name': 'db', 'kind': 'tcp', 'params': {}}]," \
  " 'checks': [{'name': 'disk', 'kind': 'tcp', 'params': {}}, {'name': 'alive', 'kind': 'tcp', 'params': {}," \
  "   'role': 'liveness', 'process': 'worker'}]," \
  " 'remedies': [{'name': 'space', 'check': 'disk', 'steps': [{'kind': 'collect', 'name': 'tidy'}, {'kind': " \
  "'collect'," \
  "   'name': 'sweep'}], 'escalate': [{'kind': 'restart', 'name': 'again'}, {'kind': 'fail', 'name': 'end'}]}]}"

static void test_all_is_well(void **state) {
  (void)state;
  load(FLOW);
  run(NULL);
  assert_int_equal(end.state, STATE_RUNNING);
  assert_int_equal(end.at_ns, S(3600));
  assert_string_equal(end.health, "healthy");
  assert_false(end.exited);
  told("0d 00:00:00.000  INITIALIZING -> STARTING cause=begin\n");
  told("process_started process=worker instance=1");
  not_told("failure");
  unload();
}

static void test_dependency(void **state) {
  (void)state;
  load(FLOW);
  run("{'dependencies': {'db': [{'at': 0, 'is': 'refused', 'lasts': 5}]}}");
  told("0d 00:00:00.000  dependency_waiting name=db required=true attempts=1 reason=refused");
  told("0d 00:00:06.000  dependency_ready name=db required=true attempts=4");
  run("{'dependencies': {'db': 'fail'}, 'lasts': '30d'}");
  told("0d 00:01:00.000  dependency_failed");
  assert_true(end.exited);
  assert_int_equal(end.exit_code, 69);
  run("{'dependencies': {'db': [{'at': '10m', 'is': 'gone', 'lasts': 60, 'every': '30m'}]}, 'lasts': '2h'}");
  told("reason=gone");
  assert_int_equal(end.state, STATE_RUNNING);
  assert_string_equal(end.health, "healthy");
  unload();
}

static void test_processes(void **state) {
  (void)state;
  load(FLOW);
  run("{'processes': {'main': [{'ready': 12, 'runs': 100, 'exit': 3}, {'signal': 'SEGV', 'runs': 50}],"
      " 'worker/1': [{'fails': 'EAGAIN'}, {'runs': 20, 'oom': true}]}}");
  told("process_exited process=main exit_code=3 reason=exit ran_seconds=100");
  told("process_exited process=main exit_code=139 signal=SEGV reason=signal ran_seconds=50");
  told("process_exited process=worker instance=1 exit_code=137 signal=KILL reason=oom ran_seconds=20");
  told("stage=fork");
  not_told("process_exited process=worker instance=0");
  assert_int_equal(end.state, STATE_RUNNING);
  run("{'processes': {'main': [{'fails': 'ENOENT'}]}}");
  assert_int_equal(end.exit_code, 127);
  run("{'processes': {'main': [{'stops': false}]}, 'orders': [{'at': 60, 'signal': 'TERM'}]}");
  assert_int_equal(end.exit_code, 137);
  told("graceful=false");
  unload();
}

static void test_same_instant(void **state) {
  (void)state;
  load("{'name': 'x', 'mode': 'server', 'processes': {'main': {'command': ['a']}}}");
  run("{'processes': {'main': [{'runs': 100, 'exit': 3}]}, 'orders': [{'at': 100, 'signal': 'TERM'}]}");
  told("process_exited process=main exit_code=3 reason=exit ran_seconds=100");
  told("shutdown_initiated cause=signal");
  unload();
}

static void test_remedies(void **state) {
  (void)state;
  load(FLOW);
  run("{'checks': {'disk': [{'at': 60, 'is': 'full', 'heals': 'sweep'}]}, 'remedies': {'space/tidy': {'is': 'failed', "
      "'takes': 3}}}");
  told("step=tidy outcome=failed");
  told("result=healed");
  told("recovery_completed check=disk remedy=space step=sweep");
  assert_int_equal(end.remedies, 1);
  run("{'checks': {'disk': [{'at': 60, 'is': 'full'}]}, 'lasts': '7d'}");
  told("step=again outcome=ok");
  assert_int_equal(end.exit_code, 1);
  run("{'checks': {'disk': [{'at': 60, 'is': 'full'}]}, 'lasts': '7d', 'orders': [{'at': 50, 'maintenance': true}]}");
  not_told("remediation_started");
  assert_string_equal(end.health, "degraded");
  run("{'checks': {'alive': [{'at': 60, 'is': 'fail', 'heals': 'restart'}]}}");
  told("remediation_started remedy=restart_alive");
  told("reason=check");
  told("recovery_completed check=alive");
  run("{'orders': [{'at': 60, 'remediate': 'space'}]}");
  told("result=done");
  unload();
}

static void test_same_again(void **state) {
  (void)state;
  load(
      "{'name': 'x', 'mode': 'server', 'processes': {'main': {'command': ['a'], 'restart': {'jitter_percent': 50,"
      " 'max_attempts': 0}}}}");
  auto_scenario struct scenario *s =
      read_scenario("{'lasts': '7d', 'seed': 4, 'processes': {'main': [{'runs': 60, 'exit': 1, 'repeats': true}]}}");
  play(s);
  char *first = strdup(buf_cstr(&text));
  play(s);
  assert_string_equal(first, buf_cstr(&text));
  s->seed = 5;
  play(s);
  assert_string_not_equal(first, buf_cstr(&text));
  free(first);
  unload();
}

/* What would never end is given up. */
static void test_too_much(void **state) {
  (void)state;
  load("{'name': 'x', 'processes': {'main': {'command': ['a'], 'restart': {'delay': 0, 'max_attempts': 0}}}}");
  run("{'lasts': '3000d', 'processes': {'main': [{'runs': 0, 'exit': 1, 'repeats': true}]}}");
  assert_true(end.too_much);
  unload();
}

static void wrong(const char *scenario, const char *part) {
  auto_json cJSON *json = parse(scenario);
  struct problems problems = {0};
  struct scenario *s = NULL;
  auto_buf struct buf all = {0};
  assert_int_equal(scenario_read(json, plan, &options, &s, &problems), -22);
  assert_null(s);
  for (size_t i = 0; i < problems.n; i++) problem_text(&problems.items[i], &all);
  if (!strstr(buf_cstr(&all), part)) fail_msg("%s: %s", scenario, buf_cstr(&all));
  problems_free(&problems);
}

static void test_wrong(void **state) {
  (void)state;
  load(FLOW);
  wrong("{'last': 3}", "did you mean \"lasts\"");
  wrong("{'lasts': 'x'}", "\"7d\"");
  wrong("{'lasts': -1}", "lasts");
  wrong("{'lasts': '1e9d'}", "lasts");
  wrong("{'dependencies': {'bd': 'ok'}}", "did you mean \"db\"");
  wrong("{'checks': {'disk': [{'at': 1}]}}", "checks.disk[1].is");
  wrong("{'checks': {'disk': [{'at': 1, 'is': 'x', 'every': 5}]}}", "together with lasts");
  wrong("{'checks': {'disk': 3}}", "checks.disk");
  wrong("{'checks': {'disk': {'$fn': 3}}}", "checks.disk");
  wrong("{'checks': 3}", "checks");
  wrong("{'scale': {'worker': 3}}", "it has none");
  wrong("{'processes': {'workr': []}}", "did you mean \"worker\"");
  wrong("{'processes': {'worker/2': []}}", "NAME/INSTANCE");
  wrong("{'processes': {'main': [{'exit': 3}]}}", "processes.main[1].runs");
  wrong("{'processes': {'main': [{'runs': 1, 'exit': 3, 'signal': 'TERM'}]}}", "either exit or signal");
  wrong("{'processes': {'main': [{'fails': 'EIO'}]}}", "ENOENT");
  wrong("{'processes': {'main': 3}}", "a list");
  wrong("{'remedies': {'tody': 'ok'}}", "did you mean \"tidy\"");
  wrong("{'remedies': {'tidy': 'bad'}}", "one of ok, failed");
  wrong("{'orders': [{'at': 3}]}", "one of signal");
  wrong("{'orders': [{'signal': 'TERM', 'stop': true}]}", "one of signal");
  wrong("{'orders': [{'signal': 'KILL'}]}", "\"TERM\", \"INT\" or \"QUIT\"");
  wrong("{'orders': [{'signal': 'NOPE'}]}", "a signal by name");
  wrong("{'orders': [{'restart': 'wrker'}]}", "did you mean \"worker\"");
  wrong("{'orders': [{'remediate': 'spce'}]}", "did you mean \"space\"");
  unload();
}

static void test_events(void **state) {
  (void)state;
  static const char lines[] =
      "{\"timestamp\": \"2026-03-01T00:00:00.000Z\", \"event\": \"startup_initiated\", \"details\": {\"cause\": "
      "\"begin\"}}\n"
      "{\"timestamp\": \"2026-03-01T00:00:09.000Z\", \"event\": \"dependency_waiting\", \"details\": {\"name\": "
      "\"db\", \"reason\": \"old\"}}\n"
      "\n"
      "{\"timestamp\": \"2026-03-01T23:59:50.000Z\", \"event\": \"startup_initiated\", \"details\": {\"cause\": "
      "\"begin\"}}\n"
      "{\"timestamp\": \"2026-03-01T23:59:50.500Z\", \"event\": \"dependency_waiting\", \"details\": {\"name\": "
      "\"db\", \"reason\": \"refused\"}}\n"
      "{\"timestamp\": \"2026-03-01T23:59:55.000Z\", \"event\": \"dependency_ready\", \"details\": {\"name\": "
      "\"db\"}}\n"
      "{\"timestamp\": \"2026-03-02T00:00:00.000Z\", \"event\": \"process_started\", \"details\": {\"process\": "
      "\"main\"}}\n"
      "{\"timestamp\": \"2026-03-02T00:00:01.000Z\", \"event\": \"health_check_failed\", \"details\": {\"check\": \"no "
      "longer\"}}\n"
      "{\"timestamp\": \"2026-03-02T00:00:01.000Z\", \"event\": \"process_exited\", \"details\": 3}\n"
      "{\"timestamp\": \"2026-03-02T00:00:01.000Z\", \"event\": \"process_exited\", \"details\": {\"process\": "
      "\"worker\", "
      "\"instance\": 99}}\n"
      "{\"timestamp\": \"2026-03-02T00:00:01.000Z\", \"event\": \"audit\", \"details\": {\"op\": \"stop\", \"args\": "
      "{\"process\": "
      "\"gone\"}}}\n"
      "{\"timestamp\": \"2026-03-02T00:00:01.000Z\", \"event\": \"health_check_passed\", \"details\": {\"check\": "
      "\"disk\"}}\n"
      "{\"timestamp\": \"2026-03-02T00:01:00.250Z\", \"event\": \"process_exited\", \"details\": {\"process\": "
      "\"main\", \"exit_code\": 5, "
      "\"reason\": \"exit\", \"signal\": null}}\n"
      "{\"timestamp\": \"2026-03-02T00:02:00.000Z\", \"event\": \"health_check_failed\", \"details\": {\"check\": "
      "\"disk\", \"reason\": \"full\"}}\n"
      "{\"timestamp\": \"2026-03-02T00:03:00.000Z\", \"event\": \"shutdown_initiated\", \"details\": {\"cause\": "
      "\"signal\", \"signal\": "
      "\"HUP\"}}\n"
      "{\"timestamp\": \"2026-03-0";
  struct err err = ERR_INIT;
  cJSON *json = NULL;
  load(FLOW);
  assert_int_equal(scenario_from_events(lines, sizeof lines - 1, "e", plan, &json, &err), 0);
  struct problems problems = {0};
  struct scenario *s = NULL;
  assert_int_equal(scenario_read(json, plan, &options, &s, &problems), 0);
  assert_int_equal(s->lasts_ns, S(191));
  assert_int_equal(s->processes[0].runs[0].runs_ns, 60250 * NS_PER_MS);
  assert_int_equal(s->orders[0].at_ns, S(190));
  assert_int_equal(s->orders[0].signal, 15); /* HUP of a terminal that is gone */
  play(s);
  told("reason=refused");
  told("exit_code=5");
  told("reason=full");
  not_told("old");
  assert_int_equal(end.exit_code, 1); /* the ladder comes before the signal */
  scenario_free(s);
  cJSON_Delete(json);
  json = NULL;
  assert_int_equal(scenario_from_events("{}\nx\n", 5, "e", plan, &json, &err), -22);
  assert_non_null(strstr(err.msg, "e:2"));
  assert_int_equal(scenario_from_events("{}\n", 3, "e", plan, &json, &err), -22);
  assert_null(json);
  unload();
}

static void test_differences(void **state) {
  (void)state;
  auto_buf struct buf out = {0};
  assert_int_equal(timeline_differences("a\nb\n", "a\nb\n", &out), 0);
  assert_int_equal(timeline_differences("a\nb\nc\n", "a\nx\nc\nd\n", &out), 3);
  assert_string_equal(buf_cstr(&out), "- 2: b\n+ 2: x\n+ 4: d\n");
  buf_clear(&out);
  assert_int_equal(timeline_differences("", "a\n", &out), 1);
  assert_int_equal(timeline_differences("a\n", "", &out), 1);
  assert_string_equal(buf_cstr(&out), "+ 1: a\n- 1: a\n");
}

static void test_plot(void **state) {
  (void)state;
  auto_buf struct buf out = {0};
  load(FLOW);
  run("{'lasts': 100, 'processes': {'worker/0': [{'runs': 50, 'exit': 1}]}}");
  timeline_plot(&line, 10, &out);
  assert_non_null(strstr(buf_cstr(&out), "container     |==========|\n"));
  assert_non_null(strstr(buf_cstr(&out), "worker/0      |====--====|\n"));
  unload();
}

/* Whatever is written: it is refused with a reason, or it can be played. */
static void random_value(uint64_t *seed, unsigned depth, struct buf *out) {
  static const char *const words[] = {
      "db",        "disk",         "alive",     "main",     "worker",      "worker/1",  "space",  "tidy",  "again",
      "checks",    "dependencies", "processes", "remedies", "orders",      "at",        "is",     "lasts", "every",
      "heals",     "runs",         "exit",      "signal",   "oom",         "fails",     "ready",  "stops", "repeats",
      "stop_exit", "restart",      "stop",      "start",    "maintenance", "remediate", "TERM",   "KILL",  "ok",
      "fail",      "unknown",      "warn",      "5m",       "1d",          "ENOENT",    "EAGAIN", "takes", "timeout"};
  unsigned kind = (unsigned)random_below(seed, depth > 5 ? 4 : 7);
  const char *word = words[random_below(seed, ARRAY_LEN(words))];
  if (kind == 0) buf_fmt(out, "%u", (unsigned)random_below(seed, 200));
  if (kind == 1) buf_str(out, random_below(seed, 2) ? "true" : "false");
  if (kind == 2 || kind == 3) json_quote(out, word, strlen(word));
  if (kind < 4) return;
  bool list = kind == 4;
  buf_char(out, list ? '[' : '{');
  for (unsigned i = (unsigned)random_below(seed, 4), k = 0; k < i; k++) {
    if (k) buf_char(out, ',');
    word = words[random_below(seed, ARRAY_LEN(words))];
    if (!list) json_quote(out, word, strlen(word));
    if (!list) buf_char(out, ':');
    random_value(seed, depth + 1, out);
  }
  buf_char(out, list ? ']' : '}');
}

static void test_whatever_comes(void **state) {
  (void)state;
  static const char *const keys[] = {"dependencies.db",  "checks.disk", "checks.alive", "processes.main",
                                     "processes.worker", "orders",      "remedies"};
  uint64_t seed = 11;
  unsigned played = 0;
  load(FLOW);
  for (unsigned round = 0; round < 3000; round++) {
    auto_buf struct buf b = {0};
    const char *key = keys[random_below(&seed, ARRAY_LEN(keys))];
    int n = (int)strcspn(key, ".");
    buf_fmt(&b, "{\"lasts\": 5000, \"%.*s\": ", n, key);
    if (key[n]) buf_fmt(&b, "{\"%s\": ", key + n + 1);
    random_value(&seed, 0, &b);
    buf_str(&b, key[n] ? "}}" : "}");
    auto_json cJSON *json = cJSON_Parse(buf_cstr(&b));
    assert_non_null(json);
    struct problems problems = {0};
    struct scenario *s = NULL;
    int rc = scenario_read(json, plan, &options, &s, &problems);
    assert_true(rc == 0 || problems.n > 0);
    if (rc == 0) play(s);
    if (rc == 0) played++;
    scenario_free(s);
    problems_free(&problems);
  }
  assert_true(played > 50);
  unload();
}

static int done(void **state) {
  (void)state;
  timeline_free(&line);
  buf_free(&text);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_all_is_well), cmocka_unit_test(test_dependency),     cmocka_unit_test(test_processes),
      cmocka_unit_test(test_remedies),    cmocka_unit_test(test_same_again),     cmocka_unit_test(test_too_much),
      cmocka_unit_test(test_wrong),       cmocka_unit_test(test_events),         cmocka_unit_test(test_differences),
      cmocka_unit_test(test_plot),        cmocka_unit_test(test_whatever_comes), cmocka_unit_test(test_same_instant),
  };
  return cmocka_run_group_tests(tests, NULL, done);
}
