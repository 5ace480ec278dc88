/* The swap: another plan and other settings under everything that runs. What can fail is made first; from then on there
 * is no way back, and no memory means a new engine. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "supervisor/from_plan.h"
#include "supervisor/reload_impl.h"

/* --- what differs ------------------------------------------------------------------------------------------------ */

static uint64_t identity(void *policy, int fn) {
  const struct policy *p = policy;
  return p->identity(p->self, fn);
}

static struct diff_side side(const struct generation *g) {
  return (struct diff_side){g->plan, g->policy ? identity : NULL, (void *)g->policy};
}

static bool same(const char *a, const char *b) { return a == b || (a && b && STR_EQ(a, b)); }

static void compare_settings(struct plan_diff *d, const struct settings *from, const struct settings *to) {
  struct setting_view a, b;
  for (size_t i = 0; settings_at(to, i, &b); i++) {
    char keys[160];
    if (!settings_view(from, b.def->name, &a)) {
      plan_diff_add(d, DIFF_SETTING, DIFF_ADDED, b.def->name, NULL, DIFF_AT_ONCE);
    } else if (b.waits) {
      plan_diff_add(d, DIFF_SETTING, DIFF_CHANGED, b.def->name, NULL, DIFF_NEXT_START);
    } else if (!same(a.text, b.text)) {
      snprintf(keys, sizeof keys, "%.60s, now %.60s", a.shown ? a.shown : "none", b.shown ? b.shown : "none");
      plan_diff_add(d, DIFF_SETTING, DIFF_CHANGED, b.def->name, keys, DIFF_AT_ONCE);
    }
  }
  for (size_t i = 0; settings_at(from, i, &a); i++)
    if (!settings_view(to, a.def->name, &b))
      plan_diff_add(d, DIFF_SETTING, DIFF_REMOVED, a.def->name, NULL, DIFF_AT_ONCE);
}

struct plan_diff *reload_compare(const struct reload *r, const struct generation *to) {
  const struct diff_side a = side(r->now), b = side(to);
  struct plan_diff *d = plan_diff_new(&a, &b);
  if (!d) return NULL;
  compare_settings(d, r->now->settings, to->settings);
  if (!d->no_memory) return d;
  plan_diff_free(d);
  return NULL;
}

/* --- processes --------------------------------------------------------------------------------------------------- */

static void swap_free(struct swap *x) {
  free(x->gone);
  free(x->old);
  free(x->old_slot);
  free(x->slots);
  machine_free(x->machine);
  lifecycle_free(x->lifecycle);
}

/* Something of it runs, or may be left of its last run. */
static bool is_there(const struct supervisor *s, uint32_t slot) {
  struct instance_view v;
  machine_instance(s->machine, slot, clock_mono_ns(), &v);
  return s->slots[slot].pid || v.rests || v.state == INSTANCE_SPAWNING || v.state == INSTANCE_STARTING ||
         v.state == INSTANCE_UP || v.state == INSTANCE_STOPPING;
}

static unsigned count_there(const struct supervisor *s, size_t process) {
  unsigned n = 0; /* up to the last one */
  for (uint32_t i = 0; i < s->n_slots; i++)
    if (machine_slot_process(s->machine, i) == process && is_there(s, i)) n = machine_slot_instance(s->machine, i) + 1;
  return n;
}

static bool is_mapped(const struct swap *x, size_t old) {
  for (size_t i = 0; i < x->own; i++)
    if (x->diff->process[i] == (int)old) return true;
  return false;
}

/* What runs and is in the flow no more stays in the plan until it has ended. */
static int keep_running(struct swap *x, struct err *err) {
  struct supervisor *s = x->s;
  plan_forget_retired(x->to);
  x->own = x->to->processes_n;
  x->gone = calloc(x->from->processes_n + 1, sizeof *x->gone);
  if (!x->gone) return -ENOMEM;
  for (size_t i = 0; i < x->from->processes_n; i++)
    if (!is_mapped(x, i) && count_there(s, i)) x->gone[x->n_gone++] = i;
  int rc = plan_retire(x->to, x->from, x->gone, x->n_gone);
  if (rc == -E2BIG) err_set(err, rc, "with the processes that are still being stopped there are too many");
  if (rc) return rc;
  for (size_t i = 0; i < x->own; i++) {
    struct plan_process *p = &x->to->processes[i];
    unsigned n = x->diff->process[i] < 0 ? 0 : count_there(s, (size_t)x->diff->process[i]);
    if (n > plan_slots(p)) p->extra = n - plan_slots(p);
  }
  x->old = calloc(x->to->processes_n + 1, sizeof *x->old);
  if (!x->old) return -ENOMEM;
  for (size_t i = 0; i < x->to->processes_n; i++) {
    int old = i < x->own ? x->diff->process[i] : (int)x->gone[i - x->own];
    x->old[i] = old < 0 ? MACHINE_ALL : (uint32_t)old;
  }
  return 0;
}

