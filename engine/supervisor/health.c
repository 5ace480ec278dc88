/* The health of the container: when checks run, what their results mean for the machine, the health events and rounds.
 *
 * Checks of a process run while one of its instances is up; others while the container is RUNNING. A required
 * dependency goes on being asked while it is RUNNING or RESTARTING, by the check that looks at the same thing where the
 * flow has one, else by one of its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "supervisor/from_plan.h"
#include "supervisor/impl.h"

enum { NO_DEPENDENCY = -1 };

/* --- making ------------------------------------------------------------------------------------------------------ */

static int add(struct supervisor *s, const struct health_spec *spec, const struct watched *w, struct err *err) {
  int i = health_add(s->checks, spec, err);
  if (i >= 0) s->watched[i] = *w;
  return i;
}

static int add_check(struct supervisor *s, const struct plan_check *c, struct err *err) {
  const struct plan *plan = s->o.plan;
  struct health_spec spec = from_plan_check(plan, c, s->o.settings);
  struct watched w = {.process = c->process, .slot = UINT32_MAX, .dependency = NO_DEPENDENCY};
  for (size_t d = 0; d < plan->dependencies_n && c->process == PLAN_UNSET && w.dependency < 0; d++) {
    if (!from_plan_same(c, &plan->dependencies[d])) continue;
    w.dependency = (int)d;
    if (spec.check.down_interval_ns || !plan->dependencies[d].required) continue;
    spec.check.down_interval_ns = from_plan_late(&plan->dependencies[d], s->o.settings).check.down_interval_ns;
    if (spec.check.down_interval_ns > spec.check.interval_ns) spec.check.down_interval_ns = 0;
  }
  int i = add(s, &spec, &w, err);
  if (i >= 0 && w.dependency >= 0 && s->dependency_check[w.dependency] < 0) s->dependency_check[w.dependency] = i;
  return i;
}

int supervisor_health_new(struct supervisor *s, struct err *err) {
  s->healthy = true;
  s->o.probes->process = supervisor_look;
  s->o.probes->process_arg = s;
  s->round_timer = timer_new(s->o.loop, supervisor_health_round, s);
  return s->round_timer ? supervisor_make_checks(s, err) : err_set(err, -ENOMEM, "no memory for the checks");
}

int supervisor_make_checks(struct supervisor *s, struct err *err) {
  const struct plan *plan = s->o.plan;
  s->checks = health_new(s->o.loop, s->o.probes, s->o.policy, err);
  s->watched = calloc(plan->checks_n + plan->dependencies_n + s->n_slots + 1, sizeof *s->watched);
  s->dependency_check = calloc(plan->dependencies_n + 1, sizeof *s->dependency_check);
  s->standings = calloc(plan->dependencies_n + plan->checks_n + 1, sizeof *s->standings);
  if (!s->checks || !s->watched || !s->dependency_check || !s->standings ||
      health_listen(s->checks, supervisor_health_news, s))
    return err_set(err, -ENOMEM, "no memory for the checks");
  for (size_t d = 0; d < plan->dependencies_n; d++) s->dependency_check[d] = -1;
  for (size_t k = 0; k < plan->checks_n; k++)
    if (add_check(s, &plan->checks[k], err) < 0) return -ENOMEM;
  for (size_t d = 0; d < plan->dependencies_n; d++) {
    if (s->dependency_check[d] >= 0) continue;
    const struct health_spec spec = from_plan_late(&plan->dependencies[d], s->o.settings);
    const struct watched w = {.process = PLAN_UNSET, .slot = UINT32_MAX, .dependency = (int)d, .own = true};
    if ((s->dependency_check[d] = add(s, &spec, &w, err)) < 0) return -ENOMEM;
  }
  for (uint32_t i = 0; i < s->n_slots; i++) {
    const struct plan_process *p = supervisor_process(s, i);
    s->slots[i].startup = -1;
    if (!p->startup) continue;
    const struct health_spec spec = from_plan_startup(p, machine_slot_instance(s->machine, i), s->o.settings);
    const struct watched w = {
        .process = (int)machine_slot_process(s->machine, i), .slot = i, .dependency = NO_DEPENDENCY};
    if ((s->slots[i].startup = add(s, &spec, &w, err)) < 0) return -ENOMEM;
  }
  return 0;
}

