/* fs: operations on files. C half: call(op, path, other, data, offset, max) in place; `direct` says whether that is
 * what scripts/tend/fs.lua should use (tend script), or the helper (the engine). */
#include "base/fileop.h"
#include "base/str.h"
#include "lua/conv.h"
#include "lua/effect.h"
#include "lua/l.h"

static int l_call(lua_State *L) {
  struct fileop f = {.op = luaL_checkstring(L, 1), .path = luaL_checkstring(L, 2), .other = luaL_optstring(L, 3, NULL)};
  f.data = luaL_optlstring(L, 4, "", &f.n);
  f.offset = luaL_optinteger(L, 5, 0);
  f.max = (size_t)luaL_optinteger(L, 6, 0);
  bool looks = fileop_looks(f.op);
  if (!looks && !effects_act(L)) {
    char what[64];
    snprintf(what, sizeof what, "fs.%.32s", f.op);
    if (l_effect(L, what, "%s%s%s", f.path, f.other ? " " : "", f.other ? f.other : "")) {
      lua_pushliteral(L, "");
      return 1;
    }
  }
  struct buf out = {0};
  struct err err = ERR_INIT;
  int rc = fileop_run(&f, &out, &err);
  if (rc) {
    buf_free(&out);
    return l_fail_code(L, -rc, err.msg);
  }
  int status = conv_push_text(L, &out);
  buf_free(&out);
  return status == LUA_OK ? 1 : lua_error(L);
}

int l_open_fs(lua_State *L) {
  static const luaL_Reg functions[] = {{"call", l_call}, {NULL, NULL}};
  luaL_newlib(L, functions);
  l_set_fail(L);
  lua_pushboolean(L, vm_of(L)->host.script);
  lua_setfield(L, -2, "direct");
  return 1;
}
