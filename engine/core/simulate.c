#include "core/simulate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "core/simulate_impl.h"

/* A restart without a delay of what ends at once would go on for ever. */
enum { STEPS_MAX = 20000000, ENTRIES_MAX = 200000 };

const char *sim_process_name(const struct sim *s, uint32_t slot) {
  return s->plan->processes[machine_slot_process(s->machine, slot)].name;
}

void sim_slot_view(const struct sim *s, uint32_t slot, struct instance_view *out) {
  machine_instance(s->machine, slot, s->now, out);
}

/* --- the scenario's time lines ----------------------------------------------------------------------------------- */

struct scenario_line *sim_line(struct scenario_line *lines, size_t n, const char *name) {
  for (size_t i = 0; i < n; i++)
    if (STR_EQ(lines[i].name, name)) return &lines[i];
  return NULL;
}

/* Since when an entry applies; -1: it does not. */
static int64_t since(const struct scenario_entry *e, int64_t t) {
  if (t < e->at_ns) return -1;
  int64_t from = e->every_ns ? e->at_ns + (t - e->at_ns) / e->every_ns * e->every_ns : e->at_ns;
  return t - from < e->lasts_ns && from != e->healed_ns ? from : -1;
}

const struct scenario_entry *sim_at(const struct sim *s, const struct scenario_line *line) {
  int64_t t = s->now - SIM_BEGIN_NS;
  for (size_t i = line ? line->n : 0; i-- > 0;)
    if (since(&line->entries[i], t) >= 0) return &line->entries[i];
  return NULL;
}

static void heal_lines(struct scenario_line *lines, size_t n, const char *step, int64_t t) {
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < lines[i].n; k++) {
      struct scenario_entry *e = &lines[i].entries[k];
      int64_t from = since(e, t);
      if (from >= 0 && e->heals && STR_EQ(e->heals, step)) e->healed_ns = from;
    }
}

void sim_heal(struct sim *s, const char *step) {
  struct scenario *x = s->in->scenario;
  heal_lines(x->dependencies, x->dependencies_n, step, s->now - SIM_BEGIN_NS);
  heal_lines(x->checks, x->checks_n, step, s->now - SIM_BEGIN_NS);
}

/* --- processes --------------------------------------------------------------------------------------------------- */

/* The run that comes now. */
static struct scenario_run next_run(struct sim_slot *slot) {
  struct scenario_run quiet = {.runs_ns = TIME_NEVER, .stops_ns = 10 * NS_PER_MS, .stop_exit = -1};
  if (!slot->runs || slot->run == slot->runs->n) return quiet;
  const struct scenario_run *r = &slot->runs->runs[slot->run];
  if (r->repeats && ++slot->done == r->repeats) {
    slot->run++;
    slot->done = 0;
  }
  return *r;
}

static void spawn(struct sim *s, uint32_t index) {
  struct sim_slot *slot = &s->slots[index];
  slot->now = next_run(slot);
  if (slot->now.fails) {
    sim_feed(s, &(struct machine_input){.kind = IN_SPAWN_FAILED,
                                        .slot = index,
                                        .stage = slot->now.error == EAGAIN ? SPAWN_FORK : SPAWN_EXEC,
                                        .error = slot->now.error});
    return;
  }
  slot->running = true;
  slot->started_ns = s->now;
  slot->status = slot->now.status;
  slot->end_ns = slot->now.runs_ns == TIME_NEVER ? TIME_NEVER : s->now + slot->now.runs_ns;
  sim_feed(s, &(struct machine_input){.kind = IN_STARTED, .slot = index});
}

static void kill_slot(struct sim *s, const struct machine_action *a) {
  struct sim_slot *slot = &s->slots[a->slot];
  bool kill = a->signal == SIGNAL_KILL;
  if (!slot->running || (!kill && slot->now.stops_ns == TIME_NEVER)) return;
  int64_t end = s->now + (kill ? 0 : slot->now.stops_ns);
  if (end >= slot->end_ns) return;
  slot->end_ns = end;
  slot->status = kill || slot->now.stop_exit < 0 ? a->signal : slot->now.stop_exit << 8;
}

