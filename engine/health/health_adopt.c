/* Checks of another plan that go on with what was. */
#include <stdlib.h>

#include "base/clock.h"
#include "health/health_impl.h"

void health_adopt(struct health *to, size_t i, struct health *from, size_t j) {
  struct item *it = from->items[j], *fresh = to->items[i];
  int64_t was_ns = it->spec.check->interval_ns;
  it->spec = fresh->spec;
  it->health = to;
  it->index = i;
  fresh->health = from;
  fresh->index = j;
  to->items[i] = it;
  from->items[j] = fresh;
  for (struct extra **p = &from->extras, *x; (x = *p);) {
    if (x->item != it) {
      p = &x->next;
      continue;
    }
    *p = x->next;
    x->next = to->extras;
    to->extras = x;
  }
  /* a setting has another interval: the shorter one counts at once */
  if (it->spec.check->interval_ns >= was_ns || !it->life.check.active || it->life.check.running) return;
  check_hurry(&it->life.check, clock_mono_ns() + it->spec.check->interval_ns);
  health_arm(it);
}

void health_inherit(struct health *to, size_t i, const struct health *from, size_t j) {
  const struct check *was = &from->items[j]->life.check;
  struct check *now = &to->items[i]->life.check;
  if (was->state != CHECK_HEALTHY && was->state != CHECK_DEGRADED) return;
  now->state = was->state;
  now->since_ns = was->since_ns;
}

void health_adopt_rest(struct health *to, const struct health *from) {
  to->pace = from->pace;
  to->pace_until_ns = from->pace_until_ns;
}
