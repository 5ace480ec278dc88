/* What is told to who asks: status, why, health, metrics, report. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/quarantine.h"
#include "supervisor/impl.h"

void supervisor_views_free(struct views *v) {
  buf_free(&v->policy);
  free(v->remedies);
  free(v->remediations);
  free(v->processes);
  free(v->dependencies);
  free(v->checks);
}

static struct report_next next_of(enum instance_state state, int64_t due_ns) {
  if (due_ns == TIME_NEVER || due_ns == 0) return (struct report_next){0};
  return (struct report_next){.what = state == INSTANCE_BACKOFF ? "restart" : "next run",
                              .due_real_ns = supervisor_wall(due_ns)};
}

/* Running, and the worst of what keeps it from being healthy or ready. */
static void running(struct supervisor *s, const struct machine_view *m, char *to, size_t size) {
  struct health_verdict v;
  supervisor_weigh(s, &v);
  auto_buf struct buf b = {0};
  buf_str(&b, "running");
  if (v.n_reasons) {
    buf_str(&b, v.ready ? ", but " : ", not ready: ");
    check_standing_text(v.reasons[0], &b);
    if (v.bad > 1) buf_fmt(&b, " (and %u more)", v.bad - 1);
  } else if (m->degraded) {
    buf_str(&b, ", but a process has failed");
  }
  str_copy(to, size, buf_cstr(&b));
}

/* One sentence without a full stop: why the container is in its state. */
void supervisor_reason(struct supervisor *s, const struct machine_view *m, char *to, size_t size) {
  const struct slot *main = &s->slots[machine_slot(s->machine, (unsigned)s->o.plan->main, 0)];
  struct dependency_view d;
  const char *bad = NULL;
  static char text[160];
  for (size_t i = 0; s->dependencies && dependencies_at(s->dependencies, i, &d) && !bad; i++) {
    if (!d.required || d.state == DEPENDENCY_READY || d.state == DEPENDENCY_IDLE) continue;
    snprintf(text, sizeof text, "dependency %s is not ready: %s", d.name, *d.reason ? d.reason : "no answer yet");
    bad = text;
  }
  switch (m->state) {
    case STATE_RUNNING:
      running(s, m, to, size);
      break;
    case STATE_STARTING:
      snprintf(to, size, "starting%s%s", bad ? "; " : "", bad ? bad : "");
      break;
    case STATE_RESTARTING:
    case STATE_FAILED:
      if (m->cause == CAUSE_DEPENDENCY && bad)
        snprintf(to, size, "%s", bad);
      else if (m->cause == CAUSE_VALIDATION)
        snprintf(to, size, "the validation failed: %s; tend why has all of it",
                 s->invalid.n ? s->invalid.items[0].name : "see the event validation_completed");
      else if (m->cause == CAUSE_REMEDY)
        remedies_end_text(s->remedies, to, size);
      else
        snprintf(to, size, "process %s: %s", s->o.plan->processes[s->o.plan->main].name,
                 main->end && main->end->exit.known ? main->end->exit.text : "failed");
      break;
    case STATE_STOPPED:
      snprintf(to, size, "%s; tend start starts it",
               m->cause == CAUSE_MARK ? "an operator stopped it before this start of tend" : "an operator stopped it");
      break;
    case STATE_STOPPING:
      snprintf(to, size, "stopping (cause: %s)", machine_cause_name(m->cause));
      break;
    default:
      snprintf(to, size, "the start has begun");
      break;
  }
}

/* Where nothing runs there is nothing to call healthy. */
const char *supervisor_verdict(struct supervisor *s, const struct machine_view *m) {
  bool known = m->state == STATE_RUNNING || m->state == STATE_RESTARTING || m->state == STATE_FAILED;
  return known ? supervisor_health(s) : "unknown";
}

static void fill_processes(struct supervisor *s, struct views *out) {
  int64_t now = clock_mono_ns();
  out->processes = calloc(s->n_slots, sizeof *out->processes);
  if (!out->processes) return;
  for (uint32_t i = 0; i < s->n_slots; i++) {
    const struct plan_process *p = supervisor_process(s, i);
    struct instance_view v;
    machine_instance(s->machine, i, now, &v);
    out->processes[i] = (struct report_process){
        .name = p->name,
        .instance = machine_slot_instance(s->machine, i),
        .main = machine_slot_process(s->machine, i) == s->o.plan->main,
        .essential = p->essential,
        .spare = v.spare,
        .state = instance_state_name(v.state),
        .pid = s->slots[i].pid,
        .since_real_ns = supervisor_wall(v.since_ns),
        .runs = (unsigned)v.runs,
        .restarts = (unsigned)v.restarts,
        .last_exit = s->slots[i].end ? s->slots[i].end->exit : (struct report_exit){0},
        .next = next_of(v.state, v.due_ns),
        .command = p->argv,
    };
    out->v.restarts_in_window += v.in_window;
  }
  out->v.processes = out->processes;
  out->v.n_processes = s->n_slots;
}

