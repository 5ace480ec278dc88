/* json: text to values and back, within the limits of base/json. */
#include "base/limits.h"
#include "lua/conv.h"
#include "lua/l.h"

static int l_encode(lua_State *L) {
  luaL_checkany(L, 1);
  struct err err = ERR_INIT;
  struct buf b = {.max = LIMIT_JSON_FILE};
  if (conv_to_text(L, 1, &b, &err)) {
    buf_free(&b);
    return l_raise(L, "json.encode: %s", err.msg);
  }
  int status = conv_push_text(L, &b);
  buf_free(&b);
  return status == LUA_OK ? 1 : lua_error(L);
}

static int l_decode(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  struct err err = ERR_INIT;
  cJSON *v = NULL;
  if (json_has_nul(text, n))
    return l_fail(L, "json", "json: a text in it has a NUL character, which is not possible here");
  if (json_parse(text, n, "json", &v, &err)) return l_fail(L, "json", "%s", err.msg);
  int status = conv_push_json(L, v);
  cJSON_Delete(v);
  return status == LUA_OK ? 1 : lua_error(L);
}

int l_open_json(lua_State *L) {
  static const luaL_Reg functions[] = {{"encode", l_encode}, {"decode", l_decode}, {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_pushlightuserdata(L, CONV_NULL);
  lua_setfield(L, -2, "null");
  return 1;
}
