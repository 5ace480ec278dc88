/* What a reload has taken out of a plan and still runs. */
#include <errno.h>
#include <string.h>

#include "core/plan_read.h"

static void copy(struct plan_reader *r, const struct plan_process *from, struct plan_process *to) {
  struct plan_restart restart = *from->restart;
  restart.rules = NULL;
  restart.rules_n = 0;
  struct plan_stop stop;
  memcpy(&stop, from->stop, sizeof stop);
  stop.ladder = plan_share(r, stop.ladder, stop.ladder_n * sizeof *stop.ladder);
  *to = (struct plan_process){
      .name = plan_text(r, from->name),
      .description = plan_text(r, from->description),
      .argv = plan_copy_words(r, from->argv),
      .env = plan_copy_words(r, from->env),
      .instances = from->instances > plan_slots(from) ? from->instances : plan_slots(from),
      .mode = from->mode,
      .interval_ns = from->interval_ns,
      .restart = plan_share(r, &restart, sizeof restart),
      .success_set = plan_share(r, from->success_set, 4 * sizeof *from->success_set),
      .stop = plan_share(r, &stop, sizeof stop),
      .start_timeout_ns = from->start_timeout_ns,
      .retired = true,
  };
}

/* They are stopped in reverse order, as before. */
static void order(struct plan_reader *r, const struct plan *from, const struct plan_process *old,
                  struct plan_process *to) {
  if (!old->after_n || !(to->after = plan_alloc(r, old->after_n, sizeof *to->after))) return;
  for (size_t k = 0; k < old->after_n; k++) {
    int i = plan_find_process(r->plan, from->processes[old->after[k]].name);
    if (i >= 0 && &r->plan->processes[i] != to && r->plan->processes[i].retired) to->after[to->after_n++] = (uint16_t)i;
  }
}

void plan_forget_retired(struct plan *plan) {
  while (plan->processes_n && plan->processes[plan->processes_n - 1].retired) plan->processes_n--;
  for (size_t i = 0; i < plan->processes_n; i++) plan->processes[i].extra = 0;
}

int plan_retire(struct plan *plan, const struct plan *from, const size_t *which, size_t n) {
  plan_forget_retired(plan);
  if (!n) return 0;
  if (plan->processes_n + n > LIMIT_PROCESSES) return -E2BIG;
  struct plan_reader r = {.plan = plan};
  struct plan_process *all = plan_alloc(&r, plan->processes_n + n, sizeof *all);
  if (!all) return -ENOMEM;
  size_t own = plan->processes_n;
  memcpy(all, plan->processes, own * sizeof *all);
  for (size_t i = 0; i < n; i++) copy(&r, &from->processes[which[i]], &all[own + i]);
  plan->processes = all;
  plan->processes_n += n;
  for (size_t i = 0; i < n; i++) order(&r, from, &from->processes[which[i]], &all[own + i]);
  plan_reader_end(&r);
  return r.no_memory ? -ENOMEM : 0;
}
