/* What is told of remedies, as events and metrics, and what is kept of their runs. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "health/remedies_impl.h"

static void emit(struct remedies *r, enum event_kind kind, enum level level, const struct buf *message,
                 struct buf *details, int64_t duration_ns) {
  sink_emit(r->env.sink, kind,
            &(struct sink_event){.level = level,
                                 .message = message->len ? message->data : NULL,
                                 .details = buf_cstr(details),
                                 .timed = duration_ns >= 0,
                                 .duration_ns = duration_ns});
}

static void begin_details(const struct job *j, struct json *out) {
  json_object(out, NULL);
  json_str(out, "remedy", j->plan->name);
  if (j->check != REMEDY_NONE) json_str(out, "check", check_name(j->r, j->check));
  json_str(out, "trigger", j->by_operator ? "operator" : "check");
  if (*j->cause) json_str(out, "cause", j->cause);
  if (j->dry) json_bool(out, "dry_run", true);
}

/* --- steps ------------------------------------------------------------------------------------------------------- */

void remedies_note_step(struct job *j, enum remedy_outcome outcome) {
  struct step_record *s = &j->record[j->step];
  const struct plan_step *step = job_step(j);
  if (s->ended) return;
  s->ended = true;
  s->outcome = outcome;
  s->duration_ns = clock_mono_ns() - s->started_ns;
  auto_buf struct buf details = {0};
  const struct buf no_message = {0};
  struct json out = JSON_INIT(&details);
  begin_details(j, &out);
  json_str(&out, "step", step->name);
  json_str(&out, "kind", remedies_step_kind(step));
  json_str(&out, "outcome", remedy_outcome_name(outcome));
  if (*s->detail) json_str(&out, "detail", s->detail);
  json_object_end(&out);
  bool good = outcome == REMEDY_OK || outcome == REMEDY_SKIPPED;
  emit(j->r, EVENT_REMEDIATION_STEP, good ? LEVEL_INFO : LEVEL_WARNING, &no_message, &details, s->duration_ns);
  if (j->r->steps_total && !j->dry)
    metric_add(j->r->steps_total, (const char *[]){j->plan->name, step->name, remedy_outcome_name(outcome)}, 1);
}

void remedies_step_done(struct job *j, enum remedy_outcome outcome, const char *fmt, ...) {
  if (!j->stepping) return;
  j->stepping = j->restarting = false;
  auto_buf struct buf detail = {0};
  va_list ap;
  va_start(ap, fmt);
  buf_vfmt(&detail, fmt, ap);
  va_end(ap);
  str_copy(j->record[j->step].detail, STEP_DETAIL_MAX, buf_cstr(&detail));
  remedies_note_step(j, outcome);
  remedies_feed(j->r, &(struct remedy_input){.kind = REMEDY_IN_DONE, .run = j->run, .outcome = outcome});
}

/* --- runs -------------------------------------------------------------------------------------------------------- */

void remedies_tell_begin(struct job *j, const struct remedy_action *a) {
  auto_buf struct buf details = {0}, message = {0};
  struct json out = JSON_INIT(&details);
  begin_details(j, &out);
  if (a->failures) json_int(&out, "failures", a->failures);
  if (a->over_budget) json_bool(&out, "over_budget", true);
  struct remedy_view v;
  remedy_view(j->r->core, a->rule, clock_mono_ns(), &v);
  json_int(&out, "runs_in_window", v.in_window);
  json_int(&out, "max", j->plan->max);
  json_object_end(&out);
  buf_fmt(&message, "remedy %s begins%s%s%s", j->plan->name, j->dry ? ", dry run" : "", *j->cause ? ": " : "",
          j->cause);
  if (a->over_budget) buf_str(&message, "; its budget is used up: it escalates at once");
  emit(j->r, EVENT_REMEDIATION_STARTED, j->by_operator ? LEVEL_INFO : LEVEL_WARNING, &message, &details, -1);
}

static void forget_past(struct past *p) {
  free(p->steps);
  free(p->cause);
}

