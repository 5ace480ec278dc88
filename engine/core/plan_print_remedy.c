/* Remedies in the print of a plan. */
#include "base/str.h"
#include "core/plan_read.h"

static void print_time(struct buf *out, const char *what, int64_t ns) {
  char text[32];
  buf_fmt(out, ", %s %s", what, str_format_duration(ns, text, sizeof(text)));
}

static const char *kind_of(const struct plan_step *s) {
  return s->kind == PLAN_STEP_CLEANUP ? s->cleanup.kind : plan_step_kind_name(s->kind);
}

static void print_step(const struct plan *plan, const struct plan_step *s, bool escalation, struct buf *out) {
  buf_fmt(out, "    %s%s: %s", escalation ? "then " : "", s->name, kind_of(s));
  if (s->kind == PLAN_STEP_RESTART || s->kind == PLAN_STEP_SIGNAL)
    buf_fmt(out, " %s", plan->processes[s->process].name);
  print_time(out, "timeout", s->timeout_ns);
  if (s->description[0]) buf_fmt(out, "; %s", s->description);
  buf_char(out, '\n');
}

void plan_print_remedies(const struct plan *plan, struct buf *out) {
  if (plan->remedies_n) buf_str(out, "remedies:\n");
  for (size_t i = 0; i < plan->remedies_n; i++) {
    const struct plan_remedy *m = &plan->remedies[i];
    buf_fmt(out, "  %s:", m->name);
    for (size_t k = 0; k < m->checks_n; k++)
      buf_fmt(out, "%s %s", k ? " or" : " when", plan->checks[m->checks[k]].name);
    if (!m->checks_n) buf_str(out, " by hand");
    if (m->failures != PLAN_UNSET && m->checks_n) buf_fmt(out, " failed %d times", m->failures);
    print_time(out, "cool-down", m->cooldown_ns);
    buf_fmt(out, ", at most %d", m->max);
    print_time(out, "in", m->window_ns);
    if (m->dry_run) buf_str(out, ", dry run");
    if (m->description[0]) buf_fmt(out, "; %s", m->description);
    buf_char(out, '\n');
    for (size_t k = 0; k < m->steps_n + m->escalations_n; k++) print_step(plan, &m->steps[k], k >= m->steps_n, out);
  }
}

static void step_json(const struct plan *plan, const struct plan_step *s, struct json *j) {
  json_object(j, NULL);
  json_str(j, "name", s->name);
  json_str(j, "kind", kind_of(s));
  if (s->kind == PLAN_STEP_RESTART || s->kind == PLAN_STEP_SIGNAL)
    json_str(j, "process", plan->processes[s->process].name);
  if (s->cleanup.params) json_value(j, "params", s->cleanup.params);
  json_num(j, "timeout", (double)s->timeout_ns / 1e9);
  json_object_end(j);
}

static void steps_json(const struct plan *plan, const char *key, const struct plan_step *s, size_t n, struct json *j) {
  json_array(j, key);
  for (size_t i = 0; i < n; i++) step_json(plan, &s[i], j);
  json_array_end(j);
}

void plan_remedies_json(const struct plan *plan, struct json *j) {
  json_array(j, "remedies");
  for (size_t i = 0; i < plan->remedies_n; i++) {
    const struct plan_remedy *m = &plan->remedies[i];
    json_object(j, NULL);
    json_str(j, "name", m->name);
    json_array(j, "checks");
    for (size_t k = 0; k < m->checks_n; k++) json_str(j, NULL, plan->checks[m->checks[k]].name);
    json_array_end(j);
    if (m->failures != PLAN_UNSET) json_int(j, "failures", m->failures);
    json_num(j, "cooldown", (double)m->cooldown_ns / 1e9);
    json_num(j, "window", (double)m->window_ns / 1e9);
    json_int(j, "max", m->max);
    json_bool(j, "dry_run", m->dry_run);
    if (m->description[0]) json_str(j, "description", m->description);
    steps_json(plan, "steps", m->steps, m->steps_n, j);
    steps_json(plan, "escalate", m->steps + m->steps_n, m->escalations_n, j);
    json_object_end(j);
  }
  json_array_end(j);
}
