/* log: lines of a script's own, event `message`, component `script`. */
#include <string.h>

#include "lua/conv.h"
#include "lua/effect.h"
#include "lua/l.h"

static void emit(struct vm *vm, enum level level, const char *message, const char *details) {
  if (!vm->host.sink) return;
  sink_emit(vm->host.sink, EVENT_MESSAGE, &(struct sink_event){.level = level, .message = message, .details = details});
}

/* The message as a text of C, which a NUL would end: told like other bytes that are no text. Stays on the stack. */
static const char *message_of(lua_State *L) {
  size_t n;
  const char *message = luaL_tolstring(L, 1, &n);
  if (!memchr(message, 0, n)) return message;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (size_t i = 0; i < n; i++)
    if (message[i])
      luaL_addchar(&b, message[i]);
    else
      luaL_addstring(&b, "\xef\xbf\xbd");
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}

/* The line is told in any case; then what is wrong with its fields is an error. */
static int say(lua_State *L, enum level level) {
  lua_settop(L, 2);
  const char *message = message_of(L);
  struct vm *vm = vm_of(L);
  auto_buf struct buf details = {0};
  struct err err = ERR_INIT;
  bool fields = !lua_isnoneornil(L, 2);
  if (fields && lua_type(L, 2) != LUA_TTABLE) {
    emit(vm, level, message, NULL);
    return l_raise(L, "log: expected a table of fields as second argument, got %s", luaL_typename(L, 2));
  }
  if (fields && conv_to_text(L, 2, &details, &err)) {
    buf_free(&details);
    emit(vm, level, message, NULL);
    return l_raise(L, "log: fields: %s", err.msg);
  }
  if (fields && *buf_cstr(&details) != '{') {
    buf_free(&details);
    emit(vm, level, message, NULL);
    return l_raise(L, "log: fields: expected named fields, got a list");
  }
  emit(vm, level, message, details.len ? buf_cstr(&details) : NULL);
  return 0;
}

static int l_debug(lua_State *L) { return say(L, LEVEL_DEBUG); }
static int l_info(lua_State *L) { return say(L, LEVEL_INFO); }
static int l_warning(lua_State *L) { return say(L, LEVEL_WARNING); }
static int l_error_line(lua_State *L) { return say(L, LEVEL_ERROR); }
static int l_critical(lua_State *L) { return say(L, LEVEL_CRITICAL); }

/* level() → the level of the log; level(name) sets it until the engine ends, and gives the one before. */
static int l_level(lua_State *L) {
  const char *name = luaL_optstring(L, 1, NULL);
  struct vm *vm = vm_of(L);
  enum level level, before = vm->host.sink ? sink_level(vm->host.sink) : LEVEL_INFO;
  if (name && level_parse(name, &level))
    return l_raise(L, "log.level: expected DEBUG, INFO, WARNING, ERROR or CRITICAL, got \"%s\"", name);
  if (name && !l_effect(L, "log.level", "%s", level_name(level)) && vm->host.sink) sink_set_level(vm->host.sink, level);
  lua_pushstring(L, level_name(before));
  return 1;
}

int l_open_log(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"debug", l_debug},       {"info", l_info}, {"warning", l_warning}, {"error", l_error_line}, {"level", l_level},
      {"critical", l_critical}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
