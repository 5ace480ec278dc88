/* What is kept of processes that ended, for the post mortem: how and why, and, where it was no good end, their last
 * lines, which init is asked for.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "supervisor/impl.h"

static void on_tail(void *arg, const char *text, size_t n) {
  struct asked_tail *a = arg, **at = &a->sup->tails;
  ends_output(&a->sup->ends, a->seq, text, n);
  while (*at != a) at = &(*at)->next;
  *at = a->next;
  free(a);
}

void supervisor_ask_tails(void *arg) {
  struct supervisor *s = arg;
  for (size_t i = 0; i < s->ends.n; i++) {
    const struct end *e = &s->ends.list[i];
    if (e->seq <= s->tails_asked) continue;
    s->tails_asked = e->seq;
    if (!e->code) continue;
    struct asked_tail *a = malloc(sizeof *a);
    if (!a) continue;
    *a = (struct asked_tail){s->tails, s, e->seq};
    s->tails = a;
    children_tail(s->o.children, e->process, (int)e->instance, on_tail, a);
  }
}

void supervisor_drop_tails(struct supervisor *s) {
  loop_cancel(s->o.loop, supervisor_ask_tails, s);
  for (struct asked_tail *a = s->tails, *next; a; a = next) {
    next = a->next;
    free(a);
  }
  s->tails = NULL;
}

void supervisor_note_exit(struct supervisor *s, const struct machine_action *a) {
  struct slot *slot = &s->slots[a->slot];
  const struct slot_end *end = supervisor_end_of(slot);
  const struct plan_process *p = supervisor_process(s, a->slot);
  const struct rusage *u = &end->last.usage;
  struct end e = {
      .instance = machine_slot_instance(s->machine, a->slot),
      .pid = slot->last_pid,
      .code = end->exit.code,
      .cause = end_reason_name(a->reason),
      .at_real_ns = end->exit.at_real_ns,
      .duration_ns = end->exit.duration_ns,
      .user_s = (double)u->ru_utime.tv_sec + (double)u->ru_utime.tv_usec / 1e6,
      .system_s = (double)u->ru_stime.tv_sec + (double)u->ru_stime.tv_usec / 1e6,
      .max_rss_kb = u->ru_maxrss,
  };
  str_copy(e.process, sizeof e.process, p->name);
  str_copy(e.text, sizeof e.text, end->exit.text);
  ends_add(&s->ends, &e);
  /* what is started anew goes first */
  if (loop_defer(s->o.loop, supervisor_ask_tails, s)) supervisor_ask_tails(s);
}
