/* Ends of children. Where others of a group must hear of an end, every zombie is looked at before it is taken away, so
 * that its pid and its group cannot be anybody else's meanwhile; what is not in the table is an orphan that came to us
 * and is only reaped. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/state.h"

enum { TELL_AT_ONCE = 32 }; /* ends: the engine works on them while we reap the next */

static bool stops_alone(const struct init *in) { return in->alone.active && in->alone.stopping; }

/* Before the zombie goes: who else is in its group hears of it where that is due. */
static void signal_rest(struct init *in, pid_t pid) {
  const struct child *c = child_of_pid(in, pid);
  if (!c) return;
  if (child_has_company(c))
    kill(-c->group, SIGKILL);
  else if (stops_alone(in))
    kill(-c->group, SIGTERM);
}

static void ended(struct init *in, struct child *c, int status, const struct rusage *usage) {
  child_reaped(in, c);
  spawn_ended(in, c);
  in->look = true;
  if (!(c->flags & PROTO_HELPER) && in->stop.level == STOP_NONE) in->ready_due = true;
  bool left = child_group_left(c);
  if (!left) c->group = 0;
  if (c->flags & PROTO_TTY) tty_take_back(in);
  if (c->failed) return; /* that was told already */
  c->exited = (struct proto_exited){.status = status, .group_left = left, .usage = *usage};
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) c->exited.oom = oom_count(in) > c->oom_before;
  c->tell_exit = in->tell = true;
  if (c->number == in->plan.main_child) {
    in->main_known = true;
    in->main_status = status;
    in->main_stopped = c->stop_sent;
  }
}

/* Those that were started together often end together: the next pid is tried by itself, which spares the kernel the
 * search, and the sum of what it has used, which nobody wants to know of an orphan. */
static void reap_row(struct init *in, pid_t pid) {
  do in->orphans++;
  while (++pid != in->engine && !child_of_pid(in, pid) && waitpid(pid, NULL, WNOHANG) == pid);
}

static bool is_process(const struct child *c) { return !(c->flags & PROTO_HELPER); }

/* While a stop is under way the engine's next question after the last end is who else is left: it need not ask. tend's
 * own helpers are nobody. */
static void answer_sweep(struct init *in) {
  if (!in->tell || in->stop.level == STOP_NONE || in->alone.active || in->exiting) return;
  bool ended = false;
  for (unsigned i = 0; i < in->top; i++) {
    const struct child *c = &in->children[i];
    if (child_live(c) && !(c->flags & (PROTO_FINISHES | PROTO_OWN))) return;
    ended |= c->tell_exit && is_process(c);
  }
  if (!ended || sweep_signal(in, 0) > 0) return;
  in->nobody_left = true;
  for (unsigned i = 0; i < in->top; i++)
    if (in->children[i].tell_exit && is_process(&in->children[i])) in->children[i].exited.nobody_left = true;
}

void reap_all(struct init *in) {
  unsigned told = 0;
  in->reap_due = false;
  for (;;) {
    pid_t pid = -1;
    if (in->company || stops_alone(in)) {
      siginfo_t si = {0};
      if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) != 0 || si.si_pid == 0) break;
      pid = si.si_pid;
      signal_rest(in, pid);
    }
    int status;
    struct rusage usage;
    pid = wait4(pid, &status, WNOHANG, &usage);
    if (pid <= 0) break;
    struct child *c = child_of_pid(in, pid);
    if (c) {
      ended(in, c, status, &usage);
      if (++told % TELL_AT_ONCE == 0) channel_flush(in);
    } else if (pid == in->engine) {
      engine_gone(in, status);
    } else {
      reap_row(in, pid);
    }
  }
  if (in->opt.tty) tty_main_stopped(in);
  answer_sweep(in);
  for (unsigned i = 0; i < in->top; i++) child_release(in, &in->children[i]);
}
