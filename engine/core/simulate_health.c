/* The checks of a simulation: when they run, and what their results mean for machine and remedies; as an engine has it.
 * They take no time. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "core/simulate_impl.h"

/* --- making ------------------------------------------------------------------------------------------------------ */

static struct sim_check *add(struct sim *s, const char *name, const struct check_spec *spec) {
  struct sim_check *c = &s->checks[s->checks_n++];
  *c = (struct sim_check){.name = name,
                          .spec = *spec,
                          .process = PLAN_UNSET,
                          .dependency = -1,
                          .slot = UINT32_MAX,
                          .reason = "",
                          .row = SIZE_MAX};
  c->spec.spread = check_spread(name);
  check_init(&c->check, s->now);
  return c;
}

static size_t named_row(struct sim *s, const char *what, const char *name) {
  char text[2 * LIMIT_NAME];
  snprintf(text, sizeof text, "%s %s", what, name);
  return timeline_row(s->out, text);
}

static void add_check(struct sim *s, size_t i) {
  struct scenario *x = s->in->scenario;
  const struct plan_check *p = &s->plan->checks[i];
  struct sim_check *c = add(s, p->name, &s->in->checks[i]);
  c->process = p->process;
  c->line = sim_line(x->checks, x->checks_n, p->name);
  c->row = named_row(s, "check", p->name);
  for (size_t d = 0; d < s->plan->dependencies_n && c->dependency < 0; d++) {
    if (s->in->dependencies[d].check != (int)i) continue;
    c->dependency = (int)d;
    s->dependencies[d].check = (int)i;
    if (!c->line) c->line = sim_line(x->dependencies, x->dependencies_n, s->plan->dependencies[d].name);
    if (!s->dependencies[d].line) s->dependencies[d].line = c->line;
    if (c->spec.down_interval_ns || !s->plan->dependencies[d].required) continue;
    c->spec.down_interval_ns = s->in->dependencies[d].late.down_interval_ns;
    if (c->spec.down_interval_ns > c->spec.interval_ns) c->spec.down_interval_ns = 0;
  }
}

int sim_health_new(struct sim *s) {
  const struct plan *plan = s->plan;
  struct scenario *x = s->in->scenario;
  size_t n = plan->checks_n + plan->dependencies_n + s->slots_n + 1;
  s->checks = calloc(n, sizeof *s->checks);
  s->dependencies = calloc(plan->dependencies_n + 1, sizeof *s->dependencies);
  s->standings = calloc(plan->checks_n + plan->dependencies_n + 1, sizeof *s->standings);
  if (!s->checks || !s->dependencies || !s->standings) return -ENOMEM;
  for (size_t d = 0; d < plan->dependencies_n; d++)
    s->dependencies[d] =
        (struct sim_dependency){.plan = &plan->dependencies[d],
                                .spec = &s->in->dependencies[d],
                                .line = sim_line(x->dependencies, x->dependencies_n, plan->dependencies[d].name),
                                .reason = "",
                                .check = -1,
                                .row = named_row(s, "dependency", plan->dependencies[d].name)};
  for (size_t i = 0; i < plan->checks_n; i++) add_check(s, i);
  for (size_t d = 0; d < plan->dependencies_n; d++) {
    if (s->dependencies[d].check >= 0) continue;
    struct sim_check *c = add(s, plan->dependencies[d].name, &s->in->dependencies[d].late);
    c->dependency = (int)d;
    c->own = true;
    c->line = s->dependencies[d].line;
    s->dependencies[d].check = (int)(c - s->checks);
  }
  for (uint32_t i = 0; i < s->slots_n; i++) {
    unsigned process = machine_slot_process(s->machine, i);
    if (!plan->processes[process].startup) continue;
    s->slots[i].startup = (int)s->checks_n;
    struct sim_check *c = add(s, plan->processes[process].startup->name, &s->in->startups[process]);
    c->process = (int)process;
    c->slot = i;
  }
  return 0;
}

