/* Restart decisions: classification of an end, rules, policy, delay, window. Pure; times are CLOCK_MONOTONIC ns.
 *
 * Two counts that are never one: `n` is the restarts in a row (it makes the delay grow), the window is a ring of the
 * times of restarts (it limits them). struct restart belongs to one instance of a process.
 */
#ifndef TEND_CORE_RESTART_H
#define TEND_CORE_RESTART_H

#include <stdbool.h>
#include <stdint.h>

enum restart_policy { RESTART_NO, RESTART_ALWAYS, RESTART_ON_FAILURE, RESTART_UNLESS_STOPPED };
enum execution_mode { MODE_DAEMON, MODE_SINGLE, MODE_SERVER };

/* Why a run or a start ended: END_CLEAN, END_OOM …; reason.def has them, and what they mean. */
enum end_reason {
#define END(id, name, doc, look) END_##id,
#include "core/reason.def"
  END_REASONS
};
const char *end_reason_name(enum end_reason reason); /* "exit", "oom", … as rules and events write it */

struct restart_config {
  enum restart_policy policy;
  unsigned max_attempts; /* in the window; 0: no limit */
  int64_t base_ns, max_ns;
  bool exponential;
  unsigned jitter_percent;
  int64_t window_ns;
  int64_t reset_ns; /* in good health for this long: n starts anew; 0: never by time */
};

enum rule_action { RULE_RESTART, RULE_FAIL, RULE_STOP, RULE_RESTART_ALL };

/* One rule: matches when the reason is (or is not asked for) and, where given, the exit code or the signal is in its
 * set. The first match wins over the policy.
 *   restart: again, whatever the policy says (the window still limits); fail: final at once;
 *   stop: no failure and no restart (main: tend ends with its code); restart_all: every process anew.
 */
struct restart_rule {
  uint32_t reasons; /* bits 1 << enum end_reason; 0: any */
  bool has_exit;    /* exit holds the codes that match */
  uint64_t exit[4]; /* bitmap of codes 0..255 */
  uint64_t signals; /* bits 1 << (N - 1); 0: none asked for */
  enum rule_action action;
};

enum restart_verdict {
  VERDICT_AGAIN,       /* daemon: after the interval; no restart */
  VERDICT_DONE,        /* a good end */
  VERDICT_RESTART,     /* after the delay */
  VERDICT_RESTART_ALL, /* the same, all processes */
  VERDICT_FINAL,       /* failed for good */
};

struct restart {
  unsigned n;     /* restarts in a row */
  uint64_t total; /* restarts ever */
  unsigned cap;   /* entries of ring */
  unsigned head;  /* index of the oldest */
  unsigned count; /* entries in use */
  int64_t *ring;  /* times, oldest first; belongs to who made it */
};

/* What rules and policy say of an end, without the window. code: exit code (exits), signal: its number or 0. */
enum restart_verdict restart_judge(const struct restart_config *c, enum execution_mode mode, bool simple,
                                   const struct restart_rule *rules, unsigned n_rules, enum end_reason reason, int code,
                                   int signal);

/* base * 2^min(n, 5), at most max; without exponential the base. No jitter. */
int64_t restart_delay_ns(const struct restart_config *c, unsigned n);

unsigned restart_in_window(struct restart *r, const struct restart_config *c, int64_t now_ns);
/* True when the window holds max_attempts: the next failure is final. */
bool restart_exhausted(struct restart *r, const struct restart_config *c, int64_t now_ns);
/* Remembers a restart decided now, counts n; returns the delay, jitter from *seed included. */
int64_t restart_take(struct restart *r, const struct restart_config *c, int64_t now_ns, uint64_t *seed);

/* A small generator: the same seed gives the same numbers. below > 0. It is splitmix64 (Steele, Lea and Flood, "Fast
 * Splittable Pseudorandom Number Generators", OOPSLA 2014), with the constants of variant 13 of D. Stafford's mixers.
 */
uint64_t random_next(uint64_t *seed);
uint64_t random_below(uint64_t *seed, uint64_t below);

#endif
