/* Remedies of another plan that go on with what was: their budgets, and runs that are under way. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/str.h"
#include "health/remedies_impl.h"

/* The number in `from` of the rule that rule i of `to` goes on with; -1: none. */
static int rule_before(const struct remedies *to, const struct remedies *from, unsigned i, const int *remedy) {
  size_t named = to->env.plan->remedies_n;
  if (i < named) return remedy[i];
  for (unsigned k = (unsigned)from->env.plan->remedies_n; k < from->n; k++)
    if (STR_EQ(from->job[k]->plan->name, to->job[i]->plan->name)) return (int)k;
  return -1;
}

/* Callbacks that are under way have the job as their argument: it goes over as it is. */
static void adopt_job(struct remedies *to, unsigned i, struct remedies *from, unsigned k, const int *check) {
  struct job *j = from->job[k], *fresh = to->job[i];
  j->r = to;
  j->plan = fresh->plan;
  fresh->r = from;
  to->job[i] = j;
  from->job[k] = fresh;
  uint16_t was = j->check;
  j->check = REMEDY_NONE;
  for (size_t c = 0; was != REMEDY_NONE && c < to->env.plan->checks_n; c++)
    if (check[c] == was) j->check = (uint16_t)c;
}

static void adopt_questions(struct remedies *to, struct remedies *from) {
  for (struct question *q = from->questions; q; q = q->next) q->r = to;
  to->questions = from->questions;
  from->questions = NULL;
  to->waiters = from->waiters;
  from->waiters = NULL;
}

int remedies_adopt(struct remedies *to, struct remedies *from, const int *remedy) {
  size_t checks = to->env.plan->checks_n;
  auto_free int *check = calloc(checks + 1, sizeof *check), *rule = calloc(to->n + 1, sizeof *rule);
  auto_free bool *stays = calloc(from->n + 1, sizeof *stays);
  if (!check || !rule || !stays) return -ENOMEM;
  for (size_t i = 0; i < checks; i++) check[i] = remedies_find_check(from, to->env.plan->checks[i].name);
  for (unsigned i = 0; i < to->n; i++) {
    rule[i] = rule_before(to, from, i, remedy);
    if (rule[i] >= 0 && !remedy_goes_on(from->core, (unsigned)rule[i], check, (unsigned)checks)) rule[i] = -1;
    if (rule[i] >= 0) stays[rule[i]] = true;
  }
  for (unsigned k = 0; k < from->n; k++)
    if (!stays[k]) remedies_feed(from, &(struct remedy_input){.kind = REMEDY_IN_DROP, .rule = (uint16_t)k});
  remedy_adopt(to->core, from->core, rule, check);
  for (unsigned i = 0; i < to->n; i++)
    if (rule[i] >= 0) adopt_job(to, i, from, (unsigned)rule[i], check);
  adopt_questions(to, from);
  to->active = from->active;
  to->ended = from->ended;
  to->past = from->past;
  from->past = NULL;
  to->n_past = from->n_past;
  from->n_past = 0;
  if (to->maintenance) metric_set(to->maintenance, NULL, remedies_in_maintenance(to, NULL));
  if (to->n) timer_after(to->timer, 0); /* what the new rules ask for, when all is in its place */
  return 0;
}