void supervisor_health_free(struct supervisor *s) {
  health_free(s->checks);
  timer_free(s->round_timer);
  free(s->watched);
  free(s->dependency_check);
  free(s->standings);
}

/* --- how it stands ----------------------------------------------------------------------------------------------- */

/* A check that does not run says nothing of now; but readiness that is not known is not given. */
static bool stands(const struct supervisor *s, const struct health_view *v) {
  const struct watched *w = &s->watched[v->index];
  if (w->own || w->slot != UINT32_MAX) return false;
  return v->check->active || (v->spec->role == CHECK_READINESS && !w->ended_well);
}

static struct check_standing dependency_standing(struct supervisor *s, size_t i, const struct dependency_view *d) {
  struct health_view v;
  health_at(s->checks, (size_t)s->dependency_check[i], &v);
  bool asked = d->checked_ns != 0;
  return (struct check_standing){
      .name = d->name,
      .dependency = true,
      .required = d->required,
      .role = d->required ? CHECK_READINESS : CHECK_MONITOR,
      .state = !asked                    ? CHECK_UNKNOWN
               : d->status == PROBE_OK   ? CHECK_HEALTHY
               : d->status == PROBE_WARN ? CHECK_DEGRADED
                                         : CHECK_UNHEALTHY,
      .alarm = v.check->alarm,
      .reason = d->reason,
      .detail = d->detail,
  };
}

static bool is_good(enum probe_status status) { return status == PROBE_OK || status == PROBE_WARN; }

static bool is_bad_required(struct supervisor *s, int dependency) {
  struct dependency_view d;
  return dependency >= 0 && dependencies_at(s->dependencies, (size_t)dependency, &d) && d.required &&
         !is_good(d.status);
}

void supervisor_weigh(struct supervisor *s, struct health_verdict *out) {
  size_t n = 0;
  struct dependency_view d;
  for (size_t i = 0; dependencies_at(s->dependencies, i, &d); i++) s->standings[n++] = dependency_standing(s, i, &d);
  struct health_view v;
  for (size_t i = 0; health_at(s->checks, i, &v); i++) {
    /* a dependency that is bad speaks for the check that found it */
    if (!stands(s, &v) || is_bad_required(s, s->watched[i].dependency)) continue;
    s->standings[n++] = health_standing(&v);
  }
  check_overall(s->standings, n, out);
}

const char *supervisor_health(struct supervisor *s) {
  struct machine_view m;
  machine_view(s->machine, &m);
  struct health_verdict v;
  supervisor_weigh(s, &v);
  if (m.state == STATE_FAILED) v.level = HEALTH_UNHEALTHY;
  bool safe = s->o.revival && s->o.revival->safe;
  if (v.level == HEALTH_HEALTHY && (safe || m.degraded || m.state == STATE_RESTARTING)) v.level = HEALTH_DEGRADED;
  return health_level_name(v.level);
}

bool supervisor_ready(struct supervisor *s, const struct machine_view *m) {
  struct health_verdict v;
  supervisor_weigh(s, &v);
  return m->accepting && v.ready;
}

/* The machine counts the time in good health; what the processes do it knows itself. */
void supervisor_feed_health(struct supervisor *s) {
  struct health_verdict v;
  supervisor_weigh(s, &v);
  bool healthy = v.level != HEALTH_UNHEALTHY;
  if (healthy == s->healthy) return;
  s->healthy = healthy;
  supervisor_feed(s, &(struct machine_input){.kind = IN_HEALTH, .ok = healthy});
}

/* --- telling ----------------------------------------------------------------------------------------------------- */

static void emit(struct supervisor *s, enum event_kind kind, enum level level, const struct buf *message,
                 const struct buf *details, int64_t duration_ns) {
  sink_emit(s->o.sink, kind,
            &(struct sink_event){.level = level,
                                 .message = message->len ? message->data : NULL,
                                 .details = details->data,
                                 .timed = duration_ns >= 0,
                                 .duration_ns = duration_ns});
}

static void add_why(const struct probe_result *r, struct buf *message) {
  if (r->status != PROBE_OK && (*r->detail || *r->reason)) buf_fmt(message, ": %s", *r->detail ? r->detail : r->reason);
}

