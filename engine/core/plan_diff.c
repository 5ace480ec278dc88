#include "core/plan_diff.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

struct compare {
  struct plan_diff *d;
  const struct diff_side *from, *to;
  char keys[sizeof((struct diff_item *)0)->keys]; /* of the thing that is compared */
};

void plan_diff_add(struct plan_diff *d, enum diff_section section, enum diff_how how, const char *name,
                   const char *keys, enum diff_effect effect) {
  if (d->n == d->cap) {
    size_t cap = d->cap ? d->cap * 2 : 16;
    struct diff_item *p = realloc(d->items, cap * sizeof *p);
    if (!p) {
      d->no_memory = true;
      return;
    }
    d->items = p;
    d->cap = cap;
  }
  struct diff_item *it = &d->items[d->n++];
  *it = (struct diff_item){.section = section, .how = how, .effect = effect};
  str_copy(it->name, sizeof it->name, name);
  str_copy(it->keys, sizeof it->keys, keys ? keys : "");
}

/* --- values ------------------------------------------------------------------------------------------------------ */

static bool same_text(const char *a, const char *b) { return a == b || (a && b && STR_EQ(a, b)); }

static bool same_list(char *const *a, char *const *b) {
  size_t i = 0;
  if (!a || !b) return a == b;
  for (; a[i] && b[i]; i++)
    if (!STR_EQ(a[i], b[i])) return false;
  return !a[i] && !b[i];
}

static bool same_json(const cJSON *a, const cJSON *b) { return a == b || (a && b && cJSON_Compare(a, b, true)); }

static bool same_fn(const struct compare *c, int a, int b) {
  if (a == PLAN_NO_FN || b == PLAN_NO_FN) return a == b;
  if (!c->from->identity || !c->to->identity) return false;
  return c->from->identity(c->from->arg, a) == c->to->identity(c->to->arg, b);
}

/* A key of the thing at hand differs. */
static void note(struct compare *c, bool same, const char *key) {
  if (same) return;
  size_t n = strlen(c->keys);
  snprintf(c->keys + n, sizeof c->keys - n, "%s%s", n ? ", " : "", key);
}

static void begin(struct compare *c) { c->keys[0] = 0; }

/* --- checks ------------------------------------------------------------------------------------------------------ */

static const char *process_name(const struct plan *plan, int i) {
  return i == PLAN_UNSET ? NULL : plan->processes[i].name;
}

static void compare_check(struct compare *c, const struct plan_check *a, const struct plan_check *b) {
  note(c, same_text(a->kind, b->kind), "kind");
  note(c, same_json(a->params, b->params), "params");
  note(c, same_fn(c, a->fn, b->fn), "check");
  note(c, a->required == b->required, "required");
  note(c, a->timeout_ns == b->timeout_ns, "timeout");
  note(c, a->attempt_timeout_ns == b->attempt_timeout_ns, "attempt_timeout");
  note(c, a->interval_ns == b->interval_ns, "interval");
  note(c, a->max_interval_ns == b->max_interval_ns, "max_interval");
  note(c, a->backoff == b->backoff, "backoff");
  note(c, a->role == b->role, "role");
  note(c, same_text(process_name(c->from->plan, a->process), process_name(c->to->plan, b->process)), "process");
  note(c, a->failures == b->failures, "failures");
  note(c, a->successes == b->successes, "successes");
  note(c, a->window == b->window, "window");
  note(c, a->unknowns == b->unknowns, "unknowns");
  note(c, a->initial_delay_ns == b->initial_delay_ns, "initial_delay");
  note(c, a->fast_interval_ns == b->fast_interval_ns, "fast_interval");
  note(c, a->down_interval_ns == b->down_interval_ns, "down_interval");
}

static int find_check(const struct plan_check *list, size_t n, const char *name) {
  for (size_t i = 0; i < n; i++)
    if (STR_EQ(list[i].name, name)) return (int)i;
  return -1;
}