static void end_process(struct sim *s, uint32_t index) {
  struct sim_slot *slot = &s->slots[index];
  bool own = slot->status == slot->now.status;
  slot->running = false;
  slot->end_ns = TIME_NEVER;
  sim_feed(s, &(struct machine_input){.kind = IN_EXITED,
                                      .slot = index,
                                      .status = slot->status,
                                      .oom = own && slot->now.oom,
                                      .dependency_bad = sim_dependencies_bad(s)});
}

/* --- the machine's actions --------------------------------------------------------------------------------------- */

static void carry_out(struct sim *s, const struct machine_action *a) {
  switch (a->kind) {
    case ACT_STATE:
      sim_tell_state(s, a);
      break;
    case ACT_EVENT:
      sim_tell_machine(s, a);
      break;
    case ACT_VALIDATE:
      sim_feed(s, &(struct machine_input){.kind = IN_VALIDATED, .ok = true});
      break;
    case ACT_CHECK_DEPENDENCIES:
      sim_dependencies_begin(s, a->on);
      break;
    case ACT_CANCEL_DEPENDENCIES:
      sim_dependencies_stop(s);
      break;
    case ACT_SPAWN:
      spawn(s, a->slot);
      break;
    case ACT_START_CHECK:
      sim_health_start(s, (size_t)s->slots[a->slot].startup);
      break;
    case ACT_CANCEL_CHECK:
      sim_health_stop(s, (size_t)s->slots[a->slot].startup);
      break;
    case ACT_KILL:
      kill_slot(s, a);
      break;
    case ACT_SWEEP:
      sim_feed(s, &(struct machine_input){.kind = IN_SWEPT});
      break;
    case ACT_HOOKS:
      sim_feed(s, &(struct machine_input){.kind = IN_HOOKS_DONE, .ok = true});
      break;
    case ACT_CLEANUP:
      sim_feed(s, &(struct machine_input){.kind = IN_CLEANED, .ok = true});
      break;
    case ACT_REPORT:
      sim_feed(s, &(struct machine_input){.kind = IN_REPORTED, .ok = true});
      break;
    case ACT_EXIT:
      s->ended = true;
      s->exit_code = a->exit_code;
      break;
    case ACT_CANCEL_HOOKS:
    case ACT_CANCEL_CLEANUP:
    case ACT_REMEMBER_STOP:
    case ACTIONS:
      break;
  }
}

static void note_states(struct sim *s) {
  static const char marks[INSTANCES] = {[INSTANCE_DOWN] = '.',     [INSTANCE_SPAWNING] = '~', [INSTANCE_STARTING] = '~',
                                        [INSTANCE_UP] = '=',       [INSTANCE_STOPPING] = '>', [INSTANCE_BACKOFF] = '-',
                                        [INSTANCE_INTERVAL] = '.', [INSTANCE_DONE] = '.',     [INSTANCE_FAILED] = '!'};
  for (uint32_t i = 0; i < s->slots_n; i++) {
    struct instance_view v;
    sim_slot_view(s, i, &v);
    timeline_set(s->out, s->slots[i].row, s->now - SIM_BEGIN_NS, instance_state_name(v.state), marks[v.state]);
  }
}

/* Inputs that arise while one is carried out wait for their own step. */
void sim_feed(struct sim *s, const struct machine_input *in) {
  if (s->queue_n == SIM_QUEUE) {
    s->overflow = true;
    return;
  }
  s->queue[s->queue_n++] = *in;
  if (s->busy) return;
  s->busy = true;
  for (size_t i = 0; i < s->queue_n && !s->overflow; i++) {
    struct machine_input input = s->queue[i];
    struct machine_out out;
    machine_step(s->machine, &input, s->now, &out);
    for (unsigned k = 0; k < out.n; k++) carry_out(s, &out.action[k]);
  }
  s->queue_n = 0;
  s->busy = false;
  note_states(s);
  if (s->ended) return;
  sim_health_follow(s);
  sim_remedies_follow(s);
}

/* --- what comes from outside ------------------------------------------------------------------------------------- */

