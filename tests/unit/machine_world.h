/* A small simulated world for random walks of the machine: it answers the machine's actions after a while, or never,
 * lets virtual time pass, and holds every action against what must be true (the comments that begin with "must").
 */
#ifndef TESTS_MACHINE_WORLD_H
#define TESTS_MACHINE_WORLD_H

#include "core/shutdown.h"
#include "machine_trace.h"

enum { WORLD_PROCESSES = 4, WORLD_SLOTS = 8, WORLD_TIMES = 128 };

enum child_state { CHILD_NONE, CHILD_PENDING, CHILD_RUNNING };

struct child {
  enum child_state state;
  int64_t at; /* when it starts (PENDING) or ends (RUNNING) */
  int status;
  int64_t check_at; /* answer of the start-up check */
  bool signalled, killed, deaf, stuck, ever;
  bool by_init; /* its first stop signal came from init */
  int64_t started_at;
  uint64_t sent;
  /* what the machine must do with it */
  int64_t not_before;
  unsigned attempt;
  bool may_reset;
  int64_t times[WORLD_TIMES]; /* of its restarts */
  unsigned n_times;
};

struct world {
  struct machine *m;
  struct machine_config config;
  struct machine_process process[WORLD_PROCESSES];
  struct machine_how how[WORLD_PROCESSES];
  uint16_t after[WORLD_PROCESSES][WORLD_PROCESSES];
  struct stop_step ladder[WORLD_PROCESSES][2];
  struct restart_rule rule[WORLD_PROCESSES];
  struct child child[WORLD_SLOTS];
  unsigned slots;
  uint64_t seed;
  int64_t now;
  uint64_t steps;
  enum machine_input_kind feeding;
  enum machine_state state;
  /* answers that are due; TIME_NEVER: none */
  int64_t validated_at, dependencies_at, hooks_at, swept_at, cleaned_at, reported_at;
  bool mute; /* this world answers nothing but starts and ends */
  unsigned leftovers;
  int64_t pass_not_before;
  int64_t stop_at; /* the first STOP; TIME_NEVER: not yet */
  enum stop_level level;
  bool orderly; /* the stop began with everything running */
  unsigned initiated, completed;
  bool failed, ended;
  int code;
};

/* --- small change --- */

static inline uint64_t any(struct world *w, uint64_t below) { return random_below(&w->seed, below); }
static inline bool chance(struct world *w, unsigned percent) { return any(w, 100) < percent; }
static inline int64_t moment(struct world *w, int64_t most) { return w->now + 1 + (int64_t)any(w, (uint64_t)most); }

