#include "core/report.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "tend/version.h"

void report_time_json(int64_t real_ns, struct json *j, const char *key) {
  char text[CLOCK_TEXT_MAX];
  json_str(j, key, real_ns ? clock_format(real_ns, text) : NULL);
}

static double seconds(int64_t ns) { return round((double)ns / (double)NS_PER_MS) / 1000; }

void report_duration_json(int64_t ns, struct json *j, const char *key) {
  if (ns < 0)
    json_null(j, key);
  else
    json_num(j, key, round((double)ns / (double)NS_PER_US) / 1000);
}

static void pid_json(pid_t pid, struct json *j, const char *key) {
  if (pid > 0)
    json_int(j, key, pid);
  else
    json_null(j, key);
}

static void texts_json(const char *const *texts, size_t n, struct json *j, const char *key) {
  json_array(j, key);
  for (size_t i = 0; i < n; i++) json_str(j, NULL, texts[i]);
  json_array_end(j);
}

static void next_json(const struct report_next *next, int64_t now_real_ns, struct json *j, const char *key) {
  if (!next->what) {
    json_null(j, key);
    return;
  }
  int64_t left = next->due_real_ns - now_real_ns;
  json_object(j, key);
  json_str(j, "what", next->what);
  report_time_json(next->due_real_ns, j, "due");
  json_num(j, "in_seconds", seconds(left > 0 ? left : 0));
  json_object_end(j);
}

static void last_exit_json(const struct report_exit *e, struct json *j, const char *key) {
  if (!e->known) {
    json_null(j, key);
    return;
  }
  json_object(j, key);
  json_int(j, "code", e->code);
  if (e->signal)
    json_int(j, "signal", e->signal);
  else
    json_null(j, "signal");
  json_str(j, "text", e->text);
  report_time_json(e->at_real_ns, j, "at");
  json_num(j, "duration_seconds", seconds(e->duration_ns));
  json_object_end(j);
}

void report_process_json(const struct report_process *p, int64_t now_real_ns, struct json *j, const char *key) {
  json_object(j, key);
  json_str(j, "name", p->name);
  json_int(j, "instance", p->instance);
  json_bool(j, "main", p->main);
  json_bool(j, "essential", p->essential);
  json_bool(j, "spare", p->spare);
  json_str(j, "state", p->state);
  pid_json(p->pid, j, "pid");
  report_time_json(p->since_real_ns, j, "since");
  json_int(j, "runs", p->runs);
  json_int(j, "restarts", p->restarts);
  last_exit_json(&p->last_exit, j, "last_exit");
  next_json(&p->next, now_real_ns, j, "next");
  json_array(j, "command");
  for (char *const *word = p->command; word && *word; word++) json_str(j, NULL, *word);
  json_array_end(j);
  json_object_end(j);
}

static void check_more_json(const struct report_check *c, struct json *j) {
  json_str(j, "role", c->role);
  json_str(j, "process", c->process);
  json_bool(j, "active", c->active);
  json_str(j, "last", c->last);
  json_int(j, "failed", (int64_t)c->failed);
  json_int(j, "unknown", (int64_t)c->unknown);
  report_time_json(c->next_real_ns, j, "next");
  report_time_json(c->held_until_real_ns, j, "held_until");
  if (!c->n_runs) return;
  json_array(j, "history");
  for (size_t i = 0; i < c->n_runs; i++) {
    json_array(j, NULL);
    json_num(j, NULL, seconds(c->runs[i].at_real_ns));
    json_str(j, NULL, c->runs[i].result);
    report_duration_json(c->runs[i].duration_ns, j, NULL);
    json_array_end(j);
  }
  json_array_end(j);
}

void report_check_json(const struct report_check *c, struct json *j, const char *key) {
  json_object(j, key);
  json_str(j, "name", c->name);
  json_str(j, "kind", c->kind);
  json_bool(j, "required", c->required);
  json_str(j, "status", c->status);
  json_str(j, "reason", c->reason);
  json_str(j, "detail", c->detail);
  json_int(j, "attempts", c->attempts);
  json_int(j, "failures", c->failures);
  report_duration_json(c->duration_ns, j, "duration_ms");
  report_time_json(c->at_real_ns, j, "at");
  report_time_json(c->since_real_ns, j, "since");
  json_str(j, "description", c->description);
  if (c->role) check_more_json(c, j);
  json_object_end(j);
}