static void keep(struct job *j, const struct remedy_action *a) {
  struct remedies *r = j->r;
  if (!r->past) r->past = calloc(LIMIT_REMEDY_PAST, sizeof *r->past);
  if (!r->past) return;
  struct past *p = &r->past[r->n_past++ % LIMIT_REMEDY_PAST];
  forget_past(p);
  *p = (struct past){.dry = j->dry,
                     .by_operator = j->by_operator,
                     .result = a->result,
                     .at_real_ns = j->begun_real_ns,
                     .duration_ns = a->duration_ns,
                     .cause = *j->cause ? strdup(j->cause) : NULL,
                     .steps = calloc(job_steps(j), sizeof *p->steps)};
  str_copy(p->remedy, sizeof p->remedy, j->plan->name);
  if (j->check != REMEDY_NONE) str_copy(p->check, sizeof p->check, check_name(r, j->check));
  for (unsigned i = 0; p->steps && i < job_steps(j); i++) {
    struct past_step *s = &p->steps[p->n_steps++];
    s->record = j->record[i];
    s->kind = remedies_step_kind(&j->plan->steps[i]);
    str_copy(s->name, sizeof s->name, j->plan->steps[i].name);
  }
}

static size_t add_step(const char *name, const char *kind, const struct step_record *s, struct report_step *out) {
  if (!s->begun) return 0;
  *out = (struct report_step){.name = name,
                              .kind = kind,
                              .outcome = s->ended ? remedy_outcome_name(s->outcome) : "cancelled",
                              .detail = s->detail,
                              .duration_ns = s->ended ? s->duration_ns : -1};
  return 1;
}

static size_t fill_steps(const struct job *j, struct report_step *out) {
  size_t n = 0;
  for (unsigned i = 0; i < job_steps(j); i++)
    n += add_step(j->plan->steps[i].name, remedies_step_kind(&j->plan->steps[i]), &j->record[i], &out[n]);
  return n;
}

static size_t fill_past(const struct past *p, struct report_step *out) {
  size_t n = 0;
  for (size_t i = 0; i < p->n_steps; i++)
    n += add_step(p->steps[i].name, p->steps[i].kind, &p->steps[i].record, &out[n]);
  return n;
}

/* "disk: healed (temporary_files ok, rotate_logs ok)" */
static void summarise(const struct job *j, const struct remedy_action *a, const struct report_step *steps, size_t n,
                      struct buf *out) {
  buf_fmt(out, "%s: %s", j->plan->name, a->result == REMEDY_DRY_RUN_RESULT ? "dry run" : remedy_result_name(a->result));
  for (size_t i = 0; i < n; i++) {
    buf_fmt(out, "%s%s %s", i ? ", " : " (", steps[i].name, steps[i].outcome);
    if (*steps[i].detail) buf_fmt(out, ": %s", steps[i].detail);
  }
  if (n) buf_char(out, ')');
}

void remedies_tell_end(struct job *j, const struct remedy_action *a, struct buf *summary) {
  static const enum level levels[REMEDY_RESULTS_N] = {
      [REMEDY_HEALED_RESULT] = LEVEL_INFO,     [REMEDY_NOT_HEALED_RESULT] = LEVEL_ERROR,
      [REMEDY_ESCALATED_RESULT] = LEVEL_ERROR, [REMEDY_UNKNOWN_RESULT] = LEVEL_WARNING,
      [REMEDY_DONE_RESULT] = LEVEL_INFO,       [REMEDY_FAILED_RESULT] = LEVEL_WARNING,
      [REMEDY_DRY_RUN_RESULT] = LEVEL_INFO,    [REMEDY_CANCELLED_RESULT] = LEVEL_INFO};
  struct report_step steps[LIMIT_REMEDY_STEPS];
  size_t n = fill_steps(j, steps);
  auto_buf struct buf details = {0};
  struct json out = JSON_INIT(&details);
  begin_details(j, &out);
  json_str(&out, "result", remedy_result_name(a->result));
  report_steps_json(steps, n, &out);
  json_object_end(&out);
  summarise(j, a, steps, n, summary);
  emit(j->r, EVENT_REMEDIATION_COMPLETED, levels[a->result], summary, &details, a->duration_ns);
  j->last_result = (int)a->result;
  keep(j, a);
  if (j->r->runs_total) metric_add(j->r->runs_total, (const char *[]){j->plan->name, remedy_result_name(a->result)}, 1);
}