/* what NULL: no message. duration_ns negative: none. */
static void tell(struct supervisor *s, enum event_kind kind, enum level level, const struct health_news *n,
                 const char *what, int64_t duration_ns) {
  const struct health_view *v = n->check;
  const struct probe_result *r = n->result;
  auto_buf struct buf details = {0}, message = {0};
  struct json j = JSON_INIT(&details);
  json_object(&j, NULL);
  json_str(&j, "check", v->name);
  json_str(&j, "role", check_role_names[v->spec->role]);
  if (v->process) json_str(&j, "process", v->process);
  if (kind == EVENT_FAILURE_DETECTED) json_bool(&j, "final", false);
  json_str(&j, "result", probe_status_name(r->status));
  json_str(&j, "state", check_state_name(n->change->to));
  if (*r->reason) json_str(&j, "reason", r->reason);
  if (*r->detail) json_str(&j, "detail", r->detail);
  if (n->change->failures) json_int(&j, "failures", n->change->failures);
  if (v->check->unknowns) json_int(&j, "unknowns", v->check->unknowns);
  json_object_end(&j);
  if (what) {
    buf_fmt(&message, "%s %s %s", v->dependency ? "dependency" : "check", v->name, what);
    add_why(r, &message);
  }
  emit(s, kind, level, &message, &details, duration_ns);
}

/* A dependency that is gone, or there again, while the container runs. */
static void tell_dependency(struct supervisor *s, const struct dependency_view *d, const struct probe_result *r,
                            bool good) {
  auto_buf struct buf details = {0}, message = {0};
  struct json j = JSON_INIT(&details);
  json_object(&j, NULL);
  json_str(&j, "name", d->name);
  json_str(&j, "kind", d->kind);
  json_bool(&j, "required", d->required);
  if (*r->reason) json_str(&j, "reason", r->reason);
  if (*r->detail) json_str(&j, "detail", r->detail);
  json_object_end(&j);
  buf_fmt(&message, "%s %s", d->name, good ? "is there again" : "is gone");
  add_why(r, &message);
  enum level bad = d->required ? LEVEL_ERROR : LEVEL_WARNING;
  emit(s, good ? EVENT_DEPENDENCY_READY : EVENT_DEPENDENCY_FAILED, good ? LEVEL_INFO : bad, &message, &details, -1);
}

static void tell_result(struct supervisor *s, const struct health_news *n) {
  const struct check_change *c = n->change;
  const struct health_view *v = n->check;
  if (c->turned) {
    bool good = check_is_good((enum check_result)n->result->status);
    tell(s, good ? EVENT_HEALTH_CHECK_PASSED : EVENT_HEALTH_CHECK_FAILED, good ? LEVEL_INFO : LEVEL_WARNING, n, NULL,
         n->result->duration_ns);
  }
  if (n->result->status == PROBE_UNKNOWN && v->check->unknowns == 1 && !v->check->alarm)
    sink_say(s->o.sink, EVENT_SCRIPT_ERROR, LEVEL_WARNING, "check %s could not be run: %s", v->name,
             *n->result->detail ? n->result->detail : n->result->reason);
  if (c->alarm > 0) tell(s, EVENT_CHECK_UNKNOWN, LEVEL_ERROR, n, "cannot be run", -1);
  if (c->alarm < 0) tell(s, EVENT_CHECK_UNKNOWN, LEVEL_INFO, n, "can be run again", -1);
  if (s->noting || c->from == c->to) return;
  if (c->to == CHECK_UNHEALTHY)
    tell(s, EVENT_FAILURE_DETECTED, v->spec->role == CHECK_MONITOR ? LEVEL_WARNING : LEVEL_ERROR, n, "is unhealthy",
         -1);
  /* where remedies were tried they tell it, with what they did */
  if (c->from == CHECK_UNHEALTHY && !remedies_tried(s->remedies, v->name))
    tell(s, EVENT_RECOVERY_COMPLETED, LEVEL_INFO, n, "is good again", c->outage_ns);
}

/* --- results ----------------------------------------------------------------------------------------------------- */

