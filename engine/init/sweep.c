/* Who else is below init: no live child of its table, nor below one. */
#include <signal.h>

#include "init/state.h"

static bool knows(void *arg, pid_t pid) {
  struct init *in = arg;
  if (pid == in->engine) return true;
  const struct child *c = child_of_pid(in, pid);
  return c && child_live(c);
}

void sweep_prepare(struct init *in) {
  if (!in->strays.self) in->strays = (struct strays){.self = in->pid, .pid1 = in->pid1, .knows = knows, .arg = in};
  strays_prepare(&in->strays);
}

static unsigned groups_only(struct init *in, int sig) {
  static bool said;
  if (!said) {
    output_notice(in, "WARNING", "no /proc of its own: at the end only the processes' own groups are signalled", "{}");
    said = true;
  }
  unsigned left = 0;
  for (unsigned i = 0; i < in->top; i++) {
    struct child *c = &in->children[i];
    if (!c->number || c->pid || !child_group_left(c)) continue;
    if (sig) child_kill(in, c, sig, true);
    left++;
  }
  return left;
}

unsigned sweep_signal(struct init *in, int sig) {
  sweep_prepare(in);
  unsigned left;
  return strays_signal(&in->strays, sig, &left) ? left : groups_only(in, sig);
}
