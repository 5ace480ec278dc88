/* event: the engine's events seen by scripts, and events of their own. emit(name, details, options); subscribe(names,
 * fn, options) → subscription with cancel(); wait(names, timeout) → event; list(options) → events.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "lua/effect.h"
#include "lua/conv.h"
#include "lua/events.h"

#define SUBSCRIPTION "tend.subscription"

enum {
  SUBS_MAX = 64,    /* subscriptions of a generation */
  RATE_BURST = 200, /* events of a generation at once, and */
  RATE_PER_S = 50,  /* so many a second */
};

/* --- arguments --------------------------------------------------------------------------------------------------- */

static enum event_kind kind_of(const char *name) {
  unsigned kind = 0;
  while (kind < EVENT_KINDS && !STR_EQ(name, event_name((enum event_kind)kind))) kind++;
  return (enum event_kind)kind;
}

static bool is_name(const char *s) {
  return islower((unsigned char)*s) && strlen(s) < LIMIT_NAME &&
         strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(s);
}

/* A name that looks like one of tend's own and is none is probably misspelt, but may be a script's. */
static void warn(const struct vm *vm, const char *name, const char *who) {
  const char *names[EVENT_KINDS];
  for (unsigned i = 0; i < EVENT_KINDS; i++) names[i] = event_name((enum event_kind)i);
  const char *near = kind_of(name) == EVENT_KINDS ? str_nearest(name, names, EVENT_KINDS) : NULL;
  if (near && vm->host.sink)
    sink_say(vm->host.sink, EVENT_NOTICE, LEVEL_WARNING,
             "%s: tend has no event \"%s\"; if it is none of your own, did you mean \"%s\"?", who, name, near);
}

static void l_name(lua_State *L, int i, struct names *out, const char *who) {
  const char *name = lua_type(L, i) == LUA_TSTRING ? lua_tostring(L, i) : "";
  if (STR_EQ(name, "*")) {
    out->all = true;
    return;
  }
  if (!is_name(name))
    l_raise(L, "%s: expected an event's name, a list of names, or \"*\", got %s", who,
            *name ? name : luaL_typename(L, i));
  if (out->n == EVENT_NAMES_MAX) l_raise(L, "%s: at most %d names", who, EVENT_NAMES_MAX);
  str_copy(out->name[out->n++], LIMIT_NAME, name);
  warn(vm_of(L), name, who);
}

static void l_names(lua_State *L, int i, struct names *out, const char *who) {
  if (lua_type(L, i) != LUA_TTABLE || lua_rawlen(L, i) == 0) {
    l_name(L, i, out, who);
    return;
  }
  for (lua_Integer k = 1; k <= (lua_Integer)lua_rawlen(L, i); k++) {
    lua_rawgeti(L, i, k);
    l_name(L, lua_gettop(L), out, who);
    lua_pop(L, 1);
  }
}

static void l_options(lua_State *L, int i, const char *const *known, const char *who) {
  if (lua_isnoneornil(L, i)) return;
  if (lua_type(L, i) != LUA_TTABLE) l_raise(L, "%s: expected a table of options, got %s", who, luaL_typename(L, i));
  l_check_keys(L, i, known, who);
}

/* --- functions --------------------------------------------------------------------------------------------------- */

/* False: too many in too short a time. */
static bool may_emit(struct vm_events *all) {
  int64_t now = clock_mono_ns();
  all->allowance += (double)(now - all->since_ns) / (double)NS_PER_S * RATE_PER_S;
  if (all->allowance > RATE_BURST) all->allowance = RATE_BURST;
  all->since_ns = now;
  if (all->allowance < 1) return false;
  all->allowance -= 1;
  return true;
}

static struct subscription *running_sub(const struct vm_events *all) {
  uint64_t task = task_current(all->vm->host.sched);
  for (struct subscription *sub = all->subs; sub && task; sub = sub->next)
    if (sub->task == task) return sub;
  return NULL;
}