/* --- how it stands ----------------------------------------------------------------------------------------------- */

static bool is_bad_required(const struct sim *s, int dependency) {
  if (dependency < 0) return false;
  const struct sim_dependency *d = &s->dependencies[dependency];
  return d->plan->required && (!d->asked || !check_is_good(d->result));
}

static void weigh(struct sim *s, struct health_verdict *out) {
  size_t n = 0;
  for (size_t i = 0; i < s->plan->dependencies_n; i++) {
    const struct sim_dependency *d = &s->dependencies[i];
    s->standings[n++] = (struct check_standing){.dependency = true,
                                                .required = d->plan->required,
                                                .role = d->plan->required ? CHECK_READINESS : CHECK_MONITOR,
                                                .alarm = s->checks[d->check].check.alarm,
                                                .state = !d->asked                 ? CHECK_UNKNOWN
                                                         : d->result == CHECK_OK   ? CHECK_HEALTHY
                                                         : d->result == CHECK_WARN ? CHECK_DEGRADED
                                                                                   : CHECK_UNHEALTHY};
  }
  for (size_t i = 0; i < s->plan->checks_n; i++) {
    const struct sim_check *c = &s->checks[i];
    bool stands = c->check.active || (c->spec.role == CHECK_READINESS && !c->ended_well);
    if (!stands || is_bad_required(s, c->dependency)) continue;
    s->standings[n++] = (struct check_standing){.role = c->spec.role, .state = c->check.state, .alarm = c->check.alarm};
  }
  check_overall(s->standings, n, out);
}

const char *sim_health(struct sim *s) {
  struct machine_view m;
  struct health_verdict v;
  machine_view(s->machine, &m);
  weigh(s, &v);
  if (m.state == STATE_FAILED) v.level = HEALTH_UNHEALTHY;
  if (v.level == HEALTH_HEALTHY && (m.degraded || m.state == STATE_RESTARTING)) v.level = HEALTH_DEGRADED;
  return health_level_name(v.level);
}

static void feed_health(struct sim *s) {
  struct health_verdict v;
  weigh(s, &v);
  bool healthy = v.level != HEALTH_UNHEALTHY;
  if (healthy == s->healthy) return;
  s->healthy = healthy;
  sim_feed(s, &(struct machine_input){.kind = IN_HEALTH, .ok = healthy});
}

/* --- results ----------------------------------------------------------------------------------------------------- */

static void tell(struct sim *s, enum event_kind kind, enum level level, const struct sim_check *c,
                 const struct check_change *change, int64_t duration_ns) {
  struct sim_note n;
  sim_note(&n);
  json_str(&n.j, "check", c->name);
  json_str(&n.j, "role", check_role_names[c->spec.role]);
  if (c->process != PLAN_UNSET) json_str(&n.j, "process", s->plan->processes[c->process].name);
  if (kind == EVENT_FAILURE_DETECTED) json_bool(&n.j, "final", false);
  json_str(&n.j, "result", check_result_name(c->check.last));
  json_str(&n.j, "state", check_state_name(change->to));
  if (*c->reason) json_str(&n.j, "reason", c->reason);
  if (change->failures) json_int(&n.j, "failures", change->failures);
  if (duration_ns >= 0) json_num(&n.j, "after_seconds", sim_seconds(duration_ns));
  sim_tell(s, event_name(kind), level, &n);
}

