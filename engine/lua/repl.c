#include "lua/repl.h"

#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/str.h"
#include "lua/conv.h"
#include "lua/repl_inner.h"

struct repl *repl_new(const struct repl_options *options) {
  struct repl *r = calloc(1, sizeof *r);
  if (!r) return NULL;
  r->o = *options;
  if (r->o.live) r->o.host.sched = r->o.live->host.sched;
  return r;
}

static void close_side(struct repl_side *side) { *side = (struct repl_side){0}; }

void repl_free(struct repl *r) {
  if (!r) return;
  while (r->sessions) {
    struct repl_session *s = r->sessions;
    r->sessions = s->next;
    while (s->chunks) {
      struct repl_chunk *c = s->chunks;
      s->chunks = c->next;
      task_cancel(r->o.host.sched, c->task, TASK_CANCELLED, true);
      if (c->reply) control_fail(c->reply, "cancelled", "tend is ending");
      buf_free(&c->effects.list);
      buf_free(&c->wait);
      c->session = NULL;
      free(c);
    }
    if (s->reply) control_answer(s->reply, NULL);
    cJSON_Delete(s->carried);
    free(s);
  }
  vm_free(r->made);
  vm_free(r->made_aside);
  sched_free(r->own_sched);
  free(r);
}

/* More would hold up the swap: parts of one value, parts that are looked at in all. */
enum { CARRY_MAX = 2000, CARRY_LOOKS = 10 * CARRY_MAX, CARRY_TEXT = 64 * 1024, CARRY_DEPTH = 16 };

/* Whether the value on top is small enough; counts its parts down from *left. */
static bool is_small(lua_State *L, int *left, int depth) {
  if (--*left < 0 || depth > CARRY_DEPTH) return false;
  if (lua_type(L, -1) == LUA_TSTRING) return lua_rawlen(L, -1) <= CARRY_TEXT;
  if (lua_type(L, -1) != LUA_TTABLE) return true;
  if (!lua_checkstack(L, 4)) return false;
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    bool small = is_small(L, left, depth + 1);
    lua_pop(L, small ? 1 : 2);
    if (!small) return false;
  }
  return true;
}

/* The same, each value with room of its own: whether one goes must not hang on which come before it. */
static bool may_go(lua_State *L, int *looks) {
  int room = *looks < CARRY_MAX ? *looks : CARRY_MAX, left = room;
  bool small = is_small(L, &left, 0);
  *looks -= room - left;
  return small;
}

/* What of the session's globals is data goes with it. */
static void carry(struct repl_session *s) {
  lua_State *L = s->side->vm->L;
  if (s->env == LUA_NOREF || !lua_checkstack(L, 8)) return;
  cJSON_Delete(s->carried);
  s->carried = cJSON_CreateObject();
  int top = lua_gettop(L), looks = CARRY_LOOKS;
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->env);
  lua_pushnil(L);
  while (s->carried && lua_next(L, top + 1)) {
    cJSON *value = NULL;
    struct err ignored = ERR_INIT;
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "_G";
    bool own = !STR_EQ(name, "_G");
    if (own && (!may_go(L, &looks) || conv_to_json(L, -1, 0, &value, &ignored)) && !STR_EQ(name, "_")) s->lost = true;
    if (value && !cJSON_AddItemToObject(s->carried, lua_tostring(L, -2), value)) cJSON_Delete(value);
    lua_pop(L, 1);
  }
  lua_settop(L, top);
}

int l_repl_env(lua_State *L, struct repl_session *s) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->side->env);
  lua_call(L, 0, 1);
  const cJSON *value;
  cJSON_ArrayForEach(value, s->carried) {
    lua_pushstring(L, value->string);
    l_push_json(L, value);
    lua_rawset(L, -3);
  }
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

