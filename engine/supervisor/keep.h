/* What of the supervisor is kept for a next engine; keep.c puts it, revive.c takes it. */
#ifndef TEND_SUPERVISOR_KEEP_H
#define TEND_SUPERVISOR_KEEP_H

#include "supervisor/impl.h"

/* As they are: numbers, and pointers to literals. */
/* clang-format off */
#define KEPT_FIELDS(F) \
  F(counts) F(begun_ns) F(begun_real_ns) F(startup_ns) F(running_since_ns) F(running_total_ns) F(phases) \
  F(phase_started_ns) F(startup_result) F(steps) F(n_steps) F(validation_checks) F(validation_failed) F(healthy) \
  F(graceful) F(from_workload) F(exit_code) F(exit_cause) F(hook)
/* clang-format on */

struct kept_self {
#define F(field) __typeof__(((struct supervisor *)0)->field) field;
  KEPT_FIELDS(F)
#undef F
  bool log_dir_known;
};

/* Of each slot under its process's name and its instance. */
struct kept_run {
  uint32_t child;
  pid_t pid, last_pid;
  int64_t started_ns, started_real_ns;
};

/* And its struct slot_end, where it has one; a spawn_text of "" is left out. */
#define KEPT_END offsetof(struct slot_end, spawn_text)

enum { KEPT_NAME = LIMIT_NAME + 16 };
void kept_name(const struct supervisor *s, const struct slot *slot, const char *what, char to[KEPT_NAME]);

#endif
