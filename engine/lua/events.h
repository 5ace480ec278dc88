/* The events of a generation from inside: l_event.c (what scripts call) and events.c (how events come to them). */
#ifndef TEND_LUA_EVENTS_H
#define TEND_LUA_EVENTS_H

#include "base/limits.h"
#include "lua/l.h"

enum {
  EVENT_NAMES_MAX = 16, /* of one subscription */
  EVENT_OWN_MAX = 32,   /* events that one call of a subscription may emit */
};

struct names {
  bool all;
  unsigned n;
  char name[EVENT_NAMES_MAX][LIMIT_NAME];
};

struct subscription {
  struct vm *vm;
  struct subscription *next;
  struct names names;
  uint64_t serial;
  uint64_t seen; /* the last event that was looked at */
  uint64_t task; /* the call that goes on */
  uint64_t own[EVENT_OWN_MAX];
  unsigned n_own;
  int64_t timeout_ns;
  int fn;
  bool gone;
};

/* A task that waits for an event. */
struct waiter {
  struct vm *vm;
  struct waiter *next;
  struct names names;
  struct timer *timer;
  uint64_t token;
  uint64_t seq; /* the event; 0: the time is over */
};

struct vm_events {
  struct vm *vm;
  struct subscription *subs;
  struct waiter *waiters;
  unsigned n;
  uint64_t serial;
  bool due;
  double allowance; /* events that may be emitted now */
  int64_t since_ns; /* when that was so */
};

bool event_names_fit(const struct names *names, const struct event *e);
/* The event as a table. */
int l_push_event(lua_State *L, const struct event *e);
/* The one of the state; raises (memory). */
struct vm_events *l_events(lua_State *L, double allowance);
void subscription_free(struct subscription *sub);
/* What a waiting task gets. */
int l_push_waited(lua_State *L, void *waiter);
void waiter_free(void *waiter);
void waiter_late(void *waiter);

#endif