void supervisor_views(struct supervisor *s, bool brief, struct views *out) {
  struct machine_view m;
  machine_view(s->machine, &m);
  int64_t now = clock_mono_ns();
  int64_t until = TIME_NEVER;
  *out = (struct views){0};
  out->v = (struct status_view){
      .now_real_ns = clock_real_ns(),
      .who = *sink_who(s->o.sink),
      .state = machine_state_name(m.state),
      .since_real_ns = supervisor_wall(m.since_ns),
      .mode = settings_str(s->o.settings, SET_EXECUTION_MODE),
      .environment = settings_str(s->o.settings, SET_ENVIRONMENT),
      .run_mode = s->o.simple ? "simple" : "managed",
      .ready = supervisor_ready(s, &m),
      .health = supervisor_verdict(s, &m),
      .pid = s->o.pid,
      .started_real_ns = s->begun_real_ns,
      .uptime_s = (double)(now - s->begun_ns) / (double)NS_PER_S,
      .restarts = (unsigned)m.restarts,
  };
  supervisor_reason(s, &m, out->reason, sizeof out->reason);
  out->v.reason = out->reason;
  if (m.due_ns != TIME_NEVER && m.due_ns)
    out->v.next = (struct report_next){.what = "restart", .due_real_ns = supervisor_wall(m.due_ns)};
  fill_processes(s, out);
  out->v.dependencies = out->dependencies = supervisor_view_dependencies(s, &out->v.n_dependencies);
  out->v.checks = out->checks = supervisor_view_checks(s, brief, &out->v.n_checks);
  size_t w = 0;
  if (m.degraded && m.state == STATE_RUNNING)
    out->warnings[w++] = "a process that is not essential has failed, or waits for its restart";
  for (unsigned i = 0; s->o.quarantine && i < s->o.quarantine->n && i < QUARANTINE_SHOWN; i++) {
    snprintf(out->quarantined[i], sizeof out->quarantined[i],
             "%s is quarantined (%s): it runs again when it has changed, or after tend release",
             s->o.quarantine->list[i].culprit.task, s->o.quarantine->list[i].culprit.where);
    out->warnings[w++] = out->quarantined[i];
  }
  if (s->o.revival && s->o.revival->safe)
    out->warnings[w++] = "safe mode: no scripts and no checks, the engine died too often";
  if (reload_trouble(s->reload)) {
    snprintf(out->trouble, sizeof out->trouble, "what is on disk is not in force: %s", reload_trouble(s->reload));
    out->warnings[w++] = out->trouble;
  }
  struct json j = JSON_INIT(&out->policy);
  reload_json(s->reload, &j, NULL);
  out->v.policy = out->policy.len ? buf_cstr(&out->policy) : NULL;
  if (!s->control) out->warnings[w++] = "there is no control socket";
  if (!s->log_dir[0] && s->counts.startups) out->warnings[w++] = "there is no log directory: no events.jsonl";
  out->v.maintenance = remedies_in_maintenance(s->remedies, &until);
  out->v.maintenance_until_real_ns = out->v.maintenance && until != TIME_NEVER ? supervisor_wall(until) : 0;
  out->v.remedies = out->remedies = remedies_list(s->remedies, &out->v.n_remedies);
  out->v.remediations = out->remediations = remedies_past(s->remedies, &out->v.n_remediations);
  out->v.warnings = out->warnings;
  out->v.n_warnings = w;
}

void supervisor_status_json(struct supervisor *s, bool brief, struct buf *out) {
  struct views v;
  supervisor_views(s, brief, &v);
  status_build(&v.v, out);
  supervisor_views_free(&v);
  settings_redact(s->o.settings, out);
}

/* --- the report -------------------------------------------------------------------------------------------------- */

void supervisor_report_json(struct supervisor *s, struct buf *out) {
  struct views v;
  supervisor_views(s, false, &v);
  struct report_input in = {.status = v.v};
  struct vitals_room room;
  supervisor_vitals(s, &in.vitals, &room);
  const struct machine_process *p = &s->lifecycle->process[s->o.plan->main];
  static const char *const policies[] = {"no", "always", "on-failure", "unless-stopped"};
  in.restart = (struct restart_config_view){
      .policy = policies[p->how->restart.policy],
      .max_attempts = p->how->restart.max_attempts,
      .delay_ns = p->how->restart.base_ns,
      .max_delay_ns = p->how->restart.max_ns,
      .window_ns = p->how->restart.window_ns,
      .reset_ns = p->how->restart.reset_ns,
      .exponential = p->how->restart.exponential,
      .jitter_percent = p->how->restart.jitter_percent,
  };
  in.events = sink_ring(s->o.sink);
  in.ends = &s->ends;
  in.previous_run = s->previous_run.len ? buf_cstr(&s->previous_run) : NULL;
  in.startup_result = s->startup_result;
  in.startup_duration_ns = s->startup_ns;
  in.phases = s->phases;
  in.n_phases = PHASES;
  in.critical_path = s->steps;
  in.n_critical_path = s->n_steps;
  in.n_cleanups = cleanup_results(s->cleanup, &in.cleanups);
  in.exit_known = s->exit_cause != CAUSE_NONE;
  in.graceful = s->graceful;
  in.exit_code = s->exit_code;
  in.exit_source = s->from_workload ? "workload" : "engine";
  in.exit_reason = machine_cause_name(s->exit_cause);
  report_build(&in, out);
  supervisor_views_free(&v);
  settings_redact(s->o.settings, out);
}