static void tell_result(struct sim *s, size_t i, const struct check_change *change) {
  const struct sim_check *c = &s->checks[i];
  bool good = check_is_good(c->check.last);
  if (change->turned)
    tell(s, good ? EVENT_HEALTH_CHECK_PASSED : EVENT_HEALTH_CHECK_FAILED, good ? LEVEL_INFO : LEVEL_WARNING, c, change,
         -1);
  if (change->alarm) tell(s, EVENT_CHECK_UNKNOWN, change->alarm > 0 ? LEVEL_ERROR : LEVEL_INFO, c, change, -1);
  if (s->noting || change->from == change->to) return;
  if (change->to == CHECK_UNHEALTHY)
    tell(s, EVENT_FAILURE_DETECTED, c->spec.role == CHECK_MONITOR ? LEVEL_WARNING : LEVEL_ERROR, c, change, -1);
  bool tried = i < s->plan->checks_n && remedy_tried(s->remedy, (unsigned)i);
  if (change->from == CHECK_UNHEALTHY && !tried)
    tell(s, EVENT_RECOVERY_COMPLETED, LEVEL_INFO, c, change, change->outage_ns);
}

/* What the check says of its dependency holds at once. */
static void note_dependency(struct sim *s, const struct sim_check *c) {
  struct sim_dependency *d = &s->dependencies[c->dependency];
  if (d->waiting) return;
  bool asked = d->asked, was_good = asked && check_is_good(d->result), good = check_is_good(c->check.last);
  bool were_bad = sim_dependencies_bad(s);
  sim_dependency_note(s, d, c->check.last, c->reason);
  if (good != was_good && asked) {
    struct sim_note n;
    sim_note(&n);
    json_str(&n.j, "name", d->plan->name);
    json_bool(&n.j, "required", d->plan->required);
    if (!good) json_str(&n.j, "reason", *c->reason ? c->reason : check_result_name(c->check.last));
    sim_tell(s, event_name(good ? EVENT_DEPENDENCY_READY : EVENT_DEPENDENCY_FAILED),
             good                ? LEVEL_INFO
             : d->plan->required ? LEVEL_ERROR
                                 : LEVEL_WARNING,
             &n);
  }
  bool are_bad = sim_dependencies_bad(s);
  if (are_bad != were_bad)
    sim_feed(s, &(struct machine_input){.kind = are_bad ? IN_DEPENDENCY_BAD : IN_DEPENDENCY_BACK});
}

static void startup_result(struct sim *s, size_t i, enum check_state to) {
  if (to == CHECK_UNKNOWN) return;
  uint32_t slot = s->checks[i].slot;
  sim_health_stop(s, i);
  sim_feed(s, &(struct machine_input){.kind = IN_STARTUP_CHECK, .slot = slot, .ok = to != CHECK_UNHEALTHY});
}

static void note_state(struct sim *s, const struct sim_check *c) {
  static const char marks[] = {
      [CHECK_UNKNOWN] = '?', [CHECK_HEALTHY] = '=', [CHECK_DEGRADED] = '~', [CHECK_UNHEALTHY] = '!'};
  if (c->row != SIZE_MAX)
    timeline_set(s->out, c->row, s->now - SIM_BEGIN_NS, check_state_name(c->check.state), marks[c->check.state]);
}

static void count(struct sim *s, size_t i, enum check_result r, const char *reason) {
  struct sim_check *c = &s->checks[i];
  struct check_change change;
  c->reason = reason;
  check_end(&c->check, &c->spec, r, s->now, &change);
  if (s->now < s->pace_until_ns) check_slow(&c->check, s->pace, s->now);
  note_state(s, c);
  if (c->slot != UINT32_MAX) {
    startup_result(s, i, change.to);
    return;
  }
  if (s->quiet) return;
  tell_result(s, i, &change);
  if (c->dependency >= 0 && !s->noting) note_dependency(s, c);
  if (change.from != change.to || c->dependency >= 0) feed_health(s);
  if (i < s->plan->checks_n) sim_remedies_news(s, i, r, &change);
}

static enum check_result ask(struct sim *s, size_t i) {
  const struct sim_check *c = &s->checks[i];
  if (c->slot != UINT32_MAX) {
    const struct sim_slot *slot = &s->slots[c->slot];
    bool ready = slot->now.ready_ns != TIME_NEVER && s->now - slot->started_ns >= slot->now.ready_ns;
    count(s, i, ready ? CHECK_OK : CHECK_FAIL, "");
    return ready ? CHECK_OK : CHECK_FAIL;
  }
  const struct scenario_entry *e = sim_at(s, c->line);
  enum check_result r = e ? e->result : CHECK_OK;
  count(s, i, r, e ? e->reason : "");
  return r;
}

