#include "core/restart.h"

enum { EXPONENT_MAX = 5 };

static bool rule_matches(const struct restart_rule *r, enum end_reason reason, int code, int signal) {
  if (r->reasons && !(r->reasons & (UINT32_C(1) << reason))) return false;
  if (!r->has_exit && !r->signals) return true;
  if (signal > 0) return signal <= 64 && (r->signals >> (signal - 1) & 1);
  return r->has_exit && code >= 0 && code < 256 && (r->exit[code / 64] >> (code % 64) & 1);
}

static enum restart_verdict judge_by_policy(const struct restart_config *c, enum execution_mode mode, bool simple,
                                            bool clean) {
  if (clean) {
    if (mode == MODE_DAEMON) return VERDICT_AGAIN;
    bool again = c->policy == RESTART_ALWAYS || c->policy == RESTART_UNLESS_STOPPED;
    return mode == MODE_SERVER && again && !simple ? VERDICT_RESTART : VERDICT_DONE;
  }
  return c->policy == RESTART_NO || simple ? VERDICT_FINAL : VERDICT_RESTART;
}

enum restart_verdict restart_judge(const struct restart_config *c, enum execution_mode mode, bool simple,
                                   const struct restart_rule *rules, unsigned n_rules, enum end_reason reason, int code,
                                   int signal) {
  bool clean = reason == END_CLEAN;
  for (unsigned i = 0; i < n_rules; i++) {
    if (!rule_matches(&rules[i], reason, code, signal)) continue;
    switch (rules[i].action) {
      case RULE_FAIL:
        return VERDICT_FINAL;
      case RULE_STOP:
        return VERDICT_DONE;
      case RULE_RESTART:
        if (!simple) return VERDICT_RESTART;
        break;
      case RULE_RESTART_ALL:
        if (!simple) return VERDICT_RESTART_ALL;
        break;
    }
    break; /* simple: the first match asks for a restart, which there is none of */
  }
  return judge_by_policy(c, mode, simple, clean);
}

int64_t restart_delay_ns(const struct restart_config *c, unsigned n) {
  int64_t delay = c->base_ns;
  if (!c->exponential) return delay;
  for (unsigned i = 0; i < n && i < EXPONENT_MAX; i++) delay = delay > INT64_MAX / 2 ? INT64_MAX : delay * 2;
  return delay < c->max_ns ? delay : c->max_ns;
}

unsigned restart_in_window(struct restart *r, const struct restart_config *c, int64_t now_ns) {
  while (r->count && now_ns - r->ring[r->head] >= c->window_ns) {
    r->head = (r->head + 1) % r->cap;
    r->count--;
  }
  return r->count;
}

bool restart_exhausted(struct restart *r, const struct restart_config *c, int64_t now_ns) {
  return c->max_attempts && restart_in_window(r, c, now_ns) >= c->max_attempts;
}

int64_t restart_take(struct restart *r, const struct restart_config *c, int64_t now_ns, uint64_t *seed) {
  restart_in_window(r, c, now_ns);
  if (r->cap) {
    if (r->count == r->cap) { /* without a limit the ring only counts, up to its size */
      r->head = (r->head + 1) % r->cap;
      r->count--;
    }
    r->ring[(r->head + r->count++) % r->cap] = now_ns;
  }
  int64_t delay = restart_delay_ns(c, r->n);
  r->n++;
  r->total++;
  int64_t spread = delay / 100 * c->jitter_percent;
  return spread > 0 ? delay + (int64_t)random_below(seed, (uint64_t)spread + 1) : delay;
}

uint64_t random_next(uint64_t *seed) {
  uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}

uint64_t random_below(uint64_t *seed, uint64_t below) { return random_next(seed) % below; }
