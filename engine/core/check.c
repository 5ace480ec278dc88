#include "core/check.h"

#include <string.h>

#include "base/clock.h"

#define FIRST_RUN_NS NS_PER_S /* the first runs are spread over so much */

const char *const check_role_names[CHECK_ROLES] = {"startup", "liveness", "readiness", "monitor"};

const char *check_result_name(enum check_result r) {
  static const char *const names[] = {"ok", "warn", "fail", "unknown"};
  return names[r];
}

const char *check_state_name(enum check_state s) {
  static const char *const names[] = {
#define X(id, name, doc, look) name,
#include "core/check.def"
#undef X
  };
  return names[s];
}

bool check_is_good(enum check_result r) { return r == CHECK_OK || r == CHECK_WARN; }

/* FNV-1a, the hash of Fowler, Noll and Vo, then the last step of MurmurHash3: what differs in the last letter alone
 * (c1, c2, …) would be near each other without it. */
uint32_t check_spread(const char *name) {
  uint32_t h = 2166136261U;
  for (; *name; name++) h = (h ^ (unsigned char)*name) * 16777619U;
  h = (h ^ h >> 16) * 0x85ebca6bU;
  h = (h ^ h >> 13) * 0xc2b2ae35U;
  return h ^ h >> 16;
}

/* That share of span that the name stands for. */
static int64_t part_of(const struct check_spec *s, int64_t span_ns) {
  return (int64_t)((double)s->spread / 4294967296. * (double)span_ns);
}

void check_init(struct check *c, int64_t now_ns) { *c = (struct check){.since_ns = now_ns, .due_ns = TIME_NEVER}; }

static bool unsettled(const struct check *c) {
  if (c->state == CHECK_UNKNOWN) return true;
  return c->state == CHECK_UNHEALTHY ? c->successes > 0 : c->failures > 0;
}

/* From the end of a run to the next. */
static int64_t next_wait(struct check *c, const struct check_spec *s) {
  if (unsettled(c)) return s->fast_interval_ns ? s->fast_interval_ns : s->interval_ns;
  int64_t wait = c->state == CHECK_UNHEALTHY && s->down_interval_ns ? s->down_interval_ns : s->interval_ns;
  if (!c->spread_done) wait = wait / 2 + part_of(s, wait / 2);
  c->spread_done = true;
  return wait;
}

static void plan_first(struct check *c, const struct check_spec *s, int64_t now_ns) {
  if (c->last_ns) { /* one whose result is known already waits from there */
    c->due_ns = c->last_ns + next_wait(c, s);
    if (c->due_ns < now_ns) c->due_ns = now_ns;
    return;
  }
  c->due_ns = now_ns + s->initial_delay_ns;
  if (s->role != CHECK_STARTUP && s->role != CHECK_READINESS)
    c->due_ns += part_of(s, s->interval_ns < FIRST_RUN_NS ? s->interval_ns : FIRST_RUN_NS);
}

void check_start(struct check *c, const struct check_spec *s, int64_t now_ns) {
  if (c->active) return;
  c->active = true;
  if (!c->running) plan_first(c, s, now_ns);
}

void check_stop(struct check *c) {
  c->active = c->running = false;
  c->due_ns = TIME_NEVER;
}

void check_reset(struct check *c, const struct check_spec *s, int64_t now_ns) {
  bool active = c->active;
  check_init(c, now_ns);
  if (active) check_start(c, s, now_ns);
}

void check_resume(struct check *c, int64_t now_ns) {
  if (c->running && c->active) c->due_ns = now_ns;
  c->running = false;
}

void check_begin(struct check *c) {
  c->running = true;
  c->due_ns = TIME_NEVER;
}

static bool too_many(const struct check *c, const struct check_spec *s) {
  if (!s->window) return c->failures >= s->failures;
  uint64_t mask = s->window >= CHECK_WINDOW_MAX ? UINT64_MAX : (UINT64_C(1) << s->window) - 1;
  return (unsigned)__builtin_popcountll(c->window & mask) >= s->failures;
}

static void count_good(struct check *c, const struct check_spec *s, enum check_result r) {
  c->failures = 0;
  c->successes++;
  c->window <<= 1;
  bool settled = c->state == CHECK_HEALTHY || c->state == CHECK_DEGRADED;
  if (!settled && c->successes < s->successes) return;
  if (c->state == CHECK_UNHEALTHY) c->window = 0;
  c->state = r == CHECK_WARN ? CHECK_DEGRADED : CHECK_HEALTHY;
}

static void count_bad(struct check *c, const struct check_spec *s, int64_t now_ns) {
  c->successes = 0;
  c->failures++;
  c->window = c->window << 1 | 1;
  if (!c->failing_ns) c->failing_ns = now_ns;
  if (too_many(c, s)) c->state = CHECK_UNHEALTHY;
}