static int l_emit(lua_State *L) {
  static const char *const known[] = {"message", "level", NULL};
  const char *who = "event.emit";
  const char *name = lua_type(L, 1) == LUA_TSTRING ? lua_tostring(L, 1) : "";
  if (!is_name(name))
    return l_raise(L, "%s: expected a name of small letters, digits and _, got %s", who,
                   *name ? name : luaL_typename(L, 1));
  if (kind_of(name) != EVENT_KINDS)
    return l_raise(L, "%s: \"%s\" is an event of tend's own; choose another name", who, name);
  lua_settop(L, 3);
  l_options(L, 3, known, who);
  enum level level = LEVEL_INFO;
  const char *message = NULL;
  if (lua_istable(L, 3)) {
    message = l_opt_string(L, 3, "message", NULL, who);
    const char *word = l_opt_string(L, 3, "level", "INFO", who);
    if (level_parse(word, &level)) return l_raise(L, "%s: level: \"%s\" is none; e.g. \"WARNING\"", who, word);
  }
  if (!lua_isnil(L, 2) && !lua_istable(L, 2))
    return l_raise(L, "%s: expected a table of details, got %s", who, luaL_typename(L, 2));
  if (l_effect(L, who, "%s", name)) {
    lua_pushboolean(L, 1);
    return 1;
  }
  struct vm_events *all = l_events(L, RATE_BURST);
  struct subscription *sub = running_sub(all);
  if ((sub && sub->n_own == EVENT_OWN_MAX) || !may_emit(all))
    return l_fail(L, "busy", "%s: too many events in a short time; %d a second are possible", who, RATE_PER_S);
  struct buf details = {0};
  struct err err = ERR_INIT;
  if (lua_istable(L, 2) && conv_to_text(L, 2, &details, &err)) {
    buf_free(&details);
    return l_raise(L, "%s: details: %s", who, err.msg);
  }
  bool list = details.len && *buf_cstr(&details) != '{';
  struct sink *sink = all->vm->host.sink;
  if (sink && !list) {
    sink_emit(
        sink, EVENT_CUSTOM,
        &(struct sink_event){
            .level = level, .name = name, .message = message, .details = details.len ? buf_cstr(&details) : NULL});
    if (sub && level >= LEVEL_INFO) sub->own[sub->n_own++] = event_ring_last(sink_ring(sink));
  }
  buf_free(&details);
  if (list) return l_raise(L, "%s: details: expected named fields, got a list", who);
  lua_pushboolean(L, 1);
  return 1;
}

struct handle {
  uint64_t serial;
};

static int l_cancel(lua_State *L) {
  const struct handle *h = luaL_checkudata(L, 1, SUBSCRIPTION);
  const struct vm_events *all = vm_of(L)->events;
  for (struct subscription *sub = all ? all->subs : NULL; sub; sub = sub->next) {
    if (sub->serial != h->serial) continue;
    sub->gone = true; /* a call that goes on ends by itself; it may be the one that called this */
    if (!sub->task) subscription_free(sub);
    break;
  }
  return 0;
}

static int l_subscribe(lua_State *L) {
  static const char *const known[] = {"timeout", NULL};
  const char *who = "event.subscribe";
  struct names names = {0};
  l_names(L, 1, &names, who);
  if (lua_type(L, 2) != LUA_TFUNCTION)
    return l_raise(L, "%s: expected a function as second argument, got %s", who, luaL_typename(L, 2));
  lua_settop(L, 3);
  l_options(L, 3, known, who);
  lua_Number timeout = lua_istable(L, 3) ? l_opt_seconds(L, 3, "timeout", 10, who) : 10;
  struct vm_events *all = l_events(L, RATE_BURST);
  struct vm *vm = all->vm;
  if (all->n == SUBS_MAX) return l_raise(L, "%s: there are %d already, there can be no more", who, SUBS_MAX);
  bool listed = l_effect(L, who, "%s", names.all ? "*" : names.name[0]);
  struct handle *h = lua_newuserdatauv(L, sizeof *h, 0);
  h->serial = 0;
  luaL_setmetatable(L, SUBSCRIPTION);
  if (listed) return 1;
  lua_pushvalue(L, 2);
  int fn = luaL_ref(L, LUA_REGISTRYINDEX);
  struct subscription *sub = calloc(1, sizeof *sub);
  if (!sub) {
    luaL_unref(L, LUA_REGISTRYINDEX, fn);
    return l_raise(L, "%s: no memory", who);
  }
  *sub = (struct subscription){.vm = vm,
                               .next = all->subs,
                               .names = names,
                               .serial = ++all->serial,
                               .seen = vm->host.sink ? event_ring_last(sink_ring(vm->host.sink)) : 0,
                               .timeout_ns = (int64_t)(timeout * (lua_Number)NS_PER_S),
                               .fn = fn};
  all->subs = sub;
  all->n++;
  h->serial = sub->serial;
  return 1;
}