static int make_machine(struct swap *x, struct err *err) {
  struct supervisor *s = x->s;
  x->lifecycle = lifecycle_new(x->to, s->o.settings, s->o.simple, s->o.tty);
  if (!x->lifecycle) return -ENOMEM;
  x->machine = machine_new(&x->lifecycle->config, 1);
  if (!x->machine) {
    err_set(err, -E2BIG, "with what is still being stopped there are too many processes");
    return -E2BIG;
  }
  machine_adopt(x->machine, s->machine, x->old);
  unsigned n = machine_slots(x->machine);
  x->slots = calloc(n, sizeof *x->slots);
  x->old_slot = calloc(n, sizeof *x->old_slot);
  if (!x->slots || !x->old_slot) return -ENOMEM;
  for (uint32_t i = 0; i < n; i++) {
    unsigned process = machine_slot_process(x->machine, i), instance = machine_slot_instance(x->machine, i);
    uint32_t old = x->old[process];
    bool had = old != MACHINE_ALL && instance < s->lifecycle->config.process[old].instances;
    x->old_slot[i] = had ? machine_slot(s->machine, old, instance) : UINT32_MAX;
    x->slots[i] = had ? s->slots[x->old_slot[i]] : (struct slot){0};
    x->slots[i].sup = s;
    x->slots[i].index = i;
    x->slots[i].startup = -1;
    x->slots[i].news = true;
  }
  return 0;
}

static void take_machine(struct swap *x) {
  struct supervisor *s = x->s;
  struct machine *machine = s->machine;
  struct lifecycle *lifecycle = s->lifecycle;
  struct slot *slots = s->slots;
  for (uint32_t i = 0; i < machine_slots(x->machine); i++)
    if (x->old_slot[i] != UINT32_MAX) slots[x->old_slot[i]].end = NULL; /* it is the new one's */
  for (uint32_t i = 0; i < s->n_slots; i++) free(slots[i].end);
  s->machine = x->machine;
  s->lifecycle = x->lifecycle;
  s->slots = x->slots;
  s->n_slots = machine_slots(s->machine);
  x->machine = machine;
  x->lifecycle = lifecycle;
  x->slots = slots;
  for (uint32_t i = 0; i < s->n_slots; i++)
    if (s->slots[i].child) children_rebind(s->o.children, s->slots[i].child, &s->slots[i]);
  s->plan_stale = true;
}

/* Who waits for a process knows it by its number. */
static void renumber_waiters(struct swap *x) {
  for (struct waiter *w = x->s->waiters; w; w = w->next) {
    if (w->process == UINT_MAX) continue;
    unsigned was = w->process;
    w->process = 0;
    for (unsigned i = 0; i < x->to->processes_n; i++)
      if (x->old[i] == was) w->process = i;
  }
}

/* --- what begins and ends ---------------------------------------------------------------------------------------- */

static bool is_living(const struct supervisor *s) {
  struct machine_view v;
  machine_view(s->machine, &v);
  return v.state == STATE_STARTING || v.state == STATE_RUNNING || v.state == STATE_RESTARTING;
}

static void feed(struct supervisor *s, enum machine_input_kind kind, size_t process) {
  supervisor_feed_later(s, &(struct machine_input){.kind = kind,
                                                   .process = (uint32_t)process,
                                                   .cause = kind == IN_OPERATOR_RESTART ? CAUSE_RELOAD : CAUSE_NONE});
}

/* Where the flow itself names another number, that one counts; else what scaling has made of it. */
static void feed_number(struct swap *x, size_t i) {
  const struct plan_process *p = &x->to->processes[i];
  if (i == x->to->main || (x->diff->scale[i] && !p->extra)) return;
  struct machine_input in = {.kind = IN_SCALE, .process = (uint32_t)i, .count = p->instances};
  supervisor_feed_later(x->s, &in);
}

/* One that an operator has stopped stays so; one that waits for its next run has the new command then. */
static bool wants_restart(const struct swap *x, size_t process) {
  const struct supervisor *s = x->s;
  bool any = false;
  for (uint32_t i = 0; i < s->n_slots && x->diff->restart[process]; i++) {
    struct instance_view v;
    if (machine_slot_process(s->machine, i) != process) continue;
    machine_instance(s->machine, i, clock_mono_ns(), &v);
    any |= !v.held && v.state != INSTANCE_DOWN && v.state != INSTANCE_INTERVAL && v.state != INSTANCE_DONE;
  }
  return any;
}

static void feed_all(struct swap *x) {
  struct supervisor *s = x->s;
  bool living = is_living(s);
  for (size_t i = 0; i < x->own && living; i++) {
    int old = x->diff->process[i];
    if (old < 0 || x->from->processes[old].retired) {
      feed(s, IN_OPERATOR_START, i);
      continue;
    }
    feed_number(x, i);
    if (wants_restart(x, i)) feed(s, IN_OPERATOR_RESTART, i);
  }
  supervisor_feed_later(s, &(struct machine_input){.kind = IN_TICK});
}

