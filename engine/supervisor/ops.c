/* What can be asked for over the control socket. Commands that change something answer when the outcome is there. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/clean.h"
#include "base/str.h"
#include "core/quarantine.h"
#include "supervisor/impl.h"

static void op_status(void *arg, const struct control_request *q, struct control_reply *r) {
  (void)q;
  auto_buf struct buf b = {0};
  supervisor_status_json(arg, false, &b);
  control_answer_buf(r, &b);
}

static void op_health(void *arg, const struct control_request *q, struct control_reply *r) {
  (void)q;
  auto_buf struct buf b = {0};
  supervisor_health_json(arg, &b);
  control_answer_buf(r, &b);
}

static void op_why(void *arg, const struct control_request *q, struct control_reply *r) {
  (void)q;
  auto_buf struct buf b = {0};
  supervisor_why_json(arg, &b);
  control_answer_buf(r, &b);
}

static void op_metrics(void *arg, const struct control_request *q, struct control_reply *r) {
  auto_buf struct buf b = {0};
  if (STR_EQ(control_arg_str(q, "format", "json"), "prometheus")) {
    supervisor_metrics_text(arg, METRICS_PROMETHEUS, &b);
    auto_buf struct buf answer = {0};
    struct json j = JSON_INIT(&answer);
    json_object(&j, NULL);
    json_strn(&j, "text", buf_cstr(&b), b.len);
    json_object_end(&j);
    control_answer_buf(r, &answer);
    return;
  }
  supervisor_metrics_json(arg, &b);
  control_answer_buf(r, &b);
}

static void op_report(void *arg, const struct control_request *q, struct control_reply *r) {
  (void)q;
  auto_buf struct buf b = {0};
  supervisor_report_json(arg, &b);
  control_answer_buf(r, &b);
}

/* One setting as this engine uses it; never a secret value. */
static void op_setting(void *arg, const struct control_request *q, struct control_reply *r) {
  struct supervisor *s = arg;
  const char *name = control_arg_str(q, "name", "");
  struct setting_view v;
  if (!settings_view(s->o.settings, name, &v)) {
    control_refuse(r, "there is no setting \"%.64s\" here", name);
    return;
  }
  auto_buf struct buf b = {0};
  struct json j = JSON_INIT(&b);
  json_object(&j, NULL);
  json_str(&j, "flow", s->o.plan->name);
  json_str(&j, "value", v.shown);
  json_str(&j, "origin", v.shown ? v.origin : NULL);
  json_object_end(&j);
  control_answer_buf(r, &b);
}

static void op_log_level(void *arg, const struct control_request *q, struct control_reply *r) {
  struct supervisor *s = arg;
  const char *name = control_arg_str(q, "level", NULL);
  enum level level, before = sink_level(s->o.sink);
  if (name && level_parse(name, &level) == 0) sink_set_level(s->o.sink, level);
  auto_buf struct buf b = {0};
  struct json j = JSON_INIT(&b);
  json_object(&j, NULL);
  json_str(&j, "level", level_name(sink_level(s->o.sink)));
  if (name) json_str(&j, "before", level_name(before));
  json_object_end(&j);
  control_answer_buf(r, &b);
}

static void on_tail(void *arg, const char *text, size_t n) {
  auto_buf struct buf b = {0};
  json_quote(&b, text, n);
  control_answer_buf(arg, &b);
}

/* The process that a request names: index; UINT_MAX for all; -1 after a refusal. NAME/INSTANCE, as the status has it,
 * where one instance is something to name (else instance is NULL). */
static int64_t which_process(struct supervisor *s, const struct control_request *q, struct control_reply *r,
                             int *instance) {
  const char *given = control_arg_str(q, "process", NULL);
  if (!given) return UINT_MAX;
  char name[2 * LIMIT_NAME];
  str_copy(name, sizeof name, given);
  int i = plan_find_process(s->o.plan, name);
  char *slash = i < 0 ? strchr(name, '/') : NULL;
  int64_t number;
  if (slash && str_int(slash + 1, 0, LIMIT_INSTANCES, &number) == 0) {
    *slash = 0;
    i = plan_find_process(s->o.plan, name);
    if (i >= 0 && !instance) {
      control_refuse(r, "the instances of %s start and stop together: name %s", name, name);
      return -1;
    }
    if (i >= 0 && number >= plan_slots(&s->o.plan->processes[i])) {
      control_refuse(r, "%s has %u instances, from 0", name, plan_slots(&s->o.plan->processes[i]));
      return -1;
    }
    if (i >= 0) *instance = (int)number;
  }
  if (i >= 0) return i;
  const char *names[LIMIT_PROCESSES];
  for (size_t k = 0; k < s->o.plan->processes_n; k++) names[k] = s->o.plan->processes[k].name;
  const char *near = str_nearest(name, names, s->o.plan->processes_n);
  control_refuse(r, "no process \"%s\" in flow %s%s%s%s", name, s->o.plan->name, near ? "; did you mean \"" : "",
                 near ? near : "", near ? "\"?" : "");
  return -1;
}

