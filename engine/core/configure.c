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

static void process_of(const struct plan *plan, size_t i, const struct settings *s, struct machine_process *m,
                       struct stop_step *steps) {
  const struct plan_process *p = &plan->processes[i];
  m->name = p->name;
  m->main = i == plan->main;
  m->essential = p->essential;
  m->instances = plan_slots(p);
  m->running = p->instances;
  m->after = p->after;
  m->n_after = (unsigned)p->after_n;
  m->mode = mode_of(plan, i, s);
  m->interval_ns = or_setting(p->interval_ns, settings_ns(s, SET_EXECUTION_INTERVAL));
  m->restart = restart_of(&p->restart, s);
  m->rules = p->restart.rules;
  m->n_rules = (unsigned)p->restart.rules_n;
  memcpy(m->success, p->success_set, sizeof m->success);
  for (size_t k = 0; k < p->stop.ladder_n; k++)
    steps[k] = (struct stop_step){p->stop.ladder[k].signal, or_setting(p->stop.ladder[k].wait_ns, 0)};
  m->stop = steps;
  m->n_stop = (unsigned)p->stop.ladder_n;
  m->stop_group = p->stop.group;
  m->stop_timeout_ns = or_setting(p->stop.timeout_ns, 0);
  m->start_timeout_ns = or_setting(p->start_timeout_ns, 0);
  m->has_startup_check = p->startup != NULL;
}

/* Ctrl-C at a terminal of its own is how a person ends main. */
static bool add_tty_rule(struct lifecycle *l, struct machine_process *main) {
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
  size_t steps = 0;
  for (size_t i = 0; i < plan->processes_n; i++) steps += plan->processes[i].stop.ladder_n;
  l->steps = calloc(steps + 1, sizeof *l->steps);
  if (!l->process || !l->steps) {
    lifecycle_free(l);
    return NULL;
  }
  struct stop_step *step = l->steps;
  for (size_t i = 0; i < plan->processes_n; i++) {
    process_of(plan, i, settings, &l->process[i], step);
    step += plan->processes[i].stop.ladder_n;
  }
  if (tty && !add_tty_rule(l, &l->process[plan->main])) {
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
  free(l->process);
  free(l->steps);
  free(l->tty_rules);
  free(l);
}
