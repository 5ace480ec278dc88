/* The table of children. A signal goes only to a pid that is not reaped, or to a group that still is ours. */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "init/state.h"

bool child_live(const struct child *c) { return c->number && c->pid; }

bool child_is_process(const struct child *c) { return child_live(c) && !(c->flags & PROTO_HELPER); }

/* While a group has members, its number is given to no new process; so once its leader is reaped, a process of
 * that pid means that the group died out and the number is somebody else's. */
bool child_group_left(const struct child *c) {
  if (!c->group) return false;
  if (!c->pid && kill(c->group, 0) == 0) return false;
  return kill(-c->group, 0) == 0 || errno == EPERM;
}

void child_release(struct child *c) {
  if (!c->number || c->pid || c->tell_start || c->tell_exit) return;
  if (!child_group_left(c)) *c = (struct child){.status_fd = -1};
}

struct child *child_new(struct init *in, uint32_t number) {
  if (!number || child_find(in, number)) return NULL;
  for (unsigned round = 0; round < 2; round++) {
    for (unsigned i = 0; i < LIMIT_CHILDREN; i++) {
      struct child *c = &in->children[i];
      if (c->number) continue;
      *c = (struct child){.number = number, .status_fd = -1};
      if (i >= in->top) in->top = i + 1;
      return c;
    }
    for (unsigned i = 0; i < in->top; i++) child_release(&in->children[i]);
  }
  return NULL;
}

struct child *child_find(struct init *in, uint32_t number) {
  for (unsigned i = 0; i < in->top; i++)
    if (number && in->children[i].number == number) return &in->children[i];
  return NULL;
}

struct child *child_of_pid(struct init *in, pid_t pid) {
  for (unsigned i = 0; i < in->top; i++)
    if (in->children[i].number && in->children[i].pid == pid) return &in->children[i];
  return NULL;
}

void child_kill(struct init *in, struct child *c, int sig, bool group) {
  if (sig < 0 || sig > SIGRTMAX) return;
  /* before the child has made its session there is only the process */
  if (c->pid && (!group || kill(-c->group, sig) != 0)) kill(c->pid, sig);
  if (!c->pid && group && child_group_left(c)) kill(-c->group, sig);
  if (sig == SIGKILL) {
    c->killed = true;
    if (c->number == in->plan.main_child) in->main_killed = true;
  }
}