/* process UINT_MAX: all; instance below 0: all of it. */
static void follow_logs(struct supervisor *s, int64_t process, int instance, struct control_reply *r) {
  auto_free struct log_source *sources = calloc(s->n_slots, sizeof *sources);
  size_t n = 0;
  for (uint32_t i = 0; sources && i < s->n_slots; i++) {
    unsigned k = machine_slot_instance(s->machine, i);
    if (process != UINT_MAX && machine_slot_process(s->machine, i) != (unsigned)process) continue;
    if (instance >= 0 && k != (unsigned)instance) continue;
    str_copy(sources[n].name, sizeof sources[n].name, supervisor_process(s, i)->name);
    sources[n++].instance = k;
  }
  if (n)
    log_follow(&s->follows, s->o.loop, s->o.children, sources, n, r);
  else
    control_refuse(r, sources ? "there is no such instance" : "out of memory");
}

static void op_logs(void *arg, const struct control_request *q, struct control_reply *r) {
  struct supervisor *s = arg;
  int instance = (int)control_arg_int(q, "instance", -1);
  int64_t process = which_process(s, q, r, &instance);
  if (process < 0) return;
  if (control_arg_bool(q, "follow", false)) {
    follow_logs(s, process, instance, r);
    return;
  }
  if (process == UINT_MAX) process = (int64_t)s->o.plan->main;
  children_tail(s->o.children, s->o.plan->processes[process].name, instance, on_tail, r);
}

/* --- commands that wait for an outcome --------------------------------------------------------------------------- */

static uint64_t runs_of(struct supervisor *s, unsigned process) {
  uint64_t runs = 0;
  for (uint32_t i = 0; i < s->n_slots; i++) {
    if (process != UINT_MAX && machine_slot_process(s->machine, i) != process) continue;
    struct instance_view v;
    machine_instance(s->machine, i, clock_mono_ns(), &v);
    runs += v.runs;
  }
  return runs;
}

/* Its client has gone or asks no more; what it began goes on. */
static void on_waiter_end(void *arg) {
  struct waiter *w = arg, **p = &w->sup->waiters;
  while (*p != w) p = &(*p)->next;
  *p = w->next;
  control_fail(w->reply, "cancelled", "cancelled; what was begun goes on");
  free(w);
}

static void wait_for(struct supervisor *s, const struct control_request *q, struct control_reply *r, enum wait_for what,
                     unsigned process, uint64_t runs) {
  if (!control_arg_bool(q, "wait", true)) {
    control_answer(r, "\"asked\"");
    return;
  }
  struct waiter *w = calloc(1, sizeof *w);
  if (!w) {
    control_refuse(r, "out of memory");
    return;
  }
  *w = (struct waiter){.sup = s, .reply = r, .what = what, .process = process, .runs = runs, .next = s->waiters};
  s->waiters = w;
  control_wait(r, on_waiter_end, NULL, w);
}

static bool state_is(enum instance_state s, unsigned set) { return 1U << s & set; }

#define LIVE (1U << INSTANCE_SPAWNING | 1U << INSTANCE_STARTING | 1U << INSTANCE_UP | 1U << INSTANCE_STOPPING)

/* 1: the outcome is there, -1: it will not come (why says it), 0: wait. */
static int outcome(struct supervisor *s, const struct waiter *w, const char **why) {
  struct machine_view v;
  machine_view(s->machine, &v);
  bool all_down = true;
  bool all_up = true;
  bool failed = false;
  for (uint32_t i = 0; i < s->n_slots; i++) {
    if (w->process != UINT_MAX && machine_slot_process(s->machine, i) != w->process) continue;
    struct instance_view x;
    machine_instance(s->machine, i, clock_mono_ns(), &x);
    if (state_is(x.state, LIVE | 1U << INSTANCE_BACKOFF)) all_down = false;
    if (!x.spare && !state_is(x.state, 1U << INSTANCE_UP | 1U << INSTANCE_INTERVAL | 1U << INSTANCE_DONE))
      all_up = false;
    if (x.state == INSTANCE_FAILED) failed = true;
  }
  bool ends = v.stopping || (v.state == STATE_FAILED && !v.held);
  if (w->what == WAIT_EXIT) return 0;
  if (w->what == WAIT_STOPPED) {
    if (all_down && (w->process != UINT_MAX || v.state == STATE_STOPPED)) return 1;
    *why = "tend is ending";
    return ends ? -1 : 0;
  }
  bool ran = runs_of(s, w->process) > w->runs;
  if (ran && all_up && (w->process != UINT_MAX || v.state == STATE_RUNNING)) return 1;
  if (w->what == WAIT_RUNNING && all_up && v.state == STATE_RUNNING) return 1;
  *why = ends ? "tend is ending" : "it failed; see tend why";
  return ends || (ran && failed) || v.held ? -1 : 0;
}