static void operate(struct sim *s, const struct scenario_order *o) {
  static const enum machine_input_kind kinds[] = {
      [ORDER_START] = IN_OPERATOR_START, [ORDER_STOP] = IN_OPERATOR_STOP, [ORDER_RESTART] = IN_OPERATOR_RESTART};
  static const char *const words[] = {[ORDER_START] = "start", [ORDER_STOP] = "stop", [ORDER_RESTART] = "restart"};
  struct sim_note n;
  sim_note(&n);
  json_str(&n.j, "op", words[o->kind]);
  if (o->process >= 0) json_str(&n.j, "process", s->plan->processes[o->process].name);
  sim_tell(s, event_name(EVENT_AUDIT), LEVEL_INFO, &n);
  sim_feed(s, &(struct machine_input){.kind = kinds[o->kind],
                                      .process = o->process < 0 ? MACHINE_ALL : (uint32_t)o->process});
}

static void give_order(struct sim *s, const struct scenario_order *o) {
  enum stop_level level = STOP_NONE;
  switch (o->kind) {
    case ORDER_SIGNAL:
      level = stopreq_note(&s->stopreq, o->signal, s->now);
      if (level)
        sim_feed(s,
                 &(struct machine_input){.kind = IN_STOP, .level = level, .cause = CAUSE_SIGNAL, .signal = o->signal});
      break;
    case ORDER_SHUTDOWN:
      sim_feed(s, &(struct machine_input){.kind = IN_STOP, .level = STOP_BEGIN, .cause = CAUSE_SHUTDOWN});
      break;
    case ORDER_START:
    case ORDER_STOP:
    case ORDER_RESTART:
      operate(s, o);
      break;
    case ORDER_MAINTENANCE:
      sim_remedy_feed(
          s, &(struct remedy_input){.kind = REMEDY_IN_MAINTENANCE,
                                    .on = o->lasts_ns > 0,
                                    .until_ns = o->lasts_ns == TIME_NEVER ? TIME_NEVER : s->now + o->lasts_ns});
      break;
    case ORDER_REMEDIATE:
      sim_remedy_feed(s,
                      &(struct remedy_input){.kind = REMEDY_IN_ASK, .rule = (uint16_t)o->remedy, .step = REMEDY_NONE});
      break;
  }
}

/* --- time -------------------------------------------------------------------------------------------------------- */

static int64_t order_due(const struct sim *s) {
  const struct scenario *x = s->in->scenario;
  return s->order < x->orders_n ? x->orders[s->order].at_ns + SIM_BEGIN_NS : TIME_NEVER;
}

/* The first of those that are due, in this order: ends of processes, what follows, and what comes from outside last. A
 * recorded run tells whole milliseconds: what tend was told in the same one as an end, it was told after it. */
static int64_t turn(struct sim *s, bool act) {
  uint32_t ending = UINT32_MAX;
  int64_t end = TIME_NEVER;
  for (uint32_t i = 0; i < s->slots_n; i++)
    if (s->slots[i].running && s->slots[i].end_ns < end) {
      end = s->slots[i].end_ns;
      ending = i;
    }
  const int64_t due[] = {
      end, sim_dependencies_due(s), sim_health_due(s), sim_remedies_due(s), machine_due_ns(s->machine), order_due(s)};
  unsigned first = 0;
  for (unsigned i = 1; i < ARRAY_LEN(due); i++)
    if (due[i] < due[first]) first = i;
  if (!act) return due[first];
  if (first == 0)
    end_process(s, ending);
  else if (first == 1)
    sim_dependencies_turn(s);
  else if (first == 2)
    sim_health_turn(s);
  else if (first == 3)
    sim_remedies_turn(s);
  else if (first == 4)
    sim_feed(s, &(struct machine_input){.kind = IN_TICK});
  else
    give_order(s, &s->in->scenario->orders[s->order++]);
  return 0;
}

