/* Tells what the machine says: its events, with the details that only the supervisor knows. */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/str.h"
#include "supervisor/impl.h"

static double seconds(int64_t ns) { return (double)(ns / NS_PER_MS) / 1000.; }

static void process_json(struct supervisor *s, uint32_t slot, struct json *j) {
  const struct plan_process *p = supervisor_process(s, slot);
  json_str(j, "process", p->name);
  if (plan_slots(p) > 1) json_int(j, "instance", machine_slot_instance(s->machine, slot));
}

static void usage_json(const struct rusage *u, struct json *j) {
  json_num(j, "user_seconds", (double)u->ru_utime.tv_sec + (double)u->ru_utime.tv_usec / 1e6);
  json_num(j, "system_seconds", (double)u->ru_stime.tv_sec + (double)u->ru_stime.tv_usec / 1e6);
  json_int(j, "max_rss_kb", u->ru_maxrss);
}

static void startup_completed(struct supervisor *s, struct json *j) {
  s->counts.startups_ok++;
  s->startup_result = "completed";
  supervisor_phase_end(s, PHASE_PROCESSES, "ok");
  supervisor_note_critical_path(s);
  json_int(j, "validation_checks", s->validation_checks);
  json_int(j, "dependencies_checked", (int64_t)s->o.plan->dependencies_n);
  json_str(j, "health_status", supervisor_health(s));
}

static void exited(struct supervisor *s, const struct machine_action *a, struct json *j) {
  const struct slot_end *end = supervisor_end_of(&s->slots[a->slot]);
  json_int(j, "exit_code", end->exit.code);
  char name[16];
  json_str(j, "signal", end->exit.signal ? str_signal_name(end->exit.signal, name, sizeof name) : NULL);
  json_str(j, "reason", end_reason_name(a->reason));
  json_bool(j, "oom", end->last.oom);
  usage_json(&end->last.usage, j);
  supervisor_note_exit(s, a);
}

/* Which settings are wrong, or which dependencies did not come. */
static void name_culprits(struct supervisor *s, enum end_reason reason, struct buf *message) {
  const char *lead = ": ";
  for (size_t i = 0; reason == END_VALIDATION && i < s->invalid.n; i++, lead = ", ")
    buf_fmt(message, "%s%s", lead, s->invalid.items[i].name);
  struct dependency_view d;
  for (size_t i = 0; reason == END_DEPENDENCY && dependencies_at(s->dependencies, i, &d); i++) {
    if (!d.required || d.state != DEPENDENCY_FAILED) continue;
    buf_fmt(message, "%s%s is not ready%s%s", lead, d.name, *d.detail || *d.reason ? ", " : "",
            *d.detail ? d.detail : d.reason);
    lead = "; ";
  }
}

static void not_again(struct supervisor *s, uint32_t slot, struct buf *message) {
  buf_str(message, "; it is not started again: ");
  supervisor_not_again(s, slot, message);
}

/* What could not be done, with the name of the thing. */
static void not_executed(const struct plan_process *p, const struct machine_action *a, const char *why,
                         struct buf *message) {
  if (a->stage == SPAWN_CWD && p->cwd)
    buf_fmt(message, "cannot enter the folder \"%s\" of process %s (%s): %s", p->cwd, p->name,
            spawn_stage_name(a->stage), why);
  else
    buf_fmt(message, "cannot execute \"%s\" (%s): %s", p->argv[0], spawn_stage_name(a->stage), why);
}

static void failed(struct supervisor *s, const struct machine_action *a, struct json *j, struct buf *message) {
  json_str(j, "reason", end_reason_name(a->reason));
  json_bool(j, "final", a->final);
  json_int(j, "exit_code", a->exit_code);
  if (a->cause == CAUSE_REMEDY) {
    buf_str(message, "the remedies against a failed check are used up: the container fails");
    return;
  }
  if (a->slot == UINT32_MAX) {
    buf_fmt(message, "the start failed: %s", end_reason_name(a->reason));
    name_culprits(s, a->reason, message);
    if (a->final && a->reason == END_DEPENDENCY)
      not_again(s, machine_slot(s->machine, (unsigned)s->o.plan->main, 0), message);
    if (a->reason == END_DEPENDENCY || a->reason == END_VALIDATION) {
      s->counts.startups_failed++;
      s->startup_result = "failed";
    }
    return;
  }
  const struct plan_process *p = supervisor_process(s, a->slot);
  if (a->reason == END_EXEC_ERROR || a->reason == END_SYSTEM) {
    json_str(j, "stage", spawn_stage_name(a->stage));
    json_int(j, "errno", a->error);
    json_str(j, "error", strerror(a->error));
    struct slot_end *end = supervisor_end_of(&s->slots[a->slot]);
    not_executed(p, a, *end->spawn_text ? end->spawn_text : strerror(a->error), message);
    str_copy(end->exit_text, sizeof end->exit_text, buf_cstr(message));
    end->exit = (struct report_exit){
        .known = true, .code = a->exit_code, .text = end->exit_text, .at_real_ns = clock_real_ns(), .duration_ns = 0};
  } else {
    buf_fmt(message, "process %s ended: %s", p->name, supervisor_end_of(&s->slots[a->slot])->exit_text);
    if (a->final) not_again(s, a->slot, message);
    supervisor_health_suspect(s);
  }
  if (a->delay_ns > 0) json_num(j, "delay_seconds", seconds(a->delay_ns));
}

