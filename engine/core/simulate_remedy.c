/* Remedies and scaling in a simulation: what a step gives is the scenario's, what it does to processes is real. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "core/simulate_impl.h"

static const struct plan_step *step_of(const struct sim_job *j) { return &j->plan->steps[j->step]; }

/* --- telling ----------------------------------------------------------------------------------------------------- */

static void begin_note(const struct sim *s, const struct sim_job *j, struct sim_note *n) {
  sim_note(n);
  json_str(&n->j, "remedy", j->plan->name);
  if (j->check != REMEDY_NONE) json_str(&n->j, "check", s->checks[j->check].name);
  if (j->dry) json_bool(&n->j, "dry_run", true);
}

static void tell_begin(struct sim *s, const struct sim_job *j, const struct remedy_action *a) {
  struct sim_note n;
  struct remedy_view v;
  begin_note(s, j, &n);
  json_str(&n.j, "trigger", a->by_operator ? "operator" : "check");
  if (a->failures) json_int(&n.j, "failures", a->failures);
  if (a->over_budget) json_bool(&n.j, "over_budget", true);
  remedy_view(s->remedy, a->rule, s->now, &v);
  json_int(&n.j, "runs_in_window", v.in_window);
  json_int(&n.j, "max", j->plan->max);
  sim_tell(s, event_name(EVENT_REMEDIATION_STARTED), a->by_operator ? LEVEL_INFO : LEVEL_WARNING, &n);
}

static void tell_step(struct sim *s, const struct sim_job *j, enum remedy_outcome outcome) {
  struct sim_note n;
  begin_note(s, j, &n);
  json_str(&n.j, "step", step_of(j)->name);
  json_str(&n.j, "outcome", remedy_outcome_name(outcome));
  bool good = outcome == REMEDY_OK || outcome == REMEDY_SKIPPED;
  sim_tell(s, event_name(EVENT_REMEDIATION_STEP), good ? LEVEL_INFO : LEVEL_WARNING, &n);
}

static void tell_end(struct sim *s, const struct sim_job *j, const struct remedy_action *a) {
  bool bad = a->result == REMEDY_NOT_HEALED_RESULT || a->result == REMEDY_ESCALATED_RESULT;
  struct sim_note n;
  begin_note(s, j, &n);
  json_str(&n.j, "result", remedy_result_name(a->result));
  json_num(&n.j, "after_seconds", sim_seconds(a->duration_ns));
  sim_tell(s, event_name(EVENT_REMEDIATION_COMPLETED), bad ? LEVEL_ERROR : LEVEL_INFO, &n);
}

static void tell_recovered(struct sim *s, const struct remedy_action *a) {
  const struct plan_remedy *m = s->jobs[a->rule].plan;
  struct sim_note n;
  sim_note(&n);
  json_str(&n.j, "check", s->checks[a->check].name);
  json_str(&n.j, "remedy", m->name);
  json_str(&n.j, "step", m->steps[a->step].name);
  json_num(&n.j, "after_seconds", sim_seconds(a->duration_ns));
  sim_tell(s, event_name(EVENT_RECOVERY_COMPLETED), LEVEL_INFO, &n);
}

static void tell_gave_up(struct sim *s, const struct remedy_action *a) {
  struct sim_note n;
  sim_note(&n);
  json_str(&n.j, "remedy", s->jobs[a->rule].plan->name);
  json_str(&n.j, "check", s->checks[a->check].name);
  sim_tell(s, event_name(EVENT_REMEDIATION_EXHAUSTED), LEVEL_ERROR, &n);
}

static void tell_maintenance(struct sim *s, const struct remedy_action *a) {
  struct sim_note n;
  sim_note(&n);
  json_bool(&n.j, "on", a->on);
  sim_tell(s, event_name(EVENT_MAINTENANCE), a->on ? LEVEL_WARNING : LEVEL_INFO, &n);
}

/* --- steps ------------------------------------------------------------------------------------------------------- */

static void step_done(struct sim *s, struct sim_job *j, enum remedy_outcome outcome) {
  if (!j->stepping) return;
  j->stepping = j->restarting = false;
  j->done_ns = TIME_NEVER;
  tell_step(s, j, outcome);
  if (outcome == REMEDY_OK && !j->dry) sim_heal(s, step_of(j)->name);
  sim_remedy_feed(s, &(struct remedy_input){.kind = REMEDY_IN_DONE, .run = j->run, .outcome = outcome});
}