void remedies_tell_recovered(struct remedies *r, const struct remedy_action *a) {
  const struct job *j = r->job[a->rule];
  auto_buf struct buf details = {0}, message = {0};
  struct json out = JSON_INIT(&details);
  json_object(&out, NULL);
  json_str(&out, "check", check_name(r, a->check));
  json_str(&out, "remedy", j->plan->name);
  json_str(&out, "step", j->plan->steps[a->step].name);
  if (*j->cause) json_str(&out, "cause", j->cause);
  json_int(&out, "steps", a->steps);
  json_object_end(&out);
  buf_fmt(&message, "check %s is good again; the last step was %s of remedy %s", check_name(r, a->check),
          j->plan->steps[a->step].name, j->plan->name);
  emit(r, EVENT_RECOVERY_COMPLETED, LEVEL_INFO, &message, &details, a->duration_ns);
}

void remedies_tell_gave_up(struct remedies *r, const struct remedy_action *a) {
  const struct job *j = r->job[a->rule];
  auto_buf struct buf details = {0}, message = {0};
  struct json out = JSON_INIT(&details);
  json_object(&out, NULL);
  json_str(&out, "remedy", j->plan->name);
  json_str(&out, "check", check_name(r, a->check));
  json_int(&out, "max", j->plan->max);
  json_num(&out, "window_seconds", (double)j->plan->window_ns / 1e9);
  json_object_end(&out);
  buf_fmt(&message, "remedy %s gives up on check %s until its window has room", j->plan->name, check_name(r, a->check));
  emit(r, EVENT_REMEDIATION_EXHAUSTED, LEVEL_ERROR, &message, &details, -1);
}

void remedies_tell_maintenance(struct remedies *r, const struct remedy_action *a) {
  auto_buf struct buf details = {0}, message = {0};
  struct json out = JSON_INIT(&details);
  json_object(&out, NULL);
  json_bool(&out, "on", a->on);
  if (a->on && a->until_ns != TIME_NEVER) {
    char text[CLOCK_TEXT_MAX];
    json_str(&out, "until", clock_format(clock_real_ns() + (a->until_ns - clock_mono_ns()), text));
  }
  json_object_end(&out);
  buf_str(&message, a->on ? "maintenance: checks run, remedies do not" : "maintenance is over");
  emit(r, EVENT_MAINTENANCE, a->on ? LEVEL_WARNING : LEVEL_INFO, &message, &details, -1);
  if (r->maintenance) metric_set(r->maintenance, NULL, a->on);
}

/* --- metrics ----------------------------------------------------------------------------------------------------- */

int remedies_declare(struct remedies *r, struct err *err) {
  static const char *const of_runs[] = {"remedy", "result"}, *const of_steps[] = {"remedy", "action", "result"};
  if (!r->env.metrics) return 0;
  r->maintenance = metrics_declare(r->env.metrics,
                                   &(struct metric_spec){.type = METRIC_GAUGE,
                                                         .name = "tend_maintenance",
                                                         .help = "1 in maintenance: checks run, remedies do not.",
                                                         .builtin = true},
                                   err);
  r->runs_total = metrics_declare(r->env.metrics,
                                  &(struct metric_spec){.type = METRIC_COUNTER,
                                                        .name = "tend_remediations_total",
                                                        .help = "Runs of remedies, by how they ended.",
                                                        .labels = of_runs,
                                                        .n_labels = 2,
                                                        .builtin = true},
                                  err);
  r->steps_total = metrics_declare(r->env.metrics,
                                   &(struct metric_spec){.type = METRIC_COUNTER,
                                                         .name = "tend_remedy_actions_total",
                                                         .help = "Steps of remedies that were carried out.",
                                                         .labels = of_steps,
                                                         .n_labels = 3,
                                                         .builtin = true},
                                   err);
  if (!r->maintenance || !r->runs_total || !r->steps_total) return -ENOMEM;
  metric_set(r->maintenance, NULL, 0);
  return 0;
}

