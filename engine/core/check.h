/* One health check as pure state: what its results mean, and when it is due next. No I/O, no clock, no allocation;
 * times are CLOCK_MONOTONIC ns and come in as arguments.
 *
 * Results: ok and warn are good, fail is bad, unknown (it could not be run, or its script broke) counts for nothing
 * but itself: `unknowns` of them in a row raise an alarm.
 * States: UNKNOWN until it has settled for the first time; HEALTHY; DEGRADED (healthy, and the last result was warn);
 * UNHEALTHY. It becomes UNHEALTHY after `failures` bad results in a row, or with a window: as soon as `failures` of
 * the last `window` counted results are bad; good again after `successes` good ones in a row, which also empty the
 * window.
 * Waits count from the end of a run: `fast_interval_ns` while unsettled (no state yet, or on its way from one to the
 * other), `down_interval_ns` while UNHEALTHY, else `interval_ns`. So that checks that were started together do not run
 * together, the first settled wait is between half of the interval and the whole, by `spread`; the first run of what
 * is neither startup nor readiness comes up to a second late.
 */
#ifndef TEND_CORE_CHECK_H
#define TEND_CORE_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum check_role {
  CHECK_STARTUP,   /* gates the others of its process */
  CHECK_LIVENESS,  /* its process is restarted when it fails */
  CHECK_READINESS, /* the container is not ready when it fails */
  CHECK_MONITOR,   /* only degrades */
};
enum { CHECK_ROLES = CHECK_MONITOR + 1 };
extern const char *const check_role_names[CHECK_ROLES]; /* "startup" … */

enum check_result { CHECK_OK, CHECK_WARN, CHECK_FAIL, CHECK_CANNOT }; /* in the order of a probe's status */
enum { CHECK_RESULTS = CHECK_CANNOT + 1 };
const char *check_result_name(enum check_result r); /* "ok", "warn", "fail", "unknown" */

enum check_state {
#define X(id, name, doc, look) CHECK_##id,
#include "core/check.def"
#undef X
};
const char *check_state_name(enum check_state s); /* "unknown" … */

enum { CHECK_WINDOW_MAX = 64 };

struct check_spec {
  enum check_role role;
  int64_t interval_ns;
  int64_t timeout_ns;       /* of one run; kept by the caller */
  int64_t initial_delay_ns; /* from the start to the first run */
  int64_t fast_interval_ns; /* 0: the interval */
  int64_t down_interval_ns; /* 0: the interval */
  unsigned failures;        /* at least 1 */
  unsigned successes;       /* at least 1 */
  unsigned window;          /* 0: failures in a row count; else of the last so many, at most CHECK_WINDOW_MAX */
  unsigned unknowns;        /* in a row until the alarm; 0: never */
  uint32_t spread;          /* check_spread(name) */
};

uint32_t check_spread(const char *name);

struct check { /* there may be thousands, with copies: in an order that leaves no gaps */
  enum check_state state;
  enum check_result last;
  bool active, running;
  bool alarm; /* unknown so many times in a row */
  bool spread_done;
  int told;                               /* of the last counted result: 0 none yet, 1 good, -1 bad */
  unsigned failures, successes, unknowns; /* in a row */
  uint64_t window;                        /* bit 0: the last counted result was bad */
  int64_t since_ns;                       /* of the state */
  int64_t last_ns;                        /* end of the last run; 0: none yet */
  int64_t failing_ns;                     /* of the first bad result of the present outage; 0: none */
  int64_t due_ns;                         /* TIME_NEVER: not */
  int64_t hold_ns;                        /* not before; 0: no hold */
};

/* What a result has changed. */
struct check_change {
  enum check_state from, to;
  bool turned;       /* the first counted result, or good after bad, bad after good */
  int alarm;         /* 1: raised, -1: over, 0: as before */
  unsigned failures; /* in a row, this one included */
  int64_t outage_ns; /* to is good, from was UNHEALTHY: since the first bad result; else 0 */
};

/* Stopped, nothing known. */
void check_init(struct check *c, int64_t now_ns);
/* Runs from now on: what has a result waits from its end, what has none runs soon. One that is active stays as it
 * is. */
void check_start(struct check *c, const struct check_spec *s, int64_t now_ns);
/* Runs no more; what is known stays. */
void check_stop(struct check *c);
/* Forgets what is known (a new process, another start); stays active. */
void check_reset(struct check *c, const struct check_spec *s, int64_t now_ns);
/* What was known before the engine died: a run that was under way is due now. */
void check_resume(struct check *c, int64_t now_ns);
/* A run begins: due no more until check_end. */
void check_begin(struct check *c);
/* The result of a run. Of one that is not active (asked for by hand) it counts just the same. */
void check_end(struct check *c, const struct check_spec *s, enum check_result r, int64_t now_ns,
               struct check_change *out);
/* After a remedy: not run before until_ns, counts begin anew, the state stays. An earlier time than the present hold
 * shortens it; now or the past ends it. */
void check_hold(struct check *c, int64_t until_ns, int64_t now_ns);
/* Due at that time at the latest, where it is active and no hold is on it. */
void check_hurry(struct check *c, int64_t at_ns);
/* A good one that is settled: its next wait, from now_ns on, times factor. */
void check_slow(struct check *c, double factor, int64_t now_ns);
/* When it is to be run; TIME_NEVER: not, or it runs. */
int64_t check_due_ns(const struct check *c);
bool check_is_good(enum check_result r);

/* --- all of them together ---------------------------------------------------------------------------------------- */

enum health_level { HEALTH_HEALTHY, HEALTH_DEGRADED, HEALTH_UNHEALTHY };
const char *health_level_name(enum health_level level); /* "healthy" … */

/* How one thing stands: a check, or a dependency (required: readiness; optional: monitor). */
struct check_standing {
  const char *name;
  bool dependency, required;
  enum check_role role;
  enum check_state state;
  bool alarm;
  const char *reason, *detail; /* of the last result; "" or NULL: none */
};

enum health_level check_level(const struct check_standing *c);
/* False: because of it the container is not ready. */
bool check_lets_ready(const struct check_standing *c);

enum { HEALTH_REASONS_MAX = 16 };
struct health_verdict {
  enum health_level level;
  bool ready;
  unsigned n_reasons; /* at most HEALTH_REASONS_MAX are named, the worst first */
  unsigned bad;       /* all that keep it from being healthy or ready */
  const struct check_standing *reasons[HEALTH_REASONS_MAX];
};
void check_overall(const struct check_standing *list, size_t n, struct health_verdict *out);
/* "check disk is unhealthy: …", "required dependency db is not ready: refused, cannot connect to …" */
void check_standing_text(const struct check_standing *c, struct buf *out);

#endif
