#include "core/scale.h"

#include <math.h>

unsigned scale_decide(const struct scale_rule *rule, struct scale *s, unsigned count, double wanted, int64_t now_ns) {
  if (isnan(wanted)) return count;
  double up = ceil(wanted);
  unsigned target = up < rule->min ? rule->min : up > rule->max ? rule->max : (unsigned)up;
  if (target == count) return count;
  bool more = target > count;
  int64_t rest = more ? rule->cooldown_ns : rule->down_cooldown_ns;
  bool free = more && !s->changed; /* who has work waiting at the start need not wait, too */
  if (!free && now_ns - s->since_ns < rest) return count;
  if (more && target - count > rule->step) target = count + rule->step;
  if (!more && count - target > rule->step) target = count - rule->step;
  s->changed = true;
  s->since_ns = now_ns;
  return target;
}
