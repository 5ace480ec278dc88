/* print: to whoever started the task, else to the log. A reader that is slow makes the task wait, so what waits for it
 * is bounded. */
#include <errno.h>

#include "base/buf.h"
#include "base/limits.h"
#include "lua/l.h"
#include "lua/task_inner.h"

bool task_prints(lua_State *L) {
  const struct task *t = lua_owner(L)->sched->current;
  return t && t->print;
}

int task_print(lua_State *L, const char *text, size_t n) {
  struct task *t = lua_owner(L)->sched->current;
  if (t->quiet) return 0;
  bool may_wait = L == t->co && lua_isyieldable(L) && !t->ending;
  if (t->print_full && !may_wait)
    return luaL_error(L, "print: it is not read as fast as it is printed, and here nothing can wait for that");
  int rc;
  if (n > LIMIT_CONTROL_STREAM) {
    rc = t->print(t->print_arg, text, LIMIT_CONTROL_STREAM);
    char cut[64];
    int k = snprintf(cut, sizeof cut, "\n(%zu bytes more)\n", n - LIMIT_CONTROL_STREAM);
    if (rc != -EPIPE) rc = t->print(t->print_arg, cut, (size_t)k);
  } else {
    rc = t->print(t->print_arg, text, n);
  }
  if (rc != -EAGAIN) return 0;
  t->print_full = true;
  if (!may_wait) return 0;
  t->print_waits = task_wait(L);
  return task_suspend(L, NULL, NULL);
}

int l_print_task(lua_State *L) {
  int n = lua_gettop(L);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (int i = 1; i <= n; i++) {
    if (i > 1) luaL_addchar(&b, '\t');
    luaL_tolstring(L, i, NULL);
    luaL_addvalue(&b);
  }
  bool told = task_prints(L);
  if (told) luaL_addchar(&b, '\n');
  luaL_pushresult(&b);
  size_t len;
  const char *text = lua_tolstring(L, -1, &len);
  if (told) return task_print(L, text, len);
  struct vm *vm = vm_of(L);
  if (vm->host.sink)
    sink_emit(vm->host.sink, EVENT_MESSAGE,
              &(struct sink_event){.level = LEVEL_INFO, .message = text, .duration_ns = -1});
  return 0;
}