/* What the check says of its dependency holds at once, without a threshold, as at the start. */
static void note_dependency(struct supervisor *s, const struct health_news *n, int dependency) {
  struct dependency_view before;
  dependencies_at(s->dependencies, (size_t)dependency, &before);
  bool good = is_good(n->result->status), was_good = is_good(before.status);
  bool were_bad = dependencies_bad(s->dependencies);
  dependencies_note(s->dependencies, before.name, n->result);
  if (good != was_good && before.checked_ns) tell_dependency(s, &before, n->result, good);
  bool are_bad = dependencies_bad(s->dependencies);
  if (are_bad != were_bad)
    supervisor_feed(s, &(struct machine_input){.kind = are_bad ? IN_DEPENDENCY_BAD : IN_DEPENDENCY_BACK});
}

static void startup_result(struct supervisor *s, const struct health_news *n, uint32_t slot) {
  if (n->result->status == PROBE_UNKNOWN && n->check->check->unknowns == 1)
    sink_say(s->o.sink, EVENT_SCRIPT_ERROR, LEVEL_ERROR, "start-up check %s: %s", n->check->name,
             *n->result->detail ? n->result->detail : n->result->reason);
  enum check_state to = n->change->to;
  if (to == CHECK_UNKNOWN) return;
  health_stop(s->checks, n->check->index);
  supervisor_feed(s, &(struct machine_input){.kind = IN_STARTUP_CHECK, .slot = slot, .ok = to != CHECK_UNHEALTHY});
}

void supervisor_health_news(void *arg, const struct health_news *n) {
  struct supervisor *s = arg;
  const struct watched *w = &s->watched[n->check->index];
  if (w->slot != UINT32_MAX) {
    startup_result(s, n, w->slot);
    return;
  }
  if (s->noting == NOTE_QUIETLY) return;
  supervisor_observe_check(s, n);
  if (n->result->status == PROBE_FAIL) s->counts.health_failures++;
  tell_result(s, n);
  if (s->noting) return; /* take() weighs them all at once */
  if (w->dependency != NO_DEPENDENCY) note_dependency(s, n, w->dependency);
  if (n->change->from != n->change->to || w->dependency != NO_DEPENDENCY) supervisor_feed_health(s);
  reload_news(s->reload, n);
}

/* --- when they run ----------------------------------------------------------------------------------------------- */

enum { PROCESS_UP = 1, PROCESS_ENDED_WELL = 2 };

static int look_at_process(struct supervisor *s, int process) {
  int64_t now = clock_mono_ns();
  unsigned n = plan_slots(&s->o.plan->processes[process]);
  unsigned well = 0;
  bool up = false;
  for (unsigned i = 0; i < n; i++) {
    struct instance_view v;
    machine_instance(s->machine, machine_slot(s->machine, (unsigned)process, i), now, &v);
    up |= v.state == INSTANCE_UP;
    well += v.state == INSTANCE_INTERVAL || v.state == INSTANCE_DONE || v.spare;
  }
  return (up ? PROCESS_UP : 0) | (well == n ? PROCESS_ENDED_WELL : 0);
}

static void begin_anew(struct supervisor *s, size_t i) {
  health_reset(s->checks, i);
  remedies_check_anew(s->remedies, i);
}

static void follow_one(struct supervisor *s, size_t i, enum machine_state state) {
  struct watched *w = &s->watched[i];
  struct health_view v;
  health_at(s->checks, i, &v);
  bool running = state == STATE_RUNNING, want = running;
  if (w->dependency != NO_DEPENDENCY) {
    want = running || state == STATE_RESTARTING;
  } else if (w->process != PLAN_UNSET) {
    int is = look_at_process(s, w->process);
    w->ended_well = is & PROCESS_ENDED_WELL;
    want = (running || state == STATE_STARTING || state == STATE_RESTARTING) && is & PROCESS_UP;
  }
  if (want == v.check->active) return;
  if (!want) {
    health_stop(s->checks, i);
    if (w->process != PLAN_UNSET) begin_anew(s, i); /* the next run of the process is another one */
    return;
  }
  if (w->dependency == NO_DEPENDENCY && v.spec->role == CHECK_READINESS) begin_anew(s, i);
  health_start(s->checks, i);
}

