/* Without the engine: the workload goes on as it is; when its main process ends, or a stop is asked for, everything
 * is stopped by the plan's levels within its grace, then every other descendant, and tend ends. */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/exits.h"
#include "init/state.h"

#define GRACE_NS (5 * NS_PER_S)  /* where no plan says */
#define MOMENT_NS (1 * NS_PER_S) /* between TERM and KILL of the rest */
#define LOOK_NS (20 * NS_PER_MS) /* orphans come without a word */
#define DEAD_NS (2 * NS_PER_S)   /* a process that survives SIGKILL that long hangs in the kernel */

void alone_begin(struct init *in) {
  if (in->alone.active || in->exiting) return;
  const struct child *c = child_find(in, in->plan.main_child);
  in->alone =
      (struct alone){.active = true, .had_main = c && child_live(c), .due_ns = TIME_NEVER, .again_ns = TIME_NEVER};
}

void alone_end(struct init *in) { in->alone.active = false; }

int64_t alone_due(const struct init *in) {
  const struct alone *a = &in->alone;
  if (!a->active) return TIME_NEVER;
  return a->due_ns < a->again_ns ? a->due_ns : a->again_ns;
}

static int code_of(const struct init *in) {
  bool stopped = in->stop.level != STOP_NONE;
  if (!stopped && !in->alone.had_main) return EXIT_INTERNAL; /* nothing ran whose code could be ours */
  if (!in->main_known) return stopped ? (in->plan.stopped_is_0 ? 0 : EXIT_TERMINATED) : EXIT_INTERNAL;
  int status = in->main_status;
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  int sig = WTERMSIG(status);
  if (stopped && in->main_stopped && in->plan.stopped_is_0 && sig != SIGKILL) return 0;
  return EXIT_SIGNALED + sig;
}

static void enter(struct init *in, enum alone_phase phase, int64_t wait_ns) {
  in->alone.phase = phase;
  in->alone.due_ns = in->now_ns + wait_ns;
}

static void levels(struct init *in) {
  int level;
  if (!stop_level(in, &level)) {
    enter(in, ALONE_TERM, MOMENT_NS);
    in->alone.again_ns = in->now_ns;
    sweep_signal(in, SIGTERM);
    return;
  }
  if (in->stop_due_ns < in->alone.due_ns) in->alone.due_ns = in->stop_due_ns;
  if (in->now_ns >= in->alone.due_ns) {
    stop_kill(in, true);
    enter(in, ALONE_KILLED, DEAD_NS);
  } else {
    stop_send(in, level);
  }
}

static void begin_stop(struct init *in) {
  in->alone.stopping = true;
  in->alone.phase = ALONE_LEVELS;
  int64_t grace = in->plan.grace_ns > 0 ? in->plan.grace_ns : GRACE_NS;
  in->alone.due_ns = in->now_ns + grace;
}

static void look(struct init *in) {
  struct alone *a = &in->alone;
  if (in->now_ns < a->again_ns && in->now_ns < a->due_ns) return;
  if (in->now_ns >= a->due_ns || in->stop.level == STOP_NOW) {
    if (a->phase == ALONE_TERM)
      enter(in, ALONE_KILL, DEAD_NS);
    else
      a->phase = ALONE_DONE;
  }
  if (sweep_signal(in, a->phase == ALONE_KILL ? SIGKILL : 0) == 0) a->phase = ALONE_DONE;
  a->again_ns = in->now_ns + LOOK_NS;
}

void alone_turn(struct init *in) {
  struct alone *a = &in->alone;
  if (!a->active || in->exiting) return;
  if (!a->stopping) {
    const struct child *c = child_find(in, in->plan.main_child);
    if (in->stop.level == STOP_NONE && c && child_live(c)) return;
    begin_stop(in);
  }
  if (a->phase == ALONE_LEVELS) levels(in);
  if (a->phase == ALONE_KILLED) {
    int level;
    if (!stop_level(in, &level) || in->now_ns >= a->due_ns) {
      enter(in, ALONE_KILL, DEAD_NS);
      a->again_ns = in->now_ns;
    }
  }
  if (a->phase == ALONE_TERM || a->phase == ALONE_KILL) look(in);
  if (a->phase == ALONE_DONE) {
    a->active = false;
    in->code = code_of(in);
    char details[160]; /* no cleanup has run: not graceful, even where nobody had to be killed */
    snprintf(details, sizeof details,
             "{\"graceful\": false, \"exit_code\": %d, \"exit_source\": \"%s\", \"cause\": \"%s\"}", in->code,
             in->main_known ? "workload" : "engine", in->stop.level != STOP_NONE ? "signal" : "engine");
    output_event(in, "WARNING", "lifecycle_manager", "shutdown_completed",
                 "tend ends without its engine: no cleanup, no report", details);
    end_begin(in);
  }
}
