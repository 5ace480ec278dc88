/* Remedies in status and report. */
#include "core/report.h"

static void remedy_json(const struct report_remedy *r, struct json *j) {
  json_object(j, NULL);
  json_str(j, "name", r->name);
  json_array(j, "checks");
  for (size_t i = 0; i < r->n_checks; i++) json_str(j, NULL, r->checks[i]);
  json_array_end(j);
  json_str(j, "state", r->state);
  json_str(j, "step", r->step);
  json_str(j, "check", r->check);
  json_bool(j, "dry_run", r->dry_run);
  json_int(j, "runs", r->runs);
  json_int(j, "runs_in_window", r->in_window);
  json_int(j, "max", r->max);
  report_time_json(r->ready_real_ns, j, "ready_at");
  json_str(j, "last_result", r->last_result);
  json_object_end(j);
}

static void run_json(const struct report_remediation *r, struct json *j) {
  json_object(j, NULL);
  json_str(j, "remedy", r->remedy);
  json_str(j, "check", r->check);
  json_str(j, "trigger", r->trigger);
  json_str(j, "cause", r->cause);
  json_str(j, "result", r->result);
  json_bool(j, "dry_run", r->dry_run);
  report_time_json(r->at_real_ns, j, "at");
  report_duration_json(r->duration_ns, j, "duration_ms");
  report_steps_json(r->steps, r->n_steps, j);
  json_object_end(j);
}

void report_steps_json(const struct report_step *steps, size_t n, struct json *j) {
  json_array(j, "steps");
  for (size_t i = 0; i < n; i++) {
    json_object(j, NULL);
    json_str(j, "name", steps[i].name);
    json_str(j, "kind", steps[i].kind);
    json_str(j, "outcome", steps[i].outcome);
    json_str(j, "detail", steps[i].detail);
    report_duration_json(steps[i].duration_ns, j, "duration_ms");
    json_object_end(j);
  }
  json_array_end(j);
}

void report_remedies_json(const struct status_view *v, struct json *j) {
  json_array(j, "remedies");
  for (size_t i = 0; i < v->n_remedies; i++) remedy_json(&v->remedies[i], j);
  json_array_end(j);
  json_array(j, "remediations");
  for (size_t i = 0; i < v->n_remediations; i++) run_json(&v->remediations[i], j);
  json_array_end(j);
}
