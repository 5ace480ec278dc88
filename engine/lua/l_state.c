/* state: one plain table that outlives its generation. The engine reads it after tasks have run, not more often than
 * each quarter of a second, and keeps it as JSON; a new generation, and a new engine, finds it as it was. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "loop/script_state.h"
#include "lua/conv.h"
#include "lua/l.h"

#define SAVE_EVERY_NS (250 * NS_PER_MS)

struct vm_state {
  struct vm *vm;
  struct timer *timer;
  int ref;
  bool due;
  int64_t saved_ns;
  uint64_t version;       /* of the text that the table came from or was written as */
  char told[ERR_MSG_MAX]; /* the trouble that was told last */
};

/* --- keeping ----------------------------------------------------------------------------------------------------- */

static void save(struct vm_state *st) {
  struct vm *vm = st->vm;
  st->due = false;
  timer_stop(st->timer);
  if (!vm->host.state) return;
  st->saved_ns = clock_mono_ns();
  if (!lua_checkstack(vm->L, 4)) return;
  struct err err = ERR_INIT;
  auto_buf struct buf text = {.max = LIMIT_SCRIPT_STATE};
  lua_rawgeti(vm->L, LUA_REGISTRYINDEX, st->ref);
  int rc = conv_to_text(vm->L, -1, &text, &err);
  lua_pop(vm->L, 1);
  if (!rc && *buf_cstr(&text) != '{') rc = err_set(&err, -EINVAL, "it has become a list; give it named keys");
  if (rc == -E2BIG) err_set(&err, rc, "it is longer than %d KiB as JSON", LIMIT_SCRIPT_STATE / 1024);
  if (!rc && (rc = script_state_put(vm->host.state, buf_cstr(&text), text.len))) err_set(&err, rc, "no memory");
  if (!rc) {
    st->version = vm->host.state->version;
    st->told[0] = 0;
  } else if (!STR_EQ(st->told, err.msg)) {
    str_copy(st->told, sizeof st->told, err.msg);
    err_wrap(&err, "the table `state` is kept as it was, not as it is now");
    vm_script_error(vm, "state", &err, NULL);
  }
}

static void on_due(void *arg) {
  struct vm_state *st = arg;
  st->due = false;
  if (!st->vm->paused) save(st);
}

void vm_state_touched(struct vm *vm) {
  struct vm_state *st = vm->state;
  if (st->due || vm->paused) return;
  st->due = true;
  int64_t next = st->saved_ns + SAVE_EVERY_NS;
  timer_at(st->timer, next); /* past: in the next turn */
}

void vm_state_save(struct vm *vm) {
  if (vm->state) save(vm->state);
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

/* Fills the table on top, which is empty, from the text that is kept. */
static void l_fill(lua_State *L, struct vm_state *st) {
  const struct script_state *kept = st->vm->host.state;
  cJSON *v = NULL;
  if (!kept) return;
  st->version = kept->version;
  if (!kept->text.len || json_parse(buf_cstr(&kept->text), kept->text.len, "state", &v, NULL)) return;
  int status = conv_push_json(L, v);
  cJSON_Delete(v);
  if (status) {
    lua_error(L);
    return;
  }
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -5);
  }
  lua_pop(L, 1);
}

static int l_refill(lua_State *L) {
  struct vm_state *st = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, st->ref);
  lua_pushnil(L);
  while (lua_next(L, 2)) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_pushnil(L);
    lua_rawset(L, 2);
  }
  l_fill(L, st);
  return 0;
}

void vm_state_move(struct vm *from, struct vm *to) {
  if (from) vm_state_save(from);
  struct vm_state *st = to->state;
  if (!st) return;
  if (!to->host.state || st->version == to->host.state->version || !lua_checkstack(to->L, 4)) return;
  lua_pushcfunction(to->L, l_refill);
  lua_pushlightuserdata(to->L, st);
  struct err err = ERR_INIT;
  if (lua_pcall(to->L, 1, 0, 0) == LUA_OK) return;
  lua_pop(to->L, 1);
  err_set(&err, -ENOMEM, "no memory for the table `state`");
  vm_script_error(to, "state", &err, NULL);
}

void state_free(struct vm *vm) {
  struct vm_state *st = vm->state;
  if (!st) return;
  if (st->due) on_due(st);
  timer_free(st->timer);
  free(st);
  vm->state = NULL;
}

int l_open_state(lua_State *L) {
  struct vm *vm = vm_of(L);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushboolean(L, 0); /* also tells that it is no module, whose names could not be changed */
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  int ref = luaL_ref(L, LUA_REGISTRYINDEX);
  struct vm_state *st = calloc(1, sizeof *st);
  if (!st || !(st->timer = timer_new(vm->host.loop, on_due, st))) {
    free(st);
    return l_raise(L, "state: no memory");
  }
  st->vm = vm;
  st->ref = ref;
  vm->state = st;
  l_fill(L, st);
  return 1;
}
