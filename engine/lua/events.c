/* How events come to scripts. Nothing is queued: a subscription keeps the number of the event that it has seen last and
 * reads on in the ring, one task at a time. What its own function emits is passed over, so that it cannot call itself
 * for ever. */
#include "lua/events.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "lua/conv.h"

bool event_names_fit(const struct names *names, const struct event *e) {
  const char *name = event_title(e);
  for (unsigned i = 0; i < names->n; i++)
    if (STR_EQ(names->name[i], name)) return true;
  return names->all;
}

int l_push_event(lua_State *L, const struct event *e) {
  char time[CLOCK_TEXT_MAX];
  lua_createtable(L, 0, 9);
  lua_pushinteger(L, (lua_Integer)e->seq);
  lua_setfield(L, -2, "seq");
  lua_pushstring(L, clock_format(e->real_ns, time));
  lua_setfield(L, -2, "timestamp");
  lua_pushnumber(L, (lua_Number)e->real_ns / (lua_Number)NS_PER_S);
  lua_setfield(L, -2, "time");
  lua_pushstring(L, level_name(e->level));
  lua_setfield(L, -2, "level");
  lua_pushstring(L, e->component ? e->component : event_component(e->kind));
  lua_setfield(L, -2, "component");
  lua_pushstring(L, event_title(e));
  lua_setfield(L, -2, "event");
  if (e->message) {
    lua_pushstring(L, e->message);
    lua_setfield(L, -2, "message");
  }
  if (e->duration_ns >= 0) {
    lua_pushnumber(L, (lua_Number)e->duration_ns / (lua_Number)NS_PER_S);
    lua_setfield(L, -2, "seconds");
  }
  cJSON *details = NULL;
  if (e->details) json_parse(e->details, strlen(e->details), "details", &details, NULL);
  int status = LUA_OK;
  if (details)
    status = conv_push_json(L, details);
  else
    lua_newtable(L);
  cJSON_Delete(details);
  if (status) return lua_error(L);
  lua_setfield(L, -2, "details");
  return 1;
}

/* --- delivery ---------------------------------------------------------------------------------------------------- */

static const struct event *next_for(struct subscription *sub) {
  const struct event_ring *ring = sink_ring(sub->vm->host.sink);
  for (const struct event *e; (e = event_ring_from(ring, sub->seen + 1));) {
    sub->seen = e->seq;
    bool own = false;
    for (unsigned i = 0; i < sub->n_own; i++) own |= sub->own[i] == e->seq;
    if (!own && event_names_fit(&sub->names, e)) return e;
  }
  sub->n_own = 0;
  return NULL;
}

void subscription_free(struct subscription *sub) {
  struct vm_events *all = sub->vm->events;
  struct subscription **p = &all->subs;
  while (*p != sub) p = &(*p)->next;
  *p = sub->next;
  all->n--;
  if (sub->vm->L && sub->fn != LUA_NOREF) luaL_unref(sub->vm->L, LUA_REGISTRYINDEX, sub->fn);
  free(sub);
}

static void go_on(struct subscription *sub);

static void on_done(void *arg, enum task_end end, lua_State *co, int nresults, const struct err *err) {
  (void)co;
  (void)nresults;
  struct subscription *sub = arg;
  sub->task = 0;
  if (end != TASK_DONE) vm_script_error(sub->vm, "event.subscribe", err, NULL);
  if (sub->gone)
    subscription_free(sub);
  else
    go_on(sub);
}

static void on_dropped(void *arg) { ((struct subscription *)arg)->task = 0; }

static int l_push_argument(lua_State *L, void *event) { return l_push_event(L, event); }

static void go_on(struct subscription *sub) {
  if (sub->task || sub->gone || sub->vm->paused) return;
  const struct event *e = next_for(sub);
  if (!e) return;
  struct err err = ERR_INIT;
  char name[LIMIT_NAME + 8];
  snprintf(name, sizeof name, "event %s", event_title(e));
  const struct task_spec spec = {.name = name,
                                 .deadline_ns = clock_mono_ns() + sub->timeout_ns,
                                 .budget_ns = sub->vm->host.script ? 0 : sub->vm->host.budget_ns,
                                 .done = on_done,
                                 .dropped = on_dropped,
                                 .arg = sub};
  sub->task = vm_start_ref(sub->vm, sub->fn, l_push_argument, (void *)e, &spec, &err);
  if (!sub->task) vm_script_error(sub->vm, name, &err, NULL);
}

static void on_due(void *arg) {
  struct vm_events *all = arg;
  all->due = false;
  if (all->vm->paused) return;
  for (struct subscription *sub = all->subs; sub; sub = sub->next) go_on(sub);
}

static void unlink_waiter(struct waiter *w) {
  struct waiter **p = &w->vm->events->waiters;
  while (*p && *p != w) p = &(*p)->next;
  if (*p) *p = w->next;
}

void waiter_free(void *arg) {
  struct waiter *w = arg;
  unlink_waiter(w);
  timer_free(w->timer);
  free(w);
}

int l_push_waited(lua_State *L, void *data) {
  const struct waiter *w = data;
  const struct event *e = w->seq ? event_ring_from(sink_ring(w->vm->host.sink), w->seq) : NULL;
  if (e && e->seq == w->seq) return l_push_event(L, e);
  return l_fail(L, "timeout", "event.wait: the event did not come in time");
}

static void complete(struct waiter *w, uint64_t seq) {
  w->seq = seq;
  unlink_waiter(w);
  timer_stop(w->timer);
  task_ready(w->vm->host.sched, w->token, l_push_waited, w, waiter_free);
}

void waiter_late(void *arg) { complete(arg, 0); }

/* From inside whatever tells: nothing of Lua runs here. */
static void on_event(void *arg, const struct event *e) {
  struct vm_events *all = arg;
  struct waiter *next;
  for (struct waiter *w = all->waiters; w; w = next) {
    next = w->next;
    if (event_names_fit(&w->names, e)) complete(w, e->seq);
  }
  if (!all->due && all->subs && !all->vm->paused) all->due = loop_defer(all->vm->host.loop, on_due, all) == 0;
}

void events_pause(struct vm *vm) {
  struct vm_events *all = vm->events;
  for (struct subscription *sub = all && vm->host.sink ? all->subs : NULL; sub; sub = sub->next)
    sub->seen = event_ring_last(sink_ring(vm->host.sink));
}

void events_free(struct vm *vm) {
  struct vm_events *all = vm->events;
  if (!all) return;
  if (vm->host.sink) sink_unsubscribe(vm->host.sink, on_event, all);
  loop_cancel(vm->host.loop, on_due, all);
  while (all->subs) subscription_free(all->subs);
  free(all);
  vm->events = NULL;
}

struct vm_events *l_events(lua_State *L, double allowance) {
  struct vm *vm = vm_of(L);
  if (vm->events) return vm->events;
  struct vm_events *all = calloc(1, sizeof *all);
  if (!all || (vm->host.sink && sink_subscribe(vm->host.sink, on_event, all))) {
    free(all);
    l_raise(L, "event: no memory");
    return NULL;
  }
  *all = (struct vm_events){.vm = vm, .allowance = allowance, .since_ns = clock_mono_ns()};
  vm->events = all;
  return all;
}