void repl_use(struct repl *r, struct vm *live) {
  for (struct repl_session *s = r->sessions; s; s = s->next) {
    if (s->side != &r->live) continue;
    carry(s);
    s->env = LUA_NOREF; /* it goes with its generation */
    s->side = NULL;
  }
  close_side(&r->live);
  r->o.live = live;
}

/* --- the Lua half ------------------------------------------------------------------------------------------------ */

struct opening {
  struct repl *repl;
  struct repl_side *side;
};

static int take_function(lua_State *L, const char *name) {
  lua_getfield(L, -1, name);
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

static int l_open(lua_State *L) {
  const struct opening *o = lua_touserdata(L, 1);
  size_t n;
  const char *text = embedded_script("tend.repl", &n);
  struct err err = ERR_INIT;
  if (!text || script_compile(L, text, n, "scripts/tend/repl.lua", &err)) return luaL_error(L, "%s", err.msg);
  l_push_repl_core(L, o->repl);
  lua_call(L, 1, 1);
  o->side->evaluate = take_function(L, "evaluate");
  o->side->complete = take_function(L, "complete");
  o->side->env = take_function(L, "env");
  return 0;
}

/* A generation of its own. Aside: what is started in it does not run on, and what it keeps is kept by nobody. */
static struct vm *make_vm(struct repl *r, bool aside, struct err *err) {
  struct vm **vm = aside ? &r->made_aside : &r->made;
  struct vm_host *host = &r->o.host;
  if (!host->sched) host->sched = r->own_sched = sched_new(host->loop, err);
  if (!*vm && host->sched) *vm = vm_new(host, err);
  if (*vm) (*vm)->paused = aside;
  return *vm;
}

struct repl_side *repl_side_of(struct repl *r, const struct repl_session *s, struct err *err) {
  bool aside = s->read_only || s->dry;
  struct repl_side *side = aside ? &r->aside : &r->live;
  if (side->vm) return side;
  struct vm *vm = !aside && r->o.live ? r->o.live : make_vm(r, aside, err);
  if (!vm) return NULL;
  struct opening opening = {r, side};
  lua_State *L = vm->L;
  if (!lua_checkstack(L, 8)) {
    err_set(err, -ENOMEM, "no memory for a prompt");
    return NULL;
  }
  lua_pushcfunction(L, l_open);
  lua_pushlightuserdata(L, &opening);
  if (lua_pcall(L, 1, 0, 0)) {
    err_set(err, -EINVAL, "cannot open a prompt: %s", lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "?");
    lua_pop(L, 1);
    return NULL;
  }
  side->vm = vm;
  return side;
}

/* --- sessions ---------------------------------------------------------------------------------------------------- */

struct repl_session *repl_session_new(struct repl *r, const struct control_request *q, struct control_reply *reply) {
  struct repl_session *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  *s = (struct repl_session){.next = r->sessions,
                             .repl = r,
                             .reply = reply,
                             .id = ++r->serial,
                             .uid = q->uid,
                             .pid = q->pid,
                             .env = LUA_NOREF};
  r->sessions = s;
  return s;
}

struct repl_session *repl_session_find(struct repl *r, uint64_t id, uid_t uid) {
  for (struct repl_session *s = r->sessions; s; s = s->next)
    if (s->id == id && s->uid == uid && !s->gone) return s;
  return NULL;
}

void repl_session_check(struct repl_session *s) {
  if (!s->gone || s->chunks) return;
  struct repl_session **p = &s->repl->sessions;
  while (*p != s) p = &(*p)->next;
  *p = s->next;
  if (s->side && s->env != LUA_NOREF) luaL_unref(s->side->vm->L, LUA_REGISTRYINDEX, s->env);
  if (s->reply) control_answer(s->reply, NULL);
  cJSON_Delete(s->carried);
  free(s);
}

void repl_session_end(struct repl_session *s) {
  s->gone = true;
  for (struct repl_chunk *c = s->chunks; c; c = c->next) repl_chunk_cancel(c);
  repl_session_check(s);
}