static void restarting(struct supervisor *s, const struct machine_action *a, struct json *j) {
  s->counts.restarts++;
  json_str(j, "cause", machine_cause_name(a->cause));
  if (a->cause == CAUSE_OPERATOR || a->cause == CAUSE_RELOAD) return; /* at once, and outside of every limit */
  json_str(j, "reason", end_reason_name(a->reason));
  json_num(j, "delay_seconds", seconds(a->delay_ns));
  json_int(j, "attempt", a->attempt);
  json_int(j, "in_window", a->in_window);
  json_int(j, "max_attempts", a->max_attempts);
}

static void stopping(const struct machine_action *a, struct json *j) {
  json_str(j, "cause", machine_cause_name(a->cause));
  char name[16];
  if (a->signal) json_str(j, "signal", str_signal_name(a->signal, name, sizeof name));
}

/* How it ends is known when the report is written, which counts this shutdown, too. */
void supervisor_note_end(struct supervisor *s, const struct machine_action *a) {
  s->graceful = a->graceful;
  s->exit_code = a->exit_code;
  s->from_workload = a->from_workload;
  s->exit_cause = a->cause;
  if (a->graceful)
    s->counts.shutdowns_graceful++;
  else
    s->counts.shutdowns_forced++;
}

static void stopped(struct supervisor *s, const struct machine_action *a, struct json *j) {
  s->graceful = a->graceful;
  json_bool(j, "graceful", a->graceful);
  json_int(j, "exit_code", a->exit_code);
  json_str(j, "exit_source", a->from_workload ? "workload" : "engine");
  json_str(j, "cause", machine_cause_name(a->cause));
}

void supervisor_tell(struct supervisor *s, const struct machine_action *a) {
  auto_buf struct buf details = {0};
  auto_buf struct buf message = {0};
  struct json j = JSON_INIT(&details);
  json_object(&j, NULL);
  if (a->slot != UINT32_MAX) process_json(s, a->slot, &j);
  switch (a->event) {
    case EVENT_STARTUP_INITIATED:
      s->counts.startups++;
      json_str(&j, "cause", machine_cause_name(a->cause));
      break;
    case EVENT_DEPENDENCIES_READY:
      json_int(&j, "dependencies_checked", (int64_t)s->o.plan->dependencies_n);
      break;
    case EVENT_STARTUP_COMPLETED:
      startup_completed(s, &j);
      break;
    case EVENT_PROCESS_STARTED:
      json_int(&j, "pid", s->slots[a->slot].pid);
      web_workload_started(s->web);
      if (!s->sockets_kept) s->sockets_kept = loop_defer(s->o.loop, supervisor_keep_sockets, s) == 0;
      break;
    case EVENT_PROCESS_EXITED:
      exited(s, a, &j);
      break;
    case EVENT_FAILURE_DETECTED:
      failed(s, a, &j, &message);
      break;
    case EVENT_RESTART_INITIATED:
      restarting(s, a, &j);
      break;
    case EVENT_SHUTDOWN_INITIATED:
      stopping(a, &j);
      break;
    case EVENT_SHUTDOWN_COMPLETED:
      stopped(s, a, &j);
      break;
    default:
      break;
  }
  json_object_end(&j);
  sink_emit(s->o.sink, a->event,
            &(struct sink_event){
                .level = a->level,
                .message = message.len ? buf_cstr(&message) : NULL,
                .details = buf_cstr(&details),
                .built = true,
                .timed = a->duration_ns >= 0,
                .duration_ns = a->duration_ns,
            });
  if (a->event == EVENT_DEPENDENCIES_READY) {
    supervisor_health_first(s);
    supervisor_phase_begin(s, PHASE_PROCESSES);
  }
  if (a->event == EVENT_STARTUP_COMPLETED) supervisor_hook_running(s);
  if (a->event == EVENT_SHUTDOWN_INITIATED) cleanup_prepare(&s->cleanup_env, s->o.plan);
}
