/* The arithmetic of a shutdown: how one total is shared, and which exit code comes of it. Pure.
 *
 *   begin ── workload (hooks, stop signals) ── kill_at ── reserve: sweep, cleanup, report ── end_at
 *
 * The reserve is 20 % of the total, at least 1 s, at most 10 s, never over half of the total; 1 s at most when there
 * is no cleanup handler. What the workload leaves over is cleanup's. Each step has a small least time, so that
 * with a tiny total the end can be up to half a second late, never more.
 */
#ifndef TEND_CORE_SHUTDOWN_H
#define TEND_CORE_SHUTDOWN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/stopreq.h"

/* Numbers that POSIX fixes: core does without <signal.h>. */
enum { SIGNAL_INT = 2, SIGNAL_QUIT = 3, SIGNAL_KILL = 9, SIGNAL_TERM = 15 };

struct shutdown {
  int64_t begin_ns, kill_at_ns, end_at_ns, reserve_ns;
  enum stop_level level;
};

int64_t shutdown_reserve_ns(int64_t total_ns, unsigned cleanups);
/* Begins at now. A stop that is under way already keeps an earlier kill_at (kill_at_ns TIME_NEVER: there is none). */
void shutdown_begin(struct shutdown *s, int64_t total_ns, unsigned cleanups, int64_t now_ns);
/* A higher level: STOP_SOON kills after 2 s from now, STOP_NOW now. Returns false when it adds nothing. */
bool shutdown_hasten(struct shutdown *s, enum stop_level level, int64_t now_ns);

/* Hooks have half of the workload's share; a drain that is longer may use it all. */
int64_t shutdown_hooks_until(const struct shutdown *s);
int64_t shutdown_drain_until(const struct shutdown *s, int64_t drain_ns);
/* What was killed and is not gone by then is left behind. */
int64_t shutdown_gone_by(const struct shutdown *s);
int64_t shutdown_sweep_term_until(const struct shutdown *s, int64_t now_ns);
int64_t shutdown_sweep_kill_until(const struct shutdown *s, int64_t now_ns);
int64_t shutdown_cleanup_until(const struct shutdown *s);
int64_t shutdown_report_until(const struct shutdown *s, int64_t now_ns);

/* The code of a process that ended after an asked-for stop: ended by a stop signal that it was sent
 * (bits 1 << (N - 1), SIGKILL not among them): 128+N in mode single, else 0; otherwise its own, 128+N for a signal. */
int shutdown_exit_code(int code, int signal, uint64_t sent, bool single);

#endif
