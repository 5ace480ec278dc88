/* The order in which processes start: levels by `after`, cycles told. */
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "core/plan_read.h"

/* Names one cycle: "a after b after a". Every process that has no level is on one or behind one, so walking along
 * such predecessors must come round. */
static void tell_cycle(struct plan_reader *r, const struct at *at, const bool *done) {
  struct plan *plan = r->plan;
  auto_free bool *seen = calloc(plan->processes_n, sizeof(*seen));
  if (!seen) {
    r->no_memory = true;
    return;
  }
  size_t i = 0;
  while (done[i]) i++;
  while (!seen[i]) {
    seen[i] = true;
    const struct plan_process *p = &plan->processes[i];
    size_t k = 0;
    while (done[p->after[k]]) k++;
    i = p->after[k];
  }
  auto_buf struct buf text = {0};
  buf_str(&text, plan->processes[i].name);
  size_t first = i;
  do {
    const struct plan_process *p = &plan->processes[i];
    size_t k = 0;
    while (done[p->after[k]]) k++;
    i = p->after[k];
    buf_fmt(&text, " after %s", plan->processes[i].name);
  } while (i != first);
  plan_problem(r, AT_KEY(AT_KEY(at, plan->processes[first].name), "after"), NULL, "an order without a cycle",
               "break the cycle: %s", buf_cstr(&text));
}

/* Sorts by level (stable) and turns all indices to the new order. */
static int sort_levels(struct plan *plan) {
  size_t n = plan->processes_n;
  auto_free struct plan_process *old = malloc(n * sizeof(*old));
  auto_free uint16_t *to = malloc(n * sizeof(*to));
  if (!old || !to) return -1;
  memcpy(old, plan->processes, n * sizeof(*old));
  uint16_t next = 0;
  for (unsigned level = 0; next < n; level++)
    for (size_t i = 0; i < n; i++)
      if (old[i].level == level) to[i] = next++;
  for (size_t i = 0; i < n; i++) {
    plan->processes[to[i]] = old[i];
    for (size_t k = 0; k < old[i].after_n; k++) old[i].after[k] = to[old[i].after[k]];
  }
  plan->main = to[plan->main];
  return 0;
}

void plan_order(struct plan_reader *r, const struct at *at) {
  struct plan *plan = r->plan;
  size_t left = plan->processes_n;
  auto_free bool *done = calloc(left + 1, sizeof(*done));
  if (!done) {
    r->no_memory = true;
    return;
  }
  for (bool moved = true; left && moved;) {
    moved = false;
    for (size_t i = 0; i < plan->processes_n; i++) {
      struct plan_process *p = &plan->processes[i];
      if (done[i]) continue;
      unsigned level = 0;
      bool ready = true;
      for (size_t k = 0; k < p->after_n && ready; k++) {
        ready = done[p->after[k]];
        if (plan->processes[p->after[k]].level >= level) level = plan->processes[p->after[k]].level + 1;
      }
      if (!ready) continue;
      p->level = level;
      done[i] = moved = true;
      left--;
    }
  }
  if (left)
    tell_cycle(r, at, done);
  else if (sort_levels(plan) < 0)
    r->no_memory = true;
}
