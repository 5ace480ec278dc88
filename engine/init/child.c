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
  if (kill(-c->group, 0) != 0 && errno != EPERM) return false;
  return c->pid || kill(c->group, 0) != 0;
}

/* No engine has made it part of what it keeps, and one may still want to know: it is told to the next one. */
static bool is_news(struct init *in, const struct child *c) {
  if (!in->keep || (c->flags & PROTO_HELPER) || in->revive.over) return false;
  return c->untold || (int32_t)(c->told - atomic_load(&keep_words(in->keep)->heard)) > 0;
}

void child_release(struct init *in, struct child *c) {
  if (!c->number || c->pid || c->tell_start || c->tell_exit || is_news(in, c) || child_group_left(c)) return;
  *c = (struct child){.status_fd = -1};
  unsigned i = (unsigned)(c - in->children);
  if (i < in->first_free) in->first_free = i;
}

bool child_has_company(const struct child *c) { return (c->flags & (PROTO_HELPER | PROTO_OWN)) == PROTO_HELPER; }

void child_born(struct init *in, struct child *c, pid_t pid) {
  c->pid = c->first_pid = c->group = pid;
  uint16_t *chain = &in->pids[(unsigned)pid % PID_CHAINS];
  c->next_of_pid = *chain;
  *chain = (uint16_t)(c - in->children + 1);
  in->company += child_has_company(c);
  if (in->settled_due_ns == TIME_NEVER && !in->settled && !in->pid1) in->settled_due_ns = in->now_ns + SETTLED_NS;
}

void child_reaped(struct init *in, struct child *c) {
  uint16_t *at = &in->pids[(unsigned)c->pid % PID_CHAINS];
  while (&in->children[*at - 1] != c) at = &in->children[*at - 1].next_of_pid;
  *at = c->next_of_pid;
  in->company -= child_has_company(c);
  c->pid = 0;
}

struct child *child_of_pid(struct init *in, pid_t pid) {
  for (unsigned i = in->pids[(unsigned)pid % PID_CHAINS]; i; i = in->children[i - 1].next_of_pid)
    if (in->children[i - 1].pid == pid) return &in->children[i - 1];
  return NULL;
}

struct child *child_new(struct init *in, uint32_t number) {
  if (!number || number <= in->last_number) return NULL;
  in->last_number = number;
  for (unsigned round = 0; round < 2; round++) {
    for (unsigned i = in->first_free; i < LIMIT_CHILDREN; i++) {
      struct child *c = &in->children[i];
      if (c->number) continue;
      in->first_free = i + 1;
      *c = (struct child){.number = number, .status_fd = -1};
      if (i >= in->top) in->top = i + 1;
      return c;
    }
    for (unsigned i = 0; i < in->top; i++) child_release(in, &in->children[i]);
  }
  return NULL;
}

/* Children are asked for in the order of their starts, more or less: the one after the last comes first. */
struct child *child_find(struct init *in, uint32_t number) {
  static unsigned last;
  if (!number) return NULL;
  unsigned i = last < in->top ? last : 0;
  for (unsigned k = 0; k < in->top; k++, i = i + 1 < in->top ? i + 1 : 0)
    if (in->children[i].number == number) return &in->children[last = i];
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
