/* The end: whatever still runs is killed, the engine is waited for, the output that is left is written. */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/exits.h"
#include "init/state.h"

#define KILL_NS (2 * NS_PER_S) /* what survives SIGKILL that long hangs in the kernel */
#define ENGINE_NS (2 * NS_PER_S)
#define DRAIN_NS NS_PER_S
#define LOOK_NS (10 * NS_PER_MS)

void end_begin(struct init *in) {
  bool silent = in->ack_due_ns != TIME_NEVER || in->alone.stopping;
  in->exiting = true;
  in->alone.active = false;
  in->ack_due_ns = TIME_NEVER;
  in->end = END_KILL;
  in->end_due_ns = in->now_ns + KILL_NS;
  in->finish_due_ns = in->now_ns + FINISH_NS;
  in->look_ns = in->now_ns;
  in->engine_due_ns = silent ? in->now_ns : in->now_ns + ENGINE_NS;
}

void end_orphaned(struct init *in) {
  in->code = EXIT_KILLED;
  end_begin(in);
  in->engine_due_ns = in->drain_due_ns = in->finish_due_ns = in->now_ns;
}

static bool anybody_left(struct init *in) {
  bool left = false;
  for (unsigned i = 0; i < in->top; i++) {
    struct child *c = &in->children[i];
    if (!c->number || (!c->pid && !child_group_left(c))) continue;
    bool finishes = c->pid && (c->flags & PROTO_FINISHES) && in->now_ns < in->finish_due_ns;
    if (!finishes) child_kill(in, c, SIGKILL, true);
    left |= !finishes || !in->let_go || !in->guard;
  }
  return sweep_signal(in, SIGKILL) > 0 || left;
}

/* While the log can still be written to. */
static void tell_losses(struct init *in) {
  for (unsigned i = 0; i < in->nsources; i++)
    if (in->sources[i].used) source_tell_dropped(in, &in->sources[i]);
  uint64_t n = in->writers[0].discarded + in->writers[1].discarded;
  if (!n) return;
  char details[48];
  snprintf(details, sizeof details, "{\"bytes\": %llu}", (unsigned long long)n);
  output_notice(in, "WARNING", "output that nobody read, or that had no room, was discarded", details);
}

bool end_turn(struct init *in) {
  if (!in->exiting) return false;
  if (in->end == END_KILL) {
    if (in->now_ns < in->look_ns && !in->look) return false;
    in->look = false;
    in->look_ns = in->now_ns + LOOK_NS;
    if (anybody_left(in) && in->now_ns < in->end_due_ns) {
      reap_all(in);
      return false;
    }
    in->end = END_ENGINE;
  }
  if (in->end == END_ENGINE) {
    if (in->engine && in->now_ns >= in->engine_due_ns) {
      kill(in->engine, SIGKILL);
      in->engine_due_ns = TIME_NEVER;
    }
    if (in->engine && !in->let_go) return false;
    in->end = END_DRAIN;
    bool patient = in->stop.level == STOP_NONE && !in->asked && in->output.overflow == OUTPUT_WAIT;
    if (!patient && in->drain_due_ns == TIME_NEVER) in->drain_due_ns = in->now_ns + DRAIN_NS;
    tell_losses(in);
    if (in->log_fd >= 0) close(in->log_fd);
    in->log_fd = -1;
  }
  output_drain(in);
  return output_empty(in) || in->now_ns >= in->drain_due_ns;
}

int64_t end_due(const struct init *in) {
  if (!in->exiting) return TIME_NEVER;
  if (in->end == END_KILL) return in->look_ns;
  return in->end == END_ENGINE ? in->engine_due_ns : in->drain_due_ns;
}