void supervisor_answer_waiters(struct supervisor *s) {
  for (struct waiter **p = &s->waiters; *p;) {
    struct waiter *w = *p;
    const char *why = "";
    int rc = outcome(s, w, &why);
    if (rc == 0) {
      p = &w->next;
      continue;
    }
    *p = w->next;
    if (rc > 0)
      control_answer(w->reply, "\"done\"");
    else
      control_refuse(w->reply, "%s", why);
    free(w);
  }
}

void supervisor_answer_all(struct supervisor *s) {
  while (s->waiters) {
    struct waiter *w = s->waiters;
    s->waiters = w->next;
    if (w->what == WAIT_EXIT) {
      auto_buf struct buf b = {0};
      struct json j = JSON_INIT(&b);
      json_object(&j, NULL);
      json_int(&j, "exit_code", s->exit_code);
      json_bool(&j, "graceful", s->graceful);
      json_object_end(&j);
      control_answer_buf(w->reply, &b);
    } else {
      control_refuse(w->reply, "tend is ending");
    }
    free(w);
  }
}

static void operate(struct supervisor *s, const struct control_request *q, struct control_reply *r,
                    enum machine_input_kind kind, enum wait_for what) {
  int64_t process = which_process(s, q, r, NULL);
  if (process < 0) return;
  struct machine_view v;
  machine_view(s->machine, &v);
  if (v.stopping) {
    control_refuse(r, "tend is ending");
    return;
  }
  wait_for(s, q, r, what, (unsigned)process, runs_of(s, (unsigned)process));
  supervisor_feed(
      s, &(struct machine_input){.kind = kind, .process = process == UINT_MAX ? MACHINE_ALL : (uint32_t)process});
}

static void op_stop(void *arg, const struct control_request *q, struct control_reply *r) {
  operate(arg, q, r, IN_OPERATOR_STOP, WAIT_STOPPED);
}

static void op_start(void *arg, const struct control_request *q, struct control_reply *r) {
  operate(arg, q, r, IN_OPERATOR_START, WAIT_RUNNING);
}

static void op_restart(void *arg, const struct control_request *q, struct control_reply *r) {
  operate(arg, q, r, IN_OPERATOR_RESTART, WAIT_RESTARTED);
}

static void op_shutdown(void *arg, const struct control_request *q, struct control_reply *r) {
  struct supervisor *s = arg;
  wait_for(s, q, r, WAIT_EXIT, UINT_MAX, 0);
  supervisor_feed(s, &(struct machine_input){.kind = IN_STOP, .level = STOP_BEGIN, .cause = CAUSE_SHUTDOWN});
}

static void op_release(void *arg, const struct control_request *q, struct control_reply *r) {
  struct supervisor *s = arg;
  const char *task = control_arg_str(q, "task", NULL);
  if (s->o.quarantine && quarantine_lift(s->o.quarantine, task))
    control_answer(r, "{\"message\": \"it runs again\"}");
  else
    control_refuse(r, "nothing%s%s is quarantined", task ? " named " : "", task ? task : "");
}

const struct control_op supervisor_ops[] = {
    {"status", op_status, NULL},
    {"health", op_health, NULL},
    {"why", op_why, NULL},
    {"metrics", op_metrics, NULL},
    {"report", op_report, NULL},
    {"logs", op_logs, NULL},
    {"setting", op_setting, NULL},
    {"check-now", supervisor_check_now, NULL},
    {"release", op_release, NULL},
    {"remediate", supervisor_remediate, NULL},
    {"maintenance", supervisor_maintain, NULL},
    {"start", op_start, NULL},
    {"stop", op_stop, NULL},
    {"restart", op_restart, NULL},
    {"shutdown", op_shutdown, NULL},
    {"log-level", op_log_level, NULL},
    {"reload", supervisor_reload, NULL},
    {0},
};
