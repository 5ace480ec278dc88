#include "lua/notices.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"

struct notice {
  struct notice *next;
  int pid;
  char *payload; /* behind the channel */
  char channel[];
};

struct wait;

struct notices {
  struct vm *vm;
  struct notice *first, *last;
  unsigned n, dropped;
  bool gone; /* the connection is */
  struct wait *wait;
};

/* A task that waits for the next one. */
struct wait {
  struct notices *notices; /* NULL: completed */
  struct sched *sched;
  struct timer *timer;
  uint64_t token;
  struct notice *notice;
  const char *code;
  unsigned dropped;
  char where[128];
};

static void wait_free(void *arg) {
  struct wait *w = arg;
  if (w->notices) w->notices->wait = NULL;
  timer_free(w->timer);
  free(w->notice);
  free(w);
}

static void push_notice(lua_State *L, const struct notice *n, unsigned dropped) {
  lua_createtable(L, 0, 4);
  lua_pushstring(L, n->channel);
  lua_setfield(L, -2, "channel");
  lua_pushstring(L, n->payload);
  lua_setfield(L, -2, "payload");
  lua_pushinteger(L, n->pid);
  lua_setfield(L, -2, "pid");
  lua_pushinteger(L, dropped);
  lua_setfield(L, -2, "dropped");
}

static int l_push_waited(lua_State *L, void *data) {
  const struct wait *w = data;
  if (!w->notice)
    return l_fail(L, w->code, "%s: %s", w->where,
                  STR_EQ(w->code, "timeout") ? "no notification came in time" : "the connection is gone");
  push_notice(L, w->notice, w->dropped);
  return 1;
}

static void complete(struct notices *n, struct notice *notice, const char *code) {
  struct wait *w = n->wait;
  n->wait = NULL;
  w->notices = NULL;
  w->notice = notice;
  w->code = code;
  w->dropped = n->dropped;
  timer_stop(w->timer);
  task_ready(w->sched, w->token, l_push_waited, w, wait_free);
}

static void on_late(void *arg) { complete(((struct wait *)arg)->notices, NULL, "timeout"); }

struct notices *notices_new(struct vm *vm) {
  struct notices *n = calloc(1, sizeof *n);
  if (n) n->vm = vm;
  return n;
}

static struct notice *take_first(struct notices *n) {
  struct notice *first = n->first;
  n->first = first->next;
  if (!n->first) n->last = NULL;
  n->n--;
  return first;
}

void notices_free(struct notices *n) {
  if (!n) return;
  if (n->wait) complete(n, NULL, "closed");
  while (n->first) free(take_first(n));
  free(n);
}

void notices_take(void *arg, const char *channel, const char *payload, int pid) {
  struct notices *n = arg;
  if (!channel) {
    n->gone = true;
    if (n->wait) complete(n, NULL, "closed");
    return;
  }
  size_t a = strlen(channel) + 1, b = strlen(payload) + 1;
  struct notice *new = n->n < LIMIT_NOTICES ? malloc(sizeof *new + a + b) : NULL;
  if (!new) {
    n->dropped++;
    return;
  }
  *new = (struct notice){.pid = pid};
  memcpy(new->channel, channel, a);
  new->payload = memcpy(new->channel + a, payload, b);
  if (n->wait) {
    complete(n, new, NULL);
    return;
  }
  if (n->last)
    n->last->next = new;
  else
    n->first = new;
  n->last = new;
  n->n++;
}

int l_next_notice(lua_State *L, struct notices *n, int64_t limit_ns, const char *where) {
  task_may_wait(L);
  if (n->wait) return l_raise(L, "postgres: another task waits for notifications on this connection");
  if (n->first) {
    struct notice *first = take_first(n);
    push_notice(L, first, n->dropped);
    free(first);
    return 1;
  }
  if (n->gone) return l_fail(L, "closed", "%s: the connection is gone", where);
  uint64_t token = task_wait(L);
  struct wait *w = calloc(1, sizeof *w);
  if (!w || !(w->timer = timer_new(n->vm->host.loop, on_late, w))) {
    free(w);
    return l_raise(L, "postgres: no memory");
  }
  w->notices = n;
  w->sched = n->vm->host.sched;
  w->token = token;
  str_copy(w->where, sizeof w->where, where);
  n->wait = w;
  if (limit_ns != TIME_NEVER) timer_after(w->timer, limit_ns);
  return task_suspend(L, wait_free, w);
}