#define MUST(w, condition) \
  do { \
    if (!(condition)) \
      fail_msg("step %llu, %s in %s: not true: %s", (unsigned long long)(w)->steps, machine_input_name((w)->feeding), \
               machine_state_name((w)->state), #condition); \
  } while (0)

static inline const struct machine_process *process_of(const struct world *w, uint32_t slot) {
  return &w->process[machine_slot_process(w->m, slot)];
}

/* --- the checks of what is told --- */

static inline void check_transition(struct world *w, const struct machine_action *a) {
  static const unsigned allowed[STATES] = {
      [STATE_INITIALIZING] = 1 << STATE_STARTING | 1 << STATE_STOPPED | 1 << STATE_STOPPING,
      [STATE_STARTING] = 1 << STATE_RUNNING | 1 << STATE_STOPPING | 1 << STATE_FAILED | 1 << STATE_RESTARTING,
      [STATE_RUNNING] = 1 << STATE_STOPPING | 1 << STATE_FAILED | 1 << STATE_RESTARTING,
      [STATE_STOPPING] = 1 << STATE_STOPPED,
      [STATE_STOPPED] = 1 << STATE_STARTING | 1 << STATE_STOPPING,
      [STATE_FAILED] = 1 << STATE_RESTARTING | 1 << STATE_STOPPING | 1 << STATE_STARTING,
      [STATE_RESTARTING] = 1 << STATE_STARTING | 1 << STATE_STOPPING | 1 << STATE_FAILED,
  };
  MUST(w, a->from == w->state); /* must: each change is told, once */
  MUST(w, allowed[a->from] >> a->to & 1);
  MUST(w, w->stop_at == TIME_NEVER || a->to == STATE_STOPPING || a->to == STATE_STOPPED); /* must: no way back */
  w->state = a->to;
  if (a->to == STATE_FAILED) w->failed = true;
  if (a->to == STATE_STARTING || a->to == STATE_RESTARTING) w->failed = false;
}

static inline int64_t formula(const struct restart_config *c, unsigned n) {
  int64_t delay = c->base_ns;
  if (!c->exponential) return delay;
  delay *= INT64_C(1) << (n < 5 ? n : 5);
  return delay > c->max_ns ? c->max_ns : delay;
}

static inline unsigned count_in_window(const struct child *c, const struct restart_config *config, int64_t now) {
  unsigned n = 0;
  for (unsigned i = 0; i < c->n_times; i++) n += now - c->times[i] < config->window_ns;
  return n;
}

static inline void check_restart(struct world *w, const struct machine_action *a) {
  if (a->cause == CAUSE_OPERATOR) { /* a manual one is outside of delay and window */
    MUST(w, a->delay_ns == 0 && a->attempt == 0);
    return;
  }
  uint32_t slot = a->slot != UINT32_MAX ? a->slot : UINT32_MAX;
  for (uint32_t i = 0; slot == UINT32_MAX; i++)
    if (process_of(w, i)->main) slot = i; /* a failed start counts on main's first instance */
  const struct restart_config *c = &process_of(w, slot)->how->restart;
  struct child *child = &w->child[slot];
  MUST(w, w->stop_at == TIME_NEVER); /* must: an asked-for stop is never followed by a restart */
  MUST(w, !w->config.simple);
  MUST(w, c->policy != RESTART_NO || process_of(w, slot)->how->n_rules);
  /* must: n goes up by one, and starts anew only with a reason to */
  MUST(w, a->attempt == child->attempt + 1 || (a->attempt == 1 && child->may_reset));
  MUST(w, a->reason != END_CLEAN || a->attempt == 1);
  int64_t delay = formula(c, a->attempt - 1);
  MUST(w, a->delay_ns >= delay && a->delay_ns <= delay + delay * c->jitter_percent / 100);
  /* must: the window never holds more than it may */
  if (child->n_times == WORLD_TIMES)
    memmove(child->times, child->times + 1, sizeof child->times - sizeof(int64_t));
  else
    child->n_times++;
  child->times[child->n_times - 1] = w->now;
  unsigned in_window = count_in_window(child, c, w->now);
  if (c->max_attempts) {
    MUST(w, a->in_window == in_window && in_window <= c->max_attempts);
  } else {
    MUST(w, a->in_window == (in_window < 64 ? in_window : 64));
  }
  const struct machine_process *p = process_of(w, slot);
  bool all = a->slot != UINT32_MAX && p->how->n_rules && p->how->rules->action == RULE_RESTART_ALL;
  for (uint32_t i = 0; all && i < w->slots; i++) { /* everything is made anew after this delay */
    w->child[i].not_before = 0;
    w->child[i].may_reset = true;
  }
  if (all) w->pass_not_before = 0;
  child->attempt = a->attempt;
  child->may_reset = false;
  if (a->slot == UINT32_MAX) w->pass_not_before = w->now + a->delay_ns;
  child->not_before = w->now + a->delay_ns;
}

static inline void check_failure(struct world *w, const struct machine_action *a) {
  if (!a->final || a->slot == UINT32_MAX || a->reason == END_EXEC_ERROR || a->reason == END_SYSTEM) return;
  const struct machine_process *p = process_of(w, a->slot);
  if (p->how->n_rules || w->config.simple || p->how->restart.policy == RESTART_NO) return;
  /* must: only a full window makes a failure final */
  MUST(w, p->how->restart.max_attempts &&
              count_in_window(&w->child[a->slot], &p->how->restart, w->now) == p->how->restart.max_attempts);
}

static inline void check_event(struct world *w, const struct machine_action *a) {
  struct instance_view v;
  switch (a->event) {
    case EVENT_STARTUP_INITIATED:
      MUST(w, w->state == STATE_STARTING && w->now >= w->pass_not_before);
      break;
    case EVENT_STARTUP_COMPLETED:
      MUST(w, w->state == STATE_RUNNING);
      break;
    case EVENT_RESTART_INITIATED:
      check_restart(w, a);
      break;
    case EVENT_FAILURE_DETECTED:
      check_failure(w, a);
      break;
    case EVENT_PROCESS_STARTED:
      MUST(w, w->feeding == IN_STARTED && w->child[a->slot].state == CHILD_RUNNING);
      break;
    case EVENT_PROCESS_EXITED:
      MUST(w, w->feeding == IN_EXITED && w->child[a->slot].state == CHILD_NONE);
      machine_instance(w->m, a->slot, w->now, &v);
      if (a->reason == END_CLEAN && process_of(w, a->slot)->how->mode == MODE_DAEMON &&
          !process_of(w, a->slot)->how->n_rules &&
          v.state != INSTANCE_DOWN) /* DOWN: everything is being stopped, and then begins anew */
        w->child[a->slot].not_before = w->now + process_of(w, a->slot)->how->interval_ns;
      break;
    case EVENT_SHUTDOWN_INITIATED:
      w->initiated++;
      break;
    case EVENT_SHUTDOWN_COMPLETED:
      w->completed++;
      MUST(w, w->initiated >= 1);
      break;
    default:
      break;
  }
}

/* --- carrying out --- */

static inline void check_order(struct world *w, uint32_t slot) {
  const struct machine_process *p = process_of(w, slot);
  for (unsigned k = 0; k < p->n_after; k++) {
    for (unsigned i = 0; i < w->process[p->after[k]].instances; i++) {
      struct instance_view v;
      uint32_t before = machine_slot(w->m, p->after[k], i);
      machine_instance(w->m, before, w->now, &v);
      if (v.spare) continue;
      /* it may have gone on to its next run in the same step */
      if (v.since_ns == w->now && w->child[before].ever) continue;
      MUST(w, v.state == INSTANCE_UP || v.state == INSTANCE_INTERVAL || v.state == INSTANCE_DONE);
    }
  }
}

static inline void do_spawn(struct world *w, uint32_t slot) {
  struct child *c = &w->child[slot];
  MUST(w, c->state == CHILD_NONE); /* must: never two of one instance */
  MUST(w, w->state == STATE_STARTING || w->state == STATE_RUNNING || w->state == STATE_RESTARTING);
  MUST(w, w->stop_at == TIME_NEVER);
  MUST(w, w->now >= c->not_before);
  struct instance_view v;
  machine_instance(w->m, slot, w->now, &v);
  MUST(w, !v.spare); /* must: what is scaled away stays down */
  if (!c->ever) check_order(w, slot);
  c->state = CHILD_PENDING;
  c->at = w->mute && chance(w, 10) ? TIME_NEVER : moment(w, NS_PER_MS * 50);
  c->check_at = TIME_NEVER;
}

static inline void signal_child(struct world *w, struct child *c, int signal) {
  c->sent |= UINT64_C(1) << (signal - 1);
  if (signal == SIGNAL_KILL) c->killed = true;
  if (c->stuck || (c->deaf && signal != SIGNAL_KILL)) return;
  c->at = moment(w, signal == SIGNAL_KILL ? NS_PER_MS : 8 * NS_PER_S);
  c->status = signal == SIGNAL_KILL || chance(w, 50) ? signal : EXIT_STATUS((int)any(w, 3) * 7);
}

static inline void do_kill(struct world *w, const struct machine_action *a) {
  struct child *c = &w->child[a->slot];
  if (c->state != CHILD_RUNNING) {
    MUST(w, c->ever && a->group && (a->signal == SIGNAL_TERM || a->signal == SIGNAL_KILL));
    return;
  }
  /* must: in reverse order of `after`; not so where the time is over */
  bool ordered = w->orderly && w->level <= STOP_BEGIN && !c->signalled && w->feeding != IN_STARTED &&
                 w->now < w->stop_at + machine_grace_ns(w->m);
  for (uint32_t i = 0; ordered && i < w->slots; i++)
    MUST(w, w->child[i].state == CHILD_NONE || machine_slot_level(w->m, i) >= machine_slot_level(w->m, a->slot));
  MUST(w, !(c->killed && a->signal != SIGNAL_KILL));
  /* must: not the stop signal that init has sent */
  MUST(w, w->feeding != IN_STOP || !c->by_init || a->signal != machine_slot_stop_signal(w->m, a->slot));
  c->signalled = true;
  signal_child(w, c, a->signal);
}

static inline int64_t answer(struct world *w, int64_t most) {
  return w->mute && chance(w, 70) ? TIME_NEVER : moment(w, most);
}

/* What tend must end with where one main ran when the stop came. */
static inline void check_code(struct world *w, int code) {
  MUST(w, code >= 0 && code < 256);
  MUST(w, !w->failed || code != 0); /* must: a failure never ends in 0 */
  for (uint32_t i = 0; i < w->slots; i++) {
    const struct child *c = &w->child[i];
    const struct machine_process *p = process_of(w, i);
    if (!p->main || p->instances > 1 || !w->orderly) continue;
    int signal = c->status & 0x7f, own = signal ? 128 + signal : c->status >> 8;
    bool by_stop = signal && (c->sent >> (signal - 1) & 1);
    by_stop = by_stop && signal != SIGNAL_KILL;
    int want = c->state == CHILD_RUNNING ? 137 : by_stop && p->how->mode != MODE_SINGLE ? 0 : own;
    MUST(w, code == want);
  }
}

static inline void do_exit(struct world *w, const struct machine_action *a) {
  MUST(w, w->initiated && w->completed == 1);
  MUST(w, w->state == STATE_STOPPED || w->state == STATE_FAILED);
  for (uint32_t i = 0; i < w->slots; i++) /* must: nobody is left who was not killed */
    MUST(w, w->child[i].state != CHILD_RUNNING || w->child[i].killed);
  check_code(w, a->exit_code);
  w->ended = true;
  w->code = a->exit_code;
}

static inline void carry_out(struct world *w, const struct machine_action *a) {
  MUST(w, !w->ended); /* must: nothing after the end */
  MUST(w, !w->completed || a->kind == ACT_EXIT);
  switch (a->kind) {
    case ACT_STATE:
      check_transition(w, a);
      break;
    case ACT_EVENT:
      check_event(w, a);
      break;
    case ACT_VALIDATE:
      MUST(w, w->validated_at == TIME_NEVER && w->dependencies_at == TIME_NEVER);
      w->validated_at = moment(w, NS_PER_S);
      break;
    case ACT_CHECK_DEPENDENCIES:
      MUST(w, w->validated_at == TIME_NEVER && w->dependencies_at == TIME_NEVER);
      w->dependencies_at = moment(w, 3 * NS_PER_S);
      break;
    case ACT_CANCEL_DEPENDENCIES:
      w->validated_at = w->dependencies_at = TIME_NEVER;
      break;
    case ACT_SPAWN:
      do_spawn(w, a->slot);
      break;
    case ACT_START_CHECK:
      MUST(w, w->child[a->slot].state == CHILD_RUNNING);
      w->child[a->slot].check_at = answer(w, 5 * NS_PER_S);
      break;
    case ACT_CANCEL_CHECK:
      w->child[a->slot].check_at = TIME_NEVER;
      break;
    case ACT_KILL:
      do_kill(w, a);
      break;
    case ACT_SWEEP:
      for (uint32_t i = 0; i < w->slots; i++) /* must: first the processes */
        MUST(w, w->child[i].state == CHILD_NONE || w->child[i].killed || w->child[i].state == CHILD_PENDING);
      w->swept_at = answer(w, NS_PER_MS);
      break;
    case ACT_HOOKS:
      MUST(w, a->deadline_ns >= w->now);
      w->hooks_at = answer(w, 3 * NS_PER_S);
      break;
    case ACT_CANCEL_HOOKS:
      w->hooks_at = TIME_NEVER;
      break;
    case ACT_CLEANUP:
      w->cleaned_at = answer(w, 3 * NS_PER_S);
      break;
    case ACT_CANCEL_CLEANUP:
      w->cleaned_at = TIME_NEVER;
      break;
    case ACT_REPORT:
      MUST(w, w->cleaned_at == TIME_NEVER);
      w->reported_at = answer(w, 10 * NS_PER_MS);
      break;
    case ACT_EXIT:
      do_exit(w, a);
      break;
    default:
      break;
  }
}

static inline void feed(struct world *w, const struct machine_input *in) {
  struct machine_out out;
  w->feeding = in->kind;
  w->steps++;
  machine_step(w->m, in, w->now, &out);
  MUST(w, out.n < 32 + 10 * w->slots); /* must: the actions have room */
  for (unsigned i = 0; i < out.n; i++) carry_out(w, &out.action[i]);
  struct machine_view v;
  machine_view(w->m, &v);
  MUST(w, v.state == w->state);
  for (uint32_t i = 0; i < w->slots; i++) {
    struct instance_view x;
    machine_instance(w->m, i, w->now, &x);
    MUST(w, !x.spare || !process_of(w, i)->main);
    MUST(w, !x.spare || (x.state != INSTANCE_UP && x.state != INSTANCE_STARTING && x.state != INSTANCE_BACKOFF));
  }
  MUST(w, machine_due_ns(w->m) > w->now); /* must: no deadline is left behind */
}

#endif
