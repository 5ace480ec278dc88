/* timer: sleep, and functions run later as tasks of their own. A timer lives until it is cancelled or has run; the
 * engine holds it, so that it needs no variable. */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "lua/effect.h"
#include "lua/l.h"

#define META "tend.timer"

struct lua_timer {
  struct vm *vm;
  struct timer *timer;
  struct lua_timer *next, **link; /* in vm->timers while armed or running */
  int fn;
  uint64_t serial;
  int64_t every_ns; /* 0: once */
  int64_t due_ns;
  uint64_t task; /* the run that goes on */
  char name[LIMIT_NAME];
};

/* --- sleep --- */

struct nap {
  struct sched *sched;
  struct timer *timer;
  uint64_t token;
};

static void nap_end(void *arg) {
  struct nap *nap = arg;
  timer_free(nap->timer);
  free(nap);
}

static void on_nap(void *arg) {
  struct nap *nap = arg;
  task_ready(nap->sched, nap->token, NULL, NULL, NULL);
  nap_end(nap);
}

static int l_sleep(lua_State *L) {
  int64_t ns = l_check_seconds(L, 1, "timer.sleep");
  struct vm *vm = vm_of(L);
  uint64_t token = task_wait(L);
  struct nap *nap = calloc(1, sizeof *nap);
  if (!nap || !(nap->timer = timer_new(vm->host.loop, on_nap, nap))) {
    free(nap);
    return l_raise(L, "timer.sleep: no memory");
  }
  nap->sched = vm->host.sched;
  nap->token = token;
  timer_after(nap->timer, ns);
  return task_suspend(L, nap_end, nap);
}

/* --- after, every --- */

static void release(struct lua_timer *t) {
  if (t->link) {
    *t->link = t->next;
    if (t->next) t->next->link = t->link;
    t->link = NULL;
    t->vm->n_timers--;
  }
  timer_free(t->timer);
  t->timer = NULL;
  if (t->vm->L && t->fn != LUA_NOREF) luaL_unref(t->vm->L, LUA_REGISTRYINDEX, t->fn);
  t->fn = LUA_NOREF;
  free(t);
}

static void on_done(void *arg, enum task_end end, lua_State *co, int nresults, const struct err *err) {
  (void)co;
  (void)nresults;
  struct lua_timer *t = arg;
  t->task = 0;
  if (end != TASK_DONE) vm_script_error(t->vm, t->name, err, NULL);
  if (!t->every_ns) {
    release(t);
    return;
  }
  /* the next one by the clock, but runs never overlap and none is made up for */
  int64_t now = clock_mono_ns();
  t->due_ns += t->every_ns;
  if (t->due_ns < now) t->due_ns = now + t->every_ns;
  if (!t->vm->paused) timer_at(t->timer, t->due_ns);
}

static void on_dropped(void *arg) { ((struct lua_timer *)arg)->task = 0; }

static void on_due(void *arg) {
  struct lua_timer *t = arg;
  if (t->vm->paused) return; /* timers_pause arms it again */
  struct err err = ERR_INIT;
  const struct task_spec spec = {.name = t->name,
                                 .deadline_ns = TIME_NEVER,
                                 .budget_ns = t->vm->host.script ? 0 : t->vm->host.budget_ns,
                                 .done = on_done,
                                 .dropped = on_dropped,
                                 .arg = t};
  t->task = vm_start_ref(t->vm, t->fn, NULL, NULL, &spec, &err);
  if (t->task) return;
  vm_script_error(t->vm, t->name, &err, NULL);
  timer_after(t->timer, t->every_ns ? t->every_ns : NS_PER_S);
}

/* What the script holds names the timer by number, so that one that is gone is nothing. */
struct handle {
  uint64_t serial;
};

static struct lua_timer *find(const struct vm *vm, uint64_t serial) {
  for (struct lua_timer *t = vm->timers; t; t = t->next)
    if (t->serial == serial) return t;
  return NULL;
}

static int l_cancel(lua_State *L) {
  const struct handle *h = luaL_checkudata(L, 1, META);
  struct lua_timer *t = find(vm_of(L), h->serial);
  if (!t) return 0;
  /* a run that goes on ends by itself; it may be the one that called this */
  if (t->task) {
    t->every_ns = 0;
    timer_stop(t->timer);
  } else {
    release(t);
  }
  return 0;
}

static int start(lua_State *L, bool repeat) {
  const char *who = repeat ? "timer.every" : "timer.after";
  int64_t ns = l_check_seconds(L, 1, who);
  if (lua_type(L, 2) != LUA_TFUNCTION)
    return l_raise(L, "%s: expected a function as second argument, got %s", who, luaL_typename(L, 2));
  if (repeat && ns < NS_PER_MS) return l_raise(L, "%s: the interval is at least 0.001 seconds", who);
  struct vm *vm = vm_of(L);
  if (vm->n_timers >= LIMIT_TIMERS)
    return l_raise(L, "%s: %d timers wait already, there can be no more", who, (int)LIMIT_TIMERS);
  bool listed = l_effect(L, who, "%.6g s", (double)ns / (double)NS_PER_S);
  struct handle *h = lua_newuserdatauv(L, sizeof *h, 0);
  h->serial = 0;
  luaL_setmetatable(L, META);
  if (listed) return 1;
  lua_pushvalue(L, 2);
  int fn = luaL_ref(L, LUA_REGISTRYINDEX);
  struct lua_timer *t = calloc(1, sizeof *t);
  if (!t || !(t->timer = timer_new(vm->host.loop, on_due, t))) {
    free(t);
    luaL_unref(L, LUA_REGISTRYINDEX, fn);
    return l_raise(L, "%s: no memory", who);
  }
  t->vm = vm;
  t->fn = fn;
  t->every_ns = repeat ? ns : 0;
  t->due_ns = clock_mono_ns() + ns;
  snprintf(t->name, sizeof t->name, "%s %.6g s", who, (double)ns / (double)NS_PER_S);
  t->next = vm->timers;
  t->link = &vm->timers;
  if (t->next) t->next->link = &t->next;
  vm->timers = t;
  vm->n_timers++;
  if (!vm->paused) timer_at(t->timer, t->due_ns);
  h->serial = t->serial = ++vm->timer_serial;
  return 1;
}

static int l_after(lua_State *L) { return start(L, false); }
static int l_every(lua_State *L) { return start(L, true); }

/* One that was due meanwhile is due at once. */
void timers_pause(struct vm *vm) {
  for (struct lua_timer *t = vm->timers; t; t = t->next) {
    if (t->task) continue;
    if (vm->paused)
      timer_stop(t->timer);
    else
      timer_at(t->timer, t->due_ns);
  }
}

void timers_free(struct vm *vm) {
  while (vm->timers) release(vm->timers);
}

/* All of it is its Lua half. */
int l_open_retry(lua_State *L) {
  lua_newtable(L);
  return 1;
}

int l_open_timer(lua_State *L) {
  static const luaL_Reg functions[] = {{"sleep", l_sleep}, {"after", l_after}, {"every", l_every}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"cancel", l_cancel}, {NULL, NULL}};
  l_class(L, META, methods, NULL);
  luaL_newlib(L, functions);
  return 1;
}
