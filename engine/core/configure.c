#include "core/configure.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static int64_t or_setting(int64_t value, int64_t setting) { return value == PLAN_UNSET ? setting : value; }

static struct restart_config restart_of(const struct plan_restart *p, const struct settings *s) {
  return (struct restart_config){
      .policy = (enum restart_policy)or_setting(p->policy, settings_choice(s, SET_RESTART_POLICY)),
      .max_attempts = (unsigned)or_setting(p->max_attempts, settings_int(s, SET_MAX_RESTART_ATTEMPTS)),
      .base_ns = or_setting(p->delay_ns, settings_ns(s, SET_RESTART_DELAY_SECONDS)),
      .max_ns = or_setting(p->max_delay_ns, settings_ns(s, SET_MAX_RESTART_DELAY_SECONDS)),
      .exponential = or_setting(p->exponential, settings_bool(s, SET_RESTART_EXPONENTIAL_BACKOFF)),
      .jitter_percent = (unsigned)or_setting(p->jitter_percent, settings_int(s, SET_RESTART_JITTER_PERCENT)),
      .window_ns = or_setting(p->window_ns, settings_ns(s, SET_RESTART_WINDOW_MINUTES)),
      .reset_ns = or_setting(p->reset_ns, settings_ns(s, SET_RESTART_RESET_SECONDS)),
  };
}

/* main has the container's mode; others are there to serve unless they say otherwise */
static enum execution_mode mode_of(const struct plan *plan, size_t i, const struct settings *s) {
  int given = plan->processes[i].mode;
  if (given != PLAN_UNSET) return (enum execution_mode)given;
  return i == plan->main ? (enum execution_mode)settings_choice(s, SET_EXECUTION_MODE) : MODE_SERVER;
}

struct lifecycle_how {
  struct lifecycle_how *next;
  const struct plan_process *of; /* one that has it */
  struct machine_how how;
  struct stop_step steps[]; /* of how */
};

/* The plan has what is the same once. */
static bool is_alike(const struct lifecycle_how *h, const struct plan_process *p, enum execution_mode mode) {
  const struct plan_process *q = h->of;
  return h->how.mode == mode && p->interval_ns == q->interval_ns && p->restart == q->restart &&
         p->success_set == q->success_set && p->stop == q->stop && p->start_timeout_ns == q->start_timeout_ns;
}

static struct lifecycle_how *how_new(const struct plan_process *p, enum execution_mode mode, const struct settings *s) {
  const struct plan_stop *stop = p->stop;
  struct lifecycle_how *h = calloc(1, sizeof *h + stop->ladder_n * sizeof *h->steps);
  if (!h) return NULL;
  for (size_t k = 0; k < stop->ladder_n; k++)
    h->steps[k] = (struct stop_step){stop->ladder[k].signal, or_setting(stop->ladder[k].wait_ns, 0)};
  h->of = p;
  h->how = (struct machine_how){.mode = mode,
                                .interval_ns = or_setting(p->interval_ns, settings_ns(s, SET_EXECUTION_INTERVAL)),
                                .restart = restart_of(p->restart, s),
                                .rules = p->restart->rules,
                                .n_rules = (unsigned)p->restart->rules_n,
                                .stop = h->steps,
                                .n_stop = (unsigned)stop->ladder_n,
                                .stop_group = stop->group,
                                .stop_timeout_ns = or_setting(stop->timeout_ns, 0),
                                .start_timeout_ns = or_setting(p->start_timeout_ns, 0)};
  memcpy(h->how.success, p->success_set, sizeof h->how.success);
  return h;
}

/* main's is its own: tty changes it. NULL: no memory. */
static struct machine_how *how_of(struct lifecycle *l, const struct plan *plan, size_t i, const struct settings *s) {
  enum { LOOKED_AT = 8 };
  const struct plan_process *p = &plan->processes[i];
  enum execution_mode mode = mode_of(plan, i, s);
  struct lifecycle_how *h = i == plan->main ? NULL : l->how;
  for (int k = 0; h && k < LOOKED_AT; h = h->next, k++)
    if (h->of != &plan->processes[plan->main] && is_alike(h, p, mode)) return &h->how;
  if (!(h = how_new(p, mode, s))) return NULL;
  h->next = l->how;
  l->how = h;
  return &h->how;
}

static struct machine_process process_of(const struct plan *plan, size_t i, const struct machine_how *how) {
  const struct plan_process *p = &plan->processes[i];
  return (struct machine_process){.name = p->name,
                                  .how = how,
                                  .instances = plan_slots(p),
                                  .running = p->instances,
                                  .after = p->after,
                                  .n_after = (unsigned)p->after_n,
                                  .main = i == plan->main,
                                  .essential = p->essential,
                                  .has_startup_check = p->startup != NULL};
}

/* Ctrl-C at a terminal of its own is how a person ends main. */
static bool add_tty_rule(struct lifecycle *l, struct machine_how *main) {
  enum { SIGNAL_INT = 2 };
  l->tty_rules = calloc(main->n_rules + 1, sizeof *l->tty_rules);
  if (!l->tty_rules) return false;
  l->tty_rules[0] = (struct restart_rule){.signals = 1U << (SIGNAL_INT - 1), .action = RULE_STOP};
  if (main->n_rules) memcpy(l->tty_rules + 1, main->rules, main->n_rules * sizeof *main->rules);
  main->rules = l->tty_rules;
  main->n_rules++;
  return true;
}

struct lifecycle *lifecycle_new(const struct plan *plan, const struct settings *settings, bool simple, bool tty) {
  struct lifecycle *l = calloc(1, sizeof *l);
  if (!l) return NULL;
  l->process = calloc(plan->processes_n, sizeof *l->process);
  bool whole = l->process != NULL;
  for (size_t i = 0; whole && i < plan->processes_n; i++) {
    struct machine_how *how = how_of(l, plan, i, settings);
    whole = how && (i != plan->main || !tty || add_tty_rule(l, how));
    l->process[i] = process_of(plan, i, how);
  }
  if (!whole) {
    lifecycle_free(l);
    return NULL;
  }
  unsigned hooks = (unsigned)(plan->hooks[PLAN_HOOK_DRAIN].n + plan->hooks[PLAN_HOOK_STOP].n);
  l->config = (struct machine_config){
      .simple = simple,
      .on_failure = (enum on_failure)settings_choice(settings, SET_ON_FAILURE),
      .shutdown_timeout_ns = settings_ns(settings, SET_SHUTDOWN_TIMEOUT_SECONDS),
      .drain_ns = settings_ns(settings, SET_SHUTDOWN_DRAIN_SECONDS),
      .hooks = hooks,
      .cleanups = (unsigned)plan->cleanup_n,
      .processes = (unsigned)plan->processes_n,
      .process = l->process,
  };
  return l;
}

void lifecycle_free(struct lifecycle *l) {
  if (!l) return;
  for (struct lifecycle_how *h = l->how, *next; h; h = next) {
    next = h->next;
    free(h);
  }
  free(l->process);
  free(l->tty_rules);
  free(l);
}
