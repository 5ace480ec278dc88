/* The swap, of what asks again and again: dependencies, checks, remedies, scaling. They are made anew for the new plan,
 * and those that are as before go on as they were. */
#include <stdlib.h>

#include "base/clock.h"
#include "supervisor/reload_impl.h"

struct before {
  struct health *checks;
  struct watched *watched;
  int *dependency_check;
  struct check_standing *standings;
  struct dependencies *dependencies;
  struct remedies *remedies;
  struct scaling *scaling;
  const struct slot *slots;
};

static void adopt_checks(struct swap *x, const struct before *b) {
  struct supervisor *s = x->s;
  for (size_t i = 0; i < x->to->checks_n; i++) {
    int old = x->diff->check[i];
    if (old >= 0) {
      s->watched[i].ended_well = b->watched[old].ended_well;
      health_adopt(s->checks, i, b->checks, (size_t)old);
      continue;
    }
    int named = health_find(b->checks, x->to->checks[i].name);
    if (named >= 0 && (size_t)named < x->from->checks_n) health_inherit(s->checks, i, b->checks, (size_t)named);
    remedies_check_anew(s->remedies, i);
  }
  for (size_t d = 0; d < x->to->dependencies_n; d++) {
    int old = x->diff->dependency[d];
    if (old < 0) continue;
    int was = b->dependency_check[old], now = s->dependency_check[d];
    if (b->watched[was].own && s->watched[now].own) health_adopt(s->checks, (size_t)now, b->checks, (size_t)was);
    dependencies_adopt(s->dependencies, d, b->dependencies, (size_t)old);
  }
}

/* A start-up check that runs goes on, or begins anew where it is another one. */
static void adopt_startups(struct swap *x, const struct before *b) {
  struct supervisor *s = x->s;
  int64_t now = clock_mono_ns();
  for (uint32_t i = 0; i < s->n_slots; i++) {
    unsigned process = machine_slot_process(s->machine, i);
    struct instance_view v;
    machine_instance(s->machine, i, now, &v);
    int was = x->old_slot[i] == UINT32_MAX ? -1 : b->slots[x->old_slot[i]].startup;
    if (s->slots[i].startup >= 0 && was >= 0 && process < x->own && x->diff->startup[process]) {
      health_adopt(s->checks, (size_t)s->slots[i].startup, b->checks, (size_t)was);
    } else if (v.state == INSTANCE_STARTING && s->slots[i].startup >= 0) {
      health_reset(s->checks, (size_t)s->slots[i].startup);
      health_start(s->checks, (size_t)s->slots[i].startup);
    } else if (v.state == INSTANCE_STARTING) {
      supervisor_feed_later(s, &(struct machine_input){.kind = IN_STARTUP_CHECK, .slot = i, .ok = true});
    }
  }
}

static void adopt_scaling(struct swap *x, const struct before *b) {
  for (size_t i = 0; i < x->own; i++)
    if (x->diff->process[i] >= 0 && x->diff->scale[i])
      scaling_adopt(x->s->scaling, (unsigned)i, b->scaling, (unsigned)x->diff->process[i]);
}

void reload_out_of_memory(struct supervisor *s) {
  sink_say(s->o.sink, EVENT_NOTICE, LEVEL_CRITICAL, "out of memory");
  abort();
}

void reload_take_checks(struct swap *x) {
  struct supervisor *s = x->s;
  struct err err = ERR_INIT;
  const struct before b = {s->checks,       s->watched,  s->dependency_check, s->standings,
                           s->dependencies, s->remedies, s->scaling,          x->slots};
  bool waited = dependencies_run_on(s->dependencies);
  if (waited) dependencies_stop(s->dependencies);
  s->checks = NULL;
  s->remedies = NULL;
  s->scaling = NULL;
  if (supervisor_make_dependencies(s, &err) || supervisor_make_checks(s, &err) || supervisor_remedies_new(s, &err) ||
      remedies_adopt(s->remedies, b.remedies, x->diff->remedy))
    reload_out_of_memory(s);
  health_adopt_rest(s->checks, b.checks);
  adopt_checks(x, &b);
  adopt_startups(x, &b);
  adopt_scaling(x, &b);
  scaling_free(b.scaling);
  remedies_free(b.remedies);
  health_free(b.checks);
  dependencies_free(b.dependencies);
  free(b.watched);
  free(b.dependency_check);
  free(b.standings);
  if (waited) supervisor_check_dependencies(s, s->only_bad);
}