static void processes_json(const struct status_view *v, struct json *j, const char *key) {
  json_array(j, key);
  for (size_t i = 0; i < v->n_processes; i++) report_process_json(&v->processes[i], v->now_real_ns, j, NULL);
  json_array_end(j);
}

static void checks_json(const struct report_check *checks, size_t n, struct json *j, const char *key) {
  json_array(j, key);
  for (size_t i = 0; i < n; i++) report_check_json(&checks[i], j, NULL);
  json_array_end(j);
}

/* What status and the report's container_info share. */
static void state_json(const struct status_view *v, struct json *j) {
  json_str(j, "container_id", v->who.container_id);
  json_str(j, "flow", v->who.flow);
  json_str(j, "state", v->state);
  report_time_json(v->since_real_ns, j, "since");
  json_str(j, "reason", v->reason);
  json_str(j, "environment", v->environment);
  json_str(j, "mode", v->mode);
  json_str(j, "run_mode", v->run_mode);
  json_str(j, "health", v->health);
  json_bool(j, "ready", v->ready);
  json_bool(j, "maintenance", v->maintenance);
  report_time_json(v->maintenance_until_real_ns, j, "maintenance_until");
  pid_json(v->pid, j, "pid");
  json_str(j, "version", TEND_VERSION);
  report_time_json(v->started_real_ns, j, "started");
  json_num(j, "uptime_seconds", round(v->uptime_s * 1000) / 1000);
}

void status_build(const struct status_view *v, struct buf *out) {
  struct json j = JSON_INIT(out);
  json_object(&j, NULL);
  state_json(v, &j);
  json_int(&j, "restarts", v->restarts);
  json_int(&j, "restarts_in_window", v->restarts_in_window);
  next_json(&v->next, v->now_real_ns, &j, "next");
  processes_json(v, &j, "processes");
  checks_json(v->dependencies, v->n_dependencies, &j, "dependencies");
  checks_json(v->checks, v->n_checks, &j, "checks");
  report_remedies_json(v, &j);
  if (v->policy) json_raw(&j, "policy", v->policy, strlen(v->policy));
  texts_json(v->warnings, v->n_warnings, &j, "warnings");
  json_object_end(&j);
}

void why_build(const struct why_view *v, struct buf *out) {
  struct json j = JSON_INIT(out);
  json_object(&j, NULL);
  json_str(&j, "state", v->state);
  json_str(&j, "answer", v->answer);
  json_array(&j, "chain");
  for (size_t i = 0; i < v->n_chain; i++) {
    json_object(&j, NULL);
    json_str(&j, "what", v->chain[i].what);
    report_time_json(v->chain[i].at_real_ns, &j, "at");
    json_int(&j, "depth", v->chain[i].depth);
    json_object_end(&j);
  }
  json_array_end(&j);
  json_array(&j, "next");
  for (size_t i = 0; i < v->n_next; i++) next_json(&v->next[i], v->now_real_ns, &j, NULL);
  json_array_end(&j);
  json_object_end(&j);
}

void health_build(const struct report_health *v, struct buf *out) {
  struct json j = JSON_INIT(out);
  json_object(&j, NULL);
  json_str(&j, "status", v->status);
  json_bool(&j, "healthy", strcmp(v->status, "healthy") == 0 || strcmp(v->status, "degraded") == 0);
  json_bool(&j, "ready", v->ready);
  json_str(&j, "state", v->state);
  texts_json(v->reasons, v->n_reasons, &j, "reasons");
  json_object_end(&j);
}

/* --- the report ------------------------------------------------------------------------------------------------- */

static void container_info_json(const struct report_input *in, struct json *j) {
  json_object(j, "container_info");
  state_json(&in->status, j);
  report_time_json(in->status.now_real_ns, j, "reported");
  texts_json(in->status.warnings, in->status.n_warnings, j, "warnings");
  json_object_end(j);
}

