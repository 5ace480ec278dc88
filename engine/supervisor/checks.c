/* Checks and dependencies as others see them: in status, health, why and report; `tend check-now`. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/str.h"
#include "supervisor/impl.h"

/* The status tells the last runs where there are few checks: who has many asks for the history alone. */
enum { TOLD_CHECKS = 32, TOLD_RUNS = 30 };

int64_t supervisor_wall(int64_t mono_ns) {
  if (mono_ns == 0 || mono_ns == TIME_NEVER) return 0;
  return clock_real_ns() - (clock_mono_ns() - mono_ns);
}

/* --- views ------------------------------------------------------------------------------------------------------- */

struct report_check *supervisor_view_dependencies(struct supervisor *s, size_t *n) {
  struct report_check *list = calloc(s->o.plan->dependencies_n + 1, sizeof *list);
  struct dependency_view d;
  struct health_view v;
  *n = 0;
  for (size_t i = 0; list && dependencies_at(s->dependencies, i, &d); i++) {
    bool known = health_at(s->checks, (size_t)s->dependency_check[i], &v) && v.check->active;
    list[(*n)++] = (struct report_check){
        .name = d.name,
        .kind = d.kind,
        .description = d.description,
        .required = d.required,
        .status = dependency_state_name(d.state),
        .reason = d.reason,
        .detail = d.detail,
        .attempts = known && v.check->failures ? v.check->failures : d.attempts,
        .failures = known                         ? v.check->failures
                    : d.state == DEPENDENCY_READY ? 0
                                                  : d.attempts,
        .duration_ns = known ? d.attempt_ns : d.duration_ns,
        .at_real_ns = supervisor_wall(d.checked_ns),
        .since_real_ns = known ? supervisor_wall(v.check->since_ns) : 0,
    };
  }
  return list;
}

static size_t fill_runs(struct supervisor *s, size_t i, struct report_run *to) {
  struct history_run runs[TOLD_RUNS];
  unsigned n = health_history(s->checks, i, runs, TOLD_RUNS);
  for (unsigned k = 0; k < n; k++)
    to[k] = (struct report_run){supervisor_wall(runs[k].at_ns), runs[k].duration_ns,
                                check_result_name((enum check_result)runs[k].result)};
  return n;
}

static struct report_check check_view(const struct health_view *v) {
  return (struct report_check){
      .name = v->name,
      .kind = v->kind,
      .description = v->description,
      .status = check_state_name(v->check->state),
      .reason = v->reason,
      .detail = v->detail,
      .attempts = (unsigned)v->runs,
      .failures = v->check->failures,
      .duration_ns = v->duration_ns,
      .at_real_ns = supervisor_wall(v->check->last_ns),
      .since_real_ns = supervisor_wall(v->check->since_ns),
      .role = check_role_names[v->spec->role],
      .process = v->process,
      .last = v->check->last_ns ? check_result_name(v->check->last) : NULL,
      .active = v->check->active,
      .failed = v->results[CHECK_FAIL],
      .unknown = v->results[CHECK_CANNOT],
      .next_real_ns = supervisor_wall(check_due_ns(v->check)),
      .held_until_real_ns = v->check->hold_ns > clock_mono_ns() ? supervisor_wall(v->check->hold_ns) : 0,
  };
}

/* The flow's checks; those that only go on asking for a dependency are seen there. */
struct report_check *supervisor_view_checks(struct supervisor *s, bool brief, size_t *n) {
  size_t all = health_count(s->checks);
  size_t runs = !brief && s->o.plan->checks_n <= TOLD_CHECKS ? all * TOLD_RUNS : 0;
  struct report_check *list = calloc(1, (all + 1) * sizeof *list + runs * sizeof(struct report_run));
  struct report_run *room = list ? (struct report_run *)(list + all + 1) : NULL;
  struct health_view v;
  *n = 0;
  for (size_t i = 0; list && health_at(s->checks, i, &v); i++) {
    if (v.dependency) continue;
    struct report_check *c = &list[(*n)++];
    *c = check_view(&v);
    if (!runs) continue;
    c->runs = room;
    c->n_runs = fill_runs(s, i, room);
    room += c->n_runs;
  }
  return list;
}

/* --- health ------------------------------------------------------------------------------------------------------ */

size_t supervisor_reasons(struct supervisor *s, const struct machine_view *m, char texts[HEALTH_TEXTS][256]) {
  size_t n = 0;
  struct health_verdict v;
  if (m->state != STATE_RUNNING) supervisor_reason(s, m, texts[n++], sizeof texts[0]);
  supervisor_weigh(s, &v);
  for (unsigned i = 0; i < v.n_reasons && n < HEALTH_TEXTS; i++) {
    auto_buf struct buf b = {0};
    check_standing_text(v.reasons[i], &b);
    str_copy(texts[n++], sizeof texts[0], buf_cstr(&b));
  }
  if (m->state == STATE_RUNNING && m->degraded && n < HEALTH_TEXTS)
    str_copy(texts[n++], sizeof texts[0], "a process has failed, or waits for its restart");
  return n;
}