static void compare_checks(struct compare *c, enum diff_section section, const struct plan_check *from, size_t from_n,
                           const struct plan_check *to, size_t to_n, int *map) {
  for (size_t i = 0; i < to_n; i++) {
    /* most lists change little: the same place first */
    int old = i < from_n && STR_EQ(from[i].name, to[i].name) ? (int)i : find_check(from, from_n, to[i].name);
    map[i] = -1;
    if (old < 0) {
      plan_diff_add(c->d, section, DIFF_ADDED, to[i].name, NULL, DIFF_AT_ONCE);
      continue;
    }
    begin(c);
    compare_check(c, &from[old], &to[i]);
    if (c->keys[0])
      plan_diff_add(c->d, section, DIFF_CHANGED, to[i].name, c->keys, DIFF_AT_ONCE);
    else
      map[i] = old;
  }
  for (size_t i = 0; i < from_n; i++)
    if (!(i < to_n && STR_EQ(from[i].name, to[i].name)) && find_check(to, to_n, from[i].name) < 0)
      plan_diff_add(c->d, section, DIFF_REMOVED, from[i].name, NULL, DIFF_AT_ONCE);
}

/* --- processes --------------------------------------------------------------------------------------------------- */

static bool same_rule(const struct restart_rule *a, const struct restart_rule *b) {
  return a->reasons == b->reasons && a->has_exit == b->has_exit && memcmp(a->exit, b->exit, sizeof a->exit) == 0 &&
         a->signals == b->signals && a->action == b->action;
}

static bool same_restart(const struct plan_restart *a, const struct plan_restart *b) {
  bool same = a->policy == b->policy && a->max_attempts == b->max_attempts && a->delay_ns == b->delay_ns &&
              a->max_delay_ns == b->max_delay_ns && a->window_ns == b->window_ns && a->reset_ns == b->reset_ns &&
              a->exponential == b->exponential && a->jitter_percent == b->jitter_percent && a->rules_n == b->rules_n;
  for (size_t i = 0; same && i < a->rules_n; i++) same = same_rule(&a->rules[i], &b->rules[i]);
  return same;
}

static bool same_stop(const struct plan_stop *a, const struct plan_stop *b) {
  bool same = a->ladder_n == b->ladder_n && a->timeout_ns == b->timeout_ns && a->group == b->group;
  for (size_t i = 0; same && i < a->ladder_n; i++)
    same = a->ladder[i].signal == b->ladder[i].signal && a->ladder[i].wait_ns == b->ladder[i].wait_ns;
  return same;
}

static bool same_after(const struct compare *c, const struct plan_process *a, const struct plan_process *b) {
  bool same = a->after_n == b->after_n;
  for (size_t i = 0; same && i < a->after_n; i++)
    same = STR_EQ(c->from->plan->processes[a->after[i]].name, c->to->plan->processes[b->after[i]].name);
  return same;
}

static bool same_scale(const struct compare *c, const struct plan_scale *a, const struct plan_scale *b) {
  if (!a || !b) return a == b;
  return a->min == b->min && a->max == b->max && a->step == b->step && same_fn(c, a->fn, b->fn) &&
         a->interval_ns == b->interval_ns && a->timeout_ns == b->timeout_ns && a->cooldown_ns == b->cooldown_ns &&
         a->down_cooldown_ns == b->down_cooldown_ns;
}

static bool same_startup(const struct compare *c, const struct plan_check *a, const struct plan_check *b) {
  if (!a || !b) return a == b;
  struct compare inner = *c;
  begin(&inner);
  compare_check(&inner, a, b);
  return !inner.keys[0] && STR_EQ(a->name, b->name);
}

/* What a running one would have to be started anew for. */
static void compare_command(struct compare *c, const struct plan_process *a, const struct plan_process *b) {
  note(c, same_list(a->argv, b->argv), "command");
  note(c, same_list(a->env, b->env), "env");
  note(c, same_text(a->cwd, b->cwd), "cwd");
  note(c, same_text(a->user, b->user), "user");
  note(c, a->no_new_privs == b->no_new_privs, "no_new_privs");
}

