/* The wait for the dependencies at a start: attempts, intervals and limits as an engine's, answers from the scenario.
 */
#include <string.h>

#include "base/exits.h"
#include "base/str.h"
#include "core/simulate_impl.h"

#define LAST_ATTEMPT_NS NS_PER_S
#define LEAST_NS (10 * NS_PER_MS)

static bool is_good(const struct sim_dependency *d) { return d->asked && check_is_good(d->result); }

bool sim_dependencies_bad(const struct sim *s) {
  for (size_t i = 0; i < s->plan->dependencies_n; i++)
    if (s->dependencies[i].plan->required && !is_good(&s->dependencies[i])) return true;
  return false;
}

void sim_dependency_note(struct sim *s, struct sim_dependency *d, enum check_result r, const char *reason) {
  d->asked = true;
  d->result = r;
  d->reason = reason;
  d->checked_ns = s->now;
  timeline_set(s->out, d->row, s->now - SIM_BEGIN_NS, check_is_good(r) ? "good" : "bad", check_is_good(r) ? '=' : '!');
}

static void tell(struct sim *s, const struct sim_dependency *d, enum event_kind kind, enum level level) {
  struct sim_note n;
  sim_note(&n);
  json_str(&n.j, "name", d->plan->name);
  json_bool(&n.j, "required", d->plan->required);
  json_int(&n.j, "attempts", d->attempts);
  if (!is_good(d)) json_str(&n.j, "reason", *d->reason ? d->reason : check_result_name(d->result));
  sim_tell(s, event_name(kind), level, &n);
}

void sim_dependencies_stop(struct sim *s) {
  for (size_t i = 0; i < s->plan->dependencies_n; i++) s->dependencies[i].waiting = false;
  s->starting = false;
}

static void answer(struct sim *s, bool ok) {
  sim_dependencies_stop(s);
  if (!ok) sim_health_take(s, false);
  sim_feed(s, &(struct machine_input){.kind = IN_DEPENDENCIES, .ok = ok, .exit_code = ok ? 0 : EXIT_DEPENDENCY});
}

static bool settled(const struct sim *s) {
  for (size_t i = 0; i < s->plan->dependencies_n; i++)
    if (s->dependencies[i].waiting) return false;
  return true;
}

static void settle(struct sim *s, struct sim_dependency *d) {
  d->waiting = false;
  if (is_good(d))
    tell(s, d, EVENT_DEPENDENCY_READY, LEVEL_INFO);
  else
    tell(s, d, EVENT_DEPENDENCY_FAILED, d->plan->required ? LEVEL_ERROR : LEVEL_WARNING);
  bool failed = !is_good(d) && d->plan->required;
  if (failed || settled(s)) answer(s, !failed);
}

/* The last attempt may come before its turn, so that the whole time is used. */
static int64_t next_attempt(struct sim *s, struct sim_dependency *d) {
  int64_t due = s->now + d->wait_ns;
  double longer = (double)d->wait_ns * d->spec->backoff;
  d->wait_ns = longer < (double)d->spec->max_interval_ns ? (int64_t)longer : d->spec->max_interval_ns;
  if (due < d->deadline_ns) return due;
  int64_t left = d->deadline_ns - s->now;
  d->last = true;
  return d->deadline_ns - (left / 2 < LAST_ATTEMPT_NS ? left / 2 : LAST_ATTEMPT_NS);
}

static void attempt(struct sim *s, struct sim_dependency *d) {
  const struct scenario_entry *e = sim_at(s, d->line);
  d->attempts++;
  sim_dependency_note(s, d, e ? e->result : CHECK_OK, e ? e->reason : "");
  if (is_good(d)) {
    settle(s, d);
    return;
  }
  if (d->last || d->deadline_ns - s->now < LEAST_NS) {
    d->spent = true;
    d->due_ns = d->deadline_ns;
    return;
  }
  d->due_ns = next_attempt(s, d);
  if (d->told && STR_EQ(d->told, d->reason)) return;
  d->told = d->reason;
  tell(s, d, EVENT_DEPENDENCY_WAITING, LEVEL_INFO);
}

void sim_dependencies_begin(struct sim *s, bool only_bad) {
  sim_dependencies_stop(s);
  s->starting = true;
  for (size_t i = 0; i < s->plan->dependencies_n; i++) {
    struct sim_dependency *d = &s->dependencies[i];
    if (only_bad && (is_good(d) || !d->plan->required)) continue;
    d->waiting = true;
    d->attempts = 0;
    d->last = d->spent = false;
    d->told = NULL;
    d->started_ns = d->due_ns = s->now;
    d->deadline_ns = s->now + d->spec->timeout_ns;
    d->wait_ns = d->spec->interval_ns;
  }
  if (settled(s)) answer(s, true);
}

int64_t sim_dependencies_due(const struct sim *s) {
  int64_t due = TIME_NEVER;
  for (size_t i = 0; s->starting && i < s->plan->dependencies_n; i++)
    if (s->dependencies[i].waiting && s->dependencies[i].due_ns < due) due = s->dependencies[i].due_ns;
  return due;
}

void sim_dependencies_turn(struct sim *s) {
  for (size_t i = 0; i < s->plan->dependencies_n; i++) {
    struct sim_dependency *d = &s->dependencies[i];
    if (!d->waiting || d->due_ns > s->now) continue;
    if (d->spent)
      settle(s, d);
    else
      attempt(s, d);
    return;
  }
}
