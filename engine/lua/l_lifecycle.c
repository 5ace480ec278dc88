/* lifecycle: C half. register(list, entry) puts a dependency, cleanup handler or hook into the plan that is
 * being loaded; that of hooks is the same. */
#include "base/str.h"
#include "lua/conv.h"
#include "lua/l.h"

static int l_register(lua_State *L) {
  static const char *const lists[] = {"dependencies", "cleanup", "hooks", NULL};
  static const char *const nouns[] = {"dependencies", "cleanup handlers", "hooks"};
  int which = luaL_checkoption(L, 1, NULL, lists);
  luaL_checktype(L, 2, LUA_TTABLE);
  struct vm *vm = vm_of(L);
  if (!vm->loading) return l_raise(L, "%s can be added only while the flow file loads", nouns[which]);
  cJSON **list = which == 0 ? &vm->dependencies : which == 1 ? &vm->cleanup : &vm->hooks;
  struct err err = ERR_INIT;
  cJSON *entry = NULL;
  if (conv_to_json(L, 2, CONV_FUNCTIONS, &entry, &err)) return l_raise(L, "%s: %s", lists[which], err.msg);
  if (!*list) *list = cJSON_CreateArray();
  if (*list && cJSON_AddItemToArray(*list, entry)) return 0;
  cJSON_Delete(entry);
  return l_raise(L, "%s: no memory", lists[which]);
}

int l_open_hooks(lua_State *L) {
  static const luaL_Reg functions[] = {{"register", l_register}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}

int l_open_lifecycle(lua_State *L) {
  static const luaL_Reg functions[] = {{"register", l_register}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