static void compare_process(struct compare *c, const struct plan_process *a, const struct plan_process *b, size_t i) {
  struct plan_diff *d = c->d;
  begin(c);
  compare_command(c, a, b);
  bool other = c->keys[0] != 0;
  d->startup[i] = same_startup(c, a->startup, b->startup);
  d->scale[i] = same_scale(c, a->scale, b->scale) && a->instances == b->instances;
  d->restart[i] = other && b->restart_on_change;
  note(c, STR_EQ(a->name, b->name), "name");
  note(c, a->instances == b->instances, "instances");
  note(c, same_scale(c, a->scale, b->scale), "scale");
  note(c, same_after(c, a, b), "after");
  note(c, a->essential == b->essential, "essential");
  note(c, a->mode == b->mode, "mode");
  note(c, a->interval_ns == b->interval_ns, "interval");
  note(c, same_restart(a->restart, b->restart), "restart");
  note(c, memcmp(a->success_set, b->success_set, 4 * sizeof *a->success_set) == 0, "success_codes");
  note(c, same_stop(a->stop, b->stop), "stop");
  note(c, a->start_timeout_ns == b->start_timeout_ns, "start_timeout");
  note(c, d->startup[i], "startup");
  note(c, a->restart_on_change == b->restart_on_change, "on_change");
  if (c->keys[0])
    plan_diff_add(d, DIFF_PROCESS, DIFF_CHANGED, b->name, c->keys,
                  !other          ? DIFF_AT_ONCE
                  : d->restart[i] ? DIFF_RESTART
                                  : DIFF_NEXT_START);
}

/* The life of the container goes on with main, whatever it is called. */
static int find_process(const struct plan *in, const struct plan *of, size_t i) {
  if (i == of->main) return (int)in->main;
  int old = plan_find_process(in, of->processes[i].name);
  return old == (int)in->main ? -1 : old;
}

static void compare_processes(struct compare *c) {
  const struct plan *from = c->from->plan, *to = c->to->plan;
  for (size_t i = 0; i < to->processes_n; i++) {
    int old = c->d->process[i] = find_process(from, to, i);
    if (old < 0 || from->processes[old].retired) /* one that is still being stopped comes back */
      plan_diff_add(c->d, DIFF_PROCESS, DIFF_ADDED, to->processes[i].name, NULL, DIFF_AT_ONCE);
    else
      compare_process(c, &from->processes[old], &to->processes[i], i);
  }
  for (size_t i = 0; i < from->processes_n; i++)
    if (find_process(to, from, i) < 0 && !from->processes[i].retired)
      plan_diff_add(c->d, DIFF_PROCESS, DIFF_REMOVED, from->processes[i].name, NULL, DIFF_AT_ONCE);
}

/* --- remedies, cleanup, hooks, directories ------------------------------------------------------------------------ */

static bool same_cleanup(const struct compare *c, const struct plan_cleanup *a, const struct plan_cleanup *b) {
  return same_text(a->kind, b->kind) && same_json(a->params, b->params) && same_fn(c, a->fn, b->fn) &&
         a->timeout_ns == b->timeout_ns && a->critical == b->critical;
}

static bool same_step(const struct compare *c, const struct plan_step *a, const struct plan_step *b) {
  bool process = a->kind == PLAN_STEP_SIGNAL || a->kind == PLAN_STEP_RESTART;
  return a->kind == b->kind && STR_EQ(a->name, b->name) && same_fn(c, a->fn, b->fn) &&
         (a->kind != PLAN_STEP_CLEANUP || same_cleanup(c, &a->cleanup, &b->cleanup)) &&
         (!process || STR_EQ(c->from->plan->processes[a->process].name, c->to->plan->processes[b->process].name)) &&
         a->signal == b->signal && a->group == b->group && same_list(a->argv, b->argv) &&
         same_text(a->database, b->database) && a->factor == b->factor && a->for_ns == b->for_ns &&
         a->timeout_ns == b->timeout_ns && a->settle_ns == b->settle_ns;
}