static const struct scenario_step *given(const struct sim *s, const struct sim_job *j) {
  const struct scenario *x = s->in->scenario;
  size_t n = strlen(j->plan->name);
  for (size_t i = 0; i < x->steps_n; i++) {
    const char *name = x->steps[i].name;
    if (STR_EQ(name, step_of(j)->name)) return &x->steps[i];
    if (str_starts(name, j->plan->name) && name[n] == '/' && STR_EQ(name + n + 1, step_of(j)->name))
      return &x->steps[i];
  }
  return NULL;
}

/* How many of its instances can be restarted; runs of all together in *runs. */
static unsigned can_restart(struct sim *s, unsigned process, uint64_t *runs) {
  unsigned n = 0;
  *runs = 0;
  for (unsigned i = 0; i < plan_slots(&s->plan->processes[process]); i++) {
    struct instance_view v;
    sim_slot_view(s, machine_slot(s->machine, process, i), &v);
    *runs += v.runs;
    n += v.state == INSTANCE_UP || v.state == INSTANCE_STARTING || v.state == INSTANCE_STOPPING ||
         v.state == INSTANCE_BACKOFF;
  }
  return n;
}

static void start_restart(struct sim *s, struct sim_job *j) {
  unsigned process = step_of(j)->process;
  uint64_t runs;
  unsigned n = s->in->machine->simple ? 0 : can_restart(s, process, &runs);
  if (!n) {
    step_done(s, j, REMEDY_SKIPPED);
    return;
  }
  j->restarting = true;
  j->mark = runs + n;
  for (unsigned i = 0; i < plan_slots(&s->plan->processes[process]); i++)
    sim_feed(s, &(struct machine_input){.kind = IN_CHECK_FAILED, .slot = machine_slot(s->machine, process, i)});
}

static void look_at_restart(struct sim *s, struct sim_job *j) {
  unsigned process = step_of(j)->process;
  bool missing = false, failed = false;
  uint64_t runs = 0;
  for (unsigned i = 0; i < plan_slots(&s->plan->processes[process]); i++) {
    struct instance_view v;
    sim_slot_view(s, machine_slot(s->machine, process, i), &v);
    runs += v.runs;
    failed |= v.state == INSTANCE_FAILED;
    bool back = v.state == INSTANCE_UP || v.state == INSTANCE_INTERVAL || v.state == INSTANCE_DONE;
    missing |= !v.spare && !back;
  }
  if (failed)
    step_done(s, j, REMEDY_FAILED);
  else if (!missing && runs >= j->mark)
    step_done(s, j, REMEDY_OK);
}

static void begin_step(struct sim *s, const struct remedy_action *a) {
  struct sim_job *j = &s->jobs[a->rule];
  j->step = a->step;
  j->stepping = true;
  j->started_ns = s->now;
  const struct plan_step *step = step_of(j);
  const struct scenario_step *what = given(s, j);
  if (j->dry) {
    step_done(s, j, REMEDY_OK);
  } else if (step->kind == PLAN_STEP_RESTART) {
    start_restart(s, j);
  } else if (step->kind == PLAN_STEP_FAIL) {
    step_done(s, j, REMEDY_OK);
    sim_feed(s, &(struct machine_input){.kind = IN_FAIL});
  } else if (!what || (what->outcome != REMEDY_TIMEOUT && !what->takes_ns)) {
    if (step->kind == PLAN_STEP_SLOW_CHECKS) {
      s->pace = step->factor;
      s->pace_until_ns = s->now + step->for_ns;
    }
    step_done(s, j, what ? what->outcome : REMEDY_OK);
  } else {
    j->outcome = what->outcome;
    j->done_ns = what->outcome == REMEDY_TIMEOUT ? TIME_NEVER : s->now + what->takes_ns;
  }
}

static void cancel_step(struct sim *s, const struct remedy_action *a) {
  struct sim_job *j = &s->jobs[a->rule];
  if (j->stepping && s->now - j->started_ns >= step_of(j)->timeout_ns) tell_step(s, j, REMEDY_TIMEOUT);
  j->stepping = j->restarting = false;
  j->done_ns = TIME_NEVER;
}

/* --- runs -------------------------------------------------------------------------------------------------------- */

static void ask_check(struct sim *s, const struct remedy_action *a) {
  enum check_result r = sim_health_ask(s, a->check);
  bool good = check_is_good(r);
  sim_remedy_feed(s, &(struct remedy_input){.kind = REMEDY_IN_ANSWER,
                                            .run = a->run,
                                            .unsettled = good && s->checks[a->check].check.state == CHECK_UNHEALTHY,
                                            .answer = good                ? REMEDY_GOOD
                                                      : r == CHECK_CANNOT ? REMEDY_UNKNOWN
                                                                          : REMEDY_BAD});
}