enum check_result sim_health_ask(struct sim *s, size_t check) { return ask(s, check); }

void sim_health_take(struct sim *s, bool first) {
  *(first ? &s->noting : &s->quiet) = true;
  for (size_t i = 0; i < s->plan->dependencies_n; i++) {
    const struct sim_dependency *d = &s->dependencies[i];
    if (d->checked_ns > s->checks[d->check].check.last_ns) count(s, (size_t)d->check, d->result, d->reason);
  }
  s->noting = s->quiet = false;
  feed_health(s);
}

/* --- when they run ----------------------------------------------------------------------------------------------- */

void sim_health_start(struct sim *s, size_t i) {
  struct sim_check *c = &s->checks[i];
  if (c->slot != UINT32_MAX) check_reset(&c->check, &c->spec, s->now);
  check_start(&c->check, &c->spec, s->now);
}

void sim_health_stop(struct sim *s, size_t i) { check_stop(&s->checks[i].check); }

static bool is_up(struct sim *s, struct sim_check *c) {
  unsigned n = plan_slots(&s->plan->processes[c->process]), well = 0;
  bool up = false;
  for (unsigned i = 0; i < n; i++) {
    struct instance_view v;
    sim_slot_view(s, machine_slot(s->machine, (unsigned)c->process, i), &v);
    up |= v.state == INSTANCE_UP;
    well += v.state == INSTANCE_INTERVAL || v.state == INSTANCE_DONE || v.spare;
  }
  c->ended_well = well == n;
  return up;
}

static void follow_one(struct sim *s, struct sim_check *c, enum machine_state state) {
  bool running = state == STATE_RUNNING, want = running;
  if (c->dependency >= 0)
    want = running || state == STATE_RESTARTING;
  else if (c->process != PLAN_UNSET)
    want = is_up(s, c) && (running || state == STATE_STARTING || state == STATE_RESTARTING);
  if (want == c->check.active) return;
  bool forget = want ? c->dependency < 0 && c->spec.role == CHECK_READINESS : c->process != PLAN_UNSET;
  if (!want) check_stop(&c->check);
  if (forget) check_reset(&c->check, &c->spec, s->now);
  if (forget) note_state(s, c);
  if (want) check_start(&c->check, &c->spec, s->now);
}

void sim_health_follow(struct sim *s) {
  struct machine_view m;
  machine_view(s->machine, &m);
  for (size_t i = 0; i < s->checks_n; i++)
    if (s->checks[i].slot == UINT32_MAX) follow_one(s, &s->checks[i], m.state);
}

void sim_health_suspect(struct sim *s) {
  for (size_t d = 0; d < s->plan->dependencies_n; d++) {
    struct check *c = &s->checks[s->dependencies[d].check].check;
    int64_t soon = c->last_ns ? c->last_ns + NS_PER_S : s->now;
    check_hurry(c, soon > s->now ? soon : s->now);
  }
}

static size_t first_due(const struct sim *s, int64_t *due_ns) {
  size_t first = 0;
  *due_ns = TIME_NEVER;
  for (size_t i = 0; i < s->checks_n; i++) {
    int64_t due = check_due_ns(&s->checks[i].check);
    if (due >= *due_ns) continue;
    *due_ns = due;
    first = i;
  }
  return first;
}

int64_t sim_health_due(const struct sim *s) {
  int64_t due;
  first_due(s, &due);
  return due;
}

void sim_health_turn(struct sim *s) {
  int64_t due;
  size_t i = first_due(s, &due);
  check_begin(&s->checks[i].check);
  ask(s, i);
}