static bool same_steps(const struct compare *c, const struct plan_remedy *a, const struct plan_remedy *b) {
  bool same = a->steps_n == b->steps_n && a->escalations_n == b->escalations_n;
  for (size_t i = 0; same && i < a->steps_n + a->escalations_n; i++) same = same_step(c, &a->steps[i], &b->steps[i]);
  return same;
}

static bool same_targets(const struct compare *c, const struct plan_remedy *a, const struct plan_remedy *b) {
  bool same = a->checks_n == b->checks_n;
  for (size_t i = 0; same && i < a->checks_n; i++)
    same = STR_EQ(c->from->plan->checks[a->checks[i]].name, c->to->plan->checks[b->checks[i]].name);
  return same;
}

static int find_remedy(const struct plan *plan, const char *name) {
  for (size_t i = 0; i < plan->remedies_n; i++)
    if (STR_EQ(plan->remedies[i].name, name)) return (int)i;
  return -1;
}

static void compare_remedies(struct compare *c) {
  const struct plan *from = c->from->plan, *to = c->to->plan;
  for (size_t i = 0; i < to->remedies_n; i++) {
    const struct plan_remedy *b = &to->remedies[i];
    int old = find_remedy(from, b->name);
    c->d->remedy[i] = -1;
    if (old < 0) {
      plan_diff_add(c->d, DIFF_REMEDY, DIFF_ADDED, b->name, NULL, DIFF_AT_ONCE);
      continue;
    }
    const struct plan_remedy *a = &from->remedies[old];
    begin(c);
    note(c, same_targets(c, a, b), "checks");
    note(c, a->failures == b->failures, "failures");
    note(c, same_steps(c, a, b), "steps");
    note(c, a->cooldown_ns == b->cooldown_ns, "cooldown");
    note(c, a->window_ns == b->window_ns, "window");
    note(c, a->max == b->max, "max");
    note(c, a->dry_run == b->dry_run, "dry_run");
    if (c->keys[0])
      plan_diff_add(c->d, DIFF_REMEDY, DIFF_CHANGED, b->name, c->keys, DIFF_AT_ONCE);
    else
      c->d->remedy[i] = old;
  }
  for (size_t i = 0; i < from->remedies_n; i++)
    if (find_remedy(to, from->remedies[i].name) < 0)
      plan_diff_add(c->d, DIFF_REMEDY, DIFF_REMOVED, from->remedies[i].name, NULL, DIFF_AT_ONCE);
}

static int find_cleanup(const struct plan *plan, const char *name) {
  for (size_t i = 0; i < plan->cleanup_n; i++)
    if (STR_EQ(plan->cleanup[i].name, name)) return (int)i;
  return -1;
}

static void compare_cleanup(struct compare *c) {
  const struct plan *from = c->from->plan, *to = c->to->plan;
  for (size_t i = 0; i < to->cleanup_n; i++) {
    int old = find_cleanup(from, to->cleanup[i].name);
    if (old < 0)
      plan_diff_add(c->d, DIFF_CLEANUP, DIFF_ADDED, to->cleanup[i].name, NULL, DIFF_AT_ONCE);
    else if (!same_cleanup(c, &from->cleanup[old], &to->cleanup[i]))
      plan_diff_add(c->d, DIFF_CLEANUP, DIFF_CHANGED, to->cleanup[i].name, NULL, DIFF_AT_ONCE);
  }
  for (size_t i = 0; i < from->cleanup_n; i++)
    if (find_cleanup(to, from->cleanup[i].name) < 0)
      plan_diff_add(c->d, DIFF_CLEANUP, DIFF_REMOVED, from->cleanup[i].name, NULL, DIFF_AT_ONCE);
}

