/* What the endpoints are told: the verdicts of the probes, and the numbers of the past. */
#include "base/clock.h"
#include "base/str.h"
#include "supervisor/impl.h"

/* {"status": "ok" | "fail", "state", "reasons": [text]} */
static bool verdict_json(struct supervisor *s, const struct machine_view *m, bool good, struct buf *out) {
  char texts[HEALTH_TEXTS][256];
  size_t n = good ? 0 : supervisor_reasons(s, m, texts);
  auto_buf struct buf text = {0};
  struct json j = JSON_INIT(&text);
  json_object(&j, NULL);
  json_str(&j, "status", good ? "ok" : "fail");
  json_str(&j, "state", machine_state_name(m->state));
  json_array(&j, "reasons");
  for (size_t i = 0; i < n; i++) json_str(&j, NULL, texts[i]);
  json_array_end(&j);
  json_object_end(&j);
  settings_redact(s->o.settings, &text);
  buf_add(out, buf_cstr(&text), text.len);
  return good;
}

static bool healthy(struct supervisor *s, const struct machine_view *m, struct buf *out) {
  supervisor_health_json(s, out);
  const char *health = supervisor_verdict(s, m);
  return STR_EQ(health, "healthy") || STR_EQ(health, "degraded");
}

static bool verdict(void *arg, enum web_verdict which, struct buf *out) {
  struct supervisor *s = arg;
  struct machine_view m;
  machine_view(s->machine, &m);
  switch (which) {
    case WEB_LIVE:
      return verdict_json(s, &m, m.state != STATE_FAILED || m.held, out);
    case WEB_STARTED:
      return verdict_json(s, &m, s->counts.startups_ok > 0, out);
    case WEB_READY:
      return verdict_json(s, &m, supervisor_ready(s, &m), out);
    case WEB_HEALTHY:
      break;
  }
  return healthy(s, &m, out);
}

static void status(void *arg, bool brief, struct buf *out) { supervisor_status_json(arg, brief, out); }
static void report(void *arg, struct buf *out) { supervisor_report_json(arg, out); }
static void metrics(void *arg, struct buf *out) { supervisor_metrics_json(arg, out); }
static void exposition(void *arg, enum metrics_format format, struct buf *out) {
  supervisor_metrics_text(arg, format, out);
}

void supervisor_sample(void *arg) {
  struct supervisor *s = arg;
  struct vitals v;
  struct vitals_room room;
  supervisor_vitals(s, &v, &room);
  trend_add(&s->trend, clock_mono_ns(), clock_real_ns(), &v);
}

/* Runs of all checks together that are told: many checks have few each. */
enum { RUNS_MAX = 4096 };

static void runs_json(struct supervisor *s, size_t i, unsigned most, struct json *j) {
  struct history_run runs[HISTORY_RUNS];
  unsigned n = health_history(s->checks, i, runs, most);
  json_array(j, "runs");
  for (unsigned k = 0; k < n; k++) {
    json_array(j, NULL);
    json_num(j, NULL, (double)(supervisor_wall(runs[k].at_ns) / NS_PER_MS) / 1000);
    json_str(j, NULL, check_result_name(runs[k].result));
    json_num(j, NULL, (double)(runs[k].duration_ns / NS_PER_US) / 1000);
    json_array_end(j);
  }
  json_array_end(j);
}

/* {"samples": as trend_json, "checks": [{"name", "process", "instance", "dependency", "runs": [[unix seconds, result,
 * ms]]}]}, the oldest first */
static void history(void *arg, struct buf *out) {
  struct supervisor *s = arg;
  size_t checks = health_count(s->checks);
  unsigned most = checks > RUNS_MAX / HISTORY_RUNS ? (unsigned)(RUNS_MAX / checks) : HISTORY_RUNS;
  struct json j = JSON_INIT(out);
  json_object(&j, NULL);
  trend_json(&s->trend, &j, "samples");
  json_array(&j, "checks");
  struct health_view v;
  for (size_t i = 0; health_at(s->checks, i, &v); i++) {
    json_object(&j, NULL);
    json_str(&j, "name", v.name);
    json_str(&j, "process", v.process);
    json_int(&j, "instance", v.instance);
    json_bool(&j, "dependency", v.dependency);
    runs_json(s, i, most, &j);
    json_object_end(&j);
  }
  json_array_end(&j);
  json_object_end(&j);
}

void supervisor_open_web(struct supervisor *s) {
  s->web = web_new(&(struct web_options){
      .loop = s->o.loop,
      .sink = s->o.sink,
      .probes = s->o.probes,
      .settings = s->o.settings,
      .metrics = s->o.metrics,
      .revival = s->o.revival,
      .source = {s, verdict, status, report, metrics, exposition, history, supervisor_give_back, supervisor_sample},
  });
}
