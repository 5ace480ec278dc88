/* What the simulation tells: the machine's changes of state and events, with the details that an engine's have. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "core/simulate_impl.h"

double sim_seconds(int64_t ns) { return (double)(ns / NS_PER_MS) / 1000.; }

void sim_note(struct sim_note *n) {
  memset(n, 0, sizeof *n);
  n->j = (struct json)JSON_INIT(&n->text);
  json_object(&n->j, NULL);
}

void sim_tell(struct sim *s, const char *what, enum level level, struct sim_note *n) {
  json_object_end(&n->j);
  timeline_add(s->out, s->now - SIM_BEGIN_NS, what, level, &n->text);
  buf_free(&n->text);
}

void sim_tell_state(struct sim *s, const struct machine_action *a) {
  static const char marks[STATES] = {
      [STATE_INITIALIZING] = '.', [STATE_STARTING] = '~', [STATE_RUNNING] = '=',   [STATE_STOPPING] = '>',
      [STATE_STOPPED] = '.',      [STATE_FAILED] = '!',   [STATE_RESTARTING] = 'r'};
  struct sim_note n;
  sim_note(&n);
  json_str(&n.j, "from", machine_state_name(a->from));
  json_str(&n.j, "to", machine_state_name(a->to));
  json_str(&n.j, "cause", machine_cause_name(a->cause));
  sim_tell(s, "state", a->to == STATE_FAILED ? LEVEL_ERROR : LEVEL_INFO, &n);
  timeline_set(s->out, s->row, s->now - SIM_BEGIN_NS, machine_state_name(a->to), marks[a->to]);
}

static void process_exited(struct sim *s, const struct machine_action *a, struct json *j) {
  char name[16];
  json_int(j, "exit_code", a->exit_code);
  if (a->signal) json_str(j, "signal", str_signal_name(a->signal, name, sizeof name));
  json_str(j, "reason", end_reason_name(a->reason));
  json_num(j, "ran_seconds", sim_seconds(s->now - s->slots[a->slot].started_ns));
}

static void failure(const struct machine_action *a, struct json *j) {
  json_str(j, "reason", end_reason_name(a->reason));
  json_bool(j, "final", a->final);
  json_int(j, "exit_code", a->exit_code);
  if (a->reason == END_EXEC_ERROR || a->reason == END_SYSTEM) json_str(j, "stage", spawn_stage_name(a->stage));
}

static void restart(const struct machine_action *a, struct json *j) {
  json_str(j, "cause", machine_cause_name(a->cause));
  if (a->cause == CAUSE_OPERATOR || a->cause == CAUSE_RELOAD) return;
  json_str(j, "reason", end_reason_name(a->reason));
  json_num(j, "delay_seconds", sim_seconds(a->delay_ns));
  json_int(j, "attempt", a->attempt);
  json_int(j, "in_window", a->in_window);
  json_int(j, "max_attempts", a->max_attempts);
}

void sim_tell_machine(struct sim *s, const struct machine_action *a) {
  char name[16];
  struct sim_note n;
  sim_note(&n);
  if (a->slot != UINT32_MAX) {
    json_str(&n.j, "process", sim_process_name(s, a->slot));
    if (plan_slots(&s->plan->processes[machine_slot_process(s->machine, a->slot)]) > 1)
      json_int(&n.j, "instance", machine_slot_instance(s->machine, a->slot));
  }
  switch (a->event) {
    case EVENT_STARTUP_INITIATED:
      json_str(&n.j, "cause", machine_cause_name(a->cause));
      break;
    case EVENT_STARTUP_COMPLETED:
      json_str(&n.j, "health_status", sim_health(s));
      break;
    case EVENT_PROCESS_EXITED:
      process_exited(s, a, &n.j);
      break;
    case EVENT_FAILURE_DETECTED:
      failure(a, &n.j);
      if (a->slot != UINT32_MAX && a->reason != END_EXEC_ERROR && a->reason != END_SYSTEM) sim_health_suspect(s);
      break;
    case EVENT_RESTART_INITIATED:
      restart(a, &n.j);
      break;
    case EVENT_SHUTDOWN_INITIATED:
      json_str(&n.j, "cause", machine_cause_name(a->cause));
      if (a->signal) json_str(&n.j, "signal", str_signal_name(a->signal, name, sizeof name));
      break;
    case EVENT_SHUTDOWN_COMPLETED:
      json_bool(&n.j, "graceful", a->graceful);
      json_int(&n.j, "exit_code", a->exit_code);
      json_str(&n.j, "exit_source", a->from_workload ? "workload" : "engine");
      break;
    default:
      break;
  }
  sim_tell(s, event_name(a->event), a->level, &n);
  if (a->event == EVENT_DEPENDENCIES_READY) sim_health_take(s, true);
}