static void restart_config_json(const struct report_input *in, struct json *j) {
  const struct restart_config_view *r = &in->restart;
  json_object(j, "restart_config");
  json_str(j, "policy", r->policy);
  json_int(j, "max_attempts", r->max_attempts);
  json_num(j, "delay_seconds", seconds(r->delay_ns));
  json_bool(j, "exponential_backoff", r->exponential);
  json_num(j, "max_delay_seconds", seconds(r->max_delay_ns));
  json_num(j, "window_minutes", seconds(r->window_ns) / 60);
  json_num(j, "reset_seconds", seconds(r->reset_ns));
  json_int(j, "jitter_percent", r->jitter_percent);
  json_int(j, "restarts", in->status.restarts);
  json_int(j, "restarts_in_window", in->status.restarts_in_window);
  json_object_end(j);
}

static void events_json(const struct report_input *in, struct json *j) {
  json_array(j, "event_history");
  auto_buf struct buf line = {0};
  const struct event *e = in->events ? event_ring_from(in->events, 0) : NULL;
  for (; e; e = event_ring_from(in->events, e->seq + 1)) {
    buf_clear(&line);
    event_json(e, &in->status.who, &line);
    if (!line.failed) json_raw(j, NULL, buf_cstr(&line), line.len);
  }
  json_array_end(j);
}

static void startup_json(const struct report_input *in, struct json *j) {
  json_object(j, "startup");
  json_str(j, "result", in->startup_result);
  report_duration_json(in->startup_duration_ns, j, "duration_ms");
  json_array(j, "phases");
  for (size_t i = 0; i < in->n_phases; i++) {
    const struct report_phase *p = &in->phases[i];
    json_object(j, NULL);
    json_str(j, "name", p->name);
    json_str(j, "result", p->result);
    report_time_json(p->started_real_ns, j, "started");
    report_duration_json(p->duration_ns, j, "duration_ms");
    json_object_end(j);
  }
  json_array_end(j);
  json_array(j, "critical_path");
  for (size_t i = 0; i < in->n_critical_path; i++) {
    json_object(j, NULL);
    json_str(j, "what", in->critical_path[i].what);
    report_duration_json(in->critical_path[i].duration_ns, j, "duration_ms");
    json_object_end(j);
  }
  json_array_end(j);
  json_object_end(j);
}

static void exit_json(const struct report_input *in, struct json *j) {
  if (!in->exit_known) {
    json_null(j, "exit");
    return;
  }
  json_object(j, "exit");
  json_int(j, "code", in->exit_code);
  json_str(j, "exit_source", in->exit_source);
  json_str(j, "reason", in->exit_reason);
  json_bool(j, "graceful", in->graceful);
  json_array(j, "cleanup");
  for (size_t i = 0; i < in->n_cleanups; i++) {
    const struct report_cleanup *c = &in->cleanups[i];
    json_object(j, NULL);
    json_str(j, "name", c->name);
    json_str(j, "result", c->result);
    json_str(j, "detail", c->detail);
    json_bool(j, "critical", c->critical);
    report_duration_json(c->duration_ns, j, "duration_ms");
    json_object_end(j);
  }
  json_array_end(j);
  json_object_end(j);
}

void report_build(const struct report_input *in, struct buf *out) {
  struct json j = JSON_INIT(out);
  json_object(&j, NULL);
  container_info_json(in, &j);
  vitals_json(&in->vitals, &j, "metrics");
  restart_config_json(in, &j);
  events_json(in, &j);
  checks_json(in->status.dependencies, in->status.n_dependencies, &j, "dependency_checks");
  startup_json(in, &j);
  if (in->previous_run)
    json_raw(&j, "previous_run", in->previous_run, strlen(in->previous_run));
  else
    json_null(&j, "previous_run");
  checks_json(in->status.checks, in->status.n_checks, &j, "checks");
  report_remedies_json(&in->status, &j);
  processes_json(&in->status, &j, "processes");
  if (in->ends) ends_json(in->ends, &j, "exits");
  exit_json(in, &j);
  json_object_end(&j);
}