static bool run(struct sim *s) {
  sim_feed(s, &(struct machine_input){.kind = IN_BEGIN});
  for (unsigned steps = 0; !s->ended; steps++) {
    if (steps == STEPS_MAX || s->out->n > ENTRIES_MAX || s->overflow) return false;
    int64_t due = turn(s, false);
    if (due > s->end_ns) break;
    if (due > s->now) s->now = due;
    turn(s, true);
  }
  if (!s->ended) s->now = s->end_ns;
  return true;
}

/* --- making ------------------------------------------------------------------------------------------------------ */

/* An instance's own list wins over that of all. */
static const struct scenario_process *runs_of(const struct sim *s, uint32_t slot) {
  const struct scenario *x = s->in->scenario;
  const struct scenario_process *found = NULL;
  for (size_t i = 0; i < x->processes_n; i++) {
    const struct scenario_process *p = &x->processes[i];
    if (p->process != machine_slot_process(s->machine, slot)) continue;
    if (p->instance == (int)machine_slot_instance(s->machine, slot)) return p;
    if (p->instance < 0) found = p;
  }
  return found;
}

static int make(struct sim *s) {
  s->machine = machine_new(s->in->machine, s->in->scenario->seed);
  if (!s->machine) return -EINVAL;
  s->slots_n = machine_slots(s->machine);
  s->slots = calloc(s->slots_n, sizeof *s->slots);
  if (!s->slots) return -ENOMEM;
  s->row = timeline_row(s->out, "container");
  timeline_set(s->out, s->row, 0, machine_state_name(STATE_INITIALIZING), '.');
  for (uint32_t i = 0; i < s->slots_n; i++) {
    char name[2 * LIMIT_NAME];
    bool several = plan_slots(&s->plan->processes[machine_slot_process(s->machine, i)]) > 1;
    snprintf(name, sizeof name, "%s", sim_process_name(s, i));
    if (several) snprintf(name, sizeof name, "%s/%u", sim_process_name(s, i), machine_slot_instance(s->machine, i));
    s->slots[i] = (struct sim_slot){
        .runs = runs_of(s, i), .end_ns = TIME_NEVER, .startup = -1, .row = timeline_row(s->out, name)};
  }
  int rc = sim_health_new(s);
  return rc ? rc : sim_remedies_new(s);
}

static void forget_healing(struct scenario *x) {
  for (size_t i = 0; i < x->dependencies_n; i++)
    for (size_t k = 0; k < x->dependencies[i].n; k++) x->dependencies[i].entries[k].healed_ns = -1;
  for (size_t i = 0; i < x->checks_n; i++)
    for (size_t k = 0; k < x->checks[i].n; k++) x->checks[i].entries[k].healed_ns = -1;
  for (size_t i = 0; i < x->scale_n; i++)
    for (size_t k = 0; k < x->scale[i].n; k++) x->scale[i].entries[k].healed_ns = -1;
}

static void look_back(struct sim *s, bool whole, struct simulate_end *end) {
  struct machine_view m;
  machine_view(s->machine, &m);
  *end = (struct simulate_end){.at_ns = s->now - SIM_BEGIN_NS,
                               .exited = s->ended,
                               .exit_code = s->exit_code,
                               .too_much = !whole,
                               .state = m.state,
                               .health = sim_health(s),
                               .restarts = m.restarts,
                               .remedies = s->remedies};
  s->out->end_ns = end->at_ns;
}

int simulate(const struct simulation *what, struct timeline *out, struct simulate_end *end) {
  *out = (struct timeline){0};
  struct sim *s = calloc(1, sizeof *s);
  if (!s) return -ENOMEM;
  *s = (struct sim){.in = what, .plan = what->plan, .out = out, .now = SIM_BEGIN_NS, .healthy = true};
  s->end_ns = SIM_BEGIN_NS + what->scenario->lasts_ns;
  forget_healing(what->scenario);
  int rc = make(s);
  if (rc == 0) {
    bool whole = run(s);
    look_back(s, whole, end);
    if (out->failed || s->memory) rc = -ENOMEM;
  }
  sim_remedies_free(s);
  machine_free(s->machine);
  free(s->slots);
  free(s->checks);
  free(s->dependencies);
  free(s->standings);
  free(s);
  return rc;
}