static int l_wait(lua_State *L) {
  const char *who = "event.wait";
  struct names names = {0};
  l_names(L, 1, &names, who);
  int64_t timeout_ns = lua_isnoneornil(L, 2) ? 0 : l_check_seconds(L, 2, who);
  struct vm_events *all = l_events(L, RATE_BURST);
  struct vm *vm = all->vm;
  if (!vm->host.sink) return l_fail(L, "unavailable", "%s: there are no events here", who);
  uint64_t token = task_wait(L);
  struct waiter *w = calloc(1, sizeof *w);
  if (!w || !(w->timer = timer_new(vm->host.loop, waiter_late, w))) {
    free(w);
    return l_raise(L, "%s: no memory", who);
  }
  w->vm = vm;
  w->names = names;
  w->token = token;
  w->next = all->waiters;
  all->waiters = w;
  if (!lua_isnoneornil(L, 2)) timer_after(w->timer, timeout_ns);
  return task_suspend(L, waiter_free, w);
}

static lua_Integer l_opt_whole(lua_State *L, int t, const char *key, lua_Integer fallback, const char *who) {
  int type = lua_getfield(L, t, key);
  lua_Integer v = type == LUA_TNIL ? fallback : lua_tointeger(L, -1);
  if (type != LUA_TNIL && (!lua_isinteger(L, -1) || v < 0))
    l_raise(L, "%s: %s: expected a whole number, 0 or more, got %s", who, key, luaL_tolstring(L, -1, NULL));
  lua_pop(L, 1);
  return v;
}

static int l_list(lua_State *L) {
  static const char *const known[] = {"name", "since", "max", NULL};
  const char *who = "event.list";
  lua_settop(L, 1);
  l_options(L, 1, known, who);
  struct names names = {.all = true};
  uint64_t since = 0;
  lua_Integer max = LIMIT_EVENTS;
  if (lua_istable(L, 1)) {
    since = (uint64_t)l_opt_whole(L, 1, "since", 0, who);
    max = l_opt_whole(L, 1, "max", LIMIT_EVENTS, who);
    if (lua_getfield(L, 1, "name") != LUA_TNIL) {
      names.all = false;
      l_names(L, lua_gettop(L), &names, who);
    }
  }
  lua_newtable(L);
  const struct vm *vm = vm_of(L);
  if (!vm->host.sink || !max) return 1;
  const struct event_ring *ring = sink_ring(vm->host.sink);
  /* the last ones: from behind to find the first, then in their order */
  uint64_t from = event_ring_last(ring) + 1;
  for (lua_Integer found = 0; from > since + 1 && found < max; from--) {
    const struct event *e = event_ring_from(ring, from - 1);
    if (!e || e->seq != from - 1) break;
    found += event_names_fit(&names, e);
  }
  lua_Integer n = 0;
  for (const struct event *e; (e = event_ring_from(ring, from)); from = e->seq + 1) {
    if (!event_names_fit(&names, e)) continue;
    l_push_event(L, e);
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

int l_open_event(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"emit", l_emit}, {"subscribe", l_subscribe}, {"wait", l_wait}, {"list", l_list}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"cancel", l_cancel}, {NULL, NULL}};
  l_class(L, SUBSCRIPTION, methods, NULL);
  luaL_newlib(L, functions);
  return 1;
}
