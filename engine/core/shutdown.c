#include "core/shutdown.h"

#include "base/clock.h"

#define RESERVE_MIN_NS NS_PER_S
#define RESERVE_MAX_NS (10 * NS_PER_S)
#define SWEEP_MOMENT_NS (2 * NS_PER_S)
#define GONE_MIN_NS (200 * NS_PER_MS)
#define SWEEP_TERM_MIN_NS (50 * NS_PER_MS)
#define SWEEP_KILL_MIN_NS (100 * NS_PER_MS)
#define REPORT_MIN_NS (100 * NS_PER_MS)
#define REPORT_MAX_NS (5 * NS_PER_S)

static int64_t min_ns(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t max_ns(int64_t a, int64_t b) { return a > b ? a : b; }

int64_t shutdown_reserve_ns(int64_t total_ns, unsigned cleanups) {
  int64_t reserve = max_ns(RESERVE_MIN_NS, min_ns(total_ns / 5, RESERVE_MAX_NS));
  if (!cleanups) reserve = RESERVE_MIN_NS;
  return min_ns(reserve, total_ns / 2);
}

void shutdown_begin(struct shutdown *s, int64_t total_ns, unsigned cleanups, int64_t now_ns) {
  s->begin_ns = now_ns;
  s->reserve_ns = shutdown_reserve_ns(total_ns, cleanups);
  s->kill_at_ns = min_ns(s->kill_at_ns, now_ns + total_ns - s->reserve_ns);
  s->end_at_ns = now_ns + total_ns;
  s->level = STOP_NONE;
}

bool shutdown_hasten(struct shutdown *s, enum stop_level level, int64_t now_ns) {
  if (level <= s->level) return false;
  s->level = level;
  if (level == STOP_BEGIN) return true;
  s->kill_at_ns = min_ns(s->kill_at_ns, level == STOP_NOW ? now_ns : now_ns + STOP_SOON_NS);
  s->end_at_ns = min_ns(s->end_at_ns, max_ns(s->kill_at_ns, now_ns) + s->reserve_ns);
  return true;
}

int64_t shutdown_hooks_until(const struct shutdown *s) {
  return s->begin_ns + max_ns(0, s->kill_at_ns - s->begin_ns) / 2;
}

int64_t shutdown_drain_until(const struct shutdown *s, int64_t drain_ns) {
  return min_ns(s->begin_ns + drain_ns, s->kill_at_ns);
}

int64_t shutdown_gone_by(const struct shutdown *s) { return s->kill_at_ns + max_ns(GONE_MIN_NS, s->reserve_ns / 4); }

int64_t shutdown_sweep_term_until(const struct shutdown *s, int64_t now_ns) {
  int64_t least = now_ns + max_ns(SWEEP_TERM_MIN_NS, s->reserve_ns / 8);
  return min_ns(now_ns + SWEEP_MOMENT_NS, max_ns(s->kill_at_ns, least));
}

int64_t shutdown_sweep_kill_until(const struct shutdown *s, int64_t now_ns) {
  return now_ns + max_ns(SWEEP_KILL_MIN_NS, s->reserve_ns / 8);
}

int64_t shutdown_cleanup_until(const struct shutdown *s) { return s->end_at_ns - s->reserve_ns / 8; }

int64_t shutdown_report_until(const struct shutdown *s, int64_t now_ns) {
  return min_ns(max_ns(s->end_at_ns, now_ns + REPORT_MIN_NS), now_ns + REPORT_MAX_NS);
}

int shutdown_exit_code(int code, int signal, uint64_t sent, bool single) {
  if (signal > 0 && signal <= 64 && (sent >> (signal - 1) & 1) && !single) return 0;
  return code;
}