void check_end(struct check *c, const struct check_spec *s, enum check_result r, int64_t now_ns,
               struct check_change *out) {
  *out = (struct check_change){.from = c->state};
  c->running = false;
  c->last = r;
  c->last_ns = now_ns;
  if (r == CHECK_CANNOT) {
    c->unknowns++;
    if (!c->alarm && s->unknowns && c->unknowns >= s->unknowns) {
      c->alarm = true;
      out->alarm = 1;
    }
  } else {
    if (c->alarm) out->alarm = -1;
    c->alarm = false;
    c->unknowns = 0;
    if (check_is_good(r))
      count_good(c, s, r);
    else
      count_bad(c, s, now_ns);
    int told = check_is_good(r) ? 1 : -1;
    out->turned = told != c->told;
    c->told = told;
  }
  out->to = c->state;
  out->failures = c->failures;
  if (out->from != out->to) c->since_ns = now_ns;
  if (c->state != CHECK_UNHEALTHY && check_is_good(r)) {
    if (out->from == CHECK_UNHEALTHY) out->outage_ns = now_ns - c->failing_ns;
    c->failing_ns = 0;
  }
  if (c->active) c->due_ns = now_ns + next_wait(c, s);
}

void check_hold(struct check *c, int64_t until_ns, int64_t now_ns) {
  bool held = c->hold_ns > now_ns;
  c->hold_ns = until_ns > now_ns ? until_ns : 0;
  c->failures = c->successes = c->unknowns = 0;
  c->window = 0;
  /* the run that a hold kept back comes at once */
  if (held && !c->hold_ns && c->active && !c->running) c->due_ns = now_ns;
}

void check_hurry(struct check *c, int64_t at_ns) {
  if (c->due_ns > at_ns) c->due_ns = at_ns;
}

void check_slow(struct check *c, double factor, int64_t now_ns) {
  bool settled = (c->state == CHECK_HEALTHY || c->state == CHECK_DEGRADED) && !c->failures;
  if (settled && c->active && c->due_ns > now_ns) c->due_ns = now_ns + (int64_t)((double)(c->due_ns - now_ns) * factor);
}

int64_t check_due_ns(const struct check *c) {
  if (!c->active || c->running) return TIME_NEVER;
  return c->due_ns > c->hold_ns ? c->due_ns : c->hold_ns;
}

/* --- all of them together ---------------------------------------------------------------------------------------- */

const char *health_level_name(enum health_level level) {
  static const char *const names[] = {"healthy", "degraded", "unhealthy"};
  return names[level];
}

enum health_level check_level(const struct check_standing *c) {
  if (c->state == CHECK_UNHEALTHY) return c->role == CHECK_MONITOR ? HEALTH_DEGRADED : HEALTH_UNHEALTHY;
  return c->state == CHECK_DEGRADED || c->alarm ? HEALTH_DEGRADED : HEALTH_HEALTHY;
}

bool check_lets_ready(const struct check_standing *c) {
  switch (c->role) {
    case CHECK_READINESS:
      return c->state == CHECK_HEALTHY || c->state == CHECK_DEGRADED;
    case CHECK_STARTUP:
    case CHECK_LIVENESS:
      return c->state != CHECK_UNHEALTHY;
    case CHECK_MONITOR:
      break;
  }
  return true;
}

static int weight(const struct check_standing *c) { return 2 * (int)check_level(c) + !check_lets_ready(c); }

void check_overall(const struct check_standing *list, size_t n, struct health_verdict *out) {
  *out = (struct health_verdict){.ready = true};
  for (size_t i = 0; i < n; i++) {
    const struct check_standing *c = &list[i];
    int w = weight(c);
    if (check_level(c) > out->level) out->level = check_level(c);
    if (!check_lets_ready(c)) out->ready = false;
    if (!w) continue;
    out->bad++;
    unsigned at = out->n_reasons;
    while (at > 0 && weight(out->reasons[at - 1]) < w) at--;
    if (at == HEALTH_REASONS_MAX) continue;
    if (out->n_reasons < HEALTH_REASONS_MAX) out->n_reasons++;
    memmove(
        &out->reasons[at + 1], &out->reasons[at],
        (out->n_reasons - at - 1) * sizeof out->reasons[0]);  // NOLINT(bugprone-sizeof-expression): a list of pointers
    out->reasons[at] = c;
  }
}

void check_standing_text(const struct check_standing *c, struct buf *out) {
  bool reason = c->reason && *c->reason, detail = c->detail && *c->detail;
  if (c->dependency) buf_str(out, c->required ? "required " : "optional ");
  buf_fmt(out, "%s %s ", c->dependency ? "dependency" : "check", c->name);
  if (c->alarm && c->state != CHECK_UNHEALTHY)
    buf_str(out, "cannot be run");
  else if (c->state == CHECK_UNKNOWN)
    buf_str(out, "has no result yet");
  else if (c->dependency && c->state == CHECK_UNHEALTHY)
    buf_str(out, "is not ready");
  else
    buf_fmt(out, "is %s", check_state_name(c->state));
  if (reason || detail)
    buf_fmt(out, ": %s%s%s", reason ? c->reason : "", reason && detail ? ", " : "", detail ? c->detail : "");
}