void supervisor_health_json(struct supervisor *s, struct buf *out) {
  struct machine_view m;
  machine_view(s->machine, &m);
  char texts[HEALTH_TEXTS][256];
  const char *reasons[HEALTH_TEXTS];
  struct report_health v = {.status = supervisor_verdict(s, &m),
                            .state = machine_state_name(m.state),
                            .ready = supervisor_ready(s, &m),
                            .reasons = reasons};
  if (!v.ready || !STR_EQ(v.status, "healthy")) v.n_reasons = supervisor_reasons(s, &m, texts);
  for (size_t i = 0; i < v.n_reasons; i++) reasons[i] = texts[i];
  health_build(&v, out);
  settings_redact(s->o.settings, out);
}

/* --- metrics ----------------------------------------------------------------------------------------------------- */

static struct metric *family(struct supervisor *s, enum metric_type type, const char *name, const char *label,
                             const char *help) {
  const struct metric_spec spec = {
      .type = type, .name = name, .help = help, .labels = &label, .n_labels = label ? 1 : 0, .builtin = true};
  struct err err = ERR_INIT;
  return metrics_declare(s->o.metrics, &spec, &err);
}

/* Each result, by its kind: how long they take. */
void supervisor_observe_check(struct supervisor *s, const struct health_news *n) {
  struct metric *m = s->check_seconds;
  if (!m)
    m = s->check_seconds =
        family(s, METRIC_HISTOGRAM, "tend_check_duration_seconds", "kind", "Runs of checks, by their kind.");
  if (m) metric_observe(m, &n->check->kind, (double)n->result->duration_ns / (double)NS_PER_S);
}

/* By check: more than LIMIT_METRIC_SERIES of them are refused and counted by the registry. */
void supervisor_publish_checks(struct supervisor *s) {
  struct metric *healthy = family(s, METRIC_GAUGE, "tend_check_healthy", "check",
                                  "1 while the check is healthy or degraded, 0 while it is unhealthy.");
  struct metric *last = family(s, METRIC_GAUGE, "tend_check_last_duration_seconds", "check", "Its last run.");
  struct metric *runs = family(s, METRIC_COUNTER, "tend_check_runs_total", "check", "Runs of a check.");
  struct metric *failures = family(s, METRIC_COUNTER, "tend_check_failures_total", "check", "Its bad results.");
  struct metric *unknown = family(s, METRIC_COUNTER, "tend_check_unknown_total", "check",
                                  "Runs that came to no result: the check could not be run, or its function broke.");
  if (!healthy || !last || !runs || !failures || !unknown) return;
  struct health_view v;
  for (size_t i = 0; health_at(s->checks, i, &v); i++) {
    if (v.spec->role == CHECK_STARTUP || !v.runs) continue;
    metric_set(healthy, &v.name, v.check->state == CHECK_UNKNOWN ? NAN : v.check->state != CHECK_UNHEALTHY);
    metric_set(last, &v.name, (double)v.duration_ns / (double)NS_PER_S);
    metric_raise(runs, &v.name, (double)v.runs);
    metric_raise(failures, &v.name, (double)v.results[CHECK_FAIL]);
    if (v.results[CHECK_CANNOT]) metric_raise(unknown, &v.name, (double)v.results[CHECK_CANNOT]);
  }
}

/* --- tend check-now ---------------------------------------------------------------------------------------------- */

struct asked {
  struct supervisor *sup;
  struct control_reply *reply;
  char name[LIMIT_NAME];
};

static void on_result(void *arg, const struct probe_result *r) {
  struct asked *a = arg;
  struct health_view v;
  auto_buf struct buf b = {0};
  struct json j = JSON_INIT(&b);
  int check = health_find(a->sup->checks, a->name);
  if (check < 0 || !health_at(a->sup->checks, (size_t)check, &v)) {
    control_refuse(a->reply, "check %s is there no more", a->name);
    free(a);
    return;
  }
  json_object(&j, NULL);
  json_str(&j, "check", v.name);
  json_str(&j, "kind", v.kind);
  json_str(&j, "result", probe_status_name(r->status));
  json_str(&j, "reason", r->reason);
  json_str(&j, "detail", r->detail);
  json_num(&j, "duration_ms", (double)(r->duration_ns / NS_PER_US) / 1000);
  json_str(&j, "state", check_state_name(v.check->state));
  if (r->data) json_value(&j, "data", r->data);
  json_object_end(&j);
  settings_redact(a->sup->o.settings, &b);
  control_answer_buf(a->reply, &b);
  free(a);
}

static void refuse_unknown(struct supervisor *s, const char *name, struct control_reply *r) {
  size_t n = health_count(s->checks), k = 0;
  auto_free const char **names = calloc(n + 1, sizeof *names);
  struct health_view v;
  for (size_t i = 0; names && health_at(s->checks, i, &v); i++) names[k++] = v.name;
  const char *near = names ? str_nearest(name, names, k) : NULL;
  control_refuse(r, "no check and no dependency \"%s\" in flow %s%s%s%s", name, s->o.plan->name,
                 near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

void supervisor_check_now(void *arg, const struct control_request *q, struct control_reply *r) {
  struct supervisor *s = arg;
  const char *name = control_arg_str(q, "name", "");
  struct err err = ERR_INIT;
  int check = health_find(s->checks, name);
  if (check < 0) {
    refuse_unknown(s, name, r);
    return;
  }
  struct asked *a = calloc(1, sizeof *a);
  if (a) *a = (struct asked){.sup = s, .reply = r};
  if (a) str_copy(a->name, sizeof a->name, name);
  if (!a || health_probe_now(s->checks, name, false, on_result, a, &err)) {
    free(a);
    control_refuse(r, "%s", err.code ? err.msg : "out of memory");
  }
}
