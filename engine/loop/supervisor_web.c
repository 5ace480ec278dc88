/* What the endpoints are told: the verdicts of the probes, and the numbers of the past. */
#include "base/clock.h"
#include "base/str.h"
#include "loop/supervisor_impl.h"

/* {"status": "ok" | "fail", "state", "reasons": [text]} */
static bool verdict_json(struct supervisor *s, const struct machine_view *m, bool good, const char *why,
                         struct buf *out) {
  auto_buf struct buf text = {0};
  struct json j = JSON_INIT(&text);
  json_object(&j, NULL);
  json_str(&j, "status", good ? "ok" : "fail");
  json_str(&j, "state", machine_state_name(m->state));
  json_array(&j, "reasons");
  if (!good) json_str(&j, NULL, why);
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
  char why[256] = "";
  supervisor_reason(s, &m, why, sizeof why);
  switch (which) {
    case WEB_LIVE:
      return verdict_json(s, &m, m.state != STATE_FAILED || m.held, why, out);
    case WEB_STARTED:
      return verdict_json(s, &m, s->counts.startups_ok > 0, why, out);
    case WEB_READY:
      return verdict_json(s, &m, supervisor_ready(s, &m), why, out);
    case WEB_HEALTHY:
      break;
  }
  return healthy(s, &m, out);
}

static void status(void *arg, struct buf *out) { supervisor_status_json(arg, out); }
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

static void history(void *arg, struct buf *out) {
  const struct supervisor *s = arg;
  struct json j = JSON_INIT(out);
  json_object(&j, NULL);
  trend_json(&s->trend, &j, "samples");
  json_object_end(&j);
}

void supervisor_open_web(struct supervisor *s) {
  s->web = web_new(&(struct web_options){
      .loop = s->o.loop,
      .sink = s->o.sink,
      .probes = s->o.probes,
      .settings = s->o.settings,
      .metrics = s->o.metrics,
      .source = {s, verdict, status, report, metrics, exposition, history, supervisor_sample},
  });
}