/* When all that the run may still do is over, at the latest. */
static int64_t longest_end_ns(const struct sim *s, const struct remedy_action *a) {
  const struct plan_remedy *m = s->jobs[a->rule].plan;
  int64_t end = s->now;
  for (unsigned i = 0; i < remedy_plan_steps(m); i++)
    end += m->steps[i].timeout_ns + m->steps[i].settle_ns + s->checks[a->check].spec.timeout_ns + NS_PER_S;
  return end;
}

static void begin_run(struct sim *s, const struct remedy_action *a) {
  struct sim_job *j = &s->jobs[a->rule];
  j->run = a->run;
  j->check = a->check;
  j->dry = a->dry;
  s->remedies++;
  tell_begin(s, j, a);
}

static void carry_out(struct sim *s, const struct remedy_action *a) {
  switch (a->kind) {
    case REMEDY_ACT_BEGIN:
      begin_run(s, a);
      break;
    case REMEDY_ACT_STEP:
      begin_step(s, a);
      break;
    case REMEDY_ACT_CANCEL:
      cancel_step(s, a);
      break;
    case REMEDY_ACT_ASK:
      ask_check(s, a);
      break;
    case REMEDY_ACT_HOLD:
      check_hold(&s->checks[a->check].check, a->on ? longest_end_ns(s, a) : 0, s->now);
      break;
    case REMEDY_ACT_END:
      tell_end(s, &s->jobs[a->rule], a);
      break;
    case REMEDY_ACT_RECOVERED:
      tell_recovered(s, a);
      break;
    case REMEDY_ACT_GAVE_UP:
      tell_gave_up(s, a);
      break;
    case REMEDY_ACT_MAINTENANCE:
      tell_maintenance(s, a);
      break;
  }
}

void sim_remedy_feed(struct sim *s, const struct remedy_input *in) {
  if (s->remedy_queue_n == SIM_REMEDY_QUEUE) {
    s->overflow = true;
    return;
  }
  s->remedy_queue[s->remedy_queue_n++] = *in;
  if (s->remedy_busy) return;
  s->remedy_busy = true;
  for (size_t i = 0; i < s->remedy_queue_n && !s->overflow; i++) {
    struct remedy_input input = s->remedy_queue[i];
    struct remedy_out out;
    remedy_feed(s->remedy, &input, s->now, &out);
    for (unsigned k = 0; k < out.n; k++) carry_out(s, &out.action[k]);
  }
  s->remedy_queue_n = 0;
  s->remedy_busy = false;
}

void sim_remedies_news(struct sim *s, size_t i, enum check_result r, const struct check_change *change) {
  bool unhealthy = change->to == CHECK_UNHEALTHY;
  if (r == CHECK_CANNOT || (r != CHECK_FAIL && !remedy_is_failing(s->remedy, (unsigned)i))) return;
  if (r == CHECK_FAIL)
    sim_remedy_feed(
        s, &(struct remedy_input){
               .kind = REMEDY_IN_FAILING, .check = (uint16_t)i, .failures = change->failures, .on = unhealthy});
  else if (!unhealthy)
    sim_remedy_feed(s, &(struct remedy_input){.kind = REMEDY_IN_GOOD, .check = (uint16_t)i});
}

/* --- scaling ----------------------------------------------------------------------------------------------------- */

/* Instances that are asked for; 0: left alone. */
static unsigned count_asked(struct sim *s, unsigned process) {
  bool held = remedy_maintenance(s->remedy, NULL);
  unsigned n = 0;
  for (unsigned i = 0; i < plan_slots(&s->plan->processes[process]); i++) {
    struct instance_view v;
    sim_slot_view(s, machine_slot(s->machine, process, i), &v);
    held |= v.held;
    n += !v.spare;
  }
  return held ? 0 : n;
}

static void measure(struct sim *s, struct sim_scaled *x) {
  const struct plan_process *p = &s->plan->processes[x->process];
  x->due_ns = s->now + p->scale->interval_ns;
  const struct scenario_entry *e = sim_at(s, x->line);
  unsigned count = count_asked(s, x->process);
  unsigned to = e && count ? scale_decide(&x->rule, &x->state, count, e->number, s->now) : count;
  if (to == count) return;
  struct sim_note n;
  sim_note(&n);
  json_str(&n.j, "process", p->name);
  json_int(&n.j, "from", count);
  json_int(&n.j, "to", to);
  json_num(&n.j, "wanted", e->number);
  sim_tell(s, event_name(EVENT_PROCESS_SCALED), LEVEL_INFO, &n);
  sim_feed(s, &(struct machine_input){.kind = IN_SCALE, .process = x->process, .count = to});
}