void supervisor_health_follow(struct supervisor *s) {
  size_t n = health_count(s->checks);
  if (!n) return;
  struct machine_view m;
  machine_view(s->machine, &m);
  for (size_t i = 0; i < n; i++)
    if (s->watched[i].slot == UINT32_MAX) follow_one(s, i, m.state);
  bool rounds = m.state == STATE_RUNNING;
  if (rounds == s->rounds) return;
  s->rounds = rounds;
  timer_after(s->round_timer, rounds ? settings_ns(s->o.settings, SET_HEALTH_CHECK_INTERVAL_SECONDS) : TIME_NEVER);
}

/* A process has failed: is it for want of a dependency? */
void supervisor_health_suspect(struct supervisor *s) {
  for (size_t d = 0; d < s->o.plan->dependencies_n; d++) health_hurry(s->checks, (size_t)s->dependency_check[d]);
}

/* --- rounds ------------------------------------------------------------------------------------------------------ */

enum { ROUND_NAMES = 64 };

/* One round as an event: what each check said last. */
static void tell_round(struct supervisor *s, bool all, int64_t duration_ns) {
  unsigned by_result[CHECK_RESULTS] = {0};
  unsigned named = 0;
  auto_buf struct buf details = {0};
  struct json j = JSON_INIT(&details);
  json_object(&j, NULL);
  json_object(&j, "checks");
  struct health_view v;
  for (size_t i = 0; health_at(s->checks, i, &v); i++) {
    if (!v.check->last_ns || s->watched[i].slot != UINT32_MAX || (!all && !v.check->active)) continue;
    by_result[v.check->last]++;
    if (named == ROUND_NAMES) continue;
    named++;
    json_str(&j, v.name, check_result_name(v.check->last));
  }
  json_object_end(&j);
  json_int(&j, "passed", by_result[CHECK_OK] + by_result[CHECK_WARN]);
  json_int(&j, "failed", by_result[CHECK_FAIL]);
  if (by_result[CHECK_WARN]) json_int(&j, "warned", by_result[CHECK_WARN]);
  if (by_result[CHECK_CANNOT]) json_int(&j, "unknown", by_result[CHECK_CANNOT]);
  struct machine_view m;
  machine_view(s->machine, &m);
  json_str(&j, "health_status", supervisor_health(s));
  json_bool(&j, "ready", supervisor_ready(s, &m));
  json_object_end(&j);
  bool bad = by_result[CHECK_FAIL] || by_result[CHECK_CANNOT];
  /* the first round comes before the processes of a start: those do not wait for two dozen files to be read */
  if (loop_defer(s->o.loop, supervisor_sample, s)) supervisor_sample(s);
  const struct buf no_message = {0};
  emit(s, EVENT_HEALTH_CHECK, bad ? LEVEL_WARNING : LEVEL_INFO, &no_message, &details, duration_ns);
}

void supervisor_health_round(void *arg) {
  struct supervisor *s = arg;
  tell_round(s, false, -1);
  reload_poll(s->reload);
  timer_after(s->round_timer, settings_ns(s->o.settings, SET_HEALTH_CHECK_INTERVAL_SECONDS));
}

/* The checks of dependencies know what the start has found out. True when one is bad. */
static bool take(struct supervisor *s, bool first) {
  struct dependency_view d;
  bool bad = false;
  s->noting = first ? NOTE_FIRST : NOTE_QUIETLY;
  for (size_t i = 0; dependencies_at(s->dependencies, i, &d); i++) {
    struct health_view v;
    bad |= !is_good(d.status);
    if (!health_at(s->checks, (size_t)s->dependency_check[i], &v) || d.checked_ns <= v.check->last_ns) continue;
    struct probe_result r = {.status = d.status, .duration_ns = d.attempt_ns, .data = d.data};
    str_copy(r.reason, sizeof r.reason, d.reason);
    str_copy(r.detail, sizeof r.detail, d.detail);
    health_note(s->checks, v.index, &r);
  }
  s->noting = NOTE_NONE;
  supervisor_feed_health(s);
  return bad;
}

void supervisor_health_take(struct supervisor *s) { take(s, false); }

/* The first round, of each start: what the dependencies have just said, asked again of nobody; gates nothing. */
void supervisor_health_first(struct supervisor *s) {
  supervisor_phase_begin(s, PHASE_HEALTH);
  bool bad = take(s, true);
  supervisor_phase_end(s, PHASE_HEALTH, bad ? "failed" : "ok");
  tell_round(s, true, s->phases[PHASE_HEALTH].duration_ns);
}