/* Of those that were taken away: nobody that comes after it is still there. */
static bool is_next_to_stop(const struct supervisor *s, size_t process) {
  const struct plan *plan = s->o.plan;
  for (size_t i = 0; i < plan->processes_n; i++) {
    const struct plan_process *p = &plan->processes[i];
    if (!p->retired || !count_there(s, i)) continue;
    for (size_t k = 0; k < p->after_n; k++)
      if (p->after[k] == process) return false;
  }
  return true;
}

static bool is_being_stopped(const struct supervisor *s, size_t process) {
  for (uint32_t i = 0; i < s->n_slots; i++) {
    struct instance_view v;
    if (machine_slot_process(s->machine, i) != process) continue;
    machine_instance(s->machine, i, clock_mono_ns(), &v);
    if (v.state == INSTANCE_SPAWNING || v.state == INSTANCE_STARTING || v.state == INSTANCE_UP) return false;
  }
  return true;
}

static bool has_leftovers(const struct plan *plan) {
  for (size_t i = 0; i < plan->processes_n; i++)
    if (plan->processes[i].retired || plan->processes[i].extra) return true;
  return false;
}

/* Everything of them is gone: the plan can be its flow's alone. */
static bool all_gone(const struct supervisor *s) {
  const struct plan *plan = s->o.plan;
  for (size_t i = 0; i < plan->processes_n; i++) {
    const struct plan_process *p = &plan->processes[i];
    if (p->retired ? count_there(s, i) : p->extra && count_there(s, i) > plan_slots(p) - p->extra) return false;
  }
  return true;
}

/* ----------------------------------------------------------------------------------------------------------------- */

static int swap_plan(struct reload *r, struct generation *to, const struct plan_diff *diff, struct err *err) {
  struct supervisor *s = r->s;
  struct swap x = {.s = s, .diff = diff, .from = r->now->plan, .to = to->plan};
  bool other = to != r->now;
  if (other) r->make->activate(r->make->self, r->now, to);
  int rc = keep_running(&x, err);
  if (!rc) rc = make_machine(&x, err);
  if (rc) {
    if (other) r->make->activate(r->make->self, to, r->now);
    swap_free(&x);
    return err->code ? rc : err_set(err, rc, "out of memory");
  }
  r->now = to;
  s->o.plan = to->plan;
  s->o.policy = to->policy;
  s->o.problems = to->problems;
  s->cleanup_env.policy = to->policy;
  take_machine(&x);
  renumber_waiters(&x);
  reload_take_checks(&x);
  feed_all(&x);
  swap_free(&x);
  return 0;
}

static void watch_directories(struct supervisor *s) {
  struct problems ignored = {0};
  struct validate_result found = {0};
  from_plan_validate(s->o.plan, s->o.settings, false, &ignored, &found);
  disks_free(s->disks);
  s->disks = NULL;
  supervisor_watch_disks(s, &found);
  validate_result_free(&found);
  problems_free(&ignored);
}

static void settle(struct supervisor *s) {
  supervisor_judge(s);
  timer_at(s->due, machine_due_ns(s->machine));
  supervisor_feed_health(s);
  if (s->sockets_kept) supervisor_keep_sockets(s);
}

int reload_swap(struct reload *r, struct generation *to, const struct plan_diff *diff, struct err *err) {
  struct supervisor *s = r->s;
  supervisor_settle_hooks(s);
  supervisor_judge(s);
  int rc = swap_plan(r, to, diff, err);
  if (rc) return rc;
  if (diff->directories && s->disks) watch_directories(s);
  supervisor_health_follow(s);
  supervisor_remedies_follow(s);
  settle(s);
  reload_swept(r);
  if (s->o.revival) s->o.revival->safe = false; /* scripts that were loaded by now */
  supervisor_keep_policy(s);
  supervisor_tell_init(s); /* before anybody hears that it is done: a stop right after it has the new hooks */
  return 0;
}

void reload_swept(struct reload *r) {
  struct supervisor *s = r->s;
  if (!has_leftovers(s->o.plan) || !machine_can_adopt(s->machine)) return;
  if (!all_gone(s)) {
    for (size_t i = 0; i < s->o.plan->processes_n; i++)
      if (s->o.plan->processes[i].retired && !is_being_stopped(s, i) && is_next_to_stop(s, i))
        supervisor_feed(s, &(struct machine_input){.kind = IN_OPERATOR_STOP, .process = (uint32_t)i});
    return;
  }
  /* the same plan without them: nothing differs */
  struct err err = ERR_INIT;
  struct plan_diff *none = reload_compare(r, r->now);
  if (!none || swap_plan(r, r->now, none, &err)) reload_out_of_memory(s);
  plan_diff_free(none);
  settle(s);
}