/* --- views ------------------------------------------------------------------------------------------------------- */

void remedies_forget(struct remedies *r) {
  for (unsigned i = 0; r->past && i < LIMIT_REMEDY_PAST; i++) forget_past(&r->past[i]);
  free(r->past);
}

static int64_t wall(int64_t mono_ns) { return clock_real_ns() - (clock_mono_ns() - mono_ns); }

struct report_remedy *remedies_list(const struct remedies *r, size_t *n) {
  *n = 0;
  int64_t now = clock_mono_ns();
  size_t names = 0;
  for (unsigned i = 0; i < r->n; i++) names += r->job[i]->plan->checks_n;
  /* one block: the entries, then the names that they point to */
  struct report_remedy *list = calloc(1, r->n * sizeof *list + names * sizeof(char *) + 1);
  if (!list) return NULL;
  const char **name = (const char **)(list + r->n);
  for (unsigned i = 0; i < r->n; i++) {
    const struct job *j = r->job[i];
    struct remedy_view v;
    remedy_view(r->core, i, now, &v);
    bool resting = v.ready_ns > now;
    list[i] = (struct report_remedy){
        .name = j->plan->name,
        .state = v.running   ? "running"
                 : v.gave_up ? "gave_up"
                 : resting   ? "resting"
                             : "idle",
        .checks = name,
        .n_checks = j->plan->checks_n,
        .step = v.running ? j->plan->steps[v.step].name : NULL,
        .check = check_name(r, v.check),
        .dry_run = j->plan->dry_run,
        .runs = (unsigned)j->runs,
        .in_window = v.in_window,
        .max = (unsigned)j->plan->max,
        .ready_real_ns = resting ? wall(v.ready_ns) : 0,
        .last_result = j->last_result < 0 ? NULL : remedy_result_name((enum remedy_result)j->last_result),
    };
    for (size_t k = 0; k < j->plan->checks_n; k++) *name++ = check_name(r, j->plan->checks[k]);
  }
  *n = r->n;
  return list;
}

void remedies_end_text(const struct remedies *r, char *to, size_t size) {
  to[0] = 0;
  for (uint64_t i = r->n_past; i > 0 && r->n_past - i < LIMIT_REMEDY_PAST; i--) {
    const struct past *p = &r->past[(i - 1) % LIMIT_REMEDY_PAST];
    if (p->result != REMEDY_ESCALATED_RESULT) continue;
    snprintf(to, size, "remedy %s has ended it, %s", p->remedy,
             p->cause         ? p->cause
             : p->by_operator ? "as an operator asked"
                              : "its steps did not help");
    return;
  }
}

struct report_remediation *remedies_past(const struct remedies *r, size_t *n) {
  size_t runs = r->n_past < LIMIT_REMEDY_PAST ? (size_t)r->n_past : LIMIT_REMEDY_PAST;
  *n = 0;
  struct report_remediation *list =
      calloc(1, runs * (sizeof *list + LIMIT_REMEDY_STEPS * sizeof(struct report_step)) + 1);
  if (!list) return NULL;
  struct report_step *steps = (struct report_step *)(list + runs);
  for (size_t i = 0; i < runs; i++, steps += LIMIT_REMEDY_STEPS) {
    const struct past *p = &r->past[(r->n_past - 1 - i) % LIMIT_REMEDY_PAST];
    list[i] = (struct report_remediation){.remedy = p->remedy,
                                          .check = *p->check ? p->check : NULL,
                                          .trigger = p->by_operator ? "operator" : "check",
                                          .cause = p->cause,
                                          .result = remedy_result_name(p->result),
                                          .dry_run = p->dry,
                                          .at_real_ns = p->at_real_ns,
                                          .duration_ns = p->duration_ns,
                                          .steps = steps,
                                          .n_steps = fill_past(p, steps)};
  }
  *n = runs;
  return list;
}