/* --- time -------------------------------------------------------------------------------------------------------- */

void sim_remedies_follow(struct sim *s) {
  struct machine_view m;
  machine_view(s->machine, &m);
  bool active = m.state == STATE_RUNNING;
  bool ended = m.state == STATE_STOPPING || m.state == STATE_STOPPED || m.state == STATE_FAILED;
  for (unsigned i = 0; i < s->jobs_n; i++)
    if (s->jobs[i].restarting) look_at_restart(s, &s->jobs[i]);
  if (active != s->active) {
    s->active = active;
    sim_remedy_feed(s, &(struct remedy_input){.kind = REMEDY_IN_ACTIVE, .on = active});
    for (size_t i = 0; i < s->scaled_n; i++)
      s->scaled[i].due_ns = active ? s->now + s->plan->processes[s->scaled[i].process].scale->interval_ns : TIME_NEVER;
  }
  bool now_ended = ended && !s->remedies_ended;
  s->remedies_ended = ended;
  if (now_ended) sim_remedy_feed(s, &(struct remedy_input){.kind = REMEDY_IN_STOP});
}

int64_t sim_remedies_due(const struct sim *s) {
  int64_t due = remedy_due_ns(s->remedy);
  for (unsigned i = 0; i < s->jobs_n; i++)
    if (s->jobs[i].done_ns < due) due = s->jobs[i].done_ns;
  for (size_t i = 0; i < s->scaled_n; i++)
    if (s->scaled[i].due_ns < due) due = s->scaled[i].due_ns;
  return due;
}

void sim_remedies_turn(struct sim *s) {
  for (unsigned i = 0; i < s->jobs_n; i++)
    if (s->jobs[i].done_ns <= s->now) {
      step_done(s, &s->jobs[i], s->jobs[i].outcome);
      return;
    }
  for (size_t i = 0; i < s->scaled_n; i++)
    if (s->scaled[i].due_ns <= s->now) {
      measure(s, &s->scaled[i]);
      return;
    }
  sim_remedy_feed(s, &(struct remedy_input){.kind = REMEDY_IN_TICK});
}

/* --- making ------------------------------------------------------------------------------------------------------ */

static int make_scaled(struct sim *s) {
  struct scenario *x = s->in->scenario;
  s->scaled = calloc(s->plan->processes_n, sizeof *s->scaled);
  if (!s->scaled) return -ENOMEM;
  for (size_t i = 0; i < s->plan->processes_n; i++) {
    const struct plan_scale *p = s->plan->processes[i].scale;
    if (!p) continue;
    s->scaled[s->scaled_n++] =
        (struct sim_scaled){.process = (unsigned)i,
                            .line = sim_line(x->scale, x->scale_n, s->plan->processes[i].name),
                            .rule = {p->min, p->max, p->step, p->cooldown_ns, p->down_cooldown_ns},
                            .state = {.since_ns = s->now},
                            .due_ns = TIME_NEVER};
  }
  return 0;
}

int sim_remedies_new(struct sim *s) {
  const struct plan *plan = s->plan;
  unsigned *failures = calloc(plan->checks_n + 1, sizeof *failures);
  for (size_t i = 0; failures && i < plan->checks_n; i++) failures[i] = s->in->checks[i].failures;
  s->rules = failures ? remedy_plan_new(plan, failures) : NULL;
  free(failures);
  if (s->rules) s->jobs = calloc(s->rules->config.rules + 1, sizeof *s->jobs);
  if (!s->rules || !s->jobs) return -ENOMEM;
  for (; s->jobs_n < s->rules->config.rules; s->jobs_n++)
    s->jobs[s->jobs_n] = (struct sim_job){.plan = s->rules->remedy[s->jobs_n], .done_ns = TIME_NEVER};
  s->remedy = remedy_new(&s->rules->config);
  return s->remedy ? make_scaled(s) : -ENOMEM;
}

void sim_remedies_free(struct sim *s) {
  remedy_free(s->remedy);
  remedy_plan_free(s->rules);
  free(s->jobs);
  free(s->scaled);
}