static void compare_hooks(struct compare *c) {
  static const char *const names[PLAN_HOOKS_N] = {
#define P(id, key, doc) [PLAN_HOOK_##id] = key,
      PLAN_HOOKS(P)
#undef P
  };
  for (int i = 0; i < PLAN_HOOKS_N; i++) {
    const struct plan_hooks *a = &c->from->plan->hooks[i], *b = &c->to->plan->hooks[i];
    bool same = a->n == b->n;
    for (size_t k = 0; k < a->n && same; k++)
      same = same_fn(c, a->list[k].fn, b->list[k].fn) && a->list[k].timeout_ns == b->list[k].timeout_ns;
    if (!same)
      plan_diff_add(c->d, DIFF_HOOK,
                    !a->n   ? DIFF_ADDED
                    : !b->n ? DIFF_REMOVED
                            : DIFF_CHANGED,
                    names[i], NULL, DIFF_AT_ONCE);
  }
}

static const struct plan_directory *find_directory(const struct plan *plan, const char *path) {
  for (size_t i = 0; i < plan->directories_n; i++)
    if (STR_EQ(plan->directories[i].path, path)) return &plan->directories[i];
  return NULL;
}

static void compare_directories(struct compare *c) {
  const struct plan *from = c->from->plan, *to = c->to->plan;
  size_t before = c->d->n;
  for (size_t i = 0; i < to->directories_n; i++) {
    const struct plan_directory *b = &to->directories[i], *a = find_directory(from, b->path);
    if (!a || a->make != b->make)
      plan_diff_add(c->d, DIFF_DIRECTORY, a ? DIFF_CHANGED : DIFF_ADDED, b->path, a ? "make" : NULL, DIFF_AT_ONCE);
  }
  for (size_t i = 0; i < from->directories_n; i++)
    if (!find_directory(to, from->directories[i].path))
      plan_diff_add(c->d, DIFF_DIRECTORY, DIFF_REMOVED, from->directories[i].path, NULL, DIFF_AT_ONCE);
  c->d->directories = c->d->n > before;
}

/* ----------------------------------------------------------------------------------------------------------------- */

struct plan_diff *plan_diff_new(const struct diff_side *from, const struct diff_side *to) {
  struct plan_diff *d = calloc(1, sizeof *d);
  if (!d) return NULL;
  const struct plan *plan = to->plan;
  d->process = calloc(plan->processes_n + 1, sizeof *d->process);
  d->restart = calloc(plan->processes_n + 1, sizeof *d->restart);
  d->startup = calloc(plan->processes_n + 1, sizeof *d->startup);
  d->scale = calloc(plan->processes_n + 1, sizeof *d->scale);
  d->check = calloc(plan->checks_n + 1, sizeof *d->check);
  d->dependency = calloc(plan->dependencies_n + 1, sizeof *d->dependency);
  d->remedy = calloc(plan->remedies_n + 1, sizeof *d->remedy);
  if (!d->process || !d->restart || !d->startup || !d->scale || !d->check || !d->dependency || !d->remedy) {
    plan_diff_free(d);
    return NULL;
  }
  struct compare c = {.d = d, .from = from, .to = to};
  const struct plan *old = from->plan;
  compare_processes(&c);
  compare_checks(&c, DIFF_DEPENDENCY, old->dependencies, old->dependencies_n, plan->dependencies, plan->dependencies_n,
                 d->dependency);
  compare_checks(&c, DIFF_CHECK, old->checks, old->checks_n, plan->checks, plan->checks_n, d->check);
  compare_remedies(&c);
  compare_cleanup(&c);
  compare_hooks(&c);
  compare_directories(&c);
  if (!d->no_memory) return d;
  plan_diff_free(d);
  return NULL;
}

void plan_diff_free(struct plan_diff *d) {
  if (!d) return;
  free(d->items);
  free(d->process);
  free(d->restart);
  free(d->startup);
  free(d->scale);
  free(d->check);
  free(d->dependency);
  free(d->remedy);
  free(d);
}
