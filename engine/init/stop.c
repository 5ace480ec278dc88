/* Stop signals in the plan's order. */
#include <signal.h>

#include "init/state.h"

static const struct proto_plan_child *planned(const struct init *in, uint32_t number) {
  static unsigned last; /* they are asked for in the plan's order, more or less */
  unsigned n = in->plan.n;
  unsigned i = last < n ? last : 0;
  for (unsigned k = 0; k < n; k++, i = i + 1 < n ? i + 1 : 0)
    if (in->plan.children[i].child == number) return &in->plan.children[last = i];
  return NULL;
}

/* What the plan does not know is stopped last. */
static int level_of(const struct init *in, const struct child *c) {
  const struct proto_plan_child *p = planned(in, c->number);
  return p ? p->level : UINT16_MAX;
}

void stop_signal(struct init *in, struct child *c) {
  const struct proto_plan_child *p = planned(in, c->number);
  int sig = p && p->signal ? p->signal : SIGTERM;
  bool group = p && p->group;
  child_kill(in, c, sig, group);
  child_kill(in, c, SIGCONT, group);
  c->stop_sent = true;
}

bool stop_level(struct init *in, int *level) {
  bool found = false;
  for (unsigned i = 0; i < in->top; i++) {
    struct child *c = &in->children[i];
    if (!child_is_process(c)) continue;
    int l = level_of(in, c);
    if (!found || l < *level) *level = l;
    found = true;
  }
  return found;
}

void stop_send(struct init *in, int level) {
  for (unsigned i = 0; i < in->top; i++) {
    struct child *c = &in->children[i];
    if (child_is_process(c) && !c->stop_sent && level_of(in, c) <= level) stop_signal(in, c);
  }
}

void stop_kill(struct init *in, bool all) {
  for (unsigned i = 0; i < in->top; i++) {
    struct child *c = &in->children[i];
    if (c->number && (all || !(c->flags & PROTO_HELPER))) child_kill(in, c, SIGKILL, true);
  }
}
