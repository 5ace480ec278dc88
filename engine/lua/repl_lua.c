/* What the Lua halves of the prompt (scripts/tend/repl*.lua) may call. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "lua/conv.h"
#include "lua/process.h"
#include "lua/repl_inner.h"

/* half(name, …): runs our script tend.NAME with these; what it returns */
static int l_half(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  char full[64], shown[96];
  snprintf(full, sizeof full, "tend.%s", name);
  snprintf(shown, sizeof shown, "scripts/tend/%s.lua", name);
  size_t n;
  const char *text = embedded_script(full, &n);
  struct err err = ERR_INIT;
  if (!text) return luaL_error(L, "there is no %s", shown);
  if (script_compile(L, text, n, shown, &err)) return luaL_error(L, "%s", err.msg);
  lua_replace(L, 1);
  lua_call(L, lua_gettop(L) - 1, 1);
  return 1;
}

/* --- output ------------------------------------------------------------------------------------------------------ */

static void print_cancel(void *arg) { ((struct repl_chunk *)arg)->token = 0; }

static int l_print(lua_State *L) {
  struct repl_chunk *c = l_chunk(L);
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  int rc = repl_chunk_print(c, text, n);
  if (rc == 0) return 0;
  if (rc == -E2BIG)
    return luaL_error(L, "a chunk prints at most %d MB: ended; write long things to a file",
                      LIMIT_REPL_OUTPUT / 1024 / 1024);
  if (rc == -EPIPE) return luaL_error(L, "nobody reads any more");
  if (rc != -EAGAIN) return luaL_error(L, "no memory for what is printed");
  c->token = task_wait(L); /* the part is kept: nothing is lost where this raises but the order to wait */
  return task_suspend(L, print_cancel, c);
}

static int l_width(lua_State *L) {
  lua_pushinteger(L, l_chunk(L)->width);
  return 1;
}

static int l_env(lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, l_chunk(L)->env);
  return 1;
}

/* --- effects ----------------------------------------------------------------------------------------------------- */

/* effects(mode) → the mode before. A read-only session can list, but never act. */
static int l_effects(lua_State *L) {
  static const char *const modes[] = {"act", "refuse", "list", NULL};
  struct repl_chunk *c = l_chunk(L);
  enum effects_mode before = c->effects.mode;
  enum effects_mode mode = (enum effects_mode)luaL_checkoption(L, 1, NULL, modes);
  if (mode == EFFECTS_ACT && c->session->read_only) mode = EFFECTS_REFUSE;
  if (mode == EFFECTS_ACT && c->session->dry) mode = EFFECTS_LIST;
  c->effects.mode = mode;
  lua_pushstring(L, modes[before]);
  return 1;
}

/* listed() → what was listed since the last call, and how many lines were left out */
static int l_listed(lua_State *L) {
  struct repl_chunk *c = l_chunk(L);
  lua_pushlstring(L, buf_cstr(&c->effects.list), c->effects.list.len);
  lua_pushinteger(L, (lua_Integer)c->effects.left_out);
  buf_clear(&c->effects.list);
  c->effects.left_out = 0;
  return 2;
}

/* --- the engine -------------------------------------------------------------------------------------------------- */

/* op(name, args) → value | nil, err: an operation of the control socket, on behalf of the session's client */
static int l_op(lua_State *L) {
  struct repl_chunk *c = l_chunk(L);
  struct repl *r = c->session->repl;
  const char *name = luaL_checkstring(L, 1);
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) {
    lua_newtable(L);
    lua_replace(L, 2);
  }
  luaL_checktype(L, 2, LUA_TTABLE);
  if (!r->o.control) return l_fail(L, "unavailable", "there is no engine around: this prompt is offline");
  task_may_wait(L);
  struct err err = ERR_INIT;
  struct buf shown = {0};
  if (conv_to_text(L, 2, &shown, &err)) {
    buf_free(&shown);
    return luaL_error(L, "%s: %s", name, err.msg);
  }
  char text[256];
  str_copy(text, sizeof text, buf_cstr(&shown));
  buf_free(&shown);
  cJSON *args = NULL;
  if (conv_to_json(L, 2, 0, &args, &err)) return luaL_error(L, "%s: %s", name, err.msg);
  bool changes = control_changes(r->o.control, name, args);
  if (changes && !effects_act(L)) {
    cJSON_Delete(args);
    l_effect(L, name, "%s", text);
    lua_pushliteral(L, "listed");
    return 1;
  }
  const struct control_request q = {
      .op = name, .args = args, .uid = c->session->uid, .pid = c->session->pid, .read_only = c->session->read_only};
  return l_call_operation(L, r->o.control, &q, args);
}

/* --- names ------------------------------------------------------------------------------------------------------- */

static int l_modules(lua_State *L) {
  lua_newtable(L);
  for (size_t i = 0; module_name(i); i++) {
    lua_pushstring(L, module_name(i));
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static int l_is_module(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  size_t i = 0;
  while (module_name(i) && !STR_EQ(module_name(i), name)) i++;
  lua_pushboolean(L, module_name(i) != NULL);
  return 1;
}

static int l_settings(lua_State *L) {
  const struct settings *s = vm_of(L)->host.settings;
  struct setting_view v;
  lua_newtable(L);
  for (size_t i = 0; settings_at(s, i, &v); i++) {
    lua_pushstring(L, v.def->name);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* where(function) → "file:line", "builtin" */
static int l_where(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_Debug ar;
  if (lua_getinfo(L, ">S", &ar) && ar.linedefined > 0)
    lua_pushfstring(L, "%s:%d", ar.short_src, ar.linedefined);
  else
    lua_pushliteral(L, "builtin");
  return 1;
}

void l_push_repl_core(lua_State *L, struct repl *r) {
  (void)r;
  static const luaL_Reg functions[] = {{"half", l_half},
                                       {"print", l_print},
                                       {"width", l_width},
                                       {"env", l_env},
                                       {"effects", l_effects},
                                       {"listed", l_listed},
                                       {"ask", l_ask},
                                       {"op", l_op},
                                       {"modules", l_modules},
                                       {"is_module", l_is_module},
                                       {"settings", l_settings},
                                       {"where", l_where},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  size_t n;
  const char *stubs = embedded_script("stubs", &n);
  lua_pushlstring(L, stubs ? stubs : "", stubs ? n : 0);
  lua_setfield(L, -2, "stubs");
}
